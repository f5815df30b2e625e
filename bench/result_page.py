"""From the press of the button to the result on the screen, in Chromium, beside a bare download of the same bytes."""

import statistics
from collections.abc import Iterator

from playwright.sync_api import Browser, Page

from bench.report import Figure, at_most
from contracts import cohorts
from contracts.claim import ready_group
from contracts.sealed import RECORD_BYTES
from tests.support.chromium import running_chromium, watched_page
from tests.support.result_host import District, sealed, served
from tests.support.result_visit import BODY, CODE, NOW, TICK, WITHOUT_X25519, stands_at

RUNS = 7
PART = "result page"
NATIVE_RECORDS = 1024  # 256 KiB
NATIVE_BAR_S = 0.3
OWN_RECORDS = cohorts.MAX_COHORT_RECORDS  # 2 MiB
OWN_BAR_S = 1.0
# The clock stops in the frame after the one that has the result, when it is painted.
_SHOWN = """() => new Promise((resolve) => {
  const state = document.getElementById("state");
  const watch = new MutationObserver(() => {
    if (state.dataset.name !== "result") return;
    watch.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - began)));
  });
  watch.observe(state, { attributes: true });
  const began = performance.now();
  document.getElementById("show").click();
})"""
_BARE = """async (path) => {
  const began = performance.now();
  for (const address of ["clock.json", path]) await (await fetch(address, { cache: "no-store" })).arrayBuffer();
  return performance.now() - began;
}"""


def measure() -> Iterator[Figure]:
    """A browser with X25519 and a small cohort, then one without and the largest."""
    with running_chromium() as browser:
        yield from _look_ups(browser, NATIVE_RECORDS, NATIVE_BAR_S, own=False)
        yield from _look_ups(browser, OWN_RECORDS, OWN_BAR_S, own=True)


def _look_ups(browser: Browser, records: int, bar_s: float, *, own: bool) -> Iterator[Figure]:
    host = District(NOW)
    host.put(TICK, sealed(CODE, BODY), count=records)
    with served(host) as url, watched_page(browser) as page:
        if own:
            page.add_init_script(WITHOUT_X25519)
        page.goto(f"{url}/")
        _once(page)  # compiles the page's code
        shown, bare = [], []
        for _ in range(RUNS):  # turn and turn about
            bare.append(page.evaluate(_BARE, cohorts.file_path(cohorts.cohort_of(TICK))) / 1000)
            shown.append(_once(page))
    size = f"{records * RECORD_BYTES // 1024:,} KiB"
    by = "the page's own X25519" if own else "the browser's X25519"
    yield at_most(PART, f"button → result shown, cohort of {size}, {by}, worst of {RUNS}", max(shown), bar_s, "s")
    ratio = statistics.median(shown) / statistics.median(bare)
    yield Figure(PART, f"the same, median, ÷ bare download of the same {size}", f"{ratio:.1f} ×")


def _once(page: Page) -> float:
    page.fill("#code", str(CODE))
    page.fill("#group", ready_group(TICK))
    shown_ms: float = page.evaluate(_SHOWN)
    page.click("#do-hide")
    stands_at(page, "hidden")
    return shown_ms / 1000
