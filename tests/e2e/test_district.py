"""The whole district as its first officer meets it: one command, one password, a real browser, no part replaced."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import watched_page
from tests.support.up import NEW_PASSWORD, RunningUp

# Two hours before the crowded room's air goes bad; the demonstration starts at midnight and takes 13 h 30 min longer.
START = "2021-12-12T13:00-05:00"
ALERT_BAR_MS = 90_000
SCREENSHOTS = os.environ.get("KIOSKWATCH_SCREENSHOTS")  # a folder: `make screenshots`


def picture(page: Page, name: str) -> None:
    """Keep what an officer sees, narrow and wide, where `make screenshots` asks for it."""
    if SCREENSHOTS is None:
        return
    for width_px in (360, 1440):
        page.set_viewport_size({"width": width_px, "height": 900})
        page.wait_for_timeout(1200)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width_px}.png", full_page=True)


@pytest.mark.timeout(240)
def test_an_officer_sees_the_district_live_and_answers_its_first_alert(browser: Browser, tmp_path: Path) -> None:
    up = RunningUp(tmp_path / "var", "--start", START)
    try:
        up.wait_ready()
        with watched_page(browser) as page:
            first_sign_in(page, up)
            expect(page.get_by_text("SIMULATED ×600")).to_be_visible()
            sees_numbers_change(page)
            picture(page, "walk-district")
            answers_the_air_alert(page)
        assert up.stop() == 0
    finally:
        if up.process.poll() is None:
            up.stop()


def first_sign_in(page: Page, up: RunningUp) -> None:
    page.goto(up.url)
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", up.password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(re.compile("/password"))  # the printed password must be changed first
    page.fill("[name=old]", up.password)
    page.fill("[name=new]", NEW_PASSWORD)
    page.fill("[name=again]", NEW_PASSWORD)
    page.press("[name=again]", "Enter")
    page.wait_for_url(f"{up.url}/")


def sees_numbers_change(page: Page) -> None:
    """District time runs, and a zone's CO2 changes, without the page being loaded again."""
    page.evaluate("window.loadedOnce = true")
    clock = page.locator("#clock").inner_text()
    expect(page.locator("#clock")).not_to_have_text(clock)
    air = page.get_by_text(re.compile(r"\d\sppm")).first
    expect(air).to_be_visible(timeout=20_000)
    shown = air.inner_text()
    expect(air).not_to_have_text(shown, timeout=30_000)
    assert page.evaluate("window.loadedOnce") is True


def answers_the_air_alert(page: Page) -> None:
    headline = page.get_by_role("heading", name="Carbon dioxide (CO₂) beyond its limit")
    expect(page.get_by_text("Carbon dioxide (CO₂) beyond its limit").first).to_be_visible(timeout=ALERT_BAR_MS)
    page.get_by_role("link", name="Alerts").first.click()
    page.get_by_role("link", name="Carbon dioxide (CO₂) beyond its limit").first.click()
    expect(headline).to_be_visible()
    expect(page.locator("#reason")).to_contain_text(re.compile(r"1,?500\sppm"))
    picture(page, "walk-alert")
    page.fill("#note", "Caretaker asked to open the windows")
    page.click("#acknowledge")
    expect(page.locator("#history")).to_contain_text("Caretaker asked to open the windows")
    page.fill("#note", "Hall aired, people gone")
    page.click("#resolve")
    expect(page.locator("#actions")).to_contain_text("It is resolved")
    history = page.locator("#history")
    for word in ("raised", "acknowledged", "resolved", "admin", "Hall aired, people gone"):
        expect(history).to_contain_text(word)
    picture(page, "walk-alert-resolved")
