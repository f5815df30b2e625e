"""Two officers in two browsers open the restricted readings together: on a phone's width, in both languages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import signed_in
from tests.support.chromium import accessibility_violations
from tests.support.console import PASSWORD, Console, running_console
from tests.support.restricted import write_room

WHY = "call from the hotel about floor three"
WORDS = {
    "en": ("Restricted readings, open to olga and omar alone", "carbon dioxide"),
    "zh": ("受限读数，仅对 olga 和 omar 开放", "二氧化碳"),
}


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("restricted"), speed=60) as running:
        for name in ("olga", "omar", "ivo"):
            running.account(name, "officer")
        write_room(running.folder, running.district.district.id)
        yield running


def fits(page: Page) -> None:
    """Narrow enough for a phone, and no barrier that axe finds."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, page.url
    assert accessibility_violations(page) == [], page.url


@pytest.mark.rule("C30")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("language", WORDS)
def test_one_asks_another_confirms_both_see_why_until_when_and_the_readings_and_a_third_does_not(
    browser: Browser, district: Console, language: str
) -> None:
    banner, metric = WORDS[language]
    address = f"{district.url}/restricted"
    with (
        signed_in(browser, district, "olga", width_px=360, language=language) as first,
        signed_in(browser, district, "omar", width_px=360, language=language) as second,
        signed_in(browser, district, "ivo", width_px=360, language=language) as third,
    ):
        first.goto(address)
        fits(first)
        first.fill("[name=reason]", WHY)
        first.select_option("[name=minutes]", "15")
        first.fill("[name=password]", PASSWORD)
        first.click("#opening .main")
        expect(first.locator("#opening")).to_contain_text("olga")
        expect(first.locator("[name=password]")).to_have_count(0)
        fits(first)

        second.goto(address)
        expect(second.locator("#opening")).to_contain_text(WHY)
        fits(second)
        second.fill("[name=password]", PASSWORD)
        second.click("#opening .main")
        second.click("#opening a.main")
        expect(second.locator("#banner")).to_contain_text(banner)
        expect(second.locator("#banner")).to_contain_text(WHY)
        expect(second.locator("table")).to_contain_text(metric)
        fits(second)

        third.goto(address)
        expect(third.locator("#opening")).to_contain_text("omar")
        assert WHY not in third.inner_text("body")
        fits(third)

        first.goto(f"{address}/readings")
        expect(first.locator("table")).to_contain_text(metric)
        first.click("#banner button")
        first.wait_for_url(address)
        answer = second.request.get(f"{address}/readings")
        assert answer.status == 403, "closed for the other one too"
