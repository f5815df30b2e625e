"""Languages: one catalogue a language, read from the committed .po files, and numbers and times as people write them.

The .po file is the only source: it is compiled in memory at the start, so a fresh clone needs no step. English is
the msgid. All times are district time with its zone's name beside it (DESIGN §13); no clock is read here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.core import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations

from contracts.windows import NS, to_datetime

CATALOGUES: Final = Path(__file__).with_name("locale")
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}
FALLBACK: Final = "en"
MAX_SHOWN: Final = 1e15
MAX_INSTANT_NS: Final = 253_000_000_000 * NS  # the year 9987: what a date can hold, whatever a clock says
MINUS: Final = "\N{MINUS SIGN}"


def N_(sentence: str) -> str:  # noqa: N802 - gettext's usual name of the marker
    """Mark a sentence for the catalogues; it is translated where it is shown."""
    return sentence


def P_(one: str, many: str) -> tuple[str, str]:  # noqa: N802 - likewise
    """Mark a sentence that counts."""
    return one, many


@dataclass(frozen=True, slots=True)
class Words:
    """Everything a page says, in one language."""

    language: str
    locale: Locale
    catalogue: NullTranslations
    utc_offset_s: int

    def text(self, sentence: str, **values: object) -> str:
        """Return the sentence in this language, its places filled."""
        translated = str(self.catalogue.ugettext(sentence))
        return translated % values if values else translated

    def plural(self, one: str, many: str, n: int, **values: object) -> str:
        """Return the sentence that fits the number `n`."""
        return str(self.catalogue.ungettext(one, many, n)) % {"n": self.number(n), **values}

    def name(self, english: str, names: Mapping[str, str]) -> str:
        """Return a proper name in this language where the district file gives one."""
        return names.get(self.language, english)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with its separators."""
        if not abs(value) < MAX_SHOWN:  # also NaN: a page must not fail over a number that makes no sense
            return f"{value:.3g}"
        return format_decimal(round(value, digits), format=f"#,##0.{'0' * digits}", locale=self.locale)

    def percent(self, value: float, digits: int = 1) -> str:
        """Return a fraction as per cent."""
        if not abs(value) < MAX_SHOWN:
            return f"{value:.3g}"
        return format_percent(value, format=f"#,##0.{'0' * digits}%", locale=self.locale)

    @property
    def zone(self) -> str:
        """Return the name of the district's time zone: its fixed offset."""
        return zone_name(self.utc_offset_s)

    def instant(self, ns: int) -> str:
        """Return date and time, to the minute, without the zone."""
        return format_datetime(self._local(ns), format=self._patterns["instant"], locale=self.locale)

    def day(self, ns: int) -> str:
        """Return the date."""
        return format_date(self._local(ns), format=self._patterns["day"], locale=self.locale)

    def ago(self, ns: int, now_ns: int) -> str:
        """Return how long ago that was, in the largest unit that fits."""
        return self.text("%(span)s ago", span=self.span((now_ns - ns) / NS))

    def span(self, seconds: float) -> str:
        """Return a length of time in the largest unit that fits."""
        if not abs(seconds) < MAX_SHOWN:
            return f"{seconds:.3g} s"
        for unit_s, sentences in _UNITS:
            if seconds >= unit_s * _UNIT_FROM:
                return self.plural(*sentences, int(seconds / unit_s))
        return self.plural("%(n)s second", "%(n)s seconds", max(0, int(seconds)))

    def _local(self, ns: int) -> datetime:
        return to_datetime(min(MAX_INSTANT_NS, max(0, ns))).astimezone(timezone(timedelta(seconds=self.utc_offset_s)))

    @property
    def _patterns(self) -> Mapping[str, str]:
        return _PATTERNS[self.language]


_PATTERNS: Final = {
    "en": {"instant": "d MMM y, HH:mm", "day": "d MMM y"},
    "zh": {"instant": "y年M月d日 HH:mm", "day": "y年M月d日"},
}
_UNIT_FROM: Final = 1.5  # "90 minutes" says more than "1 hour"
_UNITS: Final = (
    (86_400, P_("%(n)s day", "%(n)s days")),
    (3_600, P_("%(n)s hour", "%(n)s hours")),
    (60, P_("%(n)s minute", "%(n)s minutes")),
)


class Languages:
    """The catalogues, loaded once."""

    def __init__(self, utc_offset_s: Callable[[], int]) -> None:
        self._utc_offset_s = utc_offset_s
        self._loaded = {language: _load(language) for language in LANGUAGES}

    def words(self, language: str) -> Words:
        """Return the words of a language; of English when it is none of ours."""
        known = language if language in LANGUAGES else FALLBACK
        return Words(known, Locale.parse(known), self._loaded[known], self._utc_offset_s())


def choose(wanted: str | None, kept: str | None, accepted: str | None) -> str:
    """Return the language: asked for in the address, else kept in the cookie, else what the browser prefers."""
    for language in (wanted, kept):
        if language in LANGUAGES:
            return str(language)
    for part in (accepted or "")[:256].split(","):
        language = part.split(";")[0].strip().lower().split("-")[0]
        if language in LANGUAGES:
            return language
    return FALLBACK


def zone_name(utc_offset_s: int) -> str:
    """Return a fixed offset as people write it: UTC−05:00."""
    hours, minutes = divmod(abs(utc_offset_s) // 60, 60)
    return f"UTC{MINUS if utc_offset_s < 0 else '+'}{hours:02}:{minutes:02}"


def _load(language: str) -> NullTranslations:
    path = CATALOGUES / f"{language}.po"
    if not path.exists():  # English is the msgid itself
        return NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
