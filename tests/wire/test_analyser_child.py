"""The analyser behind its children, with a real fork server and the simulated analyser's faults and ours.

What a code's holder reads is what the run said, each run is handed to the agent once, and a child that is killed,
stopped or replaced at any step costs time and nothing else.
"""

import contextlib
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.children.analyser import ANSWER_S, PING_S
from edge.children.keeper import ForkServer
from edge.core.visit import new_sample_id
from edge.ports import Found, Happening, Lost, OrderSettled, OrderWanted, ResultsCame, ResultsSealed
from edge.wire import astm_frames as frames
from firmware_sim.faults import Fault
from firmware_sim.outcome import Call, Control, Ending, Outcome, Patient
from tests.support.fake_analyser import result
from tests.support.forked import Ward, children_of, fork_server, keys_of, kill, revive, state_of, the_child, ward
from tests.support.process import wait_until
from tests.support.simulators import RunningAnalyser, running_analyser

SPEED = 3000  # a run of 35 minutes takes 0.7 s
POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE})
NEGATIVE = Outcome()


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as one:
        yield one


def _visit(one: Ward, analyser: RunningAnalyser, outcomes: list[Outcome], timeout_s: float = 25.0) -> None:
    before = len(one.results)
    for outcome in outcomes:
        one.until(lambda: analyser.free_modules > 0, timeout_s)
        analyser.insert(outcome)
    one.until(lambda: len(one.results) == before + len(outcomes), timeout_s)


def _read(one: Ward) -> list[str]:
    return sorted(call for body in one.results.values() for _, call in body.calls)


def test_the_holder_reads_what_the_run_said_and_the_agent_counts_the_same(server: ForkServer) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        _visit(one, analyser, [POSITIVE, NEGATIVE, Outcome(ending=Ending.ERROR), POSITIVE])
        assert _read(one) == ["invalid", "negative", "positive", "positive"]
        assert sorted(one.counted.values(), key=str) == [
            (False, frozenset()),
            (True, frozenset()),
            (True, frozenset({"sars-cov-2"})),
            (True, frozenset({"sars-cov-2"})),
        ]


def test_every_upload_has_a_child_of_its_own_and_the_line_stays_up(server: ForkServer) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        seen = set[int]()
        one.before = lambda happening: seen.update(
            children_of(server.pid or 0) if type(happening) is ResultsCame else ()
        )
        _visit(one, analyser, [POSITIVE, NEGATIVE, POSITIVE])
        assert len(seen) == 3
        assert (one.count(Found), one.count(Lost)) == (1, 0)


def test_what_the_agent_holds_after_an_upload_says_nothing_of_it(server: ForkServer) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        _visit(one, analyser, [POSITIVE])
        (sealed,) = [happening for happening in one.said if isinstance(happening, ResultsSealed)]
        assert [(run.record, run.valid, run.positives) for run in sealed.runs] == [(b"", False, frozenset())]


@pytest.mark.parametrize(
    "fault", [Fault.NOISE, Fault.WRONG_CHECKSUM, Fault.NAK_STORM, Fault.CLOCK_JUMP, Fault.DUPLICATE]
)
def test_damage_that_the_protocol_mends_costs_no_run(server: ForkServer, fault: Fault) -> None:
    with running_analyser(fault=fault, speed=SPEED) as analyser, ward(server, analyser.where) as one:
        _visit(one, analyser, [POSITIVE, NEGATIVE, POSITIVE, NEGATIVE])
        one.work(0.3)
        assert _read(one) == ["negative", "negative", "positive", "positive"]


def test_a_line_that_breaks_mid_frame_costs_time_and_no_run(server: ForkServer) -> None:
    with running_analyser(fault=Fault.UNPLUG, speed=SPEED) as analyser, ward(server, analyser.where) as one:
        _visit(one, analyser, [POSITIVE, NEGATIVE] * 5)  # the cable goes at every twentieth frame
        assert _read(one) == ["negative"] * 5 + ["positive"] * 5
        assert one.count(Lost) >= 1


