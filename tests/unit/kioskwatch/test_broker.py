"""Which broker is chosen, and what its generated settings say. The enforcement is tests/integration's."""

from pathlib import Path

import pytest

from kioskwatch import embedded_broker
from kioskwatch.broker import Broker, choose, find_mosquitto, prepare, set_database_aside
from kioskwatch.errors import BrokerError, OperatorError, OptionError
from kioskwatch.mosquitto import MosquittoPlan, TlsFiles, access_rules, configuration

MOSQUITTO = Path("/usr/sbin/mosquitto")
TLS = TlsFiles(Path("/s/ca/ca.pem"), Path("/s/ca/crl.pem"), Path("/s/ca/server.pem"), Path("/s/ca/server.key"))


def _choose(wanted: str = "auto", *, real: bool = False, program: Path | None = MOSQUITTO) -> Broker:
    return choose(wanted, host="127.0.0.1", port=8883, real=real, program=program)


def test_a_given_url_wins_over_mosquitto_and_mosquitto_over_the_built_in_broker() -> None:
    assert _choose("mqtts://broker.example:1234") == Broker("given", "broker.example", 1234, tls=True)
    assert _choose("mqtts://broker.example").port == 8883
    assert _choose("mqtt://broker.example").port == 1883
    assert _choose() == Broker("mosquitto", "127.0.0.1", 8883, tls=True, program=MOSQUITTO)
    assert _choose(program=None) == Broker("iotcore", "127.0.0.1", 8883, tls=False)
    assert _choose("iotcore").kind == "iotcore"


def test_the_built_in_broker_stays_on_loopback_whatever_address_is_served() -> None:
    assert choose("iotcore", host="192.0.2.1", port=1, real=False, program=None).host == "127.0.0.1"


@pytest.mark.parametrize("wanted", ["auto", "iotcore", "mqtt://broker.example"])
def test_real_devices_get_no_broker_that_checks_no_certificate(wanted: str) -> None:
    with pytest.raises(BrokerError, match="checks certificates"):
        _choose(wanted, real=True, program=None)


def test_asking_for_mosquitto_where_there_is_none_says_how_to_install_it() -> None:
    with pytest.raises(BrokerError, match="apt-get install mosquitto"):
        _choose("mosquitto", program=None)


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "emqx",
        "http://broker",
        "mqtts://",
        "mqtts://host:port",
        "mqtts://user:pw@host",
        "mqtts://host/x",
        "mqtts://[",
        "mqtts://host:99999",
    ],
)
def test_a_broker_that_cannot_be_understood_is_refused_with_a_sentence(wanted: str) -> None:
    with pytest.raises(OptionError, match="--broker"):
        _choose(wanted)


def test_mosquitto_is_found_on_the_path_given(tmp_path: Path) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n")
    assert find_mosquitto(str(tmp_path)) != program
    program.chmod(0o755)
    assert find_mosquitto(str(tmp_path)) == program


def _options(user: str | None = None) -> list[str]:
    return configuration(MosquittoPlan("127.0.0.1", 8883, Path("/s/broker"), TLS, user)).splitlines()


def test_mosquitto_listens_once_and_on_that_listener_every_client_shows_a_certificate() -> None:
    lines = _options()
    assert [line for line in lines if line.startswith(("listener", "port"))] == ["listener 8883 127.0.0.1"]
    after = lines[lines.index("listener 8883 127.0.0.1") :]
    for needed in (
        "cafile /s/ca/ca.pem",
        "crlfile /s/ca/crl.pem",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "tls_version tlsv1.2",
    ):
        assert needed in after
    assert "allow_anonymous false" in lines


def test_every_queue_of_mosquitto_has_a_bound() -> None:
    given = dict(line.split(" ", 1) for line in _options())
    for bound in (
        "max_packet_size",
        "max_queued_messages",
        "max_queued_bytes",
        "memory_limit",
        "max_inflight_messages",
    ):
        assert int(given[bound]) > 0
    assert int(given["max_queued_bytes"]) < int(given["memory_limit"])


def test_mosquitto_stays_root_only_when_it_is_started_by_root() -> None:
    assert "user root" in _options("root")
    assert not [line for line in _options() if line.startswith("user ")]


def test_a_line_break_in_a_path_cannot_add_an_option() -> None:
    evil = TlsFiles(TLS.ca, TLS.crl, Path("/s/x\nallow_anonymous true"), TLS.key)
    with pytest.raises(OptionError):
        configuration(MosquittoPlan("127.0.0.1", 8883, Path("/s/broker"), evil, None))


def test_the_rules_give_a_device_its_own_topics_only() -> None:
    rules = access_rules().splitlines()
    for_all = [rule for rule in rules if rule.startswith("pattern")]
    assert for_all == [
        "pattern write kw/v1/%u/up/#",
        "pattern read kw/v1/%u/down/#",
        "pattern read kw/v1/_gw/+/state",
    ]
    assert rules[0] == "user _gw-main"  # a `topic` rule in front of any user would hold for everybody


def test_prepared_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    command = prepare(_choose(), folder, listen="127.0.0.1", tls=TLS)
    assert command == [str(MOSQUITTO), "-c", str(folder / "mosquitto.conf")]
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_the_built_in_broker_is_told_one_mqtt_5_listener_on_loopback(tmp_path: Path) -> None:
    command = prepare(_choose("iotcore"), tmp_path, listen="0.0.0.0", tls=TLS)
    assert command[1:3] == ["-m", "kioskwatch.embedded_broker"]
    text = embedded_broker.configuration(1883)
    assert text.count("listen =") == 1
    assert 'listen = "127.0.0.1:1883"' in text
    assert "[v5.1]" in text


def test_a_given_broker_is_not_started(tmp_path: Path) -> None:
    assert prepare(_choose("mqtts://broker.example"), tmp_path, listen="127.0.0.1", tls=TLS) == []


def test_a_damaged_database_is_kept_aside_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    assert set_database_aside(tmp_path) is None
    (tmp_path / "mosquitto.db").write_bytes(b"damaged")
    aside = set_database_aside(tmp_path)
    assert aside is not None
    assert aside.read_bytes() == b"damaged"
    assert not (tmp_path / "mosquitto.db").exists()


def test_every_refusal_is_one_the_command_can_show() -> None:
    assert issubclass(BrokerError, OperatorError)
    assert issubclass(OptionError, OperatorError)
