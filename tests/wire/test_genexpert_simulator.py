"""The simulated analyser against a host written from the standard (tests/support/astm_host.py), over real TCP."""

import socket
import time

import pytest

from firmware_sim.errors import NoFreeModuleError
from firmware_sim.faults import Fault
from firmware_sim.outcome import Call, Control, Ending, Outcome, Patient
from tests.support.astm_host import ACK, ENQ, EOT, NAK, AstmHost, LineGoneError, frame, no_order, order
from tests.support.process import wait_until
from tests.support.simulators import running_analyser

POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE})
NEGATIVE = Outcome()


def test_a_visitors_run_goes_from_query_over_order_to_result() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        query = host.order_for_query("7Q2M9KX4TBVW")
        assert query.records[0][:2] == ["H", "@^\\"]
        assert query.of("Q") == [["Q", "1", "ALL", *[""] * 9, "O@N"]]
        assert query.records[-1] == ["L", "1", "N"]
        result = host.receive()
        assert result.sample == "7Q2M9KX4TBVW"
        assert result.main_words == ["POSITIVE"]
        readings = {tuple(r[2].split("^")[6:8]): r[3].split("^") for r in result.of("R") if not r[2].split("^")[4]}
        assert readings["E", ""][0] == readings["N2", ""][0] == "POS"
        assert readings["SPC", ""][0] == "PASS"
        assert 10 < float(readings["E", "Ct"][1]) < 40
        assert [r[1] for r in result.of("R")] == [str(n) for n in range(1, 11)]


def test_a_negative_takes_longer_than_a_positive_and_both_carry_their_own_words() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        minutes = {}
        for outcome, word in ((NEGATIVE, "NEGATIVE"), (POSITIVE, "POSITIVE")):
            running.insert(outcome)
            host.order_for_query("S1")
            result = host.receive()
            assert result.main_words == [word]
            start, end = (time.strptime(result.of("R")[0][i], "%Y%m%d%H%M%S") for i in (11, 12))
            minutes[word] = (time.mktime(end) - time.mktime(start)) / 60
        assert 29.9 <= minutes["NEGATIVE"] <= 35.1
        assert 19.9 <= minutes["POSITIVE"] <= 30.1


@pytest.mark.parametrize(
    ("outcome", "word", "control", "comments"),
    [
        (Outcome(ending=Ending.INVALID), "INVALID", "FAIL", 0),
        (Outcome(ending=Ending.ERROR), "ERROR", "NO RESULT", 1),
        (Outcome(ending=Ending.NO_RESULT), "NO RESULT", "NO RESULT", 0),
        (Outcome(calls={"sars-cov-2": Call.PRESUMPTIVE}), "PRESUMPTIVE POS", "PASS", 0),
    ],
)
def test_a_run_without_a_plain_result_says_so_in_the_analysers_words(
    outcome: Outcome, word: str, control: str, comments: int
) -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(outcome)
        host.order_for_query("S1")
        result = host.receive()
        assert result.main_words == [word]
        assert [r[3].split("^")[0] for r in result.of("R") if r[2].endswith("^SPC^")] == [control]
        assert len(result.of("C")) == comments
        assert all(comment[3].startswith("Error^") and comment[4] == "N" for comment in result.of("C"))


def test_a_panel_reports_each_of_its_targets() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(Outcome(calls={"flu-a": Call.POSITIVE}))
        host.order_for_query("S1", "COV2FLURSV")
        result = host.receive()
        main = [r for r in result.of("R") if r[2].split("^")[4]]
        assert [(r[2].split("^")[1], r[2].split("^")[3], r[3]) for r in main] == [
            ("COV2FLURSV", "COV2", "NEGATIVE^"),
            ("COV2FLURSV", "FLUA", "POSITIVE^"),
            ("COV2FLURSV", "FLUB", "NEGATIVE^"),
            ("COV2FLURSV", "RSV", "NEGATIVE^"),
        ]
        assert len(result.frames) > 7, "long enough for frame numbers to go round"
        assert [body[:1] for body in result.frames[:9]] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"0", b"1"]


def test_every_frame_but_the_last_is_full_and_ends_with_etb() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(NEGATIVE)
        host.order_for_query("S1")
        frames = host.receive().frames
        assert len(frames) > 2
        assert all(len(body) == 245 and body[-4:-3] == b"\x17" for body in frames[:-1])
        assert frames[-1][-4:-3] == b"\x03"


def test_four_modules_run_at_once_and_a_fifth_cartridge_finds_no_place() -> None:
    with running_analyser(speed=3600) as running, AstmHost(running.where) as host:
        for module in range(4):
            running.insert(NEGATIVE)
            host.order_for_query(f"S{module}")
        assert running.free_modules == 0
        with pytest.raises(NoFreeModuleError):
            running.insert(NEGATIVE)
        results = [host.receive() for _ in range(4)]
        assert sorted(result.sample for result in results) == ["S0", "S1", "S2", "S3"]
        assert len({result.of("R")[0][13].split("^")[2] for result in results}) == 4, "one module's serial each"


