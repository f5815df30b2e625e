"""The supervisor's rules, on a machine that behaves: processes that start, speak, crash, hang and end on request."""

from dataclasses import dataclass, field

import pytest

from kioskwatch.supervisor import (
    MAX_FAILED_STARTS,
    START_TIMEOUT_S,
    STEADY_AFTER_S,
    STOP_TIMEOUT_S,
    PrepareError,
    ProcessPlan,
    Supervisor,
    reason_of,
)


@dataclass
class FakeChild:
    """A process as the operating system would show it."""

    name: str
    stubborn: bool = False
    code: int | None = None
    said: list[str] = field(default_factory=list)
    words: str = ""
    noted: list[str] = field(default_factory=list)
    asked: bool = False
    killed: bool = False

    def lines(self) -> list[str]:
        said, self.said = self.said, []
        return said

    def exit_code(self) -> int | None:
        return self.code

    def last_words(self) -> str:
        return self.words

    def note(self, line: str) -> None:
        self.noted.append(line)

    def ask_to_stop(self) -> None:
        self.asked = True
        if not self.stubborn:
            self.code = 0

    def reload(self) -> None:
        self.noted.append("reload")

    def kill(self) -> None:
        self.killed = True
        if self.code is None:
            self.code = -9

    def end(self, code: int, words: str = "") -> None:
        self.code, self.words = code, words


class FakeMachine:
    """Launches fake processes and remembers each, in order."""

    def __init__(self, *, stubborn: frozenset[str] = frozenset()) -> None:
        self.started: list[FakeChild] = []
        self._stubborn = stubborn

    def launch(self, plan: ProcessPlan) -> FakeChild:
        child = FakeChild(plan.name, stubborn=plan.name in self._stubborn)
        self.started.append(child)
        return child

    def newest(self, name: str) -> FakeChild:
        return next(child for child in reversed(self.started) if child.name == name)

    def names(self) -> list[str]:
        return [child.name for child in self.started]


