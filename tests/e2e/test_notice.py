"""The notice for the wall in a real browser: accessible, readable from right to left, and silent on the network."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request

from contracts.notice import LANGUAGES
from kioskwatch.notices.command import sheet_of, write_sheets
from kioskwatch.plan import DEMO_DISTRICT
from tests.support.chromium import accessibility_violations, watched_page

MAX_SHEETS = 2  # of A4: more would not be read on a wall


@pytest.mark.timeout(120)
def test_the_notice_is_accessible_in_six_languages_fits_a_phone_and_asks_nobody(
    browser: Browser, tmp_path: Path
) -> None:
    files = dict(zip(LANGUAGES, write_sheets(sheet_of(DEMO_DISTRICT), tmp_path), strict=True))
    for width_px in (360, 1440):
        with watched_page(browser, width_px=width_px) as page:
            asked: list[str] = []

            def note(request: Request, asked: list[str] = asked) -> None:
                asked.append(request.url)

            page.on("request", note)
            for language, file in files.items():
                page.goto(file.as_uri())
                assert page.get_attribute("html", "lang") == language
                assert page.evaluate("getComputedStyle(document.body).direction") == (
                    "rtl" if language == "ar" else "ltr"
                )
                assert page.evaluate("document.documentElement.scrollWidth") <= width_px, language
                assert accessibility_violations(page) == [], language
                assert page.pdf(format="A4").count(b"/Type /Page\n") <= MAX_SHEETS, language
            assert asked == [file.as_uri() for file in files.values()]
