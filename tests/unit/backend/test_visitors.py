"""[results] and [notice] of district.toml: what no district may say, and what a real one must."""

import re

import pytest

from backend.devices.district_file import lacking, parse_district
from backend.devices.visitors import languages_of, notice_of
from backend.errors import DistrictFileError
from contracts.notice import DEMONSTRATION_MARK, FIELDS, LANGUAGES, MAX_TEXT_CHARS
from kioskwatch.plan import DEMO_DISTRICT, STARTER_DISTRICT
from tests.support.notices import NOTICE, filled
from tests.unit.backend.test_district_file import GOOD

WHOLE = filled(GOOD)


def refusal(text: str, *, real: bool = False) -> DistrictFileError:
    with pytest.raises(DistrictFileError) as caught:
        parse_district(text, real=real)
    assert "\n" not in str(caught.value)
    return caught.value


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(start))


def test_a_filled_file_serves_a_real_district_and_its_notice_is_whole() -> None:
    file = parse_district(WHOLE, real=True)
    assert file.results.origin == "https://results.harbour.internal"
    assert notice_of(file.notice) == NOTICE
    assert list(lacking(file)) == []


def test_a_simulated_district_needs_neither() -> None:
    file = parse_district(GOOD)
    assert (file.results.origin, notice_of(file.notice)) == ("", None)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", ["", f"{DEMONSTRATION_MARK} who knows", "tbd"])
def test_a_real_district_is_refused_by_the_name_of_the_text_that_nobody_wrote(
    name: str, language: str, text: str
) -> None:
    changed = WHOLE.replace(f'"{name} ({language})"', f'"{text}"')
    error = refusal(changed, real=True)
    assert error.key == f"notice.{name}.{language}"
    assert error.line == next(n for n, line in enumerate(changed.splitlines(), start=1) if line.endswith(f'"{text}"'))
    assert "write, in " in str(error)
    parse_district(changed)


def test_a_missing_language_points_at_its_table_and_a_missing_table_still_has_a_name() -> None:
    without = WHOLE.replace('fr = "contact (fr)"\n', "")
    error = refusal(without, real=True)
    assert (error.key, error.line) == ("notice.contact.fr", line_of(without, "[notice.contact]"))
    assert refusal(WHOLE.partition("[notice.controller]")[0], real=True).key == "notice.controller.zh"


def test_the_notice_may_be_written_in_any_style_of_toml() -> None:
    one_line = re.sub(r"\[notice\.contact\]\n((?:.*\n){6})", "", WHOLE)
    inline = ", ".join(f'{language} = "contact ({language})"' for language in LANGUAGES)
    styled = one_line.replace("[notice.controller]", f"[notice]\ncontact = {{ {inline} }}\n\n[notice.controller]")
    assert notice_of(parse_district(styled, real=True).notice) == NOTICE
    broken = styled.replace('"contact (es)"', '"tbd"')
    error = refusal(broken, real=True)
    assert (error.key, error.line) == ("notice.contact.es", line_of(broken, "contact ="))


@pytest.mark.parametrize("path", [DEMO_DISTRICT, STARTER_DISTRICT])
def test_the_shipped_files_hold_a_whole_notice_that_is_marked_and_no_real_district_takes_it(path: object) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    notice = notice_of(parse_district(text).notice)
    assert notice is not None
    for texts in notice.texts().values():
        assert all(one.startswith(f"{DEMONSTRATION_MARK} ") for one in texts.values())
    lacks = [(fault.table, fault.key) for fault in lacking(parse_district(text))]
    expected = [("results", "origin"), *((f"notice.{name}", key) for name in FIELDS for key in LANGUAGES)]
    assert lacks == expected


def test_a_real_district_without_kiosks_has_no_visitors_to_tell() -> None:
    file = GOOD.replace('[[device]]\nid = "kiosk-1"\nsite = "site-1"\nkind = "kiosk"\n', "")
    parse_district(file, real=True)


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("results.harbour.internal", "an address such as"),
        ("https://results.harbour.internal/", "an address such as"),
        ("https://results.harbour.internal/page", "an address such as"),
        ("https://user@results.harbour.internal", "an address such as"),
        ("https://Results.harbour.internal", "an address such as"),
        ("https://results.harbour.internal:0", "an address such as"),
        ("ftp://results.harbour.internal", "an address such as"),
        (f"https://{'a' * 100}.org", "at most 100"),
        ("http://results.harbour.internal", "only http://localhost"),
        ("http://192.0.2.7", "only http://localhost"),
    ],
)
def test_what_is_no_address_for_results_is_refused_in_any_district(origin: str, words: str) -> None:
    error = refusal(filled(GOOD, origin=origin))
    assert (error.key, words in str(error)) == ("results.origin", True), str(error)
    assert error.line == line_of(filled(GOOD, origin=origin), "origin")


@pytest.mark.parametrize(
    "origin", ["", "http://localhost:8801", "http://127.0.0.1", "https://localhost", "https://results.example.org"]
)
def test_an_address_that_no_phone_reaches_is_refused_in_a_real_district_only(origin: str) -> None:
    text = filled(GOOD, origin=origin)
    parse_district(text)
    error = refusal(text, real=True)
    assert (error.key, "write the https address" in str(error)) == ("results.origin", True)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('en = "contact (en)"', 'de = "Amt"', "notice.contact.de"),
        ('"contact (en)"', f'"{"x" * (MAX_TEXT_CHARS + 1)}"', "notice.contact.en"),
        ('"contact (en)"', '"two\\nlines"', "notice.contact.en"),
        ('"contact (en)"', '"turned \\u202e around"', "notice.contact.en"),
        ("[notice.contact]", "[notice.contcat]", "notice.contcat"),
        ('"contact (en)"', "7", "notice.contact"),
    ],
)
def test_a_text_that_no_slip_could_print_is_refused_in_any_district(old: str, new: str, key: str) -> None:
    error = refusal(WHOLE.replace(old, new))
    assert error.key.startswith(key), error.key
    assert error.line is not None


def test_a_kiosk_offers_all_six_languages_and_the_districts_own_come_first() -> None:
    assert languages_of(("fr", "ar")) == ("fr", "ar", "zh", "en", "es", "ru")
    assert languages_of(()) == LANGUAGES