def test_an_upload_that_cannot_be_kept_is_offered_again_until_it_is(server: ForkServer) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        one.refusals = 3
        _visit(one, analyser, [POSITIVE])
        assert one.count(ResultsSealed) == 4


def test_a_control_is_judged_and_names_no_sample(server: ForkServer) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        analyser.insert(Outcome(control=Control.POSITIVE))
        one.until(lambda: len(one.controls) == 1)
        analyser.insert(Outcome(control=Control.NEGATIVE, control_passes=False))
        one.until(lambda: len(one.controls) == 2)
        assert [(control.level, control.holds) for control in one.controls] == [("positive", True), ("negative", False)]
        assert one.results == {}


def test_what_was_typed_about_a_person_is_never_said_to_the_agent(server: ForkServer) -> None:
    person = Patient("PASSPORT-X99", "Quackenbush^Ottoline", "19440229")
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        _visit(one, analyser, [Outcome(calls={"sars-cov-2": Call.POSITIVE}, patient=person)])
        said = repr(one.said)
        for word in ("PASSPORT-X99", "Quackenbush", "Ottoline", "19440229", "POSITIVE"):
            assert word not in said


# --- bytes ahead of their time -----------------------------------------------------------------------------------


class Peer:
    """An analyser that sends whole transfers without waiting for an answer, as none should."""

    def __init__(self, listener: socket.socket, one: Ward) -> None:
        one.until(lambda: one.count(Found) == 1)
        self._end, _ = listener.accept()
        self._end.settimeout(5)
        self._one = one

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._end.sendall(piece)
            self._one.work(0.01)

    def answers(self, size: int) -> bytes:
        said = b""
        while len(said) < size:
            said += self._end.recv(size - len(said))
        return said

    def close(self) -> None:
        self._end.close()


