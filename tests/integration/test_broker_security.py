"""What the generated Mosquitto configuration enforces, on a real Mosquitto with certificates of the development CA."""

import os
import queue
import signal
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from backend.devices.authority import certificate_facts, ensure_authority
from kioskwatch.broker import ClientFiles, client_context, set_database_aside
from kioskwatch.errors import BrokerError
from kioskwatch.mqtt_probe import Target, probe
from tests.support.district import DistrictBroker, device_files, real_now
from tests.support.process import wait_until

NOT_AUTHORISED = 0x87
ANSWER_S = 5.0
QUIET_S = 0.7  # long enough for a message that should not come: loopback takes milliseconds


@dataclass
class Client:
    """An MQTT 5 client that remembers what the broker told it."""

    files: ClientFiles
    port: int
    client_id: str
    connected: queue.Queue[ReasonCode] = field(default_factory=queue.Queue)
    disconnected: queue.Queue[ReasonCode] = field(default_factory=queue.Queue)
    puback: queue.Queue[int] = field(default_factory=queue.Queue)
    suback: queue.Queue[int] = field(default_factory=queue.Queue)
    messages: queue.Queue[str] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.client_id, protocol=mqtt.MQTTv5)
        self.paho.tls_set_context(client_context(self.files))
        self.paho.reconnect_delay_set(60, 60)
        self.paho.on_connect = lambda _c, _u, _f, reason, _p: self.connected.put(reason)
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.disconnected.put(reason)
        self.paho.on_publish = lambda _c, _u, _m, reason, _p: self.puback.put(reason.value)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self.suback.put(reasons[0].value)
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message.topic)

    def start(self) -> "Client":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 60
        self.paho.connect("127.0.0.1", self.port, keepalive=30, clean_start=False, properties=properties)
        self.paho.loop_start()
        assert not self.connected.get(timeout=ANSWER_S).is_failure
        return self

    def publish(self, topic: str, *, retain: bool = False) -> int:
        self.paho.publish(topic, b"x", qos=1, retain=retain)
        return self.puback.get(timeout=ANSWER_S)

    def subscribe(self, topic: str) -> int:
        self.paho.subscribe(topic, qos=1)
        return self.suback.get(timeout=ANSWER_S)

    def stop(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistrictBroker]:
    broker = DistrictBroker(tmp_path_factory.mktemp("district"))
    broker.program.start()
    yield broker
    broker.program.stop()


class Clients:
    """Makes the clients of one test, and ends them."""

    def __init__(self, district: DistrictBroker, folder: Path) -> None:
        self._district = district
        self._folder = folder
        self._started: list[Client] = []

    def device(self, name: str, *, client_id: str | None = None) -> Client:
        files = device_files(self._district.ca, name, self._folder / name)
        return self._start(Client(files, self._district.broker.port, client_id or name))

    def gateway(self) -> Client:
        return self._start(Client(self._district.own_files("gateway"), self._district.broker.port, "anything"))

    def _start(self, client: Client) -> Client:
        self._started.append(client.start())
        return client

    def stop(self) -> None:
        for client in self._started:
            client.stop()


@pytest.fixture
def clients(district: DistrictBroker, tmp_path: Path) -> Iterator[Clients]:
    made = Clients(district, tmp_path)
    yield made
    made.stop()


def _is_quiet(client: Client) -> bool:
    try:
        client.messages.get(timeout=QUIET_S)
    except queue.Empty:
        return True
    return False


@pytest.mark.rule("C2")
def test_a_device_speaks_to_the_gateway_and_is_heard_under_its_own_name(clients: Clients) -> None:
    gateway, device = clients.gateway(), clients.device("air-1")
    assert gateway.subscribe("kw/v1/+/up/#") == 1
    assert device.publish("kw/v1/air-1/up/bulk") == 0
    assert gateway.messages.get(timeout=ANSWER_S) == "kw/v1/air-1/up/bulk"


