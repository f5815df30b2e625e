"""A visitor at the result page: types, presses, waits for what the page says."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from playwright.sync_api import Browser, Page, expect

from contracts.claim import ClaimCode, fragment, ready_group
from contracts.sealed import result_body
from tests.support.chromium import watched_page
from tests.support.result_host import District, sealed, served

NOW_S = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the browser's clock is this machine's
NOW = NOW_S // 600 - 1  # the newest complete tick

TICK = NOW - 40  # when the result of CODE was ready
CODE = ClaimCode.parse("Z9Y8X-7W6V5-T4S3R-2Q1P0-NMKWE")  # of tests/vectors/claim.json
BODY = result_body("2026-11-22", {"sars-cov-2": "positive", "influenza-a": "negative"})
WAIT_MS = 15_000  # a shared machine; nothing here is a measurement

# Browsers of 2024 and older have no X25519: they say so as this does.
WITHOUT_X25519 = """
  const importKey = SubtleCrypto.prototype.importKey;
  SubtleCrypto.prototype.importKey = function (format, data, algorithm, ...rest) {
    if (algorithm === "X25519") return Promise.reject(new DOMException("unrecognised name", "NotSupportedError"));
    return importKey.call(this, format, data, algorithm, ...rest);
  };
"""


def tick_now() -> int:
    """The newest complete tick of this moment: a whole suite may lie between `NOW` and a test."""
    return int(datetime.now(UTC).timestamp()) // 600 - 1  # noqa: TID251 - as above


@contextmanager
def visiting(
    browser: Browser, district: District, *, fragment: str = "", width_px: int = 390, language: str = "en"
) -> Iterator[tuple[Page, str]]:
    """The page, open, and its origin; AssertionError at the end for a console error or a request to anybody else."""
    with served(district) as url, watched_page(browser, width_px=width_px) as page:
        page.add_init_script(f"Object.defineProperty(navigator, 'languages', {{ get: () => ['{language}-XX'] }});")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/{fragment}")
        expect(page.locator("#entry, #state").filter(visible=True).first).to_be_visible(timeout=WAIT_MS)
        yield page, url
        assert [address for address in asked if not address.startswith(f"{url}/")] == []
        assert page.context.cookies() == []
        assert page.evaluate("[localStorage.length, sessionStorage.length, history.state, location.search]") == [
            0,
            0,
            None,
            "",
        ]


def district(*records: bytes, tick: int = NOW, ready_tick: int = TICK) -> District:
    """A district in which the result of CODE, or these records, can be read."""
    made = District(tick)
    made.put(ready_tick, *(records or (sealed(CODE, BODY),)))
    return made


def link(code: ClaimCode, ready_tick: int) -> str:
    """What the QR code on the slip leads to."""
    return fragment(code, ready_tick)


def type_in(page: Page, code: str, group: str | int | None) -> None:
    """Fill in the form and press its button; a tick stands for its group, None leaves that field as it is."""
    page.fill("#code", code)
    if group is not None:
        page.fill("#group", ready_group(group) if isinstance(group, int) else group)
    page.click("#show")


def stands_at(page: Page, name: str) -> None:
    """Wait for a state by its name."""
    expect(page.locator("#state")).to_have_attribute("data-name", name, timeout=WAIT_MS)


def show_result(page: Page) -> None:
    """Type CODE in and read its result."""
    type_in(page, str(CODE), TICK)
    stands_at(page, "result")


def said(page: Page) -> str:
    """What the state's card says, without the marks that isolate inserted values."""
    return page.locator("#state").inner_text().replace("\u2068", "").replace("\u2069", "").replace("\u202f", " ")


@contextmanager
def served_quietly(browser: Browser, district: District, *, wait: bool = True) -> Iterator[Page]:
    """The page where the browser itself reports failed requests to its console; nothing may be thrown all the same."""
    with served(district) as url:
        context = browser.new_context(viewport={"width": 390, "height": 800}, locale="en-GB")
        page = context.new_page()
        thrown: list[str] = []
        page.on("pageerror", lambda error: thrown.append(str(error)))
        try:
            page.goto(f"{url}/")
            if wait:
                expect(page.locator("#entry")).to_be_visible(timeout=WAIT_MS)
            yield page
        finally:
            context.close()
    assert thrown == []
