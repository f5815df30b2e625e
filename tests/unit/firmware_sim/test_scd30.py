"""The SCD30's registers by the example frames of its Interface Description, and the air they measure."""

import struct
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.clock import NS_PER_S
from firmware_sim.errors import ChecksumError, FrameError
from firmware_sim.faults import Fault
from firmware_sim.instruments.scd30.registers import Sensor
from firmware_sim.instruments.scd30.room import ROOMS, Air, Room
from firmware_sim.scenarios.calendar import day_start_ns
from firmware_sim.wire.modbus_rtu import Request, RequestReader, crc, decode

EASTERN_S = -5 * 3600
START_NS = 1_639_285_200_000_000_000  # 2021-12-12 00:00 -05:00
HOUR_NS = 3600 * NS_PER_S
ZONES = ["10016", "10021", "10022", "10044", "10065"]


def still(_: int) -> Air:
    return Air(800.0, 22.5, 41.0)


def sensor_of(air: Callable[[int], Air] = still, fault: Fault = Fault.NONE) -> Sensor:
    return Sensor(air, name="air", seed=1, now_ns=START_NS, fault=fault)


def ask(sensor: Sensor, request: str, now_ns: int = START_NS) -> str:
    answer = sensor.serve(decode(bytes.fromhex(request)), now_ns)
    return "" if answer is None else answer.hex(" ").upper()


def co2(sensor: Sensor, now_ns: int) -> float:
    answer = sensor.serve(Request(0x61, 3, 0x28, 6), now_ns)
    assert answer is not None
    ppm: float = struct.unpack(">f", answer[3:7])[0]
    return ppm


def test_the_crc_has_its_published_check_value() -> None:
    assert crc(b"123456789") == b"\x37\x4b"  # CRC-16/MODBUS: 0x4B37, low byte first
    assert crc(bytes.fromhex("61030C43DB8C2E41D9E7FF42433A1B")) == bytes.fromhex("5007")  # §1.4.5


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("61 03 00 20 00 01 8C 60", "61 03 02 03 42 B8 8D"),
        ("61 06 00 36 00 00 60 64", "61 06 00 36 00 00 60 64"),
        ("61 06 00 37 00 01 F0 64", "61 06 00 37 00 01 F0 64"),
        ("61 06 00 25 00 02 10 60", "61 06 00 25 00 02 10 60"),
        ("61 03 00 27 00 01 3D A1", "61 03 02 00 01 F9 8C"),
        ("61 04 00 27 00 01", "61 04 02 00 01"),
        ("60 03 00 20 00 01", ""),
        ("00 06 00 37 00 01", ""),
        ("61 03 00 99 00 01", "61 83 02"),
        ("61 03 00 27 00 08", "61 83 02"),
        ("61 03 00 28 00 00", "61 83 03"),
        ("61 06 00 25 00 01", "61 86 03"),
        ("61 06 00 34 00 02", "61 86 03"),
        ("61 06 00 28 00 01", "61 86 02"),
        ("61 11", "61 91 01"),
    ],
)
def test_the_example_frames_are_answered_to_the_byte(request_: str, answer: str) -> None:
    body, expected = bytes.fromhex(request_), bytes.fromhex(answer)
    whole = body if len(body) == 8 else body + crc(body)
    if expected and len(expected) not in (7, 8):
        expected += crc(expected)
    assert ask(sensor_of(), whole.hex()) == expected.hex(" ").upper()


def test_a_measurement_is_three_floats_high_word_first() -> None:
    answer = sensor_of().serve(Request(0x61, 3, 0x28, 6), START_NS)
    assert answer is not None
    assert answer[:3] == bytes.fromhex("61030C")
    ppm, celsius, percent = struct.unpack(">3f", answer[3:15])
    assert ppm == pytest.approx(800, abs=25)
    assert celsius == pytest.approx(22.5, abs=0.3)
    assert percent == pytest.approx(41, abs=1)


