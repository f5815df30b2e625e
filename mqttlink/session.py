"""A supervised MQTT 5 session: one owner thread, one connection at a time, back-pressure by not reading.

The owner thread alone touches the connection. Other threads leave work in two queues (publishes, acknowledgements) and
wake it through a pipe. What a caller may rely on:

- at most `max_inflight` publishes are under way (never a backlog in the MQTT library); each ends in exactly one
  `Handler.on_published`, `failed` when the connection ends first;
- messages are acknowledged only by `ack`, on the connection that brought them: after a reconnect the broker sends the
  unacknowledged again, so tokens of an older connection are dropped;
- while reading is paused nothing is read from the socket (the kernel's buffers, then the broker, hold the rest), and
  pings go on;
- whatever happens to the connection or the loop, the thread tries again after a jittered wait until `stop`.

Connection time is real time: nothing here follows the district's clock.
"""

import logging
import os
import secrets
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ParamSpec

from mqttlink.backoff import Backoff
from mqttlink.connection import Connection, tls_context
from mqttlink.errors import LinkError
from mqttlink.keepalive import KeepAlive
from mqttlink.types import AckToken, Handler, LinkSettings, Message, Outcome, Outgoing, WillFactory

_LOG = logging.getLogger(__name__)

_READ_BURST = 64  # packets between two looks at the other queues
_STABLE_AFTER_S = 10.0  # a connection that ends sooner counts as a failure, or a refusal loop would never back off
_STOP_POLL_S = 0.05
_GOODBYE_S = 1.0  # of the time to stop: for DISCONNECT and the end of the thread
_LONGEST_WAIT_S = 1.0
# RDHUP where there is one: else a session that reads nothing learns of the broker's end by its next ping only
_POLL_CLOSED = getattr(select, "POLLRDHUP", 0)
_POLL_BROKEN = select.POLLERR | select.POLLHUP | _POLL_CLOSED
_POLL_READ = select.POLLIN | _POLL_BROKEN
_P = ParamSpec("_P")


@dataclass(slots=True)
class SessionCounters:
    """What happened so far; read it through `Session.counters`."""

    attempts: int = 0
    connections: int = 0
    handler_errors: int = 0
    loop_errors: int = 0
    stale_acks: int = 0


@dataclass(slots=True)
class _Queues:
    """What other threads leave for the owner; every access holds the session's lock."""

    publishes: deque[Outgoing] = field(default_factory=deque)
    acks: deque[AckToken] = field(default_factory=deque)


