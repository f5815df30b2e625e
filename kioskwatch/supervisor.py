"""Starts processes in the order of their needs, starts crashed ones again, and ends all of them. Rules only, no I/O.

In: plans as data, a launcher (kioskwatch.children has the real one), and the monotonic time at each `tick`. Out: a
report of what happened, to a reporter. Rules:
1. A process starts when all it needs are ready. It is ready when its probe says so, or its stdout says `ready`.
2. Ending with code 2 means that a person must act: it is not started again, its last words are the sentence.
3. Any other end is a crash: again after 1, 2, 4 … 30 s; a process that was ready for a minute begins at 1 again.
4. One that never became ready in MAX_FAILED_STARTS starts is given up too.
5. Stopping goes backwards: a process is asked once nothing that needs it lives, and killed after STOP_TIMEOUT_S.
"""

import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

from kioskwatch.errors import OPERATOR_MUST_ACT

FIRST_BACKOFF_S: Final = 1.0
MAX_BACKOFF_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0
MAX_FAILED_STARTS: Final = 5
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One process of a district, or (`once`) one step that ends by itself before others start."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    once: bool = False
    prepare: Callable[[], None] | None = None  # right before each start; may raise PrepareError
    probe: Callable[[], bool] | None = None  # asked until it is ready; None waits for its word `ready`
    mend: Callable[[], str | None] | None = None  # after a failed first start; returns what it did


class PrepareError(Exception):
    """What a process needs is not there now: try again as after a crash."""


class Child(Protocol):
    """A started process."""

    def lines(self) -> list[str]:
        """Return what it said on stdout since the last call."""

    def exit_code(self) -> int | None:
        """Return its exit code (negative: the signal that ended it), None while it runs."""

    def last_words(self) -> str:
        """Return the last line of its stderr."""

    def note(self, line: str) -> None:
        """Put a line into its log."""

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""

    def reload(self) -> None:
        """Send SIGHUP."""

    def kill(self) -> None:
        """End it and everything it started, at once."""


class Launcher(Protocol):
    """Starts processes."""

    def launch(self, plan: ProcessPlan) -> Child:
        """Start one; PrepareError when the machine cannot."""


class Reporter(Protocol):
    """Hears what happens."""

    def ready(self, name: str, took_s: float) -> None:
        """A process serves, or a step is done."""

    def crashed(self, name: str, reason: str, again_in_s: float) -> None:
        """A process ended and will be started again."""

    def gave_up(self, name: str, sentence: str) -> None:
        """A process will not be started again."""

    def mended(self, name: str, what: str) -> None:
        """Something in the way of a start was put aside."""

    def said(self, name: str, line: str) -> None:
        """A process has something for the operator."""

    def killed(self, name: str) -> None:
        """A process did not end when asked."""


class Status(Enum):
    """Where a process is."""

    WAITING = auto()
    STARTING = auto()
    READY = auto()
    BACKING_OFF = auto()
    STOPPING = auto()
    ENDED = auto()
    GAVE_UP = auto()


_FOR_THE_OPERATOR: Final = ("say ", "admin-password ")
_ALIVE: Final = frozenset({Status.STARTING, Status.READY, Status.STOPPING})


@dataclass(slots=True)
class Watched:
    """A plan and how it is doing."""

    plan: ProcessPlan
    status: Status = Status.WAITING
    child: Child | None = None
    since_s: float = 0.0
    due_s: float = 0.0
    failures: int = 0
    was_ready: bool = False
    done: bool = False
    sentence: str = field(default="")


