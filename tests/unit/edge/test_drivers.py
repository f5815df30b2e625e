"""Lines and drivers in a test's own time: what opens, what is given up, and what is told of it."""

import secrets
from dataclasses import dataclass, field
from functools import partial

from edge.core.backoff import Backoff
from edge.errors import LinkError
from edge.instruments.genexpert.driver import ORDER_S, GenexpertDriver
from edge.instruments.line import OPEN_TIMEOUT_S, Line
from edge.instruments.scd30.driver import ANSWER_S, LOST_AFTER, PAUSE_S, READY_TRIES, TRIES, Scd30Driver
from edge.ports import Found, Happening, Ignored, Lost, OrderSettled, OrderWanted, Reported, Sampled
from edge.wire.astm_frames import ACK, ENQ, EOT, NAK, encode
from edge.wire.modbus_rtu import crc16
from tests.support.fake_analyser import query, result
from tests.support.kiosk import START_NS, middle

SAMPLE = "0" * 20
READY = bytes.fromhex("61 03 02 00 01 F9 8C")
NOT_READY = bytes.fromhex("61 03 02 00 00")
FIRMWARE = bytes.fromhex("61 03 02 03 42")
START = bytes.fromhex("61 06 00 36 00 00 60 64")
VALUES = bytes.fromhex("61 03 0C 43 DB 8C 2E 41 D9 E7 FF 42 43 3A 1B 50 07")
NAN = bytes.fromhex("61 03 0C 7F C0 00 00 41 D9 E7 FF 42 43 3A 1B")


