"""The slip: what stands on the paper that a visitor takes home, from top to bottom, and its bytes. No I/O, no clock.

In: what the code child knows. Out: ESC/POS, or blocks for whoever draws them. The whole slip is one raster (see
docs/adr, "The slip is a picture"), so a printer needs no font, no code page and no language. Blocks that hold nothing
of one visitor are `fixed`: they may be drawn once, ahead of any code, and are kept; the others are drawn and forgotten.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import urlsplit

from contracts.notice import LANGUAGES, RIGHT_TO_LEFT, Notice
from edge.errors import SlipError
from edge.slip.escpos import document
from edge.slip.raster import Bitmap, Canvas, Style, draw_text, printable, stacked
from edge.slip.symbol import modules
from edge.slip.words import words

WIDTH_DOTS: Final = 576  # 72 mm at 8 dots a mm: the printable width of 80 mm paper on every ESC/POS printer
MAX_URL_CHARS: Final = 200
MAX_FIELD_CHARS: Final = 80
GROUPS_A_LINE: Final = 3
QR_QUIET_MODULES: Final = 4  # ISO/IEC 18004, 6.3.8
QR_MAX_DOTS: Final = 400

Size = Literal["small", "body", "head", "code"]
SIZE_DOTS: Final[dict[Size, int]] = {"small": 20, "body": 24, "head": 28, "code": 44}  # 24 dots are 3 mm, about 8 pt


@dataclass(frozen=True, slots=True)
class SlipContent:
    """Everything that differs from slip to slip. SlipError when it cannot be a slip."""

    code: str  # five groups of five with dashes
    ready_group: str
    url: str  # with the fragment
    ready_at: str  # district time, as `edge.core.localtime` writes it
    expires_at: str
    language: str
    notice: Notice
    page_hash: str

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise SlipError("no slip in this language")
        if [len(group) for group in self.code.split("-")] != [5] * 5 or not _plain(self.code, 29):
            raise SlipError("a code is five groups of five")
        if len(self.ready_group) != 5 or not _plain(self.ready_group, 5):  # noqa: PLR2004 -- five symbols
            raise SlipError("a ready group is five symbols")
        if not _plain(self.url, MAX_URL_CHARS) or "#" not in self.url:
            raise SlipError("the address is not one")
        if not all(_plain(text, MAX_FIELD_CHARS) for text in (self.ready_at, self.expires_at, self.page_hash)):
            raise SlipError("a time or the page's hash is not plain text")

    @property
    def address(self) -> str:
        """The result page as a person types it: without the fragment."""
        return address_of(self.url)


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph."""

    text: str
    size: Size = "body"
    bold: bool = False
    centred: bool = False
    mono: bool = False  # symbols and addresses: never turned around, also on a slip from right to left
    fixed: bool = True
    gap_dots: int = 6  # white below it


@dataclass(frozen=True, slots=True)
class Symbol:
    """The QR code of an address."""

    data: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""


Block = Text | Symbol | Rule


def blocks(content: SlipContent) -> tuple[Block, ...]:
    """Return the slip from top to bottom."""
    return (*_head(content.language), *_secret(content), *_meaning(content.language, content.notice, content.page_hash))


def slip_bytes(content: SlipContent) -> bytes:
    """Return the whole slip as ESC/POS, the cut included; in English where this machine cannot draw the language."""
    if not printable(content.language):
        content = replace(content, language="en")
    return document(stacked(WIDTH_DOTS, [_drawn(block, content.language) for block in blocks(content)]))


def warm(notice: Notice, page_hash: str) -> None:
    """Draw what holds nothing of a visitor in every language, so that a child forked after it need not."""
    for language in LANGUAGES:
        for block in (*_head(language), *_labels(language), *_meaning(language, notice, page_hash)):
            _drawn(block, language)


def _head(language: str) -> tuple[Block, ...]:
    say = words(language)
    return (Text(say["title"], "head", bold=True, centred=True), Text(say["keep"], bold=True), Rule())


def _labels(language: str) -> tuple[Block, ...]:
    say = words(language)
    names = ("code", "group", "scan", "address", "ready", "expires")
    return tuple(Text(say[name], "small") for name in names)


def _secret(content: SlipContent) -> tuple[Block, ...]:
    code, group, scan, address, ready, expires = _labels(content.language)
    groups = content.code.split("-")
    lines = [" ".join(groups[at : at + GROUPS_A_LINE]) for at in range(0, len(groups), GROUPS_A_LINE)]
    return (
        code,
        *(_value(line, "code") for line in lines),
        group,
        _value(content.ready_group, "code"),
        Symbol(content.url),
        scan,
        address,
        _value(content.address, "body"),
        ready,
        _value(content.ready_at, "head"),
        expires,
        _value(content.expires_at, "body"),
        Rule(),
    )


def _value(text: str, size: Size) -> Text:
    return Text(text, size, bold=True, centred=True, mono=True, fixed=False, gap_dots=10)


def _meaning(language: str, notice: Notice, page_hash: str) -> tuple[Block, ...]:
    say = words(language)
    return (
        Text(say["meaning"], "head", bold=True),
        Text(say["positive"]),
        Text(notice.confirmatory_path[language], bold=True),
        Text(say["negative"]),
        Text(say["invalid"]),
        Text(say["rule"], "small"),
        Text(notice.notification_rule[language]),
        Rule(),
        Text(say["ask"], "small"),
        Text(notice.contact[language]),
        Text(say["responsible"], "small"),
        Text(notice.controller[language]),
        Text(say["hash"], "small"),
        Text(page_hash, "small", mono=True, centred=True),
    )


def address_of(url: str) -> str:
    """Return an address without what only the code's holder knows."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _drawn(block: Block, language: str) -> Bitmap:
    match block:
        case Text():
            style = Style(
                size_dots=SIZE_DOTS[block.size],
                gap_dots=block.gap_dots,
                script="en" if block.mono else language,
                bold=block.bold,
                mono=block.mono,
                centred=block.centred,
                right_to_left=language in RIGHT_TO_LEFT and not block.mono,
            )
            return draw_text(block.text, WIDTH_DOTS, style, keep=block.fixed)
        case Symbol(data):
            return _symbol(data)
        case Rule():
            canvas = Canvas(WIDTH_DOTS, 18)
            canvas.fill(0, 8, WIDTH_DOTS, 2)
            return canvas.bitmap()


def _symbol(data: str) -> Bitmap:
    rows = modules(data)
    side = len(rows) + 2 * QR_QUIET_MODULES
    dots = QR_MAX_DOTS // side
    if dots < 3:  # noqa: PLR2004 -- 0.375 mm a module; cameras of telephones want at least that
        raise SlipError("the address is too long for a symbol")
    canvas = Canvas(WIDTH_DOTS, side * dots)
    left = (WIDTH_DOTS - side * dots) // 2
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                at = (x + QR_QUIET_MODULES) * dots
                canvas.fill(left + at, (y + QR_QUIET_MODULES) * dots, dots, dots)
    return canvas.bitmap()


def _plain(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isascii() and text.isprintable()
