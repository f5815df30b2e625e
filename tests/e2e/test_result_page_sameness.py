"""What the server and the line see of a look-up is the same whatever the code is and whatever comes of it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from backend.results.page_hash import STATIC
from contracts import cohorts
from contracts.claim import PRACTICE_CODE, PRACTICE_TICK, ClaimCode
from contracts.sealed import dummy, result_body
from tests.support.result_host import District, sealed
from tests.support.result_visit import BODY, CODE, NOW, TICK, link, said, served_quietly, stands_at, type_in, visiting

pytestmark = pytest.mark.timeout(90)  # a browser on a shared machine

EXPIRED = NOW - cohorts.TTL_TICKS - 300  # its file is deleted
EARLY = NOW + 30
Prepare = Callable[[District], None]


def typed(code: ClaimCode, tick: int) -> Callable[[Page, str], None]:
    return lambda page, _: type_in(page, str(code), tick)


def scanned(code: ClaimCode, tick: int) -> Callable[[Page, str], None]:
    def scan(page: Page, url: str) -> None:
        page.goto(f"{url}/{link(code, tick)}")

    return scan


def holding(*records: bytes) -> Prepare:
    return lambda host: host.put(TICK, *records)


# What is done, what the district holds, and how it ends.
LOOKS: dict[str, tuple[Callable[[Page, str], None], Prepare, str]] = {
    "positive": (typed(CODE, TICK), holding(sealed(CODE, BODY)), "result"),
    "negative": (typed(CODE, TICK), holding(sealed(CODE, result_body("2026-11-22", {"rsv": "negative"}))), "result"),
    "invalid": (typed(CODE, TICK), holding(sealed(CODE, result_body("2026-11-22", {}))), "result"),
    "practice": (typed(PRACTICE_CODE, PRACTICE_TICK), holding(sealed(CODE, BODY)), "result"),
    "of no visit": (typed(ClaimCode.generate(), TICK), holding(sealed(CODE, BODY)), "absent"),
    "with a wrong tick": (typed(CODE, TICK - 100), holding(sealed(CODE, BODY)), "absent"),
    "forged": (typed(CODE, TICK), holding(CODE.keys().slot + dummy()[16:]), "absent"),
    "expired": (typed(CODE, EXPIRED), holding(sealed(CODE, BODY)), "absent"),
    "early": (typed(CODE, EARLY), holding(sealed(CODE, BODY)), "absent"),
    "from long ago": (typed(CODE, 7), holding(sealed(CODE, BODY)), "absent"),
    "from far ahead": (typed(CODE, (1 << 22) - 1), holding(sealed(CODE, BODY)), "absent"),
    "scanned": (scanned(CODE, TICK), holding(sealed(CODE, BODY)), "result"),
    "scanned, practice": (scanned(PRACTICE_CODE, PRACTICE_TICK), holding(sealed(CODE, BODY)), "result"),
    "scanned, expired": (scanned(CODE, EXPIRED), holding(sealed(CODE, BODY)), "absent"),
}


def look(page: Page, url: str, host: District, name: str) -> list[bytes]:
    """The heads of the requests of one look-up, but for the number of the file."""
    enter, prepare, end = LOOKS[name]
    prepare(host)
    host.heads.clear()
    enter(page, url)
    page.wait_for_selector(
        "#do-show:visible:is([type=button]), #do-anyway, #state[data-name=result], #state[data-name=absent]"
    )
    if page.locator("#state").get_attribute("data-name") == "prompt":
        page.locator("#do-show, #do-anyway").click()
    stands_at(page, end)
    page.wait_for_timeout(150)  # whatever came late would be seen
    if end == "result":
        page.click("#do-hide")
    else:
        page.click("#do-other")
    return list(host.heads)


def shape(heads: list[bytes]) -> list[bytes]:
    """Heads without the host's port and the number of the file."""
    return [re.sub(rb"localhost:\d+", b"localhost", re.sub(rb"/\d{6}\.bin", b"/N.bin", head)) for head in heads]


