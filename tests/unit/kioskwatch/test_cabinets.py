"""A simulated cabinet enrols again exactly when what it was told holds no longer."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.devices.authority import ensure_authority, issue_gateway
from backend.devices.district_file import parse_district
from kioskwatch import plan
from kioskwatch.broker import Broker
from kioskwatch.cabinets import is_enrolled
from kioskwatch.folder import StateFolder
from kioskwatch.options import parse
from kioskwatch.plan import District

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BROKER = Broker("mosquitto", "127.0.0.1", 8883, tls=True, program=Path("/usr/sbin/mosquitto"))


def _district(root: Path, broker: Broker = BROKER) -> District:
    return District(
        folder=StateFolder(root),
        options=parse(["--state", str(root)]),
        broker=broker,
        district_path=plan.DEMO_DISTRICT,
        file=parse_district(plan.DEMO_DISTRICT.read_text()),
        speed=600,
        tls_cert=None,
        tls_key=None,
        ca_fingerprint="00" * 32,
    )


@pytest.fixture
def cabinet(tmp_path: Path) -> Path:
    """A folder as an agent leaves it after enrolling."""
    district = _district(tmp_path)
    issue_gateway(district.folder.ca, NOW)
    folder = tmp_path / "devices" / "kiosk-10016-1"
    folder.mkdir(parents=True)
    # A certificate of the CA will do: only its dates are looked at.
    (folder / "device.pem").write_bytes((district.folder.ca / "gateway.pem").read_bytes())
    (folder / "ca.pem").write_bytes((district.folder.ca / "ca.pem").read_bytes())
    (folder / "enrolment.json").write_text(json.dumps({"broker": plan.public_broker(district), "window_s": 21600}))
    (folder / "device.key").write_text("kept")
    (folder / "outbox.db").write_text("kept")
    return folder


def test_an_enrolment_that_holds_is_left_alone(tmp_path: Path, cabinet: Path) -> None:
    assert is_enrolled(cabinet, _district(tmp_path), NOW)
    assert (cabinet / "device.pem").exists()


def test_a_certificate_that_ran_out_is_taken_away(tmp_path: Path, cabinet: Path) -> None:
    assert not is_enrolled(cabinet, _district(tmp_path), NOW + timedelta(days=400))
    assert not (cabinet / "device.pem").exists()


@pytest.mark.parametrize(
    "moved",
    [
        Broker("mosquitto", "127.0.0.1", 9999, tls=True, program=Path("/usr/sbin/mosquitto")),
        Broker("iotcore", "127.0.0.1", 8883, tls=False),
        Broker("given", "broker.example", 8883, tls=True),
    ],
)
def test_a_broker_that_moved_makes_every_cabinet_enrol_again(tmp_path: Path, cabinet: Path, moved: Broker) -> None:
    assert not is_enrolled(cabinet, _district(tmp_path, moved), NOW)


def test_a_new_authority_makes_every_cabinet_enrol_again(tmp_path: Path, cabinet: Path) -> None:
    for path in (tmp_path / "ca").iterdir():
        path.unlink()
    ensure_authority(tmp_path / "ca", NOW)
    assert not is_enrolled(cabinet, _district(tmp_path), NOW)


@pytest.mark.parametrize("name", ["device.pem", "ca.pem", "enrolment.json"])
@pytest.mark.parametrize("content", [None, b"", b"damaged", b"[]", b"\xff\xfe"])
def test_a_missing_or_damaged_file_is_as_good_as_none(
    tmp_path: Path, cabinet: Path, name: str, content: bytes | None
) -> None:
    if content is None:
        (cabinet / name).unlink()
    else:
        (cabinet / name).write_bytes(content)
    assert not is_enrolled(cabinet, _district(tmp_path), NOW)


def test_a_cabinet_whose_outbox_is_gone_enrols_again(tmp_path: Path, cabinet: Path) -> None:
    (cabinet / "outbox.db").unlink()
    assert not is_enrolled(cabinet, _district(tmp_path), NOW)


def test_its_key_and_outbox_stay_when_it_must_enrol_again(tmp_path: Path, cabinet: Path) -> None:
    is_enrolled(cabinet, _district(tmp_path), NOW + timedelta(days=400))
    assert (cabinet / "device.key").read_text() == "kept"
    assert (cabinet / "outbox.db").read_text() == "kept"