@contextmanager
def _peered(server: ForkServer) -> Iterator[tuple[Ward, Peer]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        with ward(server, where) as one, contextlib.closing(Peer(listener, one)) as peer:
            yield one, peer


def _transfer(text: bytes) -> bytes:
    return b"\x05" + b"".join(frames.encode(text)) + b"\x04"


def _new_sample(one: Ward) -> str:
    sample = new_sample_id(secrets.randbelow)
    one.keys[sample] = keys_of()[0]
    return sample


def test_what_an_analyser_sends_ahead_is_carried_to_the_next_child_wherever_it_is_cut(server: ForkServer) -> None:
    with _peered(server) as (one, peer):
        size = len(_two_uploads("0" * 20, "1" * 20))
        for cut in range(1, size, 23):
            first, second = _new_sample(one), _new_sample(one)
            stream = _two_uploads(first, second)
            peer.send(stream[:cut], stream[cut:])
            one.until(lambda: second in one.results)  # noqa: B023 -- called in this turn
            assert peer.answers(4) == b"\x06" * 4  # ENQ and a frame, twice
            assert [dict(one.results[sample].calls)["sars-cov-2"] for sample in (first, second)] == [
                "positive",
                "negative",
            ]
        assert (one.count(Lost), one.count(Found)) == (0, 1)


def _two_uploads(first: str, second: str) -> bytes:
    return _transfer(result(first, "POSITIVE")) + _transfer(result(second, "NEGATIVE"))


def test_a_run_of_somebody_else_is_acknowledged_and_nothing_is_said_of_it(server: ForkServer) -> None:
    with _peered(server) as (one, peer):
        peer.send(_transfer(result("QUACKENBUSH", "POSITIVE")))
        assert peer.answers(2) == b"\x06" * 2
        one.until(lambda: one.count(ResultsSealed) == 1)
        assert [said for said in one.said if isinstance(said, ResultsCame | ResultsSealed)] == [
            ResultsCame(()),
            ResultsSealed((), ()),
        ]


# --- children that end -----------------------------------------------------------------------------------------


class _Once:
    """Ends the living child when something is said for the first time."""

    def __init__(self, server: ForkServer, when: type[Happening]) -> None:
        self._server = server
        self._when = when
        self.hit: list[int] = []

    def __call__(self, happening: Happening) -> None:
        if isinstance(happening, self._when) and not self.hit:
            self.hit = [the_child(self._server)]
            kill(self.hit[0])


@pytest.mark.parametrize("step", [Found, OrderWanted, OrderSettled, ResultsCame, ResultsSealed])
def test_a_child_killed_at_any_step_costs_time_and_no_run(server: ForkServer, step: type[Happening]) -> None:
    with running_analyser(speed=SPEED, answer_timeout_s=1.0) as analyser, ward(server, analyser.where) as one:
        one.before = killer = _Once(server, step)
        _visit(one, analyser, [POSITIVE])
        one.until(lambda: one.count(Lost) == 1)
        one.work(0.5)  # time enough to offer it again
        assert _read(one) == ["positive"]
        assert killer.hit


def test_a_child_killed_after_the_commit_and_before_its_acknowledgement_counts_nothing_twice(
    server: ForkServer,
) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        killed: list[int] = []

        def kill_first(happening: Happening) -> None:
            if isinstance(happening, ResultsSealed) and not killed:
                killed.append(the_child(server))
                kill(killed[0], signal.SIGSTOP)  # it hears the verdict and never acts on it

        one.before = kill_first
        analyser.insert(POSITIVE)
        one.until(lambda: len(one.results) == 1)
        kill(killed[0])
        one.until(lambda: one.count(ResultsCame) >= 2)
        one.work(0.3)
        assert _read(one) == ["positive"]


@pytest.mark.timeout(90)
def test_a_child_that_hangs_is_ended_and_another_one_takes_over(server: ForkServer) -> None:
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        one.until(lambda: one.count(Found) == 1)
        hung = the_child(server)
        kill(hung, signal.SIGSTOP)
        one.until(lambda: one.count(Lost) == 1, PING_S + ANSWER_S + 10)
        wait_until(lambda: state_of(hung) == "", timeout_s=5, what="the end of the child that hung")
        _visit(one, analyser, [POSITIVE])
        assert _read(one) == ["positive"]


def test_a_fork_server_that_is_killed_is_started_again_and_no_run_is_lost() -> None:
    with fork_server() as server, running_analyser(speed=300) as analyser, ward(server, analyser.where) as one:
        analyser.insert(POSITIVE)
        one.until(lambda: any(isinstance(said, OrderSettled) for said in one.said))
        before = server.pid or 0
        child = the_child(server)
        kill(before)
        wait_until(lambda: state_of(child) in ("", "Z"), timeout_s=5, what="the child's end with its server")
        one.until(lambda: one.count(Lost) == 1)
        one.work(0.5)  # there is no server, and the agent goes on asking
        revive(server)
        one.until(lambda: len(one.results) == 1)
        assert _read(one) == ["positive"]


def test_without_a_server_an_analyser_waits_and_nothing_breaks() -> None:
    server = ForkServer()
    with running_analyser(speed=SPEED) as analyser, ward(server, analyser.where) as one:
        one.work(0.5)
        assert one.said == []
        server.start()
        one.until(lambda: one.count(Found) == 1)
        server.close()


@pytest.mark.timeout(90)
def test_no_descriptor_and_no_zombie_is_left_by_many_uploads(server: ForkServer) -> None:
    with running_analyser(speed=36_000) as analyser, ward(server, analyser.where) as one:
        _visit(one, analyser, [NEGATIVE] * 4)
        one.work(0.5)  # the last exchange ends, the next child is there
        agent, forks = _descriptors(), _descriptors(server.pid or 0)
        _visit(one, analyser, [NEGATIVE] * 200, 60)
        one.work(0.5)
        assert (_descriptors(), _descriptors(server.pid or 0)) == (agent, forks)
        assert [state_of(pid) for pid in children_of(server.pid or 0)] == ["S"]


def _descriptors(pid: int | str = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
