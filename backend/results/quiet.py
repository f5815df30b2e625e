"""Logs of the result page: our own sentences as they are, of foreign libraries only that something happened.

A web server or a TLS library may put an address, a path or a header into its message; ours never do.
"""

import logging
import sys
from typing import Final

OWN: Final = frozenset({"backend", "contracts", "stores"})


class ForeignWordsFilter(logging.Filter):
    """Replaces what others say by where and what kind of error it was."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without foreign words."""
        if record.name.partition(".")[0] not in OWN:
            error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "no exception"
            record.msg, record.args = f"something went wrong in {record.name} ({error})", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def set_up_logging() -> None:
    """Log to stderr, warnings of others at most as a remark."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(ForeignWordsFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("backend").setLevel(logging.INFO)