@dataclass
class FakeLink:
    """Implements edge.ports.Link; the test is the other end."""

    opens: bool = True
    gone: bool = False
    incoming: bytes = b""
    written: list[bytes] = field(default_factory=list)
    opened: int = 0

    def open(self) -> None:
        self.opened += 1

    def established(self) -> bool:
        if self.gone:
            raise LinkError("refused")
        return self.opens

    def fileno(self) -> int:
        return -1

    def wants_write(self) -> bool:
        return False

    def receive(self) -> bytes:
        if self.gone:
            raise LinkError("gone")
        data, self.incoming = self.incoming, b""
        return data

    def send(self, data: bytes) -> None:
        if self.gone:
            raise LinkError("gone")
        self.written.append(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _line(link: FakeLink) -> Line:
    return Line(link, Backoff(1.0, 8.0, middle))


# --- the line ------------------------------------------------------------------------------------------------


def test_a_line_that_does_not_open_is_tried_again_after_growing_waits() -> None:
    link = FakeLink(opens=False)
    line, waits, now_s = _line(link), [], 0.0
    for _ in range(5):
        line.step(now_s)
        line.step(now_s + OPEN_TIMEOUT_S)
        waits.append(line.deadline_s() - now_s - OPEN_TIMEOUT_S)
        now_s = line.deadline_s()
    assert waits == [0.75, 1.5, 3.0, 6.0, 6.0]
    assert link.opened == 5


def test_a_line_says_once_that_it_is_up_and_once_that_it_is_gone() -> None:
    link = FakeLink()
    line = _line(link)
    assert [line.step(0.0).change, line.step(0.0).change] == ["up", None]
    link.gone = True
    assert [line.step(0.1).change, line.step(0.2).change] == ["down", None]
    assert line.send(b"x", 0.3).change is None


# --- the sensor ----------------------------------------------------------------------------------------------


def _answer(body: bytes) -> bytes:
    return body + crc16(body)


@dataclass
class Sensor:
    """A driver and its line's other end; `script` answers the questions in turn, None is silence."""

    script: list[bytes | None]
    link: FakeLink = field(default_factory=FakeLink)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.driver = Scd30Driver(_line(self.link))

    def run(self, until_s: float) -> list[Happening]:
        happened: list[Happening] = []
        while self.now_s < until_s:
            happened += self.driver.step(self.now_s)
            if self.link.written:
                self.link.written.clear()
                self.link.incoming += (self.script.pop(0) if self.script else None) or b""
                continue
            self.now_s = max(self.now_s + 0.01, min(self.driver.deadline_s(), until_s))
        return happened


def test_a_sensor_is_introduced_started_and_sampled() -> None:
    sensor = Sensor([_answer(FIRMWARE), START, READY, VALUES])
    sensor.driver.sample(0.0)
    found, sampled = sensor.run(1.0)
    assert found == Found("SCD30", "3.66")
    assert isinstance(sampled, Sampled)
    assert round(sampled.values["co2_ppm"]) == 439


def test_a_sensor_that_is_not_ready_is_asked_again_and_given_up_in_the_end() -> None:
    sensor = Sensor([_answer(FIRMWARE), START, *[_answer(NOT_READY)] * 3, READY, VALUES])
    sensor.driver.sample(0.0)
    assert isinstance(sensor.run(2.0)[-1], Sampled)
    sensor.script = [_answer(NOT_READY)] * (READY_TRIES + 5)
    sensor.driver.sample(sensor.now_s)
    assert sensor.run(sensor.now_s + 2 * READY_TRIES * PAUSE_S) == [Ignored("not ready")]


def test_a_silent_sensor_costs_one_sample_after_its_tries_and_counts_as_lost_after_some() -> None:
    sensor = Sensor([_answer(FIRMWARE), START, READY, VALUES])
    sensor.driver.sample(0.0)
    sensor.run(1.0)
    happened: list[Happening] = []
    for _ in range(LOST_AFTER):
        sensor.driver.sample(sensor.now_s)
        happened += sensor.run(sensor.now_s + TRIES * (ANSWER_S + PAUSE_S) + 0.5)
    assert happened == [*[Ignored("no answer")] * LOST_AFTER, Lost()]
    sensor.script = [_answer(FIRMWARE), START, READY, VALUES]
    sensor.driver.sample(sensor.now_s)
    assert [type(one) for one in sensor.run(sensor.now_s + 1.0)] == [Found, Sampled]


def test_a_value_that_is_no_number_is_not_a_sample() -> None:
    sensor = Sensor([_answer(FIRMWARE), START, READY, _answer(NAN)])
    sensor.driver.sample(0.0)
    assert sensor.run(1.0) == [Found("SCD30", "3.66"), Ignored("no measurement")]


def test_a_line_that_goes_during_a_question_is_told_and_begun_anew() -> None:
    sensor = Sensor([_answer(FIRMWARE), START, None])
    sensor.driver.sample(0.0)
    sensor.run(0.5)
    sensor.link.gone = True
    assert sensor.run(1.5) == [Ignored("line lost"), Lost()]
    sensor.link.gone = False
    sensor.script = [_answer(FIRMWARE), START, READY, VALUES]
    sensor.run(3.0)
    sensor.driver.sample(sensor.now_s)
    sensor.script += [READY, VALUES]
    assert isinstance(sensor.run(5.0)[-1], Sampled)


# --- the analyser ----------------------------------------------------------------------------------------------


@dataclass
class Analyser:
    """A driver, and its line's other end by hand."""

    link: FakeLink = field(default_factory=FakeLink)

    def __post_init__(self) -> None:
        self.driver = GenexpertDriver(_line(self.link), assay="SARSCOV2", new_message_id=partial(secrets.token_hex, 8))
        assert self.driver.step(0.0) == [Found("GeneXpert", "")]

    def says(self, text: bytes, now_s: float = 0.0) -> list[Happening]:
        happened: list[Happening] = []
        for part in (bytes([ENQ]), *encode(text)):
            self.link.incoming += part
            happened += self.driver.step(now_s)
        return happened

    @property
    def heard(self) -> bytes:
        data = b"".join(self.link.written)
        self.link.written.clear()
        return data


def test_a_query_is_acknowledged_at_once_and_a_result_only_when_it_is_kept() -> None:
    analyser = Analyser()
    assert analyser.says(query()) == [OrderWanted()]
    assert analyser.heard == bytes([ACK, ACK])
    analyser.link.incoming += bytes([EOT])
    analyser.driver.step(0.0)
    (reported,) = analyser.says(result(SAMPLE, "POSITIVE"))
    assert isinstance(reported, Reported)
    assert analyser.heard == bytes([ACK])
    analyser.driver.not_kept(0.0)
    assert analyser.heard == bytes([NAK])
    analyser.link.incoming += encode(result(SAMPLE, "POSITIVE"))[-1]
    assert analyser.driver.step(0.0) == [reported]
    analyser.driver.kept(0.0)
    assert analyser.heard == bytes([ACK])


def test_an_order_that_the_analyser_took_is_delivered_and_one_without_an_answer_perhaps() -> None:
    for answer, expected in ((True, OrderSettled(SAMPLE, "yes")), (False, OrderSettled(SAMPLE, "perhaps"))):
        analyser = Analyser()
        analyser.says(query())
        analyser.link.incoming += bytes([EOT])
        analyser.driver.step(0.0)
        analyser.driver.order(SAMPLE, START_NS, 0.0)
        analyser.link.incoming += bytes([ACK])
        analyser.driver.step(0.0)
        analyser.link.incoming += bytes([ACK]) if answer else b""
        assert analyser.driver.step(20.0) == [expected]


def test_an_order_that_finds_the_line_taken_for_a_minute_is_taken_back() -> None:
    analyser = Analyser()
    analyser.says(query())  # and no EOT: the line stays the analyser's
    assert analyser.driver.order(SAMPLE, START_NS, 0.0) == []
    happened: list[Happening] = []
    for now_s in (20.0, 40.0, ORDER_S - 1, ORDER_S):
        analyser.link.incoming += encode(query())[0]  # its last frame again: it is alive
        happened += analyser.driver.step(now_s)
    assert happened == [OrderSettled(SAMPLE, "no")]


def test_an_order_to_an_analyser_that_answers_nothing_is_not_delivered() -> None:
    analyser = Analyser()
    analyser.says(query())
    analyser.driver.order(SAMPLE, START_NS, 0.0)
    assert analyser.driver.step(31.0) == []  # it forgot to end its transfer: ours begins
    assert analyser.driver.step(47.0) == [OrderSettled(SAMPLE, "no")]


def test_an_order_for_a_line_that_is_gone_is_not_delivered() -> None:
    analyser = Analyser()
    analyser.says(query())
    analyser.link.gone = True
    assert Lost() in analyser.driver.step(0.0)
    assert analyser.driver.order(SAMPLE, START_NS, 0.0) == [OrderSettled(SAMPLE, "no")]
    assert analyser.driver.kept(0.0) == []


def test_a_query_that_is_withdrawn_takes_the_waiting_answer_back() -> None:
    analyser = Analyser()
    analyser.says(query())
    analyser.driver.order(SAMPLE, START_NS, 0.0)  # waits: the analyser still has the line
    analyser.heard  # noqa: B018 -- forget what was said so far
    withdrawn = query().replace(b"Q|1|ALL||||||||||O@N", b"Q|1|||||||||||A")
    happened: list[Happening] = []
    for n, frame in enumerate(encode(b"x" * 240 + withdrawn)[1:]):
        analyser.link.incoming += frame
        happened += analyser.driver.step(float(n))
    assert OrderSettled(SAMPLE, "no") in happened


def test_a_message_that_cannot_be_read_is_answered_politely_and_counted() -> None:
    analyser = Analyser()
    assert analyser.says(b"H||||\rL|1|N\r") == [Ignored("record")]
    assert analyser.heard == bytes([ACK, ACK])


def test_an_order_that_is_handed_back_is_settled_as_not_delivered() -> None:
    analyser = Analyser()
    head = query().split(b"\r")[0]
    returned = f"O|1|{SAMPLE}||^^^SARSCOV2|R||||||||||ORH||||||||||Y".encode()
    assert analyser.says(b"\r".join([head, b"P|1", returned, b"L|1|N", b""])) == [OrderSettled(SAMPLE, "no")]
