"""Mosquitto's configuration for a district, as text: identity by certificate, rights by identity, bounded queues. Pure.

Follows mosquitto.conf(5) of 2.0; every option here also exists in 2.1. What a limit protects stands beside it.
The broker is trusted with nothing: messages are signed, and the outbox keeps a record until `down/ack` covers it
(docs/CONTRACT.md C17), so a full queue or a lost broker database delays data and loses none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskwatch.errors import OptionError

MAX_PACKET_BYTES: Final = (
    256 * 1024
)  # four times contracts.codec.MAX_WIRE_BYTES: ingest sees and counts what is too big
MAX_QUEUED_MESSAGES: Final = 100_000  # a session; the default of 1 000 drops PUBACKed messages after two minutes
MAX_QUEUED_BYTES: Final = 256 * 1024 * 1024  # a session
MEMORY_LIMIT_BYTES: Final = 1024 * 1024 * 1024  # all sessions; above it publishers are disconnected, not the machine
MAX_INFLIGHT: Final = 100  # a session, as paho handles well
MAX_KEEPALIVE_S: Final = 300  # half-open connections end, whatever a client asks for
MAX_CONNECTIONS: Final = 5_000
AUTOSAVE_S: Final = 30  # a snapshot: sessions survive a restart; durability is the outbox's and the journal's
TLS12_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.3 suites are all of this kind

GATEWAY_NAME: Final = "_gw-main"  # '_' cannot be in a device id (contracts.topics), so no device can enrol as it
PROBE_NAME: Final = "_probe"  # asks whether the broker answers; has no rights beyond a topic that nobody reads


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the listener."""

    ca: Path
    crl: Path  # rewritten when a device is revoked; Mosquitto reads it again at SIGHUP
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class MosquittoPlan:
    """Where Mosquitto listens and keeps its files. `user` is who it goes on as when it is started by root."""

    host: str
    port: int
    folder: Path
    tls: TlsFiles
    user: str | None


# What holds for every district; where it listens and keeps its files is added by `configuration`.
_ALWAYS: Final[tuple[tuple[str, object], ...]] = (
    ("per_listener_settings", "false"),
    ("allow_anonymous", "false"),
    ("allow_zero_length_clientid", "false"),
    ("max_packet_size", MAX_PACKET_BYTES),
    ("max_queued_messages", MAX_QUEUED_MESSAGES),
    ("max_queued_bytes", MAX_QUEUED_BYTES),
    ("memory_limit", MEMORY_LIMIT_BYTES),
    ("max_inflight_messages", MAX_INFLIGHT),
    ("max_keepalive", MAX_KEEPALIVE_S),
    ("persistent_client_expiration", "2d"),
    ("queue_qos0_messages", "false"),
    ("set_tcp_nodelay", "true"),  # 46 ms to 3 ms for a TLS connect
    ("sys_interval", 10),
    ("persistence", "true"),
    ("autosave_interval", AUTOSAVE_S),
    ("log_dest", "stderr"),
    ("log_type", "error"),
    ("log_type", "warning"),
    ("log_type", "notice"),
)


def configuration(plan: MosquittoPlan) -> str:
    """Return mosquitto.conf: one listener, TLS 1.2 or newer, no client without a certificate of our CA."""
    paths = (plan.folder, plan.tls.ca, plan.tls.crl, plan.tls.certificate, plan.tls.key)
    if any("\n" in str(path) for path in paths):
        raise OptionError("a path with a line break cannot stand in Mosquitto's configuration: choose another folder")
    options: list[tuple[str, object]] = [
        *_ALWAYS,
        ("acl_file", plan.folder / "acl"),
        ("persistence_location", f"{plan.folder}/"),
        ("listener", f"{plan.port} {plan.host}"),
        ("max_connections", MAX_CONNECTIONS),
        ("cafile", plan.tls.ca),
        ("crlfile", plan.tls.crl),
        ("certfile", plan.tls.certificate),
        ("keyfile", plan.tls.key),
        ("tls_version", "tlsv1.2"),
        ("ciphers", TLS12_CIPHERS),
        ("require_certificate", "true"),
        ("use_identity_as_username", "true"),  # the certificate's CN, whatever the client calls itself
        ("use_username_as_clientid", "true"),  # or a second certificate could take over a victim's session
    ]
    if plan.user is not None:
        options.insert(0, ("user", plan.user))  # else it becomes `mosquitto`, who cannot read our keys
    return "".join(f"{name} {value}\n" for name, value in options)


def access_rules() -> str:
    """Return the ACL file: a device speaks and listens under its own certificate's name only."""
    return "\n".join(
        (
            f"user {GATEWAY_NAME}",
            "topic read kw/v1/+/up/#",
            "topic write kw/v1/+/down/#",
            "topic readwrite kw/v1/_gw/+/state",
            "",
            "pattern write kw/v1/%u/up/#",
            "pattern read kw/v1/%u/down/#",
            "pattern read kw/v1/_gw/+/state",
            "",
        )
    )
