"""The notice for the wall beside a kiosk, as HTML that prints on one or two sheets of A4. Pure but for its template.

Filled from district.toml. The practice code and its QR are public: whoever is curious tries the look-up before, and a
watcher of the network cannot tell a trial from the real thing. Code and address stand left to right in every language.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from contracts.claim import PRACTICE_CODE, PRACTICE_TICK, fragment, ready_group
from contracts.cohorts import TTL_TICKS
from contracts.notice import FIELDS, RIGHT_TO_LEFT, Notice
from contracts.windows import TICK_S
from kioskwatch.notices.words import WORDS

DAYS: Final = TTL_TICKS * TICK_S // 86_400
LOSS_OF_A_TEST: Final = 1.5  # epsilon: a call that becomes invalid moves positives (1), valid and invalid (1/4 each)
_DECIMAL_COMMA: Final = frozenset({"fr", "es", "ru"})


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the sheets of one district say."""

    notice: Notice
    origin: str
    page_hash: str
    demonstration: bool  # a text or the address is still nobody's: the sheet says that it is not valid

    @property
    def practice_url(self) -> str:
        """What the QR holds."""
        return f"{self.origin}/{fragment(PRACTICE_CODE, PRACTICE_TICK)}"


def render(sheet: Sheet, language: str) -> str:
    """Return the page in one of the six languages."""
    words = WORDS[language]
    factor = f"{math.exp(LOSS_OF_A_TEST):.1f}"
    places = {"days": DAYS, "factor": factor.replace(".", ",") if language in _DECIMAL_COMMA else factor}
    return _template().render(
        language=language,
        direction="rtl" if language in RIGHT_TO_LEFT else "ltr",
        words=words,
        steps=[text.format(**places) for text in words.steps],
        kept=[text.format(**places) for text in words.kept],
        fields=[
            (label, getattr(sheet.notice, name)[language]) for label, name in zip(words.labels, FIELDS, strict=True)
        ],
        demonstration=sheet.demonstration,
        origin=sheet.origin,
        code=str(PRACTICE_CODE),
        group=ready_group(PRACTICE_TICK),
        page_hash=sheet.page_hash,
        qr=_qr(sheet.practice_url),
    )


def _qr(url: str) -> str:
    """Return the QR code as an SVG element; the URL is not in it as text."""
    code = segno.make(url, error="m", micro=False)
    return code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None)


@cache
def _template() -> Template:
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("sheet.html")