class Supervisor:
    """The processes of one district. Single-threaded: call `tick` about twenty times a second."""

    def __init__(self, plans: Sequence[ProcessPlan], launcher: Launcher, reporter: Reporter) -> None:
        self._watched = {plan.name: Watched(plan) for plan in plans}
        self._launcher = launcher
        self._reporter = reporter
        self._stopping = False
        missing = {need for plan in plans for need in plan.needs} - self._watched.keys()
        if missing:
            raise ValueError(f"no plan has the name {sorted(missing)}")

    @property
    def all_ready(self) -> bool:
        """Whether every process serves and every step is done."""
        return all(watched.done or watched.status is Status.READY for watched in self._watched.values())

    @property
    def all_ended(self) -> bool:
        """Whether nothing runs any more."""
        return not any(watched.status in _ALIVE for watched in self._watched.values())

    @property
    def given_up(self) -> list[str]:
        """The sentences of processes that a person must mend."""
        return [watched.sentence for watched in self._watched.values() if watched.status is Status.GAVE_UP]

    def child(self, name: str) -> Child | None:
        """Return a running process, None when it does not run now."""
        watched = self._watched[name]
        return watched.child if watched.status in _ALIVE else None

    def tick(self, now_s: float) -> None:
        """Look at every process once and do what is due."""
        for watched in self._watched.values():
            if watched.child is not None and watched.status in _ALIVE:
                self._listen(watched, now_s)
                self._look_at(watched, watched.child, now_s)
        for watched in self._watched.values():
            if self._stopping:
                self._stop_if_free(watched, now_s)
            elif self._is_due(watched, now_s):
                self._start(watched, now_s)

    def stop(self) -> None:
        """Begin to end everything; `tick` until `all_ended`."""
        self._stopping = True
        for watched in self._watched.values():
            if watched.status in {Status.WAITING, Status.BACKING_OFF}:
                watched.status = Status.ENDED

    def kill(self) -> None:
        """End everything at once."""
        self.stop()
        for watched in self._watched.values():
            if watched.child is not None and watched.status in _ALIVE:
                watched.child.kill()
                watched.status = Status.ENDED

    def _is_due(self, watched: Watched, now_s: float) -> bool:
        if watched.status is Status.BACKING_OFF:
            return now_s >= watched.due_s
        return watched.status is Status.WAITING and all(
            self._watched[need].done or self._watched[need].status is Status.READY for need in watched.plan.needs
        )

    def _start(self, watched: Watched, now_s: float) -> None:
        watched.since_s = now_s
        try:
            if watched.plan.prepare is not None:
                watched.plan.prepare()
            watched.child = self._launcher.launch(watched.plan)
        except PrepareError as exc:
            self._crashed(watched, str(exc), now_s)
            return
        watched.status = Status.STARTING

    def _listen(self, watched: Watched, now_s: float) -> None:
        if watched.child is None:
            return
        for line in watched.child.lines():
            if line.strip() == "ready" and watched.plan.probe is None:
                self._became_ready(watched, now_s)
            elif line.startswith(_FOR_THE_OPERATOR):
                self._reporter.said(watched.plan.name, line)
            else:
                watched.child.note(line)

    def _look_at(self, watched: Watched, child: Child, now_s: float) -> None:
        code = child.exit_code()
        if code is not None:
            self._listen(watched, now_s)  # its last lines came after the look above
            child.kill()  # whatever it had started
            self._ended(watched, child, code, now_s)
        elif watched.status is Status.STOPPING:
            if now_s - watched.since_s > STOP_TIMEOUT_S:
                self._reporter.killed(watched.plan.name)
                child.kill()
        elif watched.status is Status.STARTING:
            self._look_at_start(watched, child, now_s)

    def _look_at_start(self, watched: Watched, child: Child, now_s: float) -> None:
        if watched.plan.probe is not None and watched.plan.probe():
            self._became_ready(watched, now_s)
        elif now_s - watched.since_s > START_TIMEOUT_S:
            child.kill()
            self._crashed(watched, f"it was not ready in {START_TIMEOUT_S:.0f} s", now_s)

    def _became_ready(self, watched: Watched, now_s: float) -> None:
        if watched.status is not Status.STARTING:
            return
        self._reporter.ready(watched.plan.name, now_s - watched.since_s)
        watched.status = Status.READY
        watched.was_ready = True
        watched.since_s = now_s

    def _ended(self, watched: Watched, child: Child, code: int, now_s: float) -> None:
        if watched.status is Status.STOPPING:
            watched.status = Status.ENDED
        elif watched.plan.once and code == 0:
            self._reporter.ready(watched.plan.name, now_s - watched.since_s)
            watched.status, watched.done = Status.ENDED, True
        elif code == OPERATOR_MUST_ACT:
            self._give_up(watched, child.last_words() or "it ended with code 2 and said nothing")
        else:
            self._crashed(watched, reason_of(code, child.last_words()), now_s)

    def _crashed(self, watched: Watched, reason: str, now_s: float) -> None:
        steady = watched.status is Status.READY and now_s - watched.since_s >= STEADY_AFTER_S
        watched.failures = 1 if steady else watched.failures + 1
        if not watched.was_ready and watched.failures == 1 and watched.plan.mend is not None:
            what = watched.plan.mend()
            if what is not None:
                self._reporter.mended(watched.plan.name, what)
        if not watched.was_ready and watched.failures >= MAX_FAILED_STARTS:
            self._give_up(watched, f"it could not start in {MAX_FAILED_STARTS} attempts: {reason}")
            return
        wait_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (watched.failures - 1))
        self._reporter.crashed(watched.plan.name, reason, wait_s)
        watched.status = Status.BACKING_OFF
        watched.due_s = now_s + wait_s

    def _give_up(self, watched: Watched, sentence: str) -> None:
        watched.status = Status.GAVE_UP
        watched.sentence = f"{watched.plan.name}: {sentence}"
        self._reporter.gave_up(watched.plan.name, sentence)

    def _stop_if_free(self, watched: Watched, now_s: float) -> None:
        if watched.status not in {Status.STARTING, Status.READY} or watched.child is None:
            return
        if any(user.status in _ALIVE for user in self._users(watched.plan.name)):
            return
        watched.child.ask_to_stop()
        watched.status, watched.since_s = Status.STOPPING, now_s

    def _users(self, name: str) -> Iterable[Watched]:
        return (watched for watched in self._watched.values() if name in watched.plan.needs)


def reason_of(code: int, last_words: str) -> str:
    """Return why a process ended, in words."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    if code == 0:
        return "it ended by itself"
    return last_words or f"it ended with code {code}"