def test_data_ready_falls_when_read_and_rises_after_the_interval() -> None:
    sensor = sensor_of()
    ready = "610300270001" + crc(bytes.fromhex("610300270001")).hex()
    assert ask(sensor, ready).startswith("61 03 02 00 01")
    co2(sensor, START_NS)
    assert ask(sensor, ready, START_NS + NS_PER_S).startswith("61 03 02 00 00")
    assert ask(sensor, ready, START_NS + 2 * NS_PER_S).startswith("61 03 02 00 01")


def test_a_reset_measures_anew_and_keeps_settings() -> None:
    sensor = sensor_of()
    for register, value in ((0x38, 250), (0x34, 1)):
        assert sensor.serve(Request(0x61, 6, register, value), START_NS) is not None
    answer = sensor.serve(Request(0x61, 3, 0x38, 1), START_NS)
    assert answer is not None
    assert answer[3:5] == b"\x00\xfa"


def test_forced_recalibration_moves_the_readings_to_the_reference() -> None:
    sensor = sensor_of()
    co2(sensor, START_NS)
    sensor.serve(Request(0x61, 6, 0x39, 450), START_NS)
    assert co2(sensor, START_NS + 10 * NS_PER_S) == pytest.approx(450, abs=50)


def test_a_temperature_offset_lowers_the_reading() -> None:
    sensor = sensor_of()
    sensor.serve(Request(0x61, 6, 0x3B, 500), START_NS)
    answer = sensor.serve(Request(0x61, 3, 0x28, 6), START_NS + 10 * NS_PER_S)
    assert answer is not None
    assert struct.unpack(">f", answer[7:11])[0] == pytest.approx(17.5, abs=0.4)


@pytest.mark.parametrize(
    ("fault", "spread"),
    [(Fault.NONE, (1, 60)), (Fault.STUCK, (0, 0)), (Fault.NOISE, (200, 1700)), (Fault.DRIFT, (180, 260))],
)
def test_faulty_readings_differ_from_true_ones_as_the_menu_says(fault: Fault, spread: tuple[float, float]) -> None:
    sensor = sensor_of(fault=fault)
    readings = [co2(sensor, START_NS + hour * HOUR_NS) for hour in range(101)]
    assert spread[0] <= max(readings) - min(readings) <= spread[1]


def test_a_busy_sensor_serves_one_request_in_five() -> None:
    sensor = sensor_of(fault=Fault.NAK_STORM)
    answers = [sensor.serve(Request(0x61, 3, 0x20, 1), START_NS) for _ in range(10)]
    assert [answer is not None and answer[1] for answer in answers] == [0x83, 0x83, 0x83, 0x83, 0x03] * 2


def test_a_jumping_timer_is_an_hour_late_every_tenth_time() -> None:
    sensor = sensor_of(fault=Fault.CLOCK_JUMP)
    waits: list[int] = []
    at_ns = last_ns = START_NS
    while len(waits) < 20:
        answer = sensor.serve(Request(0x61, 3, 0x27, 1), at_ns)
        assert answer is not None
        if answer[4]:
            co2(sensor, at_ns)
            waits.append((at_ns - last_ns) // NS_PER_S)
            last_ns = at_ns
        at_ns += 2 * NS_PER_S
    assert [wait > 3000 for wait in waits].count(True) == 1


@given(st.binary(max_size=40))
def test_garbage_gives_a_request_or_a_frame_error(frame: bytes) -> None:
    try:
        decode(frame)
    except FrameError:
        return


@given(st.binary(min_size=6, max_size=6), st.integers(0, 255))
def test_one_wrong_bit_is_found(body: bytes, flip: int) -> None:
    whole = bytearray(body + crc(body))
    whole[flip % 8] ^= 1 << (flip // 32)
    with pytest.raises(ChecksumError):
        decode(bytes(whole))


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 7))
def test_a_request_is_found_behind_any_noise_in_any_pieces(noise: list[bytes], cut: int) -> None:
    reader = RequestReader()
    wanted = bytes.fromhex("6103002700013DA1")
    for piece in noise:
        reader.feed(piece)
    found = [*reader.feed(wanted[:cut]), *reader.feed(wanted[cut:])]
    assert Request(0x61, 3, 0x27, 1) in found
    assert not reader.waiting


