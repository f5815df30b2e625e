"""What goes in and out of a session: settings, messages, acknowledgement tokens and the handler's port."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from mqttlink.errors import LinkSettingsError

Outcome: TypeAlias = Literal["stored", "no_subscriber", "refused", "quota", "failed"]
"""What the broker's PUBACK said of one publish.

`stored`: in the broker, which proves nothing about delivery. `no_subscriber`: nobody took it (0x10). `refused`: this
message will never be taken (0x87, 0x90, 0x95, 0x99). `quota`: later (0x97). `failed`: not sent, or no PUBACK before the
connection ended.
"""

MAX_INFLIGHT_LIMIT = 1_000  # paho looks through every message it holds at each PUBACK: a backlog makes it quadratic
_MAX_UINT16 = 65_535
MIN_KEEPALIVE_S = 2  # below, half of it leaves no room for one round trip on a mobile link


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes (QoS 1) once the connection has been gone for `delay_s`."""

    topic: str
    payload: bytes
    sig: str
    delay_s: int = 0
    retain: bool = True
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """One session with one broker; without `ca` the connection is plain TCP."""

    host: str
    port: int
    client_id: str
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    session_expiry_s: int = 3_600
    keepalive_s: int = 30
    receive_maximum: int = 100
    max_inflight: int = 64  # 20-100 is where paho is fastest
    maximum_packet_bytes: int = 4 * 1024 * 1024  # what this process is ready to hold of one message
    connect_timeout_s: float = 5.0
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 60.0
    will: Will | None = None

    def __post_init__(self) -> None:
        """Refuse what could never work; LinkSettingsError."""
        if not self.host or not 1 <= self.port <= _MAX_UINT16 or not self.client_id:
            raise LinkSettingsError(f"broker {self.host!r} port {self.port}: host, port and client id are needed")
        if not 1 <= self.max_inflight <= MAX_INFLIGHT_LIMIT or not 1 <= self.receive_maximum <= _MAX_UINT16:
            raise LinkSettingsError(f"max_inflight must be 1..{MAX_INFLIGHT_LIMIT}, receive_maximum 1..{_MAX_UINT16}")
        if self.keepalive_s < MIN_KEEPALIVE_S or not 0 < self.reconnect_min_s <= self.reconnect_max_s:
            raise LinkSettingsError(
                f"keepalive_s must be at least {MIN_KEEPALIVE_S}, and reconnect_min_s above 0 up to reconnect_max_s"
            )
        if self.ca is None and (self.cert or self.key):
            raise LinkSettingsError("a client certificate needs the CA that signed the broker's (setting `ca`)")
        if (self.cert is None) != (self.key is None):
            raise LinkSettingsError("a client certificate needs its key, and a key its certificate")


@dataclass(frozen=True, slots=True)
class AckToken:
    """Names one received message; only the connection (`generation`) that brought it can acknowledge it."""

    generation: int
    mid: int  # 0 for a QoS 0 message: nothing to acknowledge


@dataclass(frozen=True, slots=True)
class Message:
    """One message as received; `topic` is '' when its bytes were no UTF-8."""

    topic: str
    payload: bytes
    content_type: str | None
    sig: str | None
    ack: AckToken
    retain: bool
    dup: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One publish on its way; `token` is the caller's own name for it."""

    token: int
    topic: str
    payload: bytes
    sig: str | None
    content_type: str | None
    retain: bool
    expiry_s: int | None


class Handler(Protocol):
    """Hears of a session, always in its owner thread; what it raises is caught, counted and logged."""

    def on_connected(self, session_present: bool) -> None:
        """The broker accepted the session; subscriptions are on their way."""

    def on_disconnected(self, reason: str) -> None:
        """The connection ended; every publish without a PUBACK has been reported `failed`."""

    def on_message(self, message: Message) -> None:
        """One message; it stays unacknowledged until `Session.ack`."""

    def on_published(self, token: int, outcome: Outcome) -> None:
        """The end of one `Session.publish` that returned True."""


WillFactory: TypeAlias = Callable[[int], Will | None]
"""Makes the will of one connection; the number counts this session's connection attempts from 1."""
