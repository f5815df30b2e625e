"""The simulated SCD30 against pymodbus on a pty, and against hand-written frames on a bare line."""

import contextlib
import os
import select
import socket
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusException

from firmware_sim.errors import LinkError
from firmware_sim.faults import Fault
from firmware_sim.instruments.scd30.room import Air
from tests.support.process import wait_until
from tests.support.simulators import running_sensor

ADDRESS = 0x61
READ_MEASUREMENT = bytes.fromhex("610300280006 4C60".replace(" ", ""))  # Interface Description §1.4.5
DATA_READY = bytes.fromhex("6103002700013DA1")  # §1.4.4


def still_air(_: int) -> Air:
    return Air(800.0, 22.5, 41.0)


@contextmanager
def master(where: str) -> Iterator[ModbusSerialClient]:
    client = ModbusSerialClient(where, baudrate=19_200, parity="N", stopbits=1, timeout=0.5, retries=0)
    assert client.connect()
    yield client
    client.close()  # type: ignore[no-untyped-call]  # pymodbus leaves it so


def measurement(client: ModbusSerialClient) -> tuple[float, float, float]:
    answer = client.read_holding_registers(0x28, count=6, device_id=ADDRESS)
    assert not answer.isError(), answer
    a, b, c = struct.unpack(">3f", struct.pack(">6H", *answer.registers))
    return a, b, c


def test_pymodbus_reads_a_measurement_on_a_pty(tmp_path: Path) -> None:
    link = tmp_path / "air-10017"
    with running_sensor(link=link, air=still_air) as where, master(where) as client:
        assert where == str(link)
        assert client.read_holding_registers(0x20, count=1, device_id=ADDRESS).registers == [0x0342]
        assert client.read_input_registers(0x27, count=1, device_id=ADDRESS).registers == [1]
        co2_ppm, temperature_c, humidity_pct = measurement(client)
        assert co2_ppm == pytest.approx(800, abs=30)
        assert temperature_c == pytest.approx(22.5, abs=0.3)
        assert humidity_pct == pytest.approx(41, abs=1.2)
        assert client.read_holding_registers(0x27, count=1, device_id=ADDRESS).registers == [0], "read, so not ready"
    assert not os.path.lexists(link)


def test_pymodbus_writes_settings_and_reads_them_back() -> None:
    with running_sensor() as where, master(where) as client:
        for register, value in ((0x25, 30), (0x38, 250), (0x3A, 1), (0x3B, 120), (0x36, 1013)):
            assert not client.write_register(register, value, device_id=ADDRESS).isError()
            assert client.read_holding_registers(register, count=1, device_id=ADDRESS).registers == [value]


@pytest.mark.parametrize(
    ("register", "value", "code"), [(0x25, 1, 3), (0x25, 1801, 3), (0x36, 500, 3), (0x20, 1, 2), (0x99, 1, 2)]
)
def test_a_wrong_write_is_answered_with_its_exception(register: int, value: int, code: int) -> None:
    with running_sensor() as where, master(where) as client:
        answer = client.write_register(register, value, device_id=ADDRESS)
        assert answer.isError()
        assert getattr(answer, "exception_code", None) == code


def test_a_stopped_sensor_has_no_new_data_until_it_is_started() -> None:
    with running_sensor() as where, master(where) as client:
        client.write_register(0x37, 1, device_id=ADDRESS)
        assert client.read_holding_registers(0x27, count=1, device_id=ADDRESS).registers == [0]
        client.write_register(0x36, 0, device_id=ADDRESS)
        assert client.read_holding_registers(0x27, count=1, device_id=ADDRESS).registers == [1]


def test_another_address_and_a_broadcast_get_no_answer() -> None:
    with running_sensor() as where, master(where) as client:
        for address in (0x60, 0x00):
            with contextlib.suppress(ModbusException):
                assert client.read_holding_registers(0x20, count=1, device_id=address).isError()
        assert client.read_holding_registers(0x20, count=1, device_id=ADDRESS).registers == [0x0342]


def test_requests_split_at_every_byte_and_after_noise_are_answered() -> None:
    with running_sensor(tcp=True, air=still_air) as where:
        line = connect(where)
        for byte in b"\x00\xff\x61\x03" + DATA_READY:
            line.sendall(bytes([byte]))
        assert line.recv(64) == bytes.fromhex("6103020001F98C")  # §1.4.4, data ready
        line.sendall(READ_MEASUREMENT + DATA_READY)
        assert read_exactly(line, 17 + 7)[:3] == bytes.fromhex("61030C")
        line.close()


