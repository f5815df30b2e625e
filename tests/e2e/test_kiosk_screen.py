"""The kiosk's screen in Chromium: every screen in every language, keyboard alone, silence, gloves, no complaint.

With KIOSKWATCH_SCREENSHOTS set the pictures of docs/screenshots are drawn anew.
"""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from contracts.notice import LANGUAGES
from edge.screen.words import words
from tests.support.chromium import accessibility_violations, watched_page
from tests.support.desk import INSERTION_NS, NOW_NS, T_MAX_NS, FakeDesk
from tests.support.screens import RunningScreen, running_screen

GLASS_PX = (720, 1000)  # a touch screen that stands upright
SMALL_PX = (360, 740)
GLOVE_PX = 64
PICTURES = os.environ.get("KIOSKWATCH_SCREENSHOTS")

pytestmark = pytest.mark.timeout(180)


def _fault(name: str) -> Callable[[FakeDesk], None]:
    return lambda desk: setattr(desk, "fault", name)


def _nothing(desk: FakeDesk) -> None:
    """A kiosk that is ready."""


def _busy(desk: FakeDesk) -> None:
    desk.busy_until_ns = [NOW_NS + T_MAX_NS] * 4


def _issuing(desk: FakeDesk) -> None:
    desk.issuing = True


# Screen -> what the desk says when the language is chosen.
BEFORE: dict[str, Callable[[FakeDesk], None]] = {
    "info": _nothing,
    "busy": _busy,
    "wait": _issuing,
    **{name: _fault(name) for name in ("paper", "printer", "analyser", "control", "door", "clock", "store")},
}


@pytest.fixture
def screen() -> Iterator[RunningScreen]:
    with running_screen() as running:
        yield running


def _stands(page: Page, name: str) -> None:
    expect(page.locator(f'body[data-screen="{name}"]')).to_be_attached()