def test_without_an_order_the_person_waits_and_the_analyser_asks_again() -> None:
    with running_analyser(speed=3600) as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.receive()
        host.send(no_order())
        before = time.monotonic()
        host.order_for_query("S2")
        assert time.monotonic() - before >= 0.9
        assert host.receive().sample == "S2"


def test_a_person_who_gets_no_order_for_hours_leaves_and_frees_the_module() -> None:
    with running_analyser(speed=20_000) as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        assert running.free_modules == 3
        host.receive()
        host.send(no_order())
        wait_until(lambda: running.free_modules == 4, timeout_s=5, what="the module is free again")


def test_a_question_that_nobody_answers_is_withdrawn_and_asked_again() -> None:
    with running_analyser(speed=3600, answer_timeout_s=0.2) as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        assert host.receive().of("Q")[0][2] == "ALL"
        withdrawn = host.receive()
        assert (withdrawn.of("Q")[0][12], withdrawn.of("C")[0][3]) == ("A", "timeout^last request has been cancelled")
        host.order_for_query("S1")
        assert host.receive().sample == "S1"


def test_an_answer_that_makes_no_sense_counts_as_none() -> None:
    with running_analyser(speed=3600) as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.receive()
        host.send(b"what?\r")
        host.order_for_query("S1")
        assert host.receive().sample == "S1"


def test_the_door_of_a_module_opens_at_its_time_and_not_with_the_result() -> None:
    with running_analyser(speed=3600, door_s=2700) as running, AstmHost(running.where) as host:
        running.insert(Outcome(ending=Ending.ERROR))
        host.order_for_query("S1")
        before = time.monotonic()
        host.receive()
        assert running.free_modules == 3
        wait_until(lambda: running.free_modules == 4, timeout_s=5, what="the door opens")
        assert time.monotonic() - before >= 0.7, "2700 s at x3600, less the time until the order was understood"


def test_an_unknown_assay_or_an_unusable_sample_id_is_handed_back() -> None:
    with running_analyser(speed=3600) as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.order_for_query("S1", "NOSUCH")
        refused = host.receive()
        assert (refused.sample, refused.of("O")[0][25]) == ("S1", "Y")
        host.order_for_query("X" * 26)
        refused = host.receive()
        assert refused.of("O")[0][25] == "V"
        host.order_for_query("S3")
        assert host.receive().sample == "S3"


def test_an_order_that_nobody_asked_for_is_acknowledged_and_dropped() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        host.send(order("UNASKED"))
        running.insert(NEGATIVE)
        host.order_for_query("S1")
        assert host.receive().sample == "S1"


def test_a_nak_storm_of_six_is_survived_frame_by_frame() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.order_for_query("S1")
        result = host.receive(refuse=lambda turn: turn % 7 != 6)
        assert result.main_words == ["POSITIVE"]
        assert result.frames[:7] == [result.frames[0]] * 7


def test_a_seventh_nak_ends_the_transfer_and_the_whole_message_comes_again() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.order_for_query("S1")
        storm = host.receive(refuse=lambda _: True)
        assert len(storm.frames) == 7
        assert storm.text == b""
        assert host.receive().main_words == ["POSITIVE"]


def test_a_cable_pulled_mid_frame_loses_no_result() -> None:
    with running_analyser() as running:
        with AstmHost(running.where) as host:
            running.insert(POSITIVE)
            host.order_for_query("S1")
            host.skip_to(ENQ)
            host.put(ACK)
            for _ in range(100):
                host.byte()
        with AstmHost(running.where) as host:
            result = host.receive()
            assert (result.sample, result.main_words) == ("S1", ["POSITIVE"])


def test_a_result_whose_last_acknowledgement_was_lost_comes_again_with_the_same_words() -> None:
    with running_analyser() as running:
        with AstmHost(running.where) as host:
            running.insert(POSITIVE)
            host.order_for_query("S1")
            host.skip_to(ENQ)
            host.put(ACK)
            while (body := host.read_frame())[-4:-3] != b"\x03":
                host.put(ACK)
        with AstmHost(running.where) as host:
            again = host.receive()
            assert (again.sample, again.main_words) == ("S1", ["POSITIVE"])
            assert body


def test_a_new_host_takes_the_line_from_the_one_before() -> None:
    with running_analyser() as running, AstmHost(running.where) as old, AstmHost(running.where) as new:
        with pytest.raises(LineGoneError):
            old.byte()
        running.insert(NEGATIVE)
        new.order_for_query("S1")
        assert new.receive().main_words == ["NEGATIVE"]


