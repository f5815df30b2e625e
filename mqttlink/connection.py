"""One MQTT 5 connection, from CONNECT to its end: the only file that knows paho.

A `Connection` is used by one thread and thrown away with its connection, so nothing of paho's own state (half-sent
packets, messages it would send again, a window it believes full) outlives it. paho starts no thread here: its owner
asks `poll` for the socket and calls `read_some`, `write`, `ping` when the time has come.

What paho leaves to its caller, and is done here (paho-mqtt 2.2): it ignores the server's Receive Maximum; counts a
refused publish as published; lets `ack` name any packet; ends its loop when a callback raises; closes a connection
that is not read (so `loop_misc` is never called: see `keepalive`), or whose properties it dislikes (so `_Client` reads
each PUBLISH by `publish_packet`).
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from mqttlink.errors import ConnectionFailedError, LinkSettingsError, PacketError
from mqttlink.publish_packet import PublishPacket, decode_publish
from mqttlink.types import AckToken, LinkSettings, Message, Outcome, Outgoing, Will

_PINGREQ = b"\xc0\x00"  # MQTT 5, 3.12
_PUBACK = b"\x40\x02"  # 3.4: two bytes of packet number follow, and no reason means success
_NO_MATCHING_SUBSCRIBERS = 0x10
_QUOTA_EXCEEDED = 0x97
_GRANTED_QOS_1 = 0x01  # QoS 0 would mean messages that nobody can acknowledge
# not authorised, topic name invalid, packet too large, payload format invalid: the same bytes will never be taken
_REFUSED = frozenset({0x87, 0x90, 0x95, 0x99})
_READ_AHEAD_BYTES = 32_768  # some twenty messages; what waits here while reading is paused is no more than this
_PAYLOAD_MARGIN_BYTES = 1_024  # topic, signature and properties beside the payload


class ConnectionEvents(Protocol):
    """What a connection tells its owner, from inside `read_some` and `write`."""

    def accepted(self, session_present: bool) -> None: ...  # noqa: D102
    def received(self, message: Message) -> None: ...  # noqa: D102
    def settled(self, token: int, outcome: Outcome) -> None: ...  # noqa: D102


def tls_context(settings: LinkSettings) -> ssl.SSLContext | None:
    """Load the CA and the client certificate anew, so a renewed one serves the next connection; LinkSettingsError."""
    if settings.ca is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(settings.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert is not None and settings.key is not None:
            context.load_cert_chain(str(settings.cert), str(settings.key))
    except (OSError, ssl.SSLError) as exc:
        raise LinkSettingsError(
            f"TLS files of the broker connection ({settings.ca}, {settings.cert}, {settings.key}) cannot be used: {exc}"
        ) from exc
    return context


def outcome_of(reason: int) -> Outcome:
    """Sort a PUBACK reason code by what the sender does next."""
    if reason == 0:
        return "stored"
    if reason == _NO_MATCHING_SUBSCRIBERS:
        return "no_subscriber"
    if reason == _QUOTA_EXCEEDED:
        return "quota"
    return "refused" if reason in _REFUSED else "failed"


class _Client(mqtt.Client):
    """paho, but for the reading of a PUBLISH, and for a system call for each field read and each PUBACK written."""

    def __init__(self, client_id: str, received: Callable[[PublishPacket], None]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5, manual_ack=True)
        self._received = received
        self._read_ahead = b""
        self._read_at = 0

    @property
    def read_ahead(self) -> bool:
        """Whether bytes wait here that no poll of the socket would show."""
        return self._read_at < len(self._read_ahead)

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self.read_ahead:
            self._read_ahead, self._read_at = super()._sock_recv(max(bufsize, _READ_AHEAD_BYTES)), 0
        start, self._read_at = self._read_at, self._read_at + bufsize
        return self._read_ahead[start : self._read_at]

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Queue PUBACKs as one run of bytes."""
        self._packet_queue(_PUBACK[0], b"".join([_PUBACK + mid.to_bytes(2) for mid in mids]), mids[0], 0)

    def _handle_publish(self) -> MQTTErrorCode:
        try:
            packet = decode_publish(self._in_packet["command"], self._in_packet["packet"])
        except PacketError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._received(packet)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class Connection:
    """One attempt to reach the broker, and what follows when it is accepted."""

    def __init__(self, settings: LinkSettings, generation: int, will: Will | None, events: ConnectionEvents) -> None:
        self.generation = generation
        self.accepted = False
        self.keepalive_s = settings.keepalive_s  # the server may ask for another
        self.window = settings.max_inflight  # the server may allow fewer
        self.packets = 0  # grows with each packet that paho handed on
        self.reason = ""  # why it ended, once it has
        self._settings = settings
        self._events = events
        self._subscriptions: tuple[str, ...] = ()
        self._largest_payload_bytes: int | None = None
        self._tokens: dict[int, int] = {}
        self._client = self._make_client(will)

    def open(self, subscriptions: tuple[str, ...]) -> None:
        """Reach the broker and send CONNECT; ConnectionFailedError, LinkSettingsError. `accepted` comes later."""
        self._subscriptions = subscriptions
        context = tls_context(self._settings)
        if context is not None:
            self._client.tls_set_context(context)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        properties.MaximumPacketSize = self._settings.maximum_packet_bytes
        try:
            # CleanStart=0 always: paho's default wipes the session at each start of the process
            code = self._client.connect(
                self._settings.host,
                self._settings.port,
                self._settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        except (OSError, ValueError) as exc:
            raise ConnectionFailedError(f"{type(exc).__name__}: {exc}") from exc
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise ConnectionFailedError(mqtt.error_string(code))

    @property
    def ended(self) -> bool:
        """Whether the connection is over; nothing more will come of it."""
        return bool(self.reason) or self._client.socket() is None

    @property
    def unsettled(self) -> list[int]:
        """Tokens handed to paho whose PUBACK has not come."""
        return list(self._tokens.values())

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        sock = self._client.socket()
        return -1 if sock is None else sock.fileno()

    def wants_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return self._client.want_write()

    def buffered(self) -> bool:
        """Whether bytes are here already, or decrypted by TLS, that no poll of the socket would show."""
        sock = self._client.socket()
        return self._client.read_ahead or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def read_some(self, limit: int, go_on: Callable[[], bool]) -> None:
        """Handle up to `limit` packets that are there already, as long as `go_on` agrees."""
        for _ in range(limit):
            before = self.packets
            self._client.loop_read()
            if self.packets == before or self._client.socket() is None or not go_on():
                return

    def write(self) -> None:
        """Give the socket what waits for it."""
        self._client.loop_write()

    def ping(self) -> None:
        """Send PINGREQ unless bytes are waiting (they keep the connection alive as well)."""
        sock = self._client.socket()
        if sock is None or self._client.want_write():
            return
        try:
            sock.send(_PINGREQ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return  # the socket is full: what fills it is traffic, or `dead` comes true
        except OSError as exc:
            self.close(f"{type(exc).__name__}: {exc}")

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Send PUBACK for messages of this connection, in this order, in one write."""
        if mids:
            self._client.acknowledge(mids)

    def publish(self, item: Outgoing) -> None:
        """Send at QoS 1; the end of it is `settled` or, with the connection, an entry of `unsettled`."""
        if self._largest_payload_bytes is not None and len(item.payload) > self._largest_payload_bytes:
            self._events.settled(item.token, "refused")
            return
        properties = _properties(PacketTypes.PUBLISH, item.sig, item.content_type)
        if item.expiry_s is not None:
            properties.MessageExpiryInterval = item.expiry_s
        try:
            info = self._client.publish(item.topic, item.payload, 1, item.retain, properties)
        except ValueError:  # a wildcard in the topic, or longer than MQTT can carry
            self._events.settled(item.token, "refused")
            return
        if info.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            self._events.settled(item.token, "failed")
        else:
            self._tokens[info.mid] = item.token

    def disconnect(self) -> None:
        """Say goodbye, so that the broker drops the will, and close."""
        self._client.disconnect()
        self._client.loop_write()
        self.close("stopped")

    def close(self, reason: str) -> None:
        """End it here and now; the broker will send the will. Never raises."""
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
        self._end(reason)

    def _make_client(self, will: Will | None) -> _Client:
        client = _Client(self._settings.client_id, self._on_message)
        client.max_inflight_messages = self._settings.max_inflight
        client.connect_timeout = self._settings.connect_timeout_s
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        if will is not None:
            properties = _properties(PacketTypes.WILLMESSAGE, will.sig, will.content_type)
            properties.WillDelayInterval = will.delay_s
            client.will_set(will.topic, will.payload, 1, will.retain, properties)
        return client

    def _on_socket_open(self, _client: mqtt.Client, _userdata: object, sock: object) -> None:
        if not isinstance(sock, socket.socket):
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # also a connection whose reading is paused notices a dead peer
            timeout_ms = int(1.5 * self._settings.keepalive_s * 1_000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        granted: Properties | None,
    ) -> None:
        self.packets += 1
        if reason.is_failure:
            self._end(f"broker refused the connection: {reason} ({reason.value:#04x})")
            return
        self.accepted = True
        self.keepalive_s = getattr(granted, "ServerKeepAlive", self.keepalive_s) or self.keepalive_s
        self.window = min(self.window, getattr(granted, "ReceiveMaximum", self.window))
        largest = getattr(granted, "MaximumPacketSize", None)
        self._largest_payload_bytes = None if largest is None else largest - _PAYLOAD_MARGIN_BYTES
        if self._subscriptions:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._subscriptions])
        self._events.accepted(flags.session_present)

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        who = "broker ended the connection" if flags.is_disconnect_packet_from_server else "connection lost"
        self._end(f"{who}: {reason}")

    def _on_subscribe(
        self, _client: mqtt.Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        self.packets += 1
        refused = [str(reason) for reason in reasons if reason.value != _GRANTED_QOS_1]
        if refused:
            self.close(f"broker refused a subscription: {', '.join(refused)}")

    def _on_message(self, packet: PublishPacket) -> None:
        self.packets += 1
        self._events.received(
            Message(
                packet.topic,
                packet.payload,
                packet.content_type,
                packet.sig,
                AckToken(self.generation, packet.mid),
                packet.retain,
                packet.dup,
            )
        )

    def _on_publish(
        self, _client: mqtt.Client, _userdata: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        self.packets += 1
        token = self._tokens.pop(mid, None)
        if token is not None:
            self._events.settled(token, outcome_of(reason.value))

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason


def _properties(kind: int, sig: str | None, content_type: str | None) -> Properties:
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    if sig is not None:
        properties.UserProperty = ("sig", sig)
    if content_type is not None:
        properties.ContentType = content_type
    return properties