class Session:
    """One client id at one broker, from `start` to `stop`."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        handler: Handler,
        subscriptions: tuple[str, ...] = (),
        will: WillFactory | None = None,
    ) -> None:
        self._settings = settings
        self._handler = handler
        self._subscriptions = subscriptions
        self._make_will: WillFactory = will if will is not None else lambda _attempt: settings.will
        self._lock = threading.Lock()
        self._queues = _Queues()
        self._under_way = 0  # publishes taken and not settled
        self._window = 0  # 0 while there is no connection
        self._paused = False
        self._stop = threading.Event()
        self._awake = False  # a byte is in the pipe
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._counters = SessionCounters()

    # --- for every thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin connecting; LinkSettingsError if the TLS files cannot be used."""
        tls_context(self._settings)
        self._thread = threading.Thread(target=self._run, name=f"mqtt {self._settings.client_id}", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """Send what was taken, say goodbye (so that the broker drops the will) and end, within `timeout_s`.

        An attempt to connect cannot be interrupted: when one is under way at the end of that time, it dies with the
        process.
        """
        deadline_s = time.monotonic() + timeout_s
        unsettled_s = deadline_s - _GOODBYE_S
        while self.connected and (self._under_way or self._queues.acks) and time.monotonic() < unsettled_s:
            time.sleep(_STOP_POLL_S)
        self._stop.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._window > 0

    @property
    def under_way(self) -> int:
        """Publishes accepted whose end has not been reported."""
        return self._under_way

    @property
    def counters(self) -> SessionCounters:
        """A copy of the counters."""
        return replace(self._counters)

    def publish(
        self,
        token: int,
        topic: str,
        payload: bytes,
        *,
        sig: str | None,
        content_type: str | None = None,
        retain: bool = False,
        expiry_s: int | None = None,
    ) -> bool:
        """Take one message for sending at QoS 1; False when the window is full or nothing is connected (try later)."""
        item = Outgoing(token, topic, payload, sig, content_type, retain, expiry_s)
        with self._lock:
            if self._under_way >= self._window:
                return False
            self._under_way += 1
            self._queues.publishes.append(item)
        self._wake()
        return True

    def ack(self, token: AckToken) -> None:
        """Acknowledge one message to the broker; call in receive order."""
        with self._lock:
            self._queues.acks.append(token)
        self._wake()

    def ack_all(self, tokens: Sequence[AckToken]) -> None:
        """Acknowledge messages to the broker, in receive order."""
        with self._lock:
            self._queues.acks.extend(tokens)
        self._wake()

    def pause_reading(self) -> None:
        """Stop reading after the packet at hand."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self._wake()

    # --- the owner thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        source = secrets.SystemRandom()
        backoff = Backoff(self._settings.reconnect_min_s, self._settings.reconnect_max_s, source.uniform)
        while not self._stop.is_set():
            started_s = time.monotonic()
            try:
                self._live_one_connection()
            except LinkError as exc:
                _LOG.warning("broker %s:%d: %s", self._settings.host, self._settings.port, exc)
            except BaseException as exc:  # noqa: BLE001 -- the loop's edge: whatever it was, the next connection is new
                self._counters.loop_errors += 1
                _LOG.error("mqtt loop of %s failed and is replaced: %s", self._settings.client_id, type(exc).__name__)
            finally:
                self._bury()
            if time.monotonic() - started_s >= _STABLE_AFTER_S:
                backoff.held()
            self._stop.wait(backoff.failed())
        self._close_pipe()

    def _live_one_connection(self) -> None:
        self._counters.attempts += 1
        attempt = self._counters.attempts
        connection = Connection(self._settings, attempt, self._make_will(attempt), self)
        self._connection = connection
        connection.open(self._subscriptions)
        now_s = time.monotonic()
        accept_by_s = now_s + self._settings.connect_timeout_s
        timers = KeepAlive(self._settings.keepalive_s, now_s, now_s)
        poller = select.poll()  # not select(): that one refuses descriptors above 1 023
        poller.register(self._wake_read, select.POLLIN)
        poller.register(connection.fileno())
        while not connection.ended:
            if self._stop.is_set():
                self._hand_over(connection)
                connection.disconnect()
                return
            self._step(connection, timers, poller)
            if not connection.accepted and time.monotonic() >= accept_by_s:
                connection.close("no CONNACK from the broker in time")
        _LOG.info("broker %s:%d: %s", self._settings.host, self._settings.port, connection.reason)

    def _step(self, connection: Connection, timers: KeepAlive, poller: select.poll) -> None:
        """Wait for the socket, the pipe or a timer, and do what is due."""
        fd, paused = connection.fileno(), self._pausing(connection)
        timers.keepalive_s = connection.keepalive_s
        timers.set_reading(time.monotonic(), reading=not paused)
        wanted = _POLL_CLOSED if paused else _POLL_READ
        poller.modify(fd, wanted | select.POLLOUT if connection.wants_write() else wanted)
        buffered = not paused and connection.buffered()
        wait_s = 0.0 if buffered else min(timers.next_check_s(time.monotonic()), _LONGEST_WAIT_S)
        ready = dict(poller.poll(wait_s * 1_000))
        if self._wake_read in ready:
            os.read(self._wake_read, 64)
            self._awake = False  # after the read: what is queued from here on writes a byte of its own
        self._hand_over(connection)
        state = ready.get(fd, 0)
        if state & select.POLLOUT:
            connection.write()
        paused = self._pausing(connection)  # perhaps since the wait began
        if not paused and (buffered or state & _POLL_READ):
            timers.received(time.monotonic())
            connection.read_some(_READ_BURST, self._may_go_on)
        elif state & _POLL_BROKEN:
            connection.close("connection lost while reading was paused")
        self._keep_alive(connection, timers, time.monotonic())

    def _pausing(self, connection: Connection) -> bool:
        """What answers CONNECT is always read: a session paused for long must come back after an outage."""
        return self._paused and connection.accepted

    def _may_go_on(self) -> bool:
        return not self._paused and not self._awake

    def _keep_alive(self, connection: Connection, timers: KeepAlive, now_s: float) -> None:
        if timers.dead(now_s):
            connection.close(f"nothing heard for {1.25 * timers.keepalive_s:.1f} s")
        elif connection.accepted and timers.ping_due(now_s):
            connection.ping()
            timers.pinged(now_s)

    def _hand_over(self, connection: Connection) -> None:
        if not self._queues.publishes and not self._queues.acks:
            return
        with self._lock:
            work, self._queues = self._queues, _Queues()
        fresh = [token.mid for token in work.acks if token.generation == connection.generation]
        self._counters.stale_acks += len(work.acks) - len(fresh)
        connection.acknowledge([mid for mid in fresh if mid])
        for item in work.publishes:
            connection.publish(item)

    def _bury(self) -> None:
        """End the connection if it still lives, and report every publish that will get no PUBACK."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.close("loop ended")
        with self._lock:
            self._window = 0
            unsent, self._queues = self._queues, _Queues()
        self._counters.stale_acks += len(unsent.acks)
        for token in [*connection.unsettled, *(item.token for item in unsent.publishes)]:
            self.settled(token, "failed")
        if connection.accepted:
            self._tell(self._handler.on_disconnected, connection.reason)

    def _wake(self) -> None:
        with self._lock:
            if not self._awake:
                self._awake = True
                os.write(self._wake_write, b"\0")

    def _close_pipe(self) -> None:
        with self._lock:
            self._awake = True  # for good: nobody writes any more
            os.close(self._wake_read)
            os.close(self._wake_write)

    # --- mqttlink.connection.ConnectionEvents, in the owner thread ------------------------------------

    def accepted(self, session_present: bool) -> None:
        """CONNACK came: open the window."""
        self._counters.connections += 1
        connection = self._connection
        with self._lock:
            self._window = 0 if connection is None else connection.window
        self._tell(self._handler.on_connected, session_present)

    def received(self, message: Message) -> None:
        """A message came."""
        self._tell(self._handler.on_message, message)

    def settled(self, token: int, outcome: Outcome) -> None:
        """A publish ended."""
        with self._lock:
            self._under_way -= 1
        self._tell(self._handler.on_published, token, outcome)

    def _tell(self, hear: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            hear(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001 -- the library's loop would end; counted, and an unacked message comes back
            self._counters.handler_errors += 1
            _LOG.error("mqtt handler %s failed: %s", hear.__name__, type(exc).__name__)
