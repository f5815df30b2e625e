"""What an operator promises a visitor and who answers for it, in six languages. No I/O.

Printed on slips, shown on kiosk, wall and result page; filled in by the operator in `[notice]` of district.toml
(DESIGN §6). What a data-protection notice has to say: GDPR (EU) 2016/679, articles 13 and 14. A notice is whole or it
is none: each of the five fields in each of the six languages, so that no screen has to invent a sentence.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

import msgspec

from contracts.errors import NoticeError

LANGUAGES: Final = ("zh", "en", "fr", "es", "ru", "ar")  # the official languages of the United Nations
RIGHT_TO_LEFT: Final = frozenset({"ar"})
MAX_TEXT_CHARS: Final = 400  # a paragraph: about ten lines of a slip of 42 columns
MAX_NOTICE_BYTES: Final = 64 * 1024  # 5 fields x 6 languages x 400 characters x 4 bytes of UTF-8 are 48 000

DEMONSTRATION_MARK: Final = "[DEMO]"  # begins every text of a simulated district; a real one refuses it
_PLACEHOLDERS: Final = frozenset({"...", "…", "-", "?", "change me", "changeme", "fixme", "n/a", "tbd", "todo", "xxx"})
_BRACKETS: Final = (("<", ">"), ("[", "]"), ("{", "}"), ("＜", "＞"), ("【", "】"))

# Would end a line of the slip, or could not be written as UTF-8.
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides and isolates (UAX #9): they would turn around what a page or slip prints after them.
_BIDI_CONTROLS: Final = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


@dataclass(frozen=True, slots=True)
class Notice:
    """Five texts, each in every one of LANGUAGES; NoticeError names the field and the language that is wrong."""

    controller: Mapping[str, str]  # who is responsible
    contact: Mapping[str, str]  # whom to ask or complain to, also about data protection
    legal_basis: Mapping[str, str]  # why this may be done
    notification_rule: Mapping[str, str]  # what the law asks of somebody with a positive result
    confirmatory_path: Mapping[str, str]  # where a result is confirmed

    def __post_init__(self) -> None:
        for name in FIELDS:
            texts = dict(getattr(self, name))
            if set(texts) != set(LANGUAGES):
                raise NoticeError(f"{name}: exactly the languages {', '.join(LANGUAGES)}", field=name)
            for language in LANGUAGES:
                _check_text(name, language, texts[language])
            ordered = {language: texts[language] for language in LANGUAGES}
            object.__setattr__(self, name, MappingProxyType(ordered))

    def texts(self) -> dict[str, dict[str, str]]:
        """Return field -> language -> text, as JSON and TOML write it."""
        return {name: dict(getattr(self, name)) for name in FIELDS}


FIELDS: Final = tuple(field.name for field in fields(Notice))


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    controller: dict[str, str]
    contact: dict[str, str]
    legal_basis: dict[str, str]
    notification_rule: dict[str, str]
    confirmatory_path: dict[str, str]


def encode_notice(notice: Notice) -> bytes:
    """Return the notice as JSON, fields and languages in their fixed order."""
    return msgspec.json.encode(notice.texts())


def decode_notice(content: bytes) -> Notice:
    """Read a notice; NoticeError for anything that is not exactly one."""
    if len(content) > MAX_NOTICE_BYTES:
        raise NoticeError(f"the notice has more than {MAX_NOTICE_BYTES} bytes")
    try:
        wire = msgspec.json.decode(content, type=_Wire)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise NoticeError(f"not a notice: {exc}") from exc
    return Notice(**{name: getattr(wire, name) for name in FIELDS})


def is_placeholder(text: str) -> bool:
    """Tell whether nobody has filled this text in yet: empty, the demonstration's, `tbd`, `<name>` and the like."""
    bare = text.strip()
    if not bare or bare.startswith(DEMONSTRATION_MARK) or bare.rstrip(".!: ").casefold() in _PLACEHOLDERS:
        return True
    return bare in _PLACEHOLDERS or any(bare.startswith(left) and bare.endswith(right) for left, right in _BRACKETS)


def check_text(text: str) -> None:
    """NoticeError unless it is one printable paragraph of 1 to MAX_TEXT_CHARS characters."""
    if not text.strip():
        raise NoticeError("this is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise NoticeError(f"this has {len(text)} characters, at most {MAX_TEXT_CHARS} fit")
    if any(unicodedata.category(char) in _FORBIDDEN_CATEGORIES or char in _BIDI_CONTROLS for char in text):
        raise NoticeError("this must be one paragraph without line breaks and control characters")


def _check_text(name: str, language: str, text: object) -> None:
    if not isinstance(text, str):
        raise NoticeError(f"{name}.{language}: a text is needed", field=name, language=language)
    try:
        check_text(text)
    except NoticeError as exc:
        raise NoticeError(f"{name}.{language}: {exc}", field=name, language=language) from exc