@given(st.builds(Request, st.just(0x61), st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)))
def test_every_request_gets_one_sound_answer(request: Request) -> None:
    answer = sensor_of().serve(request, START_NS)
    assert answer is not None
    assert crc(answer[:-2]) == answer[-2:]
    assert len(answer) <= 256


# --- the air ------------------------------------------------------------------------------------------


def room_of(plan: str, name: str, seed: int = 1) -> Room:
    return Room(ROOMS[plan], name, seed, EASTERN_S)


def longest_above(room: Room, limit_ppm: float, begin_ns: int, hours: int) -> int:
    """Minutes of the longest unbroken time above a limit."""
    longest = current = 0
    for minute in range(hours * 60):
        above = room.air(begin_ns + minute * 60 * NS_PER_S).co2_ppm > limit_ppm
        current = current + 1 if above else 0
        longest = max(longest, current)
    return longest


@pytest.mark.parametrize("seed", [1, 2, 3, 20211212])
def test_the_scenario_room_is_over_its_limit_for_more_than_an_hour_within_thirty_hours(seed: int) -> None:
    assert longest_above(room_of("scenario", "air-10017", seed), 1500 + 25, START_NS, 30) > 60


@pytest.mark.simulation
def test_the_scenario_room_is_over_its_limit_again_on_every_later_day() -> None:
    room = room_of("scenario", "air-10017")
    for day in range(1, 9):
        begin_ns = day_start_ns(date(2021, 12, 12) + timedelta(days=day), EASTERN_S)
        assert longest_above(room, 1500, begin_ns, 24) > 60


@pytest.mark.simulation
def test_other_rooms_stay_below_1200_whatever_the_seed() -> None:
    for zone in ZONES:
        for seed in (1, 2):
            room = room_of("hall", f"air-{zone}", seed)
            peak = max(room.air(START_NS + i * 600 * NS_PER_S).co2_ppm for i in range(14 * 144))
            assert 600 < peak < 1100


def test_an_empty_room_falls_to_the_air_outside_by_its_air_changes() -> None:
    room = room_of("scenario", "air-10017")
    _, end_ns, _ = room.people(date(2021, 12, 12))[-1]
    full = room.air(end_ns).co2_ppm - 420
    assert room.air(end_ns + HOUR_NS).co2_ppm - 420 == pytest.approx(full / 2.718281828, rel=1e-6)


def test_people_bring_it_to_the_steady_state_of_the_mass_balance() -> None:
    """20 people x 0.0187 m3/h over 200 m3/h are 1870 ppm above the air outside; after 4 h 1 - e^-4 of it is reached."""
    room = room_of("scenario", "air-10017")
    begin_ns, end_ns, people = room.people(date(2021, 12, 12))[-1]
    before = room.air(begin_ns).co2_ppm - 420
    rise = people * 0.0187 / 200 * 1e6
    decay = 2.718281828 ** (-(end_ns - begin_ns) / HOUR_NS)
    assert room.air(end_ns).co2_ppm - 420 == pytest.approx(rise + (before - rise) * decay, rel=1e-6)


@given(st.integers(0, 40 * 86_400))
def test_the_air_is_always_breathable_and_never_jumps(second: int) -> None:
    room = room_of("scenario", "air-10017")
    now, later = (room.air(START_NS + (second + s) * NS_PER_S) for s in (0, 60))
    assert 420 <= now.co2_ppm < 3000
    assert 15 < now.temperature_c < 30
    assert 20 < now.humidity_pct < 60
    assert abs(later.co2_ppm - now.co2_ppm) < 60
