"""Combination B is prepared for real: buckets and tokens on a real InfluxDB, broker settings on a real Mosquitto.

The containers themselves are not run by any test; tests/unit/kioskwatch/test_deploy_files.py reads their files.
"""

import tomllib
from pathlib import Path

import pytest

from backend.settings import read_results_settings, read_settings
from kioskwatch import deployment
from kioskwatch.folder import BUCKETS
from stores.errors import StoreAuthError, StoreError
from stores.series.open import open_series
from tests.support.influxd import InfluxServer

LINE = b"air,district=d value=1.0 1639285200000000000"


@pytest.fixture
def prepared(influxd: InfluxServer, tmp_path: Path) -> Path:
    org, admin_token = influxd.empty_organisation()
    token = tmp_path / "admin-token"
    token.write_text(admin_token)
    root = tmp_path / "district"
    argv = ["--root", str(root), "--district", "/district.toml", "--public-name", "kw.example.org"]
    argv += ["--postgres", "postgresql+psycopg://kw@postgres/kw", "--influx", influxd.url]
    argv += ["--influx-token", str(token), "--org", org]
    assert deployment.main(argv) == 0
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "tokens" in path.parts}
    assert deployment.main(argv) == 0  # again, as at every start of the containers
    assert {path: path.read_bytes() for path in before} == before
    return root


def test_each_process_reaches_its_own_buckets_and_no_other(prepared: Path) -> None:
    settings = tomllib.loads((prepared / "gateway.toml").read_text())
    for process, writes in (("gateway", set(BUCKETS) - {"alerts", "restricted"}), ("backend", {"alerts"})):
        store = open_series(
            settings["series"],
            writes=frozenset(writes),
            org=settings["series_org"],
            token_dir=prepared / "tokens" / process,
        )
        for bucket in BUCKETS:
            if bucket in writes:
                store.write(bucket, LINE)
            else:
                with pytest.raises((StoreAuthError, StoreError)):
                    store.write(bucket, LINE)
        store.close()
    assert list(prepared.glob("tokens/*/restricted")) == [], "its bucket is not there: nobody has a token for it"
    assert settings["series_restricted"] == f"sqlite:{prepared / 'restricted'}"


def test_the_backend_accepts_its_settings(prepared: Path) -> None:
    settings = read_settings(prepared / "backend.toml")
    assert settings.scheme == "https"
    assert settings.simulated is False


def test_the_result_page_accepts_its_settings_which_name_no_key_but_its_own(prepared: Path) -> None:
    settings = read_results_settings(prepared / "results.toml")
    assert (settings.scheme, settings.simulated, settings.port) == ("https", False, 8801)
    assert "ca" not in (prepared / "results.toml").read_text().replace("/run/secrets/results-cert", "").split("/")


def test_every_secret_is_its_owners_alone(prepared: Path) -> None:
    for path in prepared.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_wrong_administration_token_is_one_sentence(
    influxd: InfluxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("wrong")
    argv = ["--root", str(tmp_path / "d"), "--district", "/d.toml", "--public-name", "x", "--postgres", "p"]
    assert deployment.main([*argv, "--influx", influxd.url, "--influx-token", str(tmp_path / "token")]) == 2
    assert "401" in capsys.readouterr().err