def test_a_function_that_the_sensor_has_not_is_refused_after_silence() -> None:
    with running_sensor(tcp=True) as where:
        line = connect(where)
        line.sendall(with_crc(b"\x61\x11"))
        assert line.recv(64) == with_crc(b"\x61\x91\x01")
        line.sendall(b"\x61\x03\x00")
        assert not select.select([line], [], [], 0.2)[0], "half a request gets silence"
        line.sendall(DATA_READY)
        assert read_exactly(line, 7)[:3] == b"\x61\x03\x02"
        line.close()


def test_a_new_reader_of_the_terminal_finds_the_sensor_as_it_was() -> None:
    with running_sensor() as where:
        for _ in range(3):
            with master(where) as client:
                assert client.read_holding_registers(0x20, count=1, device_id=ADDRESS).registers == [0x0342]


def test_a_file_in_the_links_place_is_not_touched(tmp_path: Path) -> None:
    link = tmp_path / "air"
    link.write_text("mine")
    with pytest.raises(LinkError, match="in the way"), running_sensor(link=link):
        pass
    assert link.read_text() == "mine"


@pytest.mark.parametrize(
    ("fault", "sound", "seen"),
    [
        (Fault.TRUNCATED_FRAME, 8, "silence or half an answer"),
        (Fault.WRONG_CHECKSUM, 8, "a wrong CRC"),
        (Fault.DUPLICATE, 8, "an answer twice"),
        (Fault.SLOW, 10, "nothing wrong, only late"),
        (Fault.NAK_STORM, 2, "busy"),
    ],
)
def test_each_line_fault_leaves_a_share_of_sound_answers(fault: Fault, sound: int, seen: str) -> None:
    with running_sensor(tcp=True, fault=fault) as where:
        line = connect(where)
        line.settimeout(0.15)
        answers = []
        for _ in range(10):
            line.sendall(DATA_READY)
            data = b""
            with contextlib.suppress(TimeoutError):
                while len(data) < 7 or select.select([line], [], [], 0.01)[0]:
                    data += line.recv(64)
            answers.append(data)
        line.close()
    good = [a for a in answers if a[:7] == with_crc(a[:5]) and a[1] == 3]
    assert len(good) >= sound, seen
    assert fault is Fault.SLOW or len([a for a in good if len(a) == 7]) < 10, seen


def test_a_pulled_cable_ends_the_terminal_and_a_new_one_stands_behind_the_link(tmp_path: Path) -> None:
    link = tmp_path / "air"
    with running_sensor(link=link, fault=Fault.UNPLUG) as where:
        line = os.open(where, os.O_RDWR | os.O_NOCTTY)
        gone = False
        for _ in range(25):
            try:
                os.write(line, DATA_READY)
                select.select([line], [], [], 0.5)
                gone = gone or not os.read(line, 64)
            except OSError:
                gone = True
            if gone:
                break
        os.close(line)
        assert gone
        wait_until(lambda: os.path.lexists(link), timeout_s=5, what="the cable is back")
        with master(where) as client:
            assert client.read_holding_registers(0x20, count=1, device_id=ADDRESS).registers == [0x0342]


def test_a_stuck_sensor_says_the_same_for_ever_and_a_sound_one_does_not() -> None:
    for fault, different in ((Fault.STUCK, 1), (Fault.NONE, 2)):
        with running_sensor(fault=fault, air=still_air, speed=20) as where, master(where) as client:
            client.write_register(0x25, 2, device_id=ADDRESS)
            first = measurement(client)
            wait_until(
                lambda: client.read_holding_registers(0x27, count=1, device_id=ADDRESS).registers == [1],
                timeout_s=5,
                what="the next measurement",
            )
            assert len({first, measurement(client)}) == different


def test_the_terminal_is_raw() -> None:
    with running_sensor() as where:
        line = os.open(where, os.O_RDWR | os.O_NOCTTY)
        local_modes = termios.tcgetattr(line)[3]
        os.close(line)
        assert not local_modes & (termios.ICANON | termios.ECHO | termios.ISIG)


def connect(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=2)


def read_exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    deadline = time.monotonic() + 2
    while len(data) < count and time.monotonic() < deadline:
        data += line.recv(count - len(data))
    return data


def with_crc(body: bytes) -> bytes:
    """CRC-16/MODBUS by its definition: reflected 0x8005, start 0xFFFF; check value of "123456789" is 0x4B37."""
    register = 0xFFFF
    for bit in (byte >> i & 1 for byte in body for i in range(8)):
        register = (register >> 1) ^ (0xA001 if (register ^ bit) & 1 else 0)
    return body + bytes([register & 0xFF, register >> 8])
