"""The receiver of a package: what a machine with nothing but contracts finds, and the same package out of InfluxDB."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.sharing import odm
from contracts.sharing import public_text
from kioskwatch.share_verify import main as verify
from stores.series.influx import InfluxSeries
from stores.state.database import open_for_reading
from stores.state.devices import load_registry
from tests.support.influxd import InfluxOrg
from tests.support.shared_district import CITY, ROOT, District, prepared, sqlite_district


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> District:
    return sqlite_district(tmp_path_factory.mktemp("district"))


# --- the receiver's machine -------------------------------------------------------------------------------

_ONLY_CONTRACTS = """
import sys
allowed = {"contracts", "kioskwatch", "cryptography", "msgspec", "_cffi_backend", "cffi"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
from kioskwatch.cli import main
sys.exit(main(sys.argv[1:]))
"""


def _as_receiver(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _ONLY_CONTRACTS, "share", "verify", *words]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_the_receiver_needs_the_package_the_key_and_two_libraries(district: District, tmp_path: Path) -> None:
    archive = tmp_path / "package.zip"
    archive.write_bytes(district.package(f"{CITY}.zip").read_bytes())
    (tmp_path / "key").write_text(district.key() + "\n")
    done = _as_receiver("package.zip", "--key", "key", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "signature: made with the key given" in done.stdout


def test_each_harm_to_a_package_is_one_sentence_and_exit_code_1(district: District, tmp_path: Path) -> None:
    whole = district.package(f"{CITY}.zip").read_bytes()
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:  # as a receiver unpacks it, by another program
        archive.extractall(folder)
    key = district.key()
    other = public_text(Ed25519PrivateKey.generate().public_key())
    (tmp_path / "altered.zip").write_bytes(whole.replace(b"zone_day", b"zone_dax", 1))
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    assert _as_receiver(str(folder), "--key", key, folder=tmp_path).returncode == 0
    harms = [("altered.zip", key, "altered"), ("cut.zip", key, "cut off"), ("no.zip", key, "cannot be read")]
    harms += [("unpacked", other, "another key")]
    (folder / "note.txt").write_text("hello")
    harms += [("unpacked/manifest.json", key, "note.txt does not belong")]
    for path, with_key, said in harms:
        done = _as_receiver(path, "--key", with_key, folder=tmp_path)
        assert done.returncode == 1, path
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
    (folder / "note.txt").unlink()
    (folder / "odm_sites.csv").unlink()
    done = _as_receiver("unpacked", "--key", key, folder=tmp_path)
    assert (done.returncode, "odm_sites.csv is missing" in done.stderr) == (1, True)
    assert _as_receiver("unpacked", "--key", "no-key", folder=tmp_path).returncode == 2


# --- a city ------------------------------------------------------------------------------------------------


def test_on_influxdb_a_package_holds_the_same_tables(district: District, tmp_path: Path, influx_org: InfluxOrg) -> None:
    for bucket, token in influx_org.tokens.items():
        (tmp_path / bucket).write_text(token + "\n")
    store = InfluxSeries(influx_org.url, influx_org.name, influx_org.tokens)
    settings = (
        f'series = "influx:{influx_org.url}"\nseries_org = "{influx_org.name}"\nseries_token_dir = "{tmp_path}"\n'
    )
    folder = tmp_path / "district"
    folder.mkdir()
    city = prepared(folder, store, settings)
    store.close()
    assert city.export("city", "2021-12-12", "2021-12-19") == 0
    for file in ("roll_ups.csv", "dictionary.csv", *map(odm.file_name, odm.TABLES)):
        assert city.rows(CITY, file) == district.rows(CITY, file), file
    assert verify([str(city.package(f"{CITY}.zip")), "--key", city.key()]) == 0
    with open_for_reading(f"sqlite:{folder / 'state'}", "backend") as database:
        assert load_registry(database).district.id == "turtle-bay"