def test_the_gateway_speaks_to_one_device_and_no_other_hears_it(clients: Clients) -> None:
    gateway, meant, other = clients.gateway(), clients.device("kiosk-1"), clients.device("kiosk-2")
    meant.subscribe("kw/v1/kiosk-1/down/+")
    other.subscribe("kw/v1/kiosk-2/down/+")
    other.subscribe("kw/v1/kiosk-1/down/+")
    assert gateway.publish("kw/v1/kiosk-1/down/ack") == 0
    assert meant.messages.get(timeout=ANSWER_S) == "kw/v1/kiosk-1/down/ack"
    assert _is_quiet(other)


def test_every_device_hears_whether_a_gateway_is_there(clients: Clients) -> None:
    gateway, device = clients.gateway(), clients.device("air-2")
    device.subscribe("kw/v1/_gw/+/state")
    assert gateway.publish("kw/v1/_gw/main/state") == 0
    assert device.messages.get(timeout=ANSWER_S) == "kw/v1/_gw/main/state"


@pytest.mark.parametrize(
    "topic",
    [
        "kw/v1/kiosk-victim/up/release",
        "kw/v1/kiosk-thief/down/ack",
        "kw/v1/kiosk-victim/down/cmd",
        "kw/v1/_gw/main/state",
        "kw/v1/kiosk-thief/../kiosk-victim/up/bulk",
        "anything/else",
    ],
)
def test_a_topic_that_is_not_the_devices_own_is_refused_with_a_reason(clients: Clients, topic: str) -> None:
    # A client of its own for each topic: Mosquitto 2.0.11 over TLS closes the connection behind a refusal.
    assert clients.device("kiosk-thief").publish(topic) == NOT_AUTHORISED


def test_a_refused_message_reaches_nobody(clients: Clients) -> None:
    gateway, thief = clients.gateway(), clients.device("kiosk-thief")
    gateway.subscribe("kw/v1/+/up/#")
    thief.publish("kw/v1/kiosk-victim/up/bulk", retain=True)
    assert _is_quiet(gateway)


def test_a_subscription_to_everything_brings_a_device_nothing_foreign(clients: Clients) -> None:
    spy, device, gateway = clients.device("kiosk-spy"), clients.device("air-3"), clients.gateway()
    for topic in ("#", "$SYS/#", "kw/v1/+/up/#", "$share/ingest/kw/v1/+/up/#"):
        spy.subscribe(topic)
    device.publish("kw/v1/air-3/up/bulk")
    gateway.publish("kw/v1/air-3/down/ack")
    assert _is_quiet(spy)


@pytest.mark.rule("C2")
def test_a_stolen_client_id_neither_disconnects_the_victim_nor_gets_its_messages(clients: Clients) -> None:
    gateway, victim = clients.gateway(), clients.device("kiosk-3")
    victim.subscribe("kw/v1/kiosk-3/down/+")
    thief = clients.device("kiosk-4", client_id="kiosk-3")
    thief.subscribe("kw/v1/kiosk-3/down/+")
    assert gateway.publish("kw/v1/kiosk-3/down/ack") == 0
    assert victim.messages.get(timeout=ANSWER_S) == "kw/v1/kiosk-3/down/ack"
    assert _is_quiet(thief)
    assert victim.disconnected.empty()
    assert thief.publish("kw/v1/kiosk-3/up/bulk") == NOT_AUTHORISED


def test_a_client_without_a_certificate_is_refused(district: DistrictBroker) -> None:
    context = ssl.create_default_context(cafile=str(district.ca / "ca.pem"))
    with pytest.raises(BrokerError):
        probe(Target("127.0.0.1", district.broker.port, "nobody", context))


def test_a_client_without_tls_is_refused(district: DistrictBroker) -> None:
    with pytest.raises(BrokerError):
        probe(Target("127.0.0.1", district.broker.port, "nobody"))


