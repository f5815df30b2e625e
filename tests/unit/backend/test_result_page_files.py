"""What the result page's files promise before any browser opens them: light, alone, in six languages."""

import re
from pathlib import Path

import pytest

from contracts import claim, cohorts, sealed
from tests.support.repository import ROOT

STATIC = ROOT / "backend/results/static"
LANGUAGES = ("zh", "en", "fr", "es", "ru", "ar")
WEIGHT_BAR_BYTES = 100_000
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
PAGES = [STATIC / "index.html", *sorted((STATIC / "health").glob("*.html"))]
ENTRY = re.compile(r'^  (\w+): "(.*)",$')


def words(language: str) -> dict[str, str]:
    """A catalogue, whose form is one entry a line."""
    lines = (STATIC / f"words/{language}.js").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("export default {", "};")
    found = [ENTRY.match(line) for line in lines[1:-1]]
    assert all(found), "an entry a line"
    return {match[1]: match[2] for match in found if match}


def size(*paths: Path) -> int:
    return sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_weighs_at_most_100_kb_in_every_language(language: str) -> None:
    code = [path for path in FILES if path.parent == STATIC]
    own = [STATIC / f"words/{language}.js", STATIC / f"health/{language}.html"]
    assert size(*code, *own) <= WEIGHT_BAR_BYTES


def test_all_languages_say_the_same_things_with_the_same_places_for_values() -> None:
    english = words("en")
    for language in LANGUAGES:
        said = words(language)
        assert list(said) == list(english), language
        for key, text in said.items():
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), (language, key)
            assert text.strip()


def test_every_sentence_is_used() -> None:
    """A key is named in code or markup, or made of a state's or field's name and an ending."""
    source = "".join(path.read_text() for path in FILES if path.parent == STATIC)
    for key in words("en"):
        begin = re.sub(r"(Title|Text|Good|Symbol|Length|Check)$", "", key)
        assert re.search(rf"""["'.`$]{key}\b""", source) or (begin != key and re.search(rf"\b{begin}\b", source)), key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_no_script_style_picture_or_address_of_anybody_else(page: Path) -> None:
    text = page.read_text()
    assert not re.search(
        r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|<(img|iframe|object|embed|base|form action)", text
    )
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        target = (page.parent / address).resolve()
        assert ":" not in address
        assert target.is_file() or target == STATIC
    assert re.search(r'<html lang="(\w\w)" dir="(ltr|rtl)"', text)


def test_no_translation_service_is_offered_a_result() -> None:
    """A browser that translates sends the text to somebody else; the page has six languages of its own."""
    index = (STATIC / "index.html").read_text()
    assert ' translate="no">' in index
    assert '<meta name="google" content="notranslate">' in index


def test_the_code_uses_nothing_that_trusted_types_forbid_and_keeps_nothing() -> None:
    markup = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|eval\(|new Function"
    kept = r"localStorage|sessionStorage|indexedDB|document\.cookie|caches\b|WebAssembly|https?://|console\."
    for path in FILES:
        if path.suffix == ".js" and path.parent == STATIC:
            assert not re.search(f"{markup}|{kept}", path.read_text()), path.name
        if path.suffix == ".css":
            assert not re.search(r"url\(|@import|@font-face", path.read_text())


def test_files_are_short_and_the_hpke_opener_is_within_a_hundred_lines() -> None:
    assert len((STATIC / "hpke.js").read_text().splitlines()) <= 100
    for path in FILES:
        assert len(path.read_text().splitlines()) < 400, path.name


def test_the_page_loads_every_one_of_its_modules_at_once() -> None:
    index = (STATIC / "index.html").read_text()
    for path in STATIC.glob("*.js"):
        assert f'href="{path.name}"' in index or f'src="{path.name}"' in index, path.name


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("claim.js", "CODE_SYMBOLS", claim.CODE_SYMBOLS),
        ("claim.js", "DATA_SYMBOLS", claim.DATA_SYMBOLS),
        ("claim.js", "PRACTICE_TICK", claim.PRACTICE_TICK),
        ("claim.js", "TYPED_CHARACTERS_MAX", claim.MAX_TEXT_CHARS),
        ("clock.js", "COHORT_TICKS", cohorts.COHORT_TICKS),
        ("clock.js", "TTL_TICKS", cohorts.TTL_TICKS),
        ("clock.js", "CLOCK_BYTES", cohorts.CLOCK_BYTES),
        ("record.js", "RECORD_BYTES", sealed.RECORD_BYTES),
        ("record.js", "TARGETS_MAX", sealed.MAX_CALLS),
    ],
)
def test_the_page_and_the_contracts_use_the_same_numbers(file: str, name: str, value: int) -> None:
    assert re.search(rf"const {name} = {value};", (STATIC / file).read_text())
