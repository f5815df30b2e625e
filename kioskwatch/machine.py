"""The clocks of this machine: the one place of the command that reads them; everything else is handed a value."""

import time
from datetime import UTC, datetime


def real_now() -> datetime:
    """Return the real time: certificates, and the end of simulated time."""
    return datetime.now(UTC)  # noqa: TID251 - the adapter that reads the machine's clock


def monotonic_ns() -> int:
    """Return the machine's monotonic clock, which every process of the machine shares."""
    return time.monotonic_ns()


def monotonic_s() -> float:
    """Return it in seconds: time-outs and back-off."""
    return time.monotonic()


def sleep_s(seconds: float) -> None:
    """Wait so many real seconds, or until a signal came."""
    time.sleep(seconds)