def test_a_look_up_is_the_same_requests_for_every_code_and_every_outcome(browser: Browser) -> None:
    host = District(NOW)
    with visiting(browser, host) as (page, url):
        seen = {name: look(page, url, host, name) for name in LOOKS}
    shapes = {name: shape(heads) for name, heads in seen.items()}
    first = shapes["positive"]
    assert [head.split(b" HTTP")[0] for head in first] == [b"GET /clock.json", b"GET /cohorts/N.bin"]
    for name, one in shapes.items():
        assert one == first, name
        assert [len(head) for head in seen[name]] == [len(head) for head in seen["positive"]], name


def test_every_file_that_is_asked_for_is_there(browser: Browser) -> None:
    """An answer 404 would tell the line that somebody looks for what has expired."""
    host = District(NOW)
    live = {cohorts.file_path(cohort) for cohort in cohorts.live_cohorts(NOW)}
    with visiting(browser, host) as (page, url):
        for name in ("positive", "practice", "expired", "early", "from long ago", "from far ahead"):
            heads = look(page, url, host, name)
            assert heads[-1].split()[1].decode() in live, name


def test_nothing_derived_from_a_code_leaves_the_browser(browser: Browser) -> None:
    host = District(NOW)
    with visiting(browser, host) as (page, url):
        bodies: list[str | None] = []
        page.on("request", lambda request: bodies.append(request.post_data))
        look(page, url, host, "positive")
        look(page, url, host, "scanned")
        assert set(bodies) == {None}
    keys = CODE.keys()
    secrets = [keys.slot, keys.origin, keys.public_key, keys.private_key, keys.delete_token]
    sent = b"\n".join(host.heads).upper()
    for secret in (CODE.symbols, str(CODE), *(value.hex() for value in secrets), CODE.symbols[:5], CODE.symbols[-5:]):
        assert secret.upper().encode() not in sent
    assert b"COOKIE" not in sent
    assert b"REFERER" not in sent


def test_nothing_is_asked_for_while_a_result_is_read_hidden_or_printed(browser: Browser) -> None:
    host = District(NOW)
    with visiting(browser, host) as (page, url):
        look(page, url, host, "positive")
        host.heads.clear()
        page.evaluate("window.print = () => {}")
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
        before = len(host.heads)
        page.click("#do-longer")
        page.click("#do-print")
        page.click("#do-hide")
        assert "hidden" in said(page)
        page.wait_for_timeout(150)
        assert len(host.heads) == before


# Pages that break the promise, each caught by what the tests above look at: file, what stands there, what is put there.
MUTANTS: dict[str, tuple[str, bytes, bytes]] = {
    "asks again when nothing was found": (
        "/page.js",
        b'else show({ name: "absent", phase: phaseOf(readyTick',
        b'else await renewClock(signal, true), show({ name: "absent", phase: phaseOf(readyTick',
    ),
    "asks for files that are gone": (
        "/clock.js",
        b"Math.min(Math.max(wanted, clock.oldest), cohortOf(clock.tick))",
        b"wanted",
    ),
    "says where it comes from": ("/look.js", b'referrerPolicy: "no-referrer"', b'headers: { "x-phase": "a" }'),
}


def expired_look(browser: Browser, host: District) -> list[bytes]:
    """The heads of a look-up with an expired code, however the page behaves."""
    with served_quietly(browser, host) as page:
        host.heads.clear()
        type_in(page, str(CODE), EXPIRED)
        page.click("#do-anyway")
        expect(page.locator("#do-again")).to_be_visible()
    return list(host.heads)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_page_that_broke_the_promise_would_be_caught(browser: Browser, name: str) -> None:
    file, old, new = MUTANTS[name]
    assert (STATIC / file.removeprefix("/")).read_bytes().count(old) == 1
    host = District(NOW)
    live = {cohorts.file_path(cohort) for cohort in cohorts.live_cohorts(NOW)}
    honest = expired_look(browser, host)
    assert honest[-1].split()[1].decode() in live
    host.spoil[file] = lambda body: body.replace(old, new)
    broken = expired_look(browser, host)
    assert shape(broken) != shape(honest) or broken[-1].split()[1].decode() not in live
