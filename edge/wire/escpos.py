"""What an ESC/POS printer is asked and answers: real-time status and the report behind a document. Pure.

docs/protocols/escpos.md. DLE EOT n is answered at once, whatever lies in the buffer; its answers have bits 1 and 4 set
and bits 0 and 7 clear. GS r 1 waits its turn behind what was sent before it; its answer has bits 4 and 7 clear.
"""

from dataclasses import dataclass
from typing import Final, Literal

from edge.errors import FrameError

REPORT_PRINTED: Final = b"\x1dr\x01"

_FIXED, _FIXED_BITS = 0b1001_0011, 0b0001_0010
_OFFLINE = 0b0000_1000  # DLE EOT 1
_COVER, _PAPER_STOP, _ERROR = 0b0000_0100, 0b0010_0000, 0b0100_0000  # DLE EOT 2
_NEAR_END, _END = 0b0000_1100, 0b0110_0000  # DLE EOT 4
_REPORT_BITS, _REPORT_END = 0b1001_0000, 0b0000_1100

Question = Literal[1, 2, 4]


def question(number: Question) -> bytes:
    """Return DLE EOT n."""
    return bytes((0x10, 0x04, number))


def is_report(answer: int) -> bool:
    """Tell an answer to GS r from one to DLE EOT."""
    return answer & _REPORT_BITS == 0


@dataclass(frozen=True, slots=True)
class Status:
    """What a printer says of itself."""

    offline: bool
    cover_open: bool
    error: bool
    paper: Literal["ok", "low", "out"]

    @property
    def fault(self) -> Literal["paper", "printer"] | None:
        """What a person must mend before anything is printed."""
        if self.cover_open or self.error:
            return "printer"
        if self.paper == "out":
            return "paper"
        return "printer" if self.offline else None


def status(state: int, cause: int, paper: int) -> Status:
    """Read the answers to DLE EOT 1, 2 and 4; FrameError when one is none."""
    if any(byte & _FIXED != _FIXED_BITS for byte in (state, cause, paper)):
        raise FrameError("not a printer's status")
    out = bool(paper & _END or cause & _PAPER_STOP)
    return Status(
        offline=bool(state & _OFFLINE),
        cover_open=bool(cause & _COVER),
        error=bool(cause & _ERROR),
        paper="out" if out else "low" if paper & _NEAR_END else "ok",
    )


def printed_whole(report: int) -> bool:
    """Tell from the report behind a document whether paper was there to its end."""
    return not report & _REPORT_END
