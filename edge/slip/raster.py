"""Text to dots, the one door to Pillow: wrapped, shaped and, for Arabic, from right to left. No clock.

Fonts are Debian's (fonts-dejavu-core: Latin, Cyrillic, Arabic; fonts-wqy-microhei or fonts-noto-cjk: Chinese); shaping
is libraqm's, which Pillow brings and which needs the system's libfribidi. Where a language has no font or no shaping,
`printable` says so: a slip then comes out in English, which beats one of empty boxes.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, features

from edge.errors import SlipError

FONT_DIR: Final = Path("/usr/share/fonts")
_DEJAVU: Final = ("truetype/dejavu/DejaVuSans.ttf",)
_DEJAVU_BOLD: Final = ("truetype/dejavu/DejaVuSans-Bold.ttf", *_DEJAVU)
_DEJAVU_MONO: Final = ("truetype/dejavu/DejaVuSansMono-Bold.ttf", *_DEJAVU_BOLD)
_CHINESE: Final = (
    "truetype/wqy/wqy-microhei.ttc",
    "opentype/noto/NotoSansCJK-Regular.ttc",
    "truetype/wqy/wqy-zenhei.ttc",
)
_UNSPACED: Final = frozenset({"zh"})  # a line may end between any two characters
_NOT_FIRST: Final = frozenset("，。、；：！？）》」』”’…·,.;:!?)")  # and not before one of these
_SHAPED: Final = frozenset({"ar"})
_KEPT: Final = 512
INK: Final = 110  # of 255; a little below the middle, so that thin strokes stay whole on paper

Font = ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class Bitmap:
    """Rows of whole bytes, the highest bit leftmost, 1 = black."""

    width: int
    height: int
    data: bytes

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height < 0 or len(self.data) != (self.width + 7) // 8 * self.height:
            raise SlipError("a bitmap whose rows do not fill it")


class Canvas:
    """Something to draw rectangles on."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("1", (width, height), 0)
        self._draw = ImageDraw.Draw(self._image)

    def fill(self, left: int, top: int, width: int, height: int) -> None:
        """Blacken a rectangle."""
        self._draw.rectangle((left, top, left + width - 1, top + height - 1), fill=1)

    def bitmap(self) -> Bitmap:
        """Return what was drawn."""
        return _bitmap(self._image)


def printable(language: str, fonts: Path = FONT_DIR) -> bool:
    """Tell whether this machine can draw the language."""
    found = any((fonts / name).exists() for name in _candidates(language, bold=False, mono=False))
    return found and (language not in _SHAPED or bool(features.check("raqm")))


@dataclass(frozen=True, slots=True)
class Style:
    """How a paragraph looks."""

    size_dots: int
    gap_dots: int  # white below it
    script: str  # a language of the slip
    bold: bool
    mono: bool
    centred: bool
    right_to_left: bool


def draw_text(text: str, width: int, style: Style, *, keep: bool) -> Bitmap:
    """Draw one paragraph, wrapped to the width; `keep`: remember it, which nothing of a visitor's may be."""
    return _kept(text, width, style) if keep else _paragraph(text, width, style)


def stacked(width: int, parts: list[Bitmap]) -> Bitmap:
    """Put bitmaps of one width below each other."""
    if any(part.width != width for part in parts):
        raise SlipError("parts of different widths")
    return Bitmap(width, sum(part.height for part in parts), b"".join(part.data for part in parts))


def _paragraph(text: str, width: int, style: Style) -> Bitmap:
    font = _font(style.script, style.size_dots, style.bold, style.mono)
    direction = "rtl" if style.right_to_left and font.layout_engine == ImageFont.Layout.RAQM else None
    lines = _wrapped(text, font, width, direction, unspaced=style.script in _UNSPACED)
    ascent, descent = font.getmetrics()
    step = ascent + descent
    image = Image.new("L", (width, step * len(lines) + style.gap_dots), 0)
    draw = ImageDraw.Draw(image)
    twice = style.bold and style.script in _UNSPACED  # the Chinese fonts have no bold face
    for number, line in enumerate(lines):
        spare = width - font.getlength(line, direction=direction)
        left = max(0, round(spare / 2 if style.centred else spare if style.right_to_left else 0))
        for shift in (0, 1) if twice else (0,):
            draw.text((left + shift, number * step), line, font=font, fill=255, direction=direction)
    return _bitmap(image.point(_threshold, mode="1"))


_kept = lru_cache(maxsize=_KEPT)(_paragraph)


def _threshold(value: int) -> int:
    return 255 if value > INK else 0


def _wrapped(text: str, font: Font, width: int, direction: str | None, *, unspaced: bool) -> list[str]:
    """Return lines in the order of reading; a word longer than a line is cut."""
    joint = "" if unspaced else " "
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, unspaced=unspaced):
        longer = f"{line}{joint}{piece}" if line else piece
        if font.getlength(longer, direction=direction) <= width:
            line = longer
            continue
        if line:
            lines.append(line.rstrip())
        line = piece
        while font.getlength(line, direction=direction) > width and len(line) > 1:
            fits = _fitting(line, font, width, direction)
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line] if line else lines


def _pieces(text: str, *, unspaced: bool) -> list[str]:
    """Return what must not be parted: words, or characters with the punctuation that clings to them."""
    if not unspaced:
        return text.split()
    pieces: list[str] = []
    for char in text:
        if pieces and (char in _NOT_FIRST or (char.isascii() and char.isalnum() and pieces[-1][-1:].isascii())):
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def _fitting(line: str, font: Font, width: int, direction: str | None) -> int:
    low, high = 1, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(line[:middle], direction=direction) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _candidates(script: str, *, bold: bool, mono: bool) -> tuple[str, ...]:
    if mono:
        return _DEJAVU_MONO
    if script in _UNSPACED:
        return _CHINESE
    return _DEJAVU_BOLD if bold else _DEJAVU


@cache
def _font(script: str, size_dots: int, bold: bool, mono: bool) -> Font:
    shaped = script in _SHAPED and features.check("raqm")
    engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    for name in _candidates(script, bold=bold, mono=mono):
        path = FONT_DIR / name
        if path.exists():
            try:
                return ImageFont.truetype(path, size_dots, layout_engine=engine)
            except OSError as exc:
                raise SlipError(f"the font {path.name} cannot be read") from exc
    built_in = ImageFont.load_default(size_dots)
    if not isinstance(built_in, ImageFont.FreeTypeFont):
        raise SlipError("no font: install fonts-dejavu-core and fonts-wqy-microhei")
    return built_in


def _bitmap(image: Image.Image) -> Bitmap:
    return Bitmap(image.width, image.height, image.tobytes())
