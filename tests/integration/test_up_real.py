"""`kioskwatch up --no-simulators` serves a real device: a token by hand, enrolment over HTTPS, readings over mTLS."""

import http.client
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import tomli_w

from backend.devices.authority import issue_server
from contracts.windows import to_ns
from kioskwatch.plan import STARTER_DISTRICT
from tests.support.district import real_now
from tests.support.notices import filled
from tests.support.process import Program, free_port, wait_until
from tests.support.up import Console, RunningUp

pytestmark = pytest.mark.timeout(120)

OWN = (sys.executable, "-m", "kioskwatch")


def _real(folder: Path, *, name: str = "my-district") -> tuple[str, ...]:
    """What an operator brings: a filled district file, and a certificate that phones trust for the result page."""
    path = folder / "district.toml"
    path.write_text(filled(STARTER_DISTRICT.read_text()).replace('id = "my-district"', f'id = "{name}"'))
    issue_server(folder / "public", ["results.harbour.internal"], real_now())
    certificate, key = folder / "public" / "server.pem", folder / "public" / "server.key"
    results = ("--results-cert", str(certificate), "--results-key", str(key))
    return ("--no-simulators", "--district", str(path), *results)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A district for real devices, from the starter file with a notice of the operator's own."""
    folder = tmp_path_factory.mktemp("real")
    running = RunningUp(folder / "var", *_real(folder), "--listen", "127.0.0.1", trusting=folder / "public" / "ca.pem")
    try:
        yield running.wait_ready()
    finally:
        assert running.stop() == 0, running.text


def _command(*words: str) -> str:
    done = subprocess.run([*OWN, *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _token(up: RunningUp, device: str) -> str:
    return _command("device", "token", device, "--settings", str(up.state / "backend.toml")).split()[-1]


def _cabinet(up: RunningUp, folder: Path, token: str, sensor: int) -> Path:
    """As an installer writes it: where to enrol, what the CA's fingerprint is, which instrument hangs on which link."""
    fingerprint = next(line.split(": ")[1] for line in up.said if "fingerprint" in line)
    folder.mkdir()
    path = folder / "cabinet.toml"
    path.write_text(
        tomli_w.dumps(
            {
                "device": {"id": "air-1", "kind": "air_monitor"},
                "enrol": {"url": up.url, "token": token, "ca_fingerprint": fingerprint},
                "instrument": [{"kind": "scd30", "link": f"tcp:127.0.0.1:{sensor}", "sample_period_s": 2}],
            }
        )
    )
    return path


def test_a_real_device_enrols_over_https_and_its_readings_arrive_with_real_time(up: RunningUp, tmp_path: Path) -> None:
    assert up.url.startswith("https://")
    assert not (up.state / "time.json").exists()
    before_ns = to_ns(real_now() - timedelta(seconds=5))
    sensor = free_port()
    scd30 = Program(
        [*OWN, "simulate", "scd30", "--listen", f"127.0.0.1:{sensor}"],
        log=tmp_path / "scd30.log",
        ready=lambda: "ready" in (tmp_path / "scd30.log").read_text(),
    )
    cabinet = _cabinet(up, tmp_path / "cabinet", _token(up, "air-1"), sensor)
    agent = Program(
        [*OWN, "edge", "--cabinet", str(cabinet)],
        log=tmp_path / "edge.log",
        ready=lambda: "ready" in (tmp_path / "edge.log").read_text(),
    )
    console = Console(up)
    scd30.start()
    agent.start()
    try:
        assert console.get("/clock")["speed"] == 1
        assert console.get("/clock")["simulated"] is False
        wait_until(lambda: console.values("environment", "air", "co2_ppm") != [], timeout_s=40, what="a reading")
        asked = {"bucket": "environment", "measurement": "air", "field": "co2_ppm"}
        span = {"start": "2020-01-01T00:00:00+00:00", "stop": "2100-01-01T00:00:00+00:00"}
        (series,) = console.get("/series", **asked, **span)["series"]
        assert before_ns < series["times_ns"][0] < to_ns(real_now())
    finally:
        console.close()
        agent.stop()
        scd30.stop()
    assert (tmp_path / "cabinet" / "device.key").stat().st_mode & 0o077 == 0
    assert not list(up.state.rglob("device.key"))


def test_a_token_works_once_and_a_made_up_one_never(up: RunningUp, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        _token(up, "no-such-device")
    cabinet = _cabinet(up, tmp_path / "cabinet", "made-up", free_port())
    done = subprocess.run([*OWN, "edge", str(cabinet)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "made-up" not in done.stderr


def test_the_administration_api_wants_its_token(up: RunningUp) -> None:
    trust = ssl.create_default_context(cafile=str(up.state / "ca" / "ca.pem"))
    answer = httpx.post(f"{up.url}/admin/v1/device-token", json={"device": "air-1"}, verify=trust, trust_env=False)
    assert answer.status_code in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}


def test_a_first_start_leaves_a_district_file_to_complete_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    up = RunningUp(folder, "--no-simulators")
    assert up.wait() == 2
    (sentence,) = up.complained
    assert sentence.startswith("kioskwatch up: ")
    assert "results.origin" in sentence
    assert tomllib.loads((folder / "district.toml").read_text())["district"]["window_s"] == 86_400


def test_the_operators_own_district_file_and_certificate_are_used(tmp_path: Path) -> None:
    state = tmp_path / "var"
    state.mkdir()
    words = _real(tmp_path, name="harbour")
    (tmp_path / "district.toml").rename(state / "district.toml")
    own = [word for word in words if word not in {"--district", str(tmp_path / "district.toml")}]
    issue_server(tmp_path / "console", ["console.example"], real_now())
    tls = (
        "--tls-cert",
        str(tmp_path / "console" / "server.pem"),
        "--tls-key",
        str(tmp_path / "console" / "server.key"),
    )
    up = RunningUp(state, *own, *tls, trusting=tmp_path / "public" / "ca.pem").wait_ready()
    try:
        trust = ssl.create_default_context(cafile=str(tmp_path / "console" / "ca.pem"))
        trust.check_hostname = False  # the certificate is for another name than this test's address
        assert httpx.get(f"{up.url}/healthz", verify=trust, trust_env=False).status_code == 200
        assert "fingerprint of the CA" in up.text
        assert "Results    https://results.harbour.internal" in up.text
        assert "district harbour: new" in (state / "logs" / "backend.log").read_text()
    finally:
        assert up.stop() == 0, up.text
