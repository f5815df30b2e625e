"""What district.toml says to visitors, `[results]` and `[notice]`: its form, and what a real deployment lacks. Pure.

A notice may be incomplete while an operator writes it. A simulated district starts all the same; a real one with
kiosks does not (DESIGN §6): whoever puts a kiosk before the public has said who answers for it.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from contracts.errors import NoticeError
from contracts.notice import FIELDS, LANGUAGES, Notice, check_text, is_placeholder

MAX_ORIGIN_CHARS: Final = 100  # the QR of a slip holds it beside the code and stays large enough to photograph

_ORIGIN: Final = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::[1-9][0-9]{0,4})?")
_RESERVED: Final = re.compile(r"(?:.*\.)?(?:example(?:\.(?:com|net|org))?|invalid)")  # RFC 2606 §2, §3
_LANGUAGE_NAMES: Final = {
    "zh": "Chinese",
    "en": "English",
    "fr": "French",
    "es": "Spanish",
    "ru": "Russian",
    "ar": "Arabic",
}
_WANTED: Final = {
    "controller": "who is responsible for the tests, with name and address",
    "contact": "whom a visitor may ask or complain to, also about data protection",
    "legal_basis": "by which law or consent the tests are offered",
    "notification_rule": "what the law asks of somebody with a positive result, and that the kiosk reports nobody",
    "confirmatory_path": "where a result can be confirmed, and that the slip is no certificate",
}

Texts = Mapping[str, str]


class ResultsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[results]`: the address that slips and posters carry."""

    origin: str = ""


class NoticeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[notice.controller]` and its four neighbours: language -> text, as far as they are written."""

    controller: Texts = {}
    contact: Texts = {}
    legal_basis: Texts = {}
    notification_rule: Texts = {}
    confirmatory_path: Texts = {}


@dataclass(frozen=True, slots=True)
class Fault:
    """One key of the file that is wrong or missing, and what to write there."""

    table: str
    key: str
    sentence: str


@dataclass(frozen=True, slots=True)
class VisitTerms:
    """What a kiosk needs to promise a visitor anything; `notice` None while it is not whole."""

    results_origin: str
    page_hash: str
    languages: tuple[str, ...]
    notice: Notice | None


def wrong_form(results: ResultsEntry, notice: NoticeEntry) -> Iterator[Fault]:
    """Yield what no district may have: an origin that is none, a text that no slip could print."""
    if results.origin:
        yield from _origin_form(results.origin)
    for name in FIELDS:
        texts: Texts = getattr(notice, name)
        for language in texts:
            if language not in LANGUAGES:
                yield Fault(f"notice.{name}", language, f"a language is one of {', '.join(LANGUAGES)}")
            elif texts[language].strip():
                yield from _text_form(name, language, texts[language])


def unfinished(results: ResultsEntry, notice: NoticeEntry) -> Iterator[Fault]:
    """Yield what a real deployment with kiosks still lacks, in the order of the file."""
    yield from _origin_of_a_real_district(results.origin)
    for name in FIELDS:
        texts: Texts = getattr(notice, name)
        for language in LANGUAGES:
            text = texts.get(language, "")
            if is_placeholder(text):
                state = "this is missing" if not text.strip() else "this is still a placeholder"
                wanted = f"write, in {_LANGUAGE_NAMES[language]}, {_WANTED[name]}"
                yield Fault(f"notice.{name}", language, f"{state}: {wanted}; no kiosk serves the public without it")


def notice_of(entry: NoticeEntry) -> Notice | None:
    """Return the notice once it is whole."""
    try:
        return Notice(**{name: getattr(entry, name) for name in FIELDS})
    except NoticeError:
        return None


def languages_of(preferred: Iterable[str]) -> tuple[str, ...]:
    """Return what a kiosk offers: the district's languages first, then the others of the six."""
    return tuple(dict.fromkeys([*(one for one in preferred if one in LANGUAGES), *LANGUAGES]))


def origin_host(origin: str) -> str:
    """Return the host of an origin; empty when there is none."""
    return urlsplit(origin).hostname or ""


def _origin_form(origin: str) -> Iterator[Fault]:
    if len(origin) > MAX_ORIGIN_CHARS or _ORIGIN.fullmatch(origin) is None:
        yield _origin(
            f"an address such as https://results.example.org, in lower case, with neither path nor '/' at its end, "
            f"at most {MAX_ORIGIN_CHARS} characters"
        )
    elif origin.startswith("http:") and not _is_this_machine(origin_host(origin)):
        yield _origin("only http://localhost may go without TLS: browsers decrypt results on https pages alone")


def _origin_of_a_real_district(origin: str) -> Iterator[Fault]:
    if not origin:
        yield _origin("this is missing: write the https address under which visitors read results on their phones")
    elif not origin.startswith("https:") or _is_this_machine(origin_host(origin)):
        yield _origin("no phone reaches this: write the https address under which visitors read results")
    elif _RESERVED.fullmatch(origin_host(origin)) is not None:
        yield _origin("this host is an example's: write the https address under which visitors read results")


def _origin(sentence: str) -> Fault:
    return Fault("results", "origin", sentence)


def _text_form(name: str, language: str, text: str) -> Iterator[Fault]:
    try:
        check_text(text)
    except NoticeError as exc:
        yield Fault(f"notice.{name}", language, str(exc))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