def test_a_certificate_of_another_authority_is_refused(district: DistrictBroker, tmp_path: Path) -> None:
    ensure_authority(tmp_path / "other-ca", real_now())
    foreign = device_files(tmp_path / "other-ca", "kiosk-1", tmp_path / "kiosk")
    files = ClientFiles(district.ca / "ca.pem", foreign.certificate, foreign.key)
    with pytest.raises(BrokerError):
        probe(Target("127.0.0.1", district.broker.port, "kiosk-1", client_context(files)))


def test_an_expired_certificate_is_refused(district: DistrictBroker, tmp_path: Path) -> None:
    files = device_files(district.ca, "kiosk-old", tmp_path, issued_days_ago=31)
    assert certificate_facts(files.certificate.read_text()).not_after < real_now()
    target = Target("127.0.0.1", district.broker.port, "kiosk-old", client_context(files))
    assert _is_refused(target)
    fresh = device_files(district.ca, "kiosk-old", tmp_path)
    probe(Target("127.0.0.1", district.broker.port, "kiosk-old", client_context(fresh)))


def test_the_brokers_own_certificate_cannot_be_used_to_sign_in(district: DistrictBroker) -> None:
    context = client_context(district.own_files("server"))
    with pytest.raises(BrokerError):
        probe(Target("127.0.0.1", district.broker.port, "server", context))


def test_a_client_that_speaks_tls_1_1_is_refused(district: DistrictBroker) -> None:
    context = client_context(district.own_files("probe"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(BrokerError, match=r"(?i)protocol version"):
        probe(Target("127.0.0.1", district.broker.port, "old", context))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_both_connect_with_a_devices_key(
    district: DistrictBroker, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = client_context(device_files(district.ca, "kiosk-9", tmp_path))
    context.minimum_version = context.maximum_version = version
    probe(Target("127.0.0.1", district.broker.port, "kiosk-9", context))


def test_a_client_that_trusts_another_authority_does_not_accept_our_broker(
    district: DistrictBroker, tmp_path: Path
) -> None:
    ensure_authority(tmp_path / "other-ca", real_now())
    files = device_files(district.ca, "kiosk-8", tmp_path / "kiosk")
    context = client_context(ClientFiles(tmp_path / "other-ca" / "ca.pem", files.certificate, files.key))
    with pytest.raises(BrokerError, match="verify failed"):
        probe(Target("127.0.0.1", district.broker.port, "kiosk-8", context))


def test_a_revoked_certificate_is_refused_once_the_broker_read_the_list_again(tmp_path: Path) -> None:
    district = DistrictBroker(tmp_path)
    district.program.start()
    try:
        files = device_files(district.ca, "kiosk-7", tmp_path / "kiosk-7")
        target = Target("127.0.0.1", district.broker.port, "kiosk-7", client_context(files))
        probe(target)
        authority = ensure_authority(district.ca, real_now())
        authority.write_revocations([_serial(files.certificate)], real_now())
        os.kill(district.program.pid, signal.SIGHUP)
        wait_until(lambda: _is_refused(target), timeout_s=ANSWER_S, what="the revoked certificate being refused")
        assert district.answers()
    finally:
        district.program.stop()


def test_a_damaged_database_set_aside_lets_the_broker_start(tmp_path: Path) -> None:
    district = DistrictBroker(tmp_path)
    district.program.start()
    district.program.stop()
    database = district.folder / "mosquitto.db"
    database.write_bytes(database.read_bytes()[:20] + b"\xff" * 200)
    with pytest.raises(RuntimeError):
        district.program.start()
    assert set_database_aside(district.folder) is not None
    district.program.start()
    district.program.stop()


def _serial(certificate: Path) -> str:
    return f"{x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number:x}"


def _is_refused(target: Target) -> bool:
    try:
        probe(target)
    except BrokerError:
        return True
    return False
