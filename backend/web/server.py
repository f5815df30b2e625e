"""Serves an ASGI application on a socket until a signal comes; says when it is ready. The one door to uvicorn."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from backend.errors import OperatorError

GRACE_S: Final = 5  # `up` gives a process ten seconds
BACKLOG: Final = 512


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the server shows over TLS."""

    chain: Path
    key: Path


def listen(host: str, port: int) -> socket.socket:
    """Bind; OperatorError when the port is taken or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then: without it each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise OperatorError(
            "Cannot listen on %(host)s port %(port)s: %(reason)s.", host=host, port=port, reason=exc.strerror
        ) from exc
    return listener


def check_certificate(certificate: Certificate) -> None:
    """OperatorError unless chain and key can be read and belong together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.chain, certificate.key)
    except (OSError, ssl.SSLError, ValueError) as exc:
        raise OperatorError(
            "The certificate %(chain)s and key %(key)s cannot be used: %(reason)s.",
            chain=certificate.chain,
            key=certificate.key,
            reason=exc.strerror or type(exc).__name__ if isinstance(exc, OSError) else type(exc).__name__,
        ) from exc


class _Server(uvicorn.Server):
    """Ends endless streams when it is asked to stop, and says when it serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    certificate: Certificate | None,
    ready: Callable[[], None],
    stopping: Callable[[], None],
) -> bool:
    """Serve until a signal comes; tell whether it had started at all."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # an address and a path tell who looked at what
        server_header=False,
        proxy_headers=False,  # nobody in front of us is believed
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
        ws="none",
        ssl_certfile=certificate.chain if certificate is not None else None,
        ssl_keyfile=certificate.key if certificate is not None else None,
    )
    server = _Server(config, ready, stopping)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises them once more when it is done: a clean stop is 0
    asyncio.run(server.serve(sockets=[listener]))
    return server.started
