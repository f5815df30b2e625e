"""Pictures of the console for docs/screenshots: `python -m tests.support.screenshots OUT [--url URL --name NAME]`.

With --url a running district is shown (the password is read from KIOSKWATCH_PASSWORD), without it a backend with test
data. Each page is taken at the width of a phone and of a desk.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.chromium import running_chromium
from tests.support.console import PASSWORD, running_console

PAGES = {
    "district": "/",
    "zone": "/zones/z10022",
    "alerts": "/alerts?show=all",
    "alert": "/alerts/1",
    "devices": "/devices",
    "device": "/devices/air-10022",
    "pipeline": "/boards/pipeline",
}
WIDTHS_PX = {"phone": 360, "desk": 1440}
SPEED = 600


def take(browser: Browser, url: str, name: str, password: str, out: Path, *, languages: Sequence[str]) -> list[Path]:
    """Sign in and take every page; return the files."""
    out.mkdir(parents=True, exist_ok=True)
    taken = []
    for language in languages:
        for look, width_px in WIDTHS_PX.items():
            context = browser.new_context(viewport={"width": width_px, "height": 900}, ignore_https_errors=True)
            page = context.new_page()
            page.goto(f"{url}/sign-in?lang={language}")
            page.fill("[name=name]", name)
            page.fill("[name=password]", password)
            page.press("[name=password]", "Enter")
            page.wait_for_url(f"{url}/")
            taken += [_shot(page, url + path, out / f"{title}-{look}-{language}.png") for title, path in PAGES.items()]
            context.close()
    return taken


def _shot(page: Page, address: str, file: Path) -> Path:
    page.goto(address)
    page.wait_for_timeout(800)  # charts are drawn after their numbers came
    page.screenshot(path=file, full_page=True)
    return file


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--name", default="admin")
    parser.add_argument("--language", action="append", default=None)
    asked = parser.parse_args()
    languages = asked.language or ["en", "zh"]
    with running_chromium() as browser:
        if asked.url is not None:
            password = os.environ["KIOSKWATCH_PASSWORD"]
            take(browser, asked.url.rstrip("/"), asked.name, password, asked.out, languages=languages)
            return
        with tempfile.TemporaryDirectory() as folder, running_console(Path(folder), speed=SPEED) as console:
            take(browser, console.url, "admin", PASSWORD, asked.out, languages=languages)


if __name__ == "__main__":
    main()
