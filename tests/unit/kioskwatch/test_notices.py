"""The notice for the wall: whole in six languages, filled from the district file, and honest about what it is."""

import html
import math
import re
import string
from dataclasses import astuple, fields
from pathlib import Path

import pytest
import segno

from backend.results.page_hash import page_hash
from contracts.claim import PRACTICE_CODE, parse_fragment
from contracts.notice import FIELDS, LANGUAGES, Notice
from kioskwatch.notices.command import main, sheet_of
from kioskwatch.notices.sheet import Sheet, render
from kioskwatch.notices.words import WORDS, Words
from kioskwatch.plan import DEMO_DISTRICT, STARTER_DISTRICT
from tests.support.notices import NOTICE, TEXTS, filled

SHEET = Sheet(NOTICE, "https://results.harbour.internal", "0123456789abcdef", demonstration=False)
SCRIPTS = {"zh": "[\u4e00-\u9fff]", "ru": "[\u0400-\u04ff]", "ar": "[\u0600-\u06ff]"}


def texts(words: Words) -> list[str]:
    return [text for value in astuple(words) for text in ([value] if isinstance(value, str) else value)]


def places(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]


def test_every_language_says_as_much_as_the_others_with_the_same_places() -> None:
    assert set(WORDS) == set(LANGUAGES)
    for words in WORDS.values():
        for field in fields(Words):
            ours, english = getattr(words, field.name), getattr(WORDS["en"], field.name)
            if isinstance(english, tuple):
                assert [places(text) for text in ours] == [places(text) for text in english], field.name
            assert len(ours) == len(english) or isinstance(ours, str)
        assert all(text.strip() for text in texts(words))


@pytest.mark.parametrize("language", SCRIPTS)
def test_a_language_is_written_in_its_own_script(language: str) -> None:
    assert all(re.search(SCRIPTS[language], text) for text in texts(WORDS[language]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sheet_holds_the_operators_texts_the_address_and_the_practice_code(language: str) -> None:
    page = render(SHEET, language)
    for name in FIELDS:
        assert TEXTS[name][language] in page
    for shown in ("https://results.harbour.internal", str(PRACTICE_CODE), "00000", "0123456789abcdef"):
        assert f'<bdi dir="ltr">{shown}</bdi>' in page
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in page
    assert "demonstration" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    factor = f"{math.exp(1.5):.1f}"
    assert (factor in page) or (factor.replace(".", ",") in page)
    assert " 10 " in page


def test_the_qr_is_the_practice_address_and_opens_with_the_published_code() -> None:
    origin, _, end = SHEET.practice_url.partition("/#")
    assert origin == "https://results.harbour.internal"
    assert parse_fragment(f"#{end}") == (PRACTICE_CODE, 0)
    drawn = re.findall(r'<path[^>]* d="([^"]+)"', render(SHEET, "en"))
    expected = segno.make(SHEET.practice_url, error="m", micro=False).svg_inline(border=4, light="#fff")
    assert drawn == re.findall(r' d="([^"]+)"', expected)
    assert len(drawn) == 2  # the light ground and the dark modules


def test_what_an_operator_wrote_is_text_and_never_markup() -> None:
    evil = '<script>alert("x")</script> & "quotes"'
    notice = Notice(**{**TEXTS, "contact": dict.fromkeys(LANGUAGES, evil)})
    page = render(Sheet(notice, SHEET.origin, SHEET.page_hash, demonstration=False), "en")
    assert "<script" not in page
    assert evil in html.unescape(page)


def test_the_command_writes_one_file_a_language_from_the_operators_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "district.toml"
    path.write_text(filled(STARTER_DISTRICT.read_text()))
    assert main(["render", str(tmp_path / "out"), "--district", str(path)]) == 0
    said = capsys.readouterr()
    files = [tmp_path / "out" / f"notice-{language}.html" for language in LANGUAGES]
    assert said.out.split() == [str(file) for file in files]
    assert said.err == ""
    assert sheet_of(path) == Sheet(NOTICE, "https://results.harbour.internal", page_hash(), demonstration=False)
    assert files[5].read_text(encoding="utf-8") == render(sheet_of(path), "ar")


def test_the_demonstrations_sheets_say_that_they_are_not_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(tmp_path / "out"), "--state", str(tmp_path)]) == 0
    assert "not valid" in capsys.readouterr().err
    sheet = sheet_of(DEMO_DISTRICT)
    assert sheet.demonstration
    for language in LANGUAGES:
        assert html.escape(WORDS[language].demonstration) in render(sheet, language)


def test_a_file_that_lacks_a_text_is_refused_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "district.toml"
    path.write_text(filled(STARTER_DISTRICT.read_text()).replace('ru = "contact (ru)"\n', ""))
    for words in (
        ["render", str(tmp_path / "out"), "--district", str(path)],
        ["render", str(tmp_path / "out"), "--district", str(tmp_path / "missing.toml")],
        ["render", str(path / "below"), "--district", str(DEMO_DISTRICT)],
        ["render"],
        ["draw"],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    main(["render", str(tmp_path / "out"), "--district", str(path)])
    assert "notice.contact.ru" in capsys.readouterr().err
