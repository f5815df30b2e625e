"""The built-in broker (combination C): answers MQTT 5 on loopback, carries a message, says when it cannot start."""

import queue
import socket
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from kioskwatch.broker import ClientFiles, choose, prepare, probe_target
from kioskwatch.errors import BrokerError
from kioskwatch.mosquitto import TlsFiles
from kioskwatch.mqtt_probe import probe
from tests.support.process import Program, free_port

NOWHERE = Path("/nonexistent")
TLS = TlsFiles(NOWHERE, NOWHERE, NOWHERE, NOWHERE)


def _command(port: int, folder: Path) -> list[str]:
    return prepare(
        choose("iotcore", host="127.0.0.1", port=port, real=False, program=None), folder, listen="127.0.0.1", tls=TLS
    )


def _answers(port: int) -> bool:
    broker = choose("iotcore", host="127.0.0.1", port=port, real=False, program=None)
    try:
        probe(probe_target(broker, ClientFiles(NOWHERE, NOWHERE, NOWHERE)))
    except BrokerError:
        return False
    return True


def _listens_beyond_loopback(port: int) -> bool:
    address = socket.gethostbyname(socket.gethostname())
    try:
        with socket.create_connection(("127.0.0.2" if address.startswith("127.") else address, port), timeout=1):
            return True
    except OSError:
        return False


def test_it_answers_the_probe_carries_a_message_and_stays_on_loopback(tmp_path: Path) -> None:
    port = free_port()
    program = Program(_command(port, tmp_path), log=tmp_path / "log", ready=lambda: _answers(port))
    program.start()
    try:
        assert not _listens_beyond_loopback(port)
        got: queue.Queue[tuple[str, bytes]] = queue.Queue()
        subscribed: queue.Queue[bool] = queue.Queue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="both", protocol=mqtt.MQTTv5)
        client.on_message = lambda _c, _u, message: got.put((message.topic, bytes(message.payload)))
        client.on_subscribe = lambda _c, _u, _m, _r, _p: subscribed.put(True)
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.subscribe("kw/v1/+/up/#", qos=1)
        assert subscribed.get(timeout=5)
        client.publish("kw/v1/air-1/up/bulk", b"signed elsewhere", qos=1)
        assert got.get(timeout=5) == ("kw/v1/air-1/up/bulk", b"signed elsewhere")
        client.disconnect()
        client.loop_stop()
    finally:
        program.stop()


def test_a_taken_port_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        command = _command(holder.getsockname()[1], tmp_path)
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert command[0] == sys.executable
    assert done.returncode == 2
    assert "--broker-port" in done.stderr
    assert "Traceback" not in done.stderr
