"""When to ping and when to give a connection up. Pure: the caller brings the monotonic time.

paho's own `loop_misc` closes a connection that was not *read* for twice the keep-alive, so a session that pauses its
reading on purpose would lose it. Here the ping goes out by the clock, read or not, and only a connection that is being
read can be called dead: within 1.5 times the keep-alive, as MQTT 5 asks of a server (3.1.2.10).
"""

from dataclasses import dataclass


@dataclass(slots=True)
class KeepAlive:
    """The timers of one connection, all in monotonic seconds."""

    keepalive_s: float
    last_ping_s: float
    last_received_s: float
    reading: bool = True

    def received(self, now_s: float) -> None:
        """Note that bytes came in."""
        self.last_received_s = now_s

    def pinged(self, now_s: float) -> None:
        """Note that a ping went out."""
        self.last_ping_s = now_s

    def set_reading(self, now_s: float, *, reading: bool) -> None:
        """Note a pause or its end; silence counts from the end of a pause."""
        if reading and not self.reading:
            self.last_received_s = now_s
        self.reading = reading

    def ping_due(self, now_s: float) -> bool:
        """Twice as often as the broker wants to hear from us, so that one late ping costs nothing."""
        return now_s - self.last_ping_s >= self.keepalive_s / 2

    def dead(self, now_s: float) -> bool:
        """Whether a ping must have been answered by now and nothing at all came."""
        return self.reading and now_s - self.last_received_s >= 1.25 * self.keepalive_s

    def next_check_s(self, now_s: float) -> float:
        """Seconds until `ping_due` or `dead` may change, at least 0."""
        ping_s = self.last_ping_s + self.keepalive_s / 2 - now_s
        dead_s = self.last_received_s + 1.25 * self.keepalive_s - now_s if self.reading else ping_s
        return max(0.0, min(ping_s, dead_s))
