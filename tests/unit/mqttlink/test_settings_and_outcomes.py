"""What a session may be told, and what a broker's answer means for a message."""

from pathlib import Path
from typing import Any

import pytest

from mqttlink.connection import outcome_of, tls_context
from mqttlink.errors import LinkSettingsError
from mqttlink.types import LinkSettings

WORKS: dict[str, Any] = {"host": "127.0.0.1", "port": 1883, "client_id": "kiosk-1"}
CERT = Path("device.pem")


def test_a_plain_and_a_mutual_tls_connection_can_be_described() -> None:
    assert LinkSettings(**WORKS).ca is None
    assert LinkSettings(**WORKS, ca=CERT, cert=CERT, key=CERT).cert == CERT


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"port": 0},
        {"port": 65_536},
        {"client_id": ""},
        {"max_inflight": 0},
        {"max_inflight": 1_001},
        {"receive_maximum": 0},
        {"receive_maximum": 65_536},
        {"keepalive_s": 1},
        {"reconnect_min_s": 0.0},
        {"reconnect_min_s": 61.0},
        {"cert": CERT, "key": CERT},
        {"ca": CERT, "cert": CERT},
        {"ca": CERT, "key": CERT},
    ],
)
def test_what_could_never_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LinkSettingsError):
        LinkSettings(**{**WORKS, **wrong})


def test_tls_files_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "ca.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nno\n")
    for file in (tmp_path / "nothing.pem", damaged):
        with pytest.raises(LinkSettingsError, match=file.name):
            tls_context(LinkSettings(**WORKS, ca=file))


@pytest.mark.rule("C1")
@pytest.mark.parametrize(
    ("reason", "outcome"),
    [  # OASIS MQTT 5.0, 3.4.2.1
        (0x00, "stored"),
        (0x10, "no_subscriber"),
        (0x80, "failed"),
        (0x83, "failed"),
        (0x87, "refused"),
        (0x90, "refused"),
        (0x91, "failed"),
        (0x95, "refused"),
        (0x97, "quota"),
        (0x99, "refused"),
    ],
)
def test_each_reason_of_a_puback_says_what_to_do_with_the_message(reason: int, outcome: str) -> None:
    assert outcome_of(reason) == outcome
