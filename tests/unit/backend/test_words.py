"""Languages: the choice, numbers and times; and that the catalogue, the templates and the scripts keep their rules."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from backend.web.words import CATALOGUES, LANGUAGES, Languages, Words, choose, zone_name
from dashboards.boards import district, pipeline

WEB = Path("backend/web")
METHODS = [("**.py", "python"), ("web/templates/**.html", "jinja2.ext:babel_extract")]
KEYWORDS = {"_": None, "N_": None, "text": None, "ngettext": (1, 2), "plural": (1, 2), "P_": (1, 2)}
PLACES = re.compile(r"%\((\w+)\)s")
# A local helper of this file is called `text` as well; what it is given are keys of district.toml.
OTHER_TEXT = "devices/district_file.py"

NOON = 1_639_310_400 * 10**9  # 2021-12-12T12:00:00Z


def words(language: str, offset_s: int = -18_000) -> Words:
    return Languages(lambda: offset_s).words(language)


def spoken() -> set[str]:
    """Every sentence that a template, our code or a board may show."""
    found: set[str] = set()
    for folder in ("backend", "kioskwatch/lookup"):
        for file, _, message, _, _ in extract_from_dir(folder, method_map=METHODS, keywords=KEYWORDS):
            if file != OTHER_TEXT:
                found.add(message if isinstance(message, str) else message[0])
    for board in (district.BOARD, pipeline.BOARD):
        found |= {board.title, board.note}
        for panel in board.panels:
            found |= {panel.title, panel.note, *(line.label for line in panel.lines)}
            found |= {threshold.label for threshold in panel.thresholds}
    return found


def catalogue(language: str) -> dict[str, Message]:
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        read = read_po(file, locale=language)
    return {message.id if isinstance(message.id, str) else message.id[0]: message for message in read if message.id}


def test_every_sentence_of_the_console_is_there_in_chinese_and_none_is_left_over() -> None:
    known = catalogue("zh")
    assert sorted(spoken() - known.keys()) == []
    assert sorted(known.keys() - spoken()) == []
    assert [one for one, message in known.items() if message.fuzzy or not message.string] == []


def test_a_translation_has_the_places_of_its_sentence_and_no_others() -> None:
    for sentence, message in catalogue("zh").items():
        translated = message.string if isinstance(message.string, str) else (message.string or ("",))[0]
        many = sentence if isinstance(message.id, str) else message.id[1]
        assert set(PLACES.findall(translated)) == set(PLACES.findall(many)), sentence


@pytest.mark.parametrize(
    ("wanted", "kept", "accepted", "chosen"),
    [
        ("zh", "en", "en", "zh"),
        (None, "zh", "en", "zh"),
        ("tlh", None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, None, "fr-FR,fr;q=0.9,en;q=0.8", "en"),
        (None, None, None, "en"),
        (None, "'; drop", ",,;;=", "en"),
    ],
)
def test_the_address_decides_then_the_cookie_then_the_browser(
    wanted: str | None, kept: str | None, accepted: str | None, chosen: str
) -> None:
    assert choose(wanted, kept, accepted) == chosen


def test_times_are_district_time_in_each_language() -> None:
    assert words("en").instant(NOON) == "12 Dec 2021, 07:00"
    assert words("zh").instant(NOON) == "2021年12月12日 07:00"
    assert words("en", 19_800).instant(NOON) == "12 Dec 2021, 17:30"


@pytest.mark.parametrize(("offset_s", "name"), [(0, "UTC+00:00"), (-18_000, "UTC−05:00"), (19_800, "UTC+05:30")])
def test_a_zone_is_told_by_its_offset(offset_s: int, name: str) -> None:
    assert zone_name(offset_s) == name


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "1 minute"),
        (5400, "1 hour"),
        (7200, "2 hours"),
        (3 * 86_400, "3 days"),
    ],
)
def test_a_span_is_told_in_the_largest_unit_that_fits(seconds: float, told: str) -> None:
    assert words("en").span(seconds) == told


def test_numbers_and_shares_have_their_separators() -> None:
    assert words("en").number(12_345.678, 1) == "12,345.7"
    assert words("en").percent(0.1234) == "12.3%"


def test_a_percent_sign_in_a_sentence_without_places_is_no_place() -> None:
    assert words("en").text("0.10 %: daily mean of GB/T 18883") == "0.10 %: daily mean of GB/T 18883"
    assert words("zh").text("0.10 %: daily mean of GB/T 18883").startswith("0.10%")


def test_every_language_on_offer_can_be_loaded() -> None:
    for language in LANGUAGES:
        assert words(language).language == language


def test_no_template_has_inline_script_style_or_handler() -> None:
    for template in (WEB / "templates").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), template.name
        for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
            assert script.strip() == "", template.name


def test_no_script_of_ours_reads_the_browsers_own_clock() -> None:
    for script in (WEB / "static").glob("*.js"):
        assert not re.search(r"Date\.now|new Date\(\s*\)|Date\(\)", script.read_text()), script.name


def test_nothing_in_pages_scripts_or_styles_points_to_another_host() -> None:
    for file in (*WEB.glob("templates/*.html"), *WEB.glob("static/*.*")):
        addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+", file.read_text()))
        assert addresses <= {"http://www.w3.org"}, file.name
