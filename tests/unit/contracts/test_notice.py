"""The visitor's notice: whole in six languages, or refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import NoticeError
from contracts.notice import (
    DEMONSTRATION_MARK,
    FIELDS,
    LANGUAGES,
    MAX_NOTICE_BYTES,
    MAX_TEXT_CHARS,
    Notice,
    decode_notice,
    encode_notice,
    is_placeholder,
)

# Written by hand, with an Arabic and a Chinese text as an operator would give them.
TEXTS: dict[str, dict[str, str]] = {
    "controller": {
        "zh": "卫生办公室",
        "en": "Health Office",
        "fr": "Bureau de santé",
        "es": "Oficina de salud",
        "ru": "Отдел здравоохранения",
        "ar": "مكتب الصحة",
    },
    **{
        name: {language: f"{name} in {language}" for language in LANGUAGES}
        for name in ("contact", "legal_basis", "notification_rule", "confirmatory_path")
    },
}


def changed(name: str, language: str, text: object) -> dict[str, Any]:
    return {**TEXTS, name: {**TEXTS[name], language: text}}


def test_the_six_languages_are_those_of_the_united_nations_in_the_order_of_the_screens() -> None:
    assert LANGUAGES == ("zh", "en", "fr", "es", "ru", "ar")
    assert FIELDS == ("controller", "contact", "legal_basis", "notification_rule", "confirmatory_path")


def test_a_notice_comes_back_as_it_was_written() -> None:
    notice = Notice(**TEXTS)
    assert decode_notice(encode_notice(notice)) == notice
    assert json.loads(encode_notice(notice)) == TEXTS  # read by a program that is not ours
    assert decode_notice(json.dumps(TEXTS, indent=2).encode()).controller["ar"] == "مكتب الصحة"


def test_nobody_can_change_a_text_afterwards() -> None:
    given_texts = {name: dict(texts) for name, texts in TEXTS.items()}
    notice = Notice(**given_texts)
    given_texts["contact"]["en"] = "somebody else"
    assert notice.contact["en"] == "contact in en"
    with pytest.raises(TypeError):
        notice.contact["en"] = "somebody else"  # type: ignore[index]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_missing_language_and_an_empty_text_are_refused_by_name(name: str, language: str) -> None:
    missing = {**TEXTS, name: {key: text for key, text in TEXTS[name].items() if key != language}}
    with pytest.raises(NoticeError, match=name):
        Notice(**missing)
    for empty in ("", "  ", "\u00a0"):
        with pytest.raises(NoticeError, match=rf"^{name}\.{language}: this is empty") as caught:
            Notice(**changed(name, language, empty))
        assert (caught.value.field, caught.value.language) == (name, language)


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MAX_TEXT_CHARS + 1),
        "two\nlines",
        "a\x00b",
        "escape \x1b@",  # ESC @ would reset the printer
        "lone \ud800",
        "turned \u202e around",
        "isolate \u2067",
        "line \u2028 break",
        7,
        None,
        ["list"],
    ],
)
def test_a_text_that_no_slip_could_print_is_refused(text: object) -> None:
    with pytest.raises(NoticeError):
        Notice(**changed("contact", "en", text))


def test_a_language_that_no_screen_has_is_refused() -> None:
    with pytest.raises(NoticeError, match="contact"):
        Notice(**changed("contact", "de", "Amt"))


def test_the_longest_notice_fits_the_cap() -> None:
    widest = {name: dict.fromkeys(LANGUAGES, "\U0001f9ea" * MAX_TEXT_CHARS) for name in FIELDS}
    escaped = {name: dict.fromkeys(LANGUAGES, '"' * MAX_TEXT_CHARS) for name in FIELDS}
    for texts in (widest, escaped):
        content = encode_notice(Notice(**texts))
        assert len(content) <= MAX_NOTICE_BYTES
        assert decode_notice(content) == Notice(**texts)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps({**TEXTS, "more": {}}).encode(),
        json.dumps({**TEXTS, "contact": "one text"}).encode(),
        json.dumps({**TEXTS, "contact": {**TEXTS["contact"], "en": 1}}).encode(),
        b" " * (MAX_NOTICE_BYTES + 1),
        b'{"controller":' + b"[" * 5000,
    ],
)
def test_what_is_not_exactly_a_notice_is_refused(content: bytes) -> None:
    with pytest.raises(NoticeError):
        decode_notice(content)


@given(st.binary(max_size=300))
def test_garbage_gives_the_typed_error_and_nothing_else(content: bytes) -> None:
    with pytest.raises(NoticeError):
        decode_notice(content)


@given(st.data())
def test_a_damaged_notice_is_another_notice_or_the_typed_error(data: st.DataObject) -> None:
    content = bytearray(encode_notice(Notice(**TEXTS)))
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] = data.draw(st.integers(0, 255))
    try:
        notice = decode_notice(bytes(content))
    except NoticeError:
        return
    assert decode_notice(encode_notice(notice)) == notice


_PARAGRAPH = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), min_size=1, max_size=60)


@given(st.fixed_dictionaries({name: st.fixed_dictionaries(dict.fromkeys(LANGUAGES, _PARAGRAPH)) for name in FIELDS}))
def test_every_notice_that_can_be_built_comes_back(texts: dict[str, dict[str, str]]) -> None:
    try:
        notice = Notice(**texts)
    except NoticeError as exc:
        assert "empty" in str(exc)  # noqa: PT017 - spaces only: the one thing these texts can have wrong
        return
    assert decode_notice(encode_notice(notice)) == notice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "TO" + "DO",
        "tbd.",
        "Change me!",
        "<name and address>",
        "[your office]",
        "【名称】",
        "…",
        "...",
        "xxx",
        f"{DEMONSTRATION_MARK} Health Office",
    ],
)
def test_what_nobody_has_filled_in_is_a_placeholder(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["Health Office", "卫生办公室", "Todos los casos", "Act [1999], section 3", "مكتب"])
def test_what_an_operator_wrote_is_none(text: str) -> None:
    assert not is_placeholder(text)