def test_in_contention_the_instrument_asks_again_after_a_second_and_speaks_first() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.expect(ENQ)
        host.put(ENQ)
        before = time.monotonic()
        host.expect(ENQ)
        assert 0.9 <= time.monotonic() - before < 3
        host.put(ACK)
        assert host.receive_frames().of("Q")


def test_frames_split_at_every_byte_and_lost_acknowledgements_are_understood() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.receive()
        host.put(ENQ)
        host.expect(ACK)
        text = order("S1")
        for at in (frame(1, text[:100], last=False), frame(1, text[:100], last=False), frame(2, text[100:])):
            for i in range(len(at)):
                host.put(at[i : i + 1])
            host.expect(ACK)
        host.put(EOT)
        assert host.receive().sample == "S1"


def test_damaged_frames_of_the_host_are_refused_until_they_are_whole() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.receive()
        host.put(ENQ)
        host.expect(ACK)
        good = frame(1, order("S1"))
        wrong_number = frame(3, order("S1"))
        for bad in (good[:-4] + b"00\r\n", wrong_number, good[:20] + b"\n", b"\x02\r\n"):
            host.put(bad)
            host.expect(NAK)
        host.put(good)
        host.expect(ACK)
        host.put(EOT)
        assert host.receive().sample == "S1"


def test_a_control_comes_without_an_order_and_is_marked_as_one() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(Outcome(control=Control.NEGATIVE))
        result = host.receive()
        assert result.sample.startswith("QC-NEG-")
        assert result.of("O")[0][11] == "Q"
        assert result.main_words == ["NEGATIVE"]


@pytest.mark.parametrize(("control", "word"), [(Control.POSITIVE, "NEGATIVE"), (Control.NEGATIVE, "POSITIVE")])
def test_a_control_that_fails_shows_the_other_word(control: Control, word: str) -> None:
    with running_analyser(fault=Fault.CONTROL_FAILED) as running, AstmHost(running.where) as host:
        running.insert(Outcome(control=control))
        assert host.receive().main_words == [word]


def test_a_late_result_comes_after_an_hour() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(Outcome(calls=POSITIVE.calls, late=True))
        host.order_for_query("S1")
        main = host.receive().of("R")[0]
        start, end = (time.mktime(time.strptime(main[i], "%Y%m%d%H%M%S")) for i in (11, 12))
        assert 3600 <= end - start <= 5401


def test_a_doubled_result_is_the_same_but_for_message_number_and_time() -> None:
    with running_analyser(fault=Fault.DUPLICATE) as running, AstmHost(running.where) as host:
        running.insert(POSITIVE)
        host.order_for_query("S1")
        first, second = host.receive(), host.receive()
        assert first.records[1:] == second.records[1:]
        assert first.records[0][2] != second.records[0][2]


def test_patient_fields_are_on_the_wire_when_somebody_typed_them_in() -> None:
    with running_analyser() as running, AstmHost(running.where) as host:
        running.insert(Outcome(patient=Patient("MRN-1", "Doe^Jane", "19700101")))
        host.order_for_query("S1")
        assert host.receive().of("P") == [["P", "1", "MRN-1", "", "MRN-1", "Doe^Jane", "", "19700101", "U"]]


@pytest.mark.parametrize(
    "fault", [Fault.NOISE, Fault.TRUNCATED_FRAME, Fault.WRONG_CHECKSUM, Fault.SLOW, Fault.NAK_STORM, Fault.CLOCK_JUMP]
)
def test_each_fault_of_the_menu_is_survived_by_a_host_that_keeps_to_the_standard(fault: Fault) -> None:
    with running_analyser(fault=fault) as running, AstmHost(running.where, frame_patience_s=0.2) as host:
        for sample in ("S1", "S2"):
            running.insert(POSITIVE)
            host.order_for_query(sample)
            result = host.receive()
            assert (result.sample, result.main_words) == (sample, ["POSITIVE"])


def test_a_cable_that_is_pulled_again_and_again_loses_no_result() -> None:
    with running_analyser(fault=Fault.UNPLUG) as running:
        host = AstmHost(running.where)
        seen = []
        for sample in ("S1", "S2", "S3", "S4", "S5"):
            running.insert(POSITIVE)
            try:
                host.order_for_query(sample)
                seen.append(host.receive().sample)
            except LineGoneError:
                host.close()
                host = _connected_again(running.where)
                seen.append(host.receive().sample)
        host.close()
        assert seen == ["S1", "S2", "S3", "S4", "S5"]


def _connected_again(where: str) -> AstmHost:
    """Connect until the cable is back: a line that is out closes at once, one that is in stays silent or asks."""
    for _ in range(100):
        host = AstmHost(where)
        host.socket.settimeout(0.1)
        try:
            if host.socket.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            break
        except ConnectionError:
            pass
        host.close()
        time.sleep(0.05)
    else:
        raise TimeoutError("the cable stays out")
    host.socket.settimeout(10.0)
    return host
