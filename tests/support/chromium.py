"""A real browser for tests: Debian's Chromium, driven by Playwright, talking to nobody but us."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.support.required import unavailable

_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # tests may run as root
)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A browser without a window; skips (fails with CI set) where Chromium is not installed."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        unavailable("Chromium", "`apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched_page(browser: Browser, *, width_px: int = 1440, height_px: int = 900) -> Iterator[Page]:
    """A page in a fresh profile, AssertionError at the end when it wrote an error to its console or threw one."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text} ({message.location})")

    context = browser.new_context(viewport={"width": width_px, "height": height_px}, ignore_https_errors=True)
    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(f"thrown: {error}"))
    try:
        yield page
    finally:
        context.close()
    assert not complaints, "the browser console says: " + "; ".join(complaints)


def accessibility_violations(page: Page) -> list[str]:
    """What axe-core (WCAG 2.2 A and AA) finds on the page as it stands: one sentence a rule, empty when clean."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    # Frames of another origin are looked at as pages of their own: axe cannot speak to them from here.
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}, "iframes": False})
    return [
        f"{violation['id']}: {violation['help']} at {[node['target'] for node in violation['nodes']]}"
        for violation in found.response["violations"]
    ]
