"""Watches the log while a test runs: every record must format, and none may carry a payload or a secret."""

import logging

# Names that an `extra` must never have: what they would hold belongs to no log (docs/THREAT_MODEL.md).
FORBIDDEN_FIELDS = frozenset({"payload", "body", "code", "slip", "slot", "password", "token", "secret", "private_key"})


class LogWatch(logging.Handler):
    """Formats each record as a real handler would and keeps what was wrong with it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Judge one record; never raises, whichever thread logs."""
        where = f"{record.pathname}:{record.lineno}"
        try:
            record.getMessage()
        except (TypeError, ValueError, KeyError) as exc:
            self.complaints.append(f"{where}: {record.msg!r} cannot be formatted: {exc}")
        if any(isinstance(value, bytes | bytearray | memoryview) for value in _arguments(record)):
            self.complaints.append(f"{where}: {record.msg!r} logs raw bytes")
        for name in sorted(FORBIDDEN_FIELDS & record.__dict__.keys()):
            self.complaints.append(f"{where}: {record.msg!r} logs a field named {name}")


def _arguments(record: logging.LogRecord) -> list[object]:
    if isinstance(record.args, dict):
        return list(record.args.values())
    return list(record.args or ())
