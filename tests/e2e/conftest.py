"""A backend with a district's data, and pages in a real Chromium that talk to nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.support.chromium import watched_page
from tests.support.console import PASSWORD, Console, running_console


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("console"), speed=60) as running:
        running.account("olga", "officer")
        running.account("tess", "technician")
        yield running


@contextmanager
def signed_in(
    browser: Browser,
    console: Console,
    name: str = "olga",
    *,
    width_px: int = 1440,
    language: str = "en",
    scheme: Literal["light", "dark"] = "light",
) -> Iterator[Page]:
    """A page in a fresh profile; AssertionError when it asked another host or its console complained."""
    with watched_page(browser, width_px=width_px) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.emulate_media(color_scheme=scheme)
        sign_in(page, console, name, language=language)
        yield page
        assert [url for url in asked if not url.startswith(f"{console.url}/")] == []


def sign_in(page: Page, console: Console, name: str, *, language: str = "en") -> None:
    """Fill in the form and send it with the Enter key."""
    page.goto(f"{console.url}/sign-in?lang={language}")
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{console.url}/")


@contextmanager
def unwatched_page(browser: Browser) -> Iterator[Page]:
    """A page whose console may tell of refusals, for tests that are refused on purpose."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    try:
        yield context.new_page()
    finally:
        context.close()