class Notebook:
    """A reporter that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def ready(self, name: str, took_s: float) -> None:
        self.heard.append(("ready", name, f"{took_s:g}"))

    def crashed(self, name: str, reason: str, again_in_s: float) -> None:
        self.heard.append(("crashed", name, reason, f"{again_in_s:g}"))

    def gave_up(self, name: str, sentence: str) -> None:
        self.heard.append(("gave up", name, sentence))

    def mended(self, name: str, what: str) -> None:
        self.heard.append(("mended", name, what))

    def said(self, name: str, line: str) -> None:
        self.heard.append(("said", name, line))

    def killed(self, name: str) -> None:
        self.heard.append(("killed", name))


def _plan(name: str, *needs: str, once: bool = False) -> ProcessPlan:
    return ProcessPlan(name=name, command=(name,), needs=needs, once=once)


def _supervised(*plans: ProcessPlan, stubborn: str = "") -> tuple[Supervisor, FakeMachine, Notebook]:
    machine, notebook = FakeMachine(stubborn=frozenset({stubborn})), Notebook()
    return Supervisor(plans, machine, notebook), machine, notebook


def test_a_process_starts_only_when_everything_it_needs_is_ready() -> None:
    supervisor, machine, notebook = _supervised(_plan("base"), _plan("other"), _plan("top", "base", "other"))
    supervisor.tick(0)
    assert machine.names() == ["base", "other"]
    machine.newest("base").said = ["ready"]
    supervisor.tick(1)
    assert machine.names() == ["base", "other"]
    machine.newest("other").said = ["ready"]
    supervisor.tick(2)
    assert machine.names() == ["base", "other", "top"]
    assert notebook.heard == [("ready", "base", "1"), ("ready", "other", "2")]
    assert not supervisor.all_ready
    machine.newest("top").said = ["ready"]
    supervisor.tick(3)
    assert supervisor.all_ready


def test_a_step_that_ends_with_code_0_is_done_and_never_runs_again() -> None:
    supervisor, machine, _ = _supervised(_plan("step", once=True), _plan("top", "step"))
    supervisor.tick(0)
    machine.newest("step").end(0)
    supervisor.tick(1)
    assert machine.names() == ["step", "top"]
    machine.newest("top").end(1)
    for second in range(2, 9):
        supervisor.tick(second)
    assert machine.names().count("step") == 1


def test_a_probed_process_is_ready_by_its_probe_and_not_by_its_word() -> None:
    answers = [False]
    plan = ProcessPlan(name="broker", command=("broker",), probe=lambda: answers[0])
    supervisor, machine, _ = _supervised(plan)
    supervisor.tick(0)
    machine.newest("broker").said = ["ready"]
    supervisor.tick(1)
    assert not supervisor.all_ready
    answers[0] = True
    supervisor.tick(2)
    assert supervisor.all_ready


def test_a_crash_is_reported_with_its_reason_and_started_again_after_growing_waits() -> None:
    supervisor, machine, notebook = _supervised(_plan("ingest"))
    now = 0.0
    supervisor.tick(now)
    machine.newest("ingest").said = ["ready"]
    supervisor.tick(now)
    waits = []
    for _ in range(8):
        machine.newest("ingest").end(1, "ValueError: broken")
        supervisor.tick(now)
        kind, name, reason, wait = notebook.heard[-1]
        assert (kind, name, reason) == ("crashed", "ingest", "ValueError: broken")
        waits.append(float(wait))
        supervisor.tick(now + waits[-1] - 0.1)
        count = len(machine.started)
        now += waits[-1]
        supervisor.tick(now)
        assert len(machine.started) == count + 1
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_process_that_was_ready_for_long_begins_with_the_short_wait_again() -> None:
    supervisor, machine, notebook = _supervised(_plan("ingest"))
    now = 0.0
    for _ in range(4):
        supervisor.tick(now)
        machine.newest("ingest").said = ["ready"]
        supervisor.tick(now)
        machine.newest("ingest").end(-9)
        supervisor.tick(now)
        now += 100
    supervisor.tick(now)
    machine.newest("ingest").said = ["ready"]
    supervisor.tick(now)
    machine.newest("ingest").end(-9)
    supervisor.tick(now + STEADY_AFTER_S)
    assert [row[3] for row in notebook.heard if row[0] == "crashed"] == ["1", "2", "4", "8", "1"]


def test_what_a_crashed_process_had_started_is_killed_before_it_starts_again() -> None:
    supervisor, machine, _ = _supervised(_plan("ingest"))
    supervisor.tick(0)
    first = machine.newest("ingest")
    first.end(1)
    supervisor.tick(1)
    assert first.killed


def test_exit_code_2_is_a_sentence_for_the_operator_and_no_new_start() -> None:
    supervisor, machine, notebook = _supervised(_plan("backend"))
    supervisor.tick(0)
    machine.newest("backend").end(2, "the state file is newer than this program")
    for second in range(1, 100):
        supervisor.tick(second)
    assert machine.names() == ["backend"]
    assert notebook.heard == [("gave up", "backend", "the state file is newer than this program")]
    assert supervisor.given_up == ["backend: the state file is newer than this program"]


def test_a_process_that_never_becomes_ready_is_given_up() -> None:
    supervisor, machine, _ = _supervised(_plan("edge"))
    for second in range(1000):
        supervisor.tick(second)
        if machine.started:
            machine.newest("edge").end(1, "no")
    assert len(machine.started) == MAX_FAILED_STARTS
    assert supervisor.given_up == [f"edge: it could not start in {MAX_FAILED_STARTS} attempts: no"]


def test_a_start_that_hangs_counts_as_a_crash() -> None:
    supervisor, machine, notebook = _supervised(_plan("edge"))
    supervisor.tick(0)
    supervisor.tick(START_TIMEOUT_S + 1)
    assert machine.newest("edge").killed
    assert notebook.heard[-1][:2] == ("crashed", "edge")


def test_a_first_failed_start_is_mended_once() -> None:
    mended = []

    def mend() -> str:
        mended.append(1)
        return "put aside"

    supervisor, machine, notebook = _supervised(ProcessPlan(name="broker", command=("b",), mend=mend))
    for second in range(0, 40, 2):
        supervisor.tick(second)
        machine.newest("broker").end(1)
    assert mended == [1]
    assert notebook.heard[0] == ("mended", "broker", "put aside")


def test_a_preparation_that_fails_is_tried_again_like_a_crash() -> None:
    failures = iter(("not yet",))

    def prepare() -> None:
        for failure in failures:
            raise PrepareError(failure)

    supervisor, machine, notebook = _supervised(ProcessPlan(name="edge", command=("e",), prepare=prepare))
    supervisor.tick(0)
    assert machine.started == []
    assert notebook.heard == [("crashed", "edge", "not yet", "1")]
    supervisor.tick(1)
    assert machine.names() == ["edge"]


def test_words_for_the_operator_are_passed_on_and_never_put_into_a_log() -> None:
    supervisor, machine, notebook = _supervised(_plan("backend"))
    supervisor.tick(0)
    child = machine.newest("backend")
    child.said = ["admin-password correct-horse", "something else", "say the replay is over", "ready"]
    supervisor.tick(1)
    assert notebook.heard[:2] == [
        ("said", "backend", "admin-password correct-horse"),
        ("said", "backend", "say the replay is over"),
    ]
    assert child.noted == ["something else"]


def test_words_said_just_before_the_end_are_heard() -> None:
    supervisor, machine, notebook = _supervised(_plan("history", once=True))
    supervisor.tick(0)
    child = machine.newest("history")
    child.end(0)
    child.said = ["say 300 rows"]
    supervisor.tick(1)
    assert notebook.heard[0] == ("said", "history", "say 300 rows")


def test_stopping_goes_backwards_and_asks_a_process_only_when_its_users_have_ended() -> None:
    supervisor, machine, _ = _supervised(_plan("broker"), _plan("ingest", "broker"), stubborn="ingest")
    supervisor.tick(0)
    machine.newest("broker").said = ["ready"]
    supervisor.tick(1)
    supervisor.stop()
    supervisor.tick(2)
    assert machine.newest("ingest").asked
    assert not machine.newest("broker").asked
    machine.newest("ingest").end(0)
    supervisor.tick(3)
    assert machine.newest("broker").asked
    assert not supervisor.all_ended
    supervisor.tick(4)
    assert supervisor.all_ended


def test_a_process_that_does_not_end_is_killed_after_its_time() -> None:
    supervisor, machine, notebook = _supervised(_plan("edge"), stubborn="edge")
    supervisor.tick(0)
    supervisor.stop()
    supervisor.tick(1)
    supervisor.tick(1 + STOP_TIMEOUT_S)
    assert not machine.newest("edge").killed
    supervisor.tick(2 + STOP_TIMEOUT_S)
    assert machine.newest("edge").killed
    assert ("killed", "edge") in notebook.heard
    supervisor.tick(3 + STOP_TIMEOUT_S)
    assert supervisor.all_ended


def test_nothing_new_starts_while_everything_is_being_stopped() -> None:
    supervisor, machine, _ = _supervised(_plan("broker"), _plan("ingest", "broker"))
    supervisor.tick(0)
    supervisor.stop()
    machine.newest("broker").said = ["ready"]
    for second in range(1, 50):
        supervisor.tick(second)
    assert machine.names() == ["broker"]
    assert supervisor.all_ended


def test_a_need_that_no_plan_has_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        _supervised(_plan("edge", "nobody"))


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (-9, "", "killed by SIGKILL"),
        (-11, "x", "killed by SIGSEGV"),
        (-250, "", "killed by signal 250"),
        (0, "bye", "it ended by itself"),
        (1, "ValueError: no", "ValueError: no"),
        (1, "", "it ended with code 1"),
    ],
)
def test_the_reason_of_an_end_is_a_sentence(code: int, words: str, reason: str) -> None:
    assert reason_of(code, words) == reason
