"""The slip: what stands on it, that it can be printed, and that nothing in it can command a printer."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.notice import LANGUAGES
from edge.core.localtime import clock_text, when_text
from edge.errors import SlipError
from edge.slip.code_page import code_page, headers
from edge.slip.escpos import document
from edge.slip.raster import Bitmap
from edge.slip.slip import Rule, SlipContent, Symbol, Text, blocks, slip_bytes, warm
from edge.slip.symbol import modules
from edge.slip.words import words
from tests.support.notices import OFFICE, notice
from tests.support.slips import CODE, GROUP, URL, slip

# A bitmap of two rows of 16 dots, and its document, laid out by hand from docs/protocols/escpos.md:
# ESC @ | GS v 0, normal, 2 bytes wide, 2 rows, data | ESC J 24 | GS V 66 0 | ESC @
TWO_ROWS = Bitmap(16, 2, bytes.fromhex("8001 ff00"))
TWO_ROWS_DOCUMENT = bytes.fromhex("1b40 1d763000 0200 0200 8001ff00 1b4a18 1d564200 1b40")


def test_a_small_bitmap_becomes_the_bytes_that_the_manual_says() -> None:
    assert document(TWO_ROWS) == TWO_ROWS_DOCUMENT


def test_a_long_picture_comes_in_bands_that_fit_a_printers_buffer() -> None:
    printed = document(Bitmap(8, 300, bytes(300)))
    heads = re.findall(rb"\x1dv0\x00\x01\x00(..)", printed, re.DOTALL)
    assert [int.from_bytes(rows, "little") for rows in heads] == [128, 128, 44]


@given(st.lists(st.sampled_from([0x10, 0x04, 0x05, 0x14, 0x01, 0x00]), min_size=72, max_size=720))
def test_no_picture_can_hold_a_real_time_command(dots: list[int]) -> None:
    data = bytes(dots[: len(dots) // 72 * 72])
    assert not re.search(rb"\x10[\x04\x05\x14]", document(Bitmap(576, len(data) // 72, data)))


def test_a_dot_that_is_added_for_that_hides_no_other() -> None:
    assert document(Bitmap(16, 1, b"\x10\x04"))[10:12] == b"\x18\x04"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slip_says_all_that_it_must(language: str) -> None:
    said = blocks(slip(language))
    texts = [block.text for block in said if isinstance(block, Text)]
    say = words(language)
    assert [text for text in texts if text.split(" ")[0] in CODE][:2] == ["TEST0 12345 ABCDE", "FGHJK MNPQR"]
    for needed in (GROUP, "https://results.example/", "2021-12-12 14:20 (UTC-05:00)", "2021-12-22 14:20 (UTC-05:00)"):
        assert needed in texts
    for name in ("negative", "positive", "invalid", "scan", "keep"):
        assert say[name] in texts
    assert texts.count(OFFICE[language]) == 4  # where to confirm, what the law asks, whom to ask, who is responsible
    assert "a1b2 c3d4 e5f6 0718" in texts
    assert [block.data for block in said if isinstance(block, Symbol)] == [URL]


def test_what_belongs_to_one_visitor_is_never_kept_in_memory_of_drawings() -> None:
    kept = [block.text for block in blocks(slip("en")) if isinstance(block, Text) and block.fixed]
    assert not [text for text in kept if any(group in text for group in (*CODE.split("-"), GROUP, "14:20"))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_drawn_within_the_papers_width_and_a_hand_long(language: str) -> None:
    printed = slip_bytes(slip(language))
    assert printed.startswith(b"\x1b@\x1dv0\x00\x48\x00")  # 72 bytes = 576 dots
    rows = [int.from_bytes(found, "little") for found in re.findall(rb"\x1dv0\x00\x48\x00(..)", printed, re.DOTALL)]
    assert 1000 < sum(rows) < 2400  # 125 to 300 mm
    assert printed.endswith(b"\x1dVB\x00\x1b@")


def test_the_length_of_a_slip_does_not_depend_on_its_code() -> None:
    other = CODE.replace("TEST0", "ZZZZZ"), URL.replace("TEST0", "ZZZZZ")
    assert len(slip_bytes(slip("ru"))) == len(slip_bytes(slip("ru", code=other[0], url=other[1])))


def test_drawing_ahead_changes_nothing() -> None:
    before = slip_bytes(slip("ar"))
    warm(notice(), "a1b2 c3d4 e5f6 0718")
    assert slip_bytes(slip("ar")) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "TEST0-12345"},
        {"code": "TEST0-12345-ABCDE-FGHJK-MNPQ\n"},
        {"ready_group": "3K7Q"},
        {"url": "https://results.example/"},
        {"url": "https://results.example/#" + "A" * 200},
        {"language": "tlh"},
        {"ready_at": ""},
        {"page_hash": "ключ"},
    ],
)
def test_a_slip_that_could_not_be_used_is_refused_without_quoting_it(wrong: dict[str, str]) -> None:
    good = {name: getattr(slip(), name) for name in SlipContent.__dataclass_fields__}
    with pytest.raises(SlipError) as caught:
        SlipContent(**(good | wrong))
    assert not [value for value in wrong.values() if value.strip() and value in str(caught.value)]


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=400).filter(lambda text: text.strip() != ""), st.sampled_from(LANGUAGES))
def test_any_text_is_drawn_or_refused_with_a_sentence(text: str, language: str) -> None:
    from edge.slip.raster import Style, draw_text  # noqa: PLC0415 -- the drawing itself, below the slip

    style = Style(24, 6, language, bold=False, mono=False, centred=False, right_to_left=language == "ar")
    drawn = draw_text(text, 576, style, keep=False)
    assert drawn.width == 576
    assert len(drawn.data) == 72 * drawn.height


def test_the_languages_have_the_same_sentences() -> None:
    assert {language: set(words(language)) for language in LANGUAGES} == {key: set(words("en")) for key in LANGUAGES}
    assert all(text.strip() for language in LANGUAGES for text in words(language).values())


def test_a_symbol_has_its_three_finders_and_a_square_shape() -> None:
    rows = modules(URL)
    finder = (True,) * 7
    assert len(rows) == len(rows[0])
    assert rows[0][:7] == rows[0][-7:] == rows[-1][:7] == finder  # ISO/IEC 18004, 6.3.3


def test_a_text_that_fits_no_symbol_is_not_quoted() -> None:
    with pytest.raises(SlipError) as caught:
        modules("SECRET" * 1000)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_without_paper_holds_the_code_and_loads_nothing(language: str) -> None:
    page = code_page(slip(language)).decode()
    for needed in ("TEST0 12345 ABCDE", "FGHJK MNPQR", GROUP, "2021-12-22 14:20"):
        assert needed in page
    assert not re.findall(r"<script|<link|src=|url\(|href=|\son\w+=", page)
    assert f'dir="{"rtl" if language == "ar" else "ltr"}"' in page


def test_the_page_without_paper_is_kept_by_nobody() -> None:
    sent = dict(headers())
    assert sent["Cache-Control"] == "no-store"
    assert "default-src 'none'" in sent["Content-Security-Policy"]
    assert "'unsafe-inline'" not in sent["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("offset_s", "text"),
    [
        (0, "2021-12-12 19:20 (UTC+00:00)"),
        (-18000, "2021-12-12 14:20 (UTC-05:00)"),
        (20700, "2021-12-13 01:05 (UTC+05:45)"),
    ],
)
def test_an_instant_is_written_in_figures_with_its_offset(offset_s: int, text: str) -> None:
    at_ns = 1_639_336_859_999_999_999
    assert when_text(at_ns, offset_s) == text
    assert clock_text(at_ns, offset_s) == text[11:16]


def test_rules_part_the_slip() -> None:
    assert sum(isinstance(block, Rule) for block in blocks(slip())) == 3


def test_a_bitmap_whose_rows_do_not_fill_it_is_refused() -> None:
    with pytest.raises(SlipError):
        Bitmap(16, 2, bytes(3))