def _looked_at(page: Page, name: str, language: str) -> None:
    """Clean for axe, within the glass, big enough for a glove; and a picture when pictures are asked for."""
    _stands(page, name)
    assert accessibility_violations(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "the page is wider than the glass"
    for target in page.locator("a.big:visible, button:visible").all():
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= GLOVE_PX
    if PICTURES is not None:
        _picture(page, Path(PICTURES) / "kiosk" / f"{name}-{language}.png")


def _page_in_frame_is_clean(browser: Browser, page: Page, kind: str) -> None:
    url = page.locator(f"iframe.{kind}").get_attribute("src")
    assert url is not None
    with watched_page(browser) as framed:
        framed.goto(url)
        framed.locator("h1").wait_for()
        assert accessibility_violations(framed) == []


def _picture(page: Page, path: Path) -> None:
    """Keep a picture small: sixty-four colours are more than these screens have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shot = Image.open(io.BytesIO(page.screenshot()))
    shot.convert("RGB").quantize(64).save(path, optimize=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_before_the_slip_is_clean(browser: Browser, language: str) -> None:
    for name, happens in BEFORE.items():
        with (
            running_screen() as screen,
            watched_page(browser, width_px=GLASS_PX[0], height_px=GLASS_PX[1]) as page,
        ):
            happens(screen.desk)
            page.goto(screen.url)
            if name == "info":
                _looked_at(page, "start", language)
            page.click(f'a[lang="{language}"]')
            _looked_at(page, name, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_of_a_visit_is_clean(browser: Browser, language: str) -> None:
    with (
        running_screen(simulated=True) as screen,
        watched_page(browser, width_px=GLASS_PX[0], height_px=GLASS_PX[1]) as page,
    ):
        page.goto(f"{screen.url}/{language}")
        page.click("button.go")
        _looked_at(page, "insert", language)
        _page_in_frame_is_clean(browser, page, "slot")
        slot = page.frame_locator("iframe.slot")
        slot.locator("button").nth(1).click()
        _looked_at(page, "done", language)
        assert len(screen.inserted) == 1
        page.click("main button")
        _stands(page, "start")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_a_visit_ends_without_a_test_is_clean(browser: Browser, language: str) -> None:
    with (
        running_screen() as screen,
        watched_page(browser, width_px=GLASS_PX[0], height_px=GLASS_PX[1]) as page,
    ):
        screen.desk.refuse = "internal"
        page.goto(f"{screen.url}/{language}")
        page.click("button.go")
        _looked_at(page, "internal", language)
        screen.desk.refuse = None
        page.goto(f"{screen.url}/{language}")
        page.click("button.go")
        _stands(page, "insert")
        screen.desk.pass_ns(INSERTION_NS)
        _looked_at(page, "lapsed", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_paper_the_code_can_be_photographed(browser: Browser, language: str) -> None:
    with (
        running_screen(language=language) as screen,
        watched_page(browser, width_px=GLASS_PX[0], height_px=GLASS_PX[1]) as page,
    ):
        screen.desk.fault = "paper"
        page.goto(f"{screen.url}/{language}")
        page.click("button.go")
        _stands(page, "insert")
        code = page.frame_locator("iframe.code")
        expect(code.locator("strong").first).to_have_text("TEST0 12345 ABCDE")
        expect(code.locator("svg")).to_be_visible()
        inside = code.locator("svg").bounding_box()
        assert inside is not None
        assert inside["width"] >= 180, "a telephone must be able to read it"
        _looked_at(page, "insert", f"photo-{language}")
        _page_in_frame_is_clean(browser, page, "code")
        assert screen.desk.asked == [(language, False)]


def test_a_visit_needs_no_mouse_and_no_finger(browser: Browser, screen: RunningScreen) -> None:
    with watched_page(browser) as page:
        page.goto(screen.url)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the second language
        _stands(page, "info")
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", "where one is must be seen"
        page.keyboard.press("Enter")
        _stands(page, "insert")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        _stands(page, "start")
    assert screen.desk.asked == [("en", True)]
    assert screen.desk.left == 1


@pytest.mark.parametrize("name", ["info", "insert", "analyser"])
def test_after_a_minute_of_silence_the_screen_goes_back_to_the_start(
    browser: Browser, screen: RunningScreen, name: str
) -> None:
    with watched_page(browser) as page:
        page.clock.install()
        if name == "analyser":
            screen.desk.fault = "analyser"
        page.goto(f"{screen.url}/ru")
        if name == "insert":
            page.click("button.go")
        _stands(page, name)
        page.clock.fast_forward(39_000)
        expect(page.locator("dialog")).to_be_hidden()
        page.clock.fast_forward(2_000)
        expect(page.locator("dialog")).to_be_visible()
        assert accessibility_violations(page) == []
        page.clock.fast_forward(20_000)
        _stands(page, "start")
        assert screen.desk.left == 1


def test_whoever_touches_the_screen_keeps_it(browser: Browser, screen: RunningScreen) -> None:
    with watched_page(browser) as page:
        page.clock.install()
        page.goto(f"{screen.url}/en")
        for _ in range(3):
            page.clock.fast_forward(45_000)
            page.get_by_role("button", name=words("en")["still_button"]).click()
            expect(page.locator("dialog")).to_be_hidden()
        _stands(page, "info")


def test_a_fault_that_comes_and_goes_is_shown_without_a_touch(browser: Browser, screen: RunningScreen) -> None:
    with watched_page(browser) as page:
        page.goto(f"{screen.url}/en")
        _stands(page, "info")
        screen.desk.fault = "door"
        _stands(page, "door")
        screen.desk.fault = None
        _stands(page, "info")


def test_the_screen_serves_a_telephone_sized_window_too(browser: Browser) -> None:
    with (
        running_screen(simulated=True) as screen,
        watched_page(browser, width_px=SMALL_PX[0], height_px=SMALL_PX[1]) as page,
    ):
        page.goto(f"{screen.url}/fr")
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PX[0]
        page.click("button.go")
        _stands(page, "insert")
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PX[0]


def test_another_site_cannot_press_the_screens_button(browser: Browser, screen: RunningScreen) -> None:
    context = browser.new_context()
    page = context.new_page()
    form = (
        f'<form method="post" action="{screen.url}/check-in"><input name="token" value="x"><button>go</button></form>'
    )
    page.route("http://evil.test/", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto("http://evil.test/")
    with page.expect_response(f"{screen.url}/check-in") as answered:
        page.click("button")
    assert answered.value.status == 403
    assert screen.desk.asked == []
    context.close()
