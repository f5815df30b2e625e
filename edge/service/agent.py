"""One cabinet's loop: one thread owns its files, instruments and decisions, so nothing here needs a lock.

A turn: what the broker's session reported, then every task, then one commit of their records, then sending. Between
turns it sleeps until a descriptor, the session or a deadline wakes it. Tasks keep district time, wires keep real time.
"""

import logging
import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from contracts.clock import Clock
from contracts.windows import NS
from edge.ports import Uplink, Waiter
from edge.service.downlink import Downlink
from edge.service.publisher import Publisher
from edge.service.recorder import Recorder
from edge.store_ports import Outbox
from mqttlink.types import Message, Outcome

_LOG = logging.getLogger(__name__)

LEAST_WAIT_S: Final = 0.01  # a deadline that cannot be met yet must not spin the loop
LONGEST_WAIT_S: Final = 5.0  # also notices a stop, and a clock that was set
GOODBYE_S: Final = 3.0


class Task(Protocol):
    """Something the loop does in every turn."""

    def step(self) -> None:
        """Do what is due."""

    def deadline_ns(self) -> int | None:
        """District time at which `step` is wanted at the latest."""


class InstrumentTask(Task, Protocol):
    """A task with an instrument to listen to."""

    def waits_on(self) -> tuple[list[int], list[int]]:
        """Descriptors to wait on: for reading, for writing."""

    @property
    def instrument_ok(self) -> bool:
        """Whether it answers."""

    @property
    def model(self) -> tuple[str, str]:
        """Model and firmware, as found."""

    def deadline_s(self) -> float:
        """Real time at which `step` is wanted at the latest."""

    def close(self) -> None:
        """Let instrument and files go."""


@dataclass(frozen=True, slots=True)
class _Connected:
    pass


@dataclass(frozen=True, slots=True)
class _Disconnected:
    reason: str


@dataclass(frozen=True, slots=True)
class _Published:
    token: int
    outcome: Outcome


class Mailbox:
    """Hears the session in its thread and hands everything to the loop. Implements mqttlink.types.Handler."""

    def __init__(self, waiter: Waiter) -> None:
        self._queue: queue.SimpleQueue[_Connected | _Disconnected | _Published | Message] = queue.SimpleQueue()
        self._waiter = waiter

    def on_connected(self, session_present: bool) -> None:  # noqa: ARG002 -- as the session calls it
        """The broker accepted the session."""
        self._put(_Connected())

    def on_disconnected(self, reason: str) -> None:
        """The connection ended."""
        self._put(_Disconnected(reason))

    def on_message(self, message: Message) -> None:
        """One message came."""
        self._put(message)

    def on_published(self, token: int, outcome: Outcome) -> None:
        """One publish ended."""
        self._put(_Published(token, outcome))

    @property
    def size(self) -> int:
        """How many entries wait, about."""
        return self._queue.qsize()

    def take(self) -> "_Connected | _Disconnected | _Published | Message | None":
        """Return the oldest entry; None when there is none."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    def _put(self, entry: "_Connected | _Disconnected | _Published | Message") -> None:
        self._queue.put(entry)
        self._waiter.wake()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What bootstrap joins into an agent."""

    clock: Clock
    waiter: Waiter
    mailbox: Mailbox
    uplink: Uplink
    outbox: Outbox
    recorder: Recorder
    publisher: Publisher
    downlink: Downlink
    instruments: Sequence[InstrumentTask]
    tasks: Sequence[Task]
    born: Callable[[], None]  # says the birth


class Agent:
    """One cabinet at work."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._models: list[tuple[str, str]] = []

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped`; StoreError when a file of the cabinet cannot be used any more."""
        try:
            self._parts.uplink.start()
            while not stopped():
                self.turn()
                self._sleep()
        finally:
            self._close()

    def turn(self) -> None:
        """Do everything that can be done now."""
        parts = self._parts
        self._read_mail()
        for task in (*parts.instruments, *parts.tasks):
            task.step()
        self._announce_change()
        parts.recorder.flush()
        parts.publisher.pump(parts.uplink)

    def _read_mail(self) -> None:
        parts = self._parts
        for _ in range(parts.mailbox.size + 1):  # what comes meanwhile wakes the next turn
            match parts.mailbox.take():
                case None:
                    return
                case _Connected():
                    parts.publisher.connected()
                    parts.born()
                case _Disconnected(reason):
                    _LOG.info("%s: broker connection ended: %s", parts.publisher.identity.device, reason)
                case _Published(token, outcome):
                    parts.publisher.published(token, outcome)
                case Message() as message:
                    parts.downlink.handle(message)
                    parts.uplink.ack(message.ack)

    def _announce_change(self) -> None:
        """Say a new birth when another instrument was found than the last birth named."""
        models = [task.model for task in self._parts.instruments]
        if models != self._models:
            self._models = models
            self._parts.born()

    def _sleep(self) -> None:
        parts = self._parts
        descriptors = [task.waits_on() for task in parts.instruments]
        now_ns, now_s = parts.clock.now_ns(), parts.clock.real_s()
        waits = [LONGEST_WAIT_S, parts.publisher.deadline_s() - now_s]
        waits += [task.deadline_s() - now_s for task in parts.instruments]
        due = (task.deadline_ns() for task in (*parts.instruments, *parts.tasks))
        waits += [(due_ns - now_ns) / NS / parts.clock.speed for due_ns in due if due_ns is not None]
        parts.waiter.wait(
            [fd for reading, _ in descriptors for fd in reading],
            [fd for _, writing in descriptors for fd in writing],
            max(LEAST_WAIT_S, min(waits)),
        )

    def _close(self) -> None:
        parts = self._parts
        try:
            parts.publisher.say_goodbye(parts.uplink)
            parts.uplink.stop(timeout_s=GOODBYE_S)
        finally:
            for task in parts.instruments:
                task.close()
            parts.outbox.close()
