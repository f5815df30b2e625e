"""MQTT sessions for tests: started with short waits, heard by a listener, stopped at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mqttlink.session import Session
from mqttlink.types import LinkSettings, WillFactory
from tests.support.listener import Listener

UP, DOWN = "kw/v1/kiosk-1/up/bulk", "kw/v1/kiosk-1/down/ack"
ALL_UP = "kw/v1/+/up/#"


@contextmanager
def running(
    port: int,
    *,
    listener: Listener,
    subscriptions: tuple[str, ...] = (ALL_UP,),
    will: WillFactory | None = None,
    **given: float | str,
) -> Iterator[Session]:
    """A started session with short waits; the rest goes to its settings."""
    usual: dict[str, Any] = {"client_id": "gw", "reconnect_min_s": 0.05, "reconnect_max_s": 0.2}
    settings = LinkSettings(host="127.0.0.1", port=port, **{**usual, **given})
    session = Session(settings, handler=listener, subscriptions=subscriptions, will=will)
    listener.session = session
    session.start()
    try:
        yield session
    finally:
        session.stop(timeout_s=2.0)


def connected(listener: Listener, times: int = 1) -> None:
    listener.until(lambda: len(listener.sessions_present) >= times, f"connection {times}")


def arrived(listener: Listener, count: int) -> None:
    listener.until(lambda: len(listener.messages) >= count, f"{count} messages")
