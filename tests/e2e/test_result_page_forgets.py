"""The result page hides and forgets; it survives the network, and says what to do wherever something is missing."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from contracts import cohorts
from contracts.claim import ClaimCode
from contracts.sealed import result_body
from tests.support.result_host import sealed
from tests.support.result_visit import (
    BODY,
    CODE,
    NOW,
    TICK,
    district,
    link,
    said,
    served_quietly,
    show_result,
    stands_at,
    type_in,
    visiting,
)

pytestmark = pytest.mark.timeout(90)  # a browser on a shared machine


def test_a_result_is_hidden_after_two_minutes_with_a_warning_and_can_be_kept_longer(browser: Browser) -> None:
    with visiting(browser, district()) as (page, url):
        page.clock.install()
        page.goto(f"{url}/")
        show_result(page)
        page.clock.run_for(1000)
        expect(page.locator("#countdown")).to_contain_text("1:59")
        page.clock.run_for(95_000)
        expect(page.locator("#live")).to_have_text("The result will be hidden in 30 seconds.")
        page.click("#do-longer")
        page.clock.run_for(89_000)
        expect(page.locator("#live")).not_to_have_text("The result will be hidden in 30 seconds.")
        page.clock.run_for(2_000)
        expect(page.locator("#live")).to_have_text("The result will be hidden in 30 seconds.")
        stands_at(page, "result")
        page.clock.run_for(30_000)
        stands_at(page, "hidden")
        assert "ositive" not in page.content()
        show_result(page)  # the code, entered again, shows it again


def test_a_device_that_slept_hides_the_result_when_it_wakes(browser: Browser) -> None:
    with visiting(browser, district()) as (page, url):
        page.clock.install()
        page.goto(f"{url}/")
        show_result(page)
        page.clock.fast_forward(600_000)  # timers fire once at most, as after sleep
        stands_at(page, "hidden")


def test_leaving_going_back_and_loading_again_forget_code_and_result(browser: Browser) -> None:
    with visiting(browser, district()) as (page, url):
        show_result(page)
        page.goto(f"{url}/health/en.html")
        page.go_back()
        stands_at(page, "forgotten")
        assert "ositive" not in page.content()
        assert page.input_value("#code") == ""
        page.fill("#code", str(CODE))  # and nothing pressed
        page.goto(f"{url}/health/en.html")
        page.go_back()
        stands_at(page, "forgotten")
        assert page.input_value("#code") == ""
        show_result(page)
        page.reload()
        stands_at(page, "forgotten")
        assert "ositive" not in page.content()


def test_scanning_twice_and_another_device_show_the_result_again(browser: Browser) -> None:
    host = district()
    for _ in range(2):
        with visiting(browser, host, fragment=link(CODE, TICK)) as (page, url):
            page.click("#do-show")
            stands_at(page, "result")
            page.goto(f"{url}/{link(CODE, TICK)}")  # into the same tab: no new document is loaded
            stands_at(page, "prompt")
            assert page.url == f"{url}/"
            page.click("#do-show")
            stands_at(page, "result")


def test_another_slip_scanned_into_the_same_tab_takes_the_first_ones_place(browser: Browser) -> None:
    other = ClaimCode.generate()
    host = district(sealed(CODE, BODY), sealed(other, result_body("2026-11-22", {"rsv": "inconclusive"})))
    with visiting(browser, host, fragment=link(CODE, TICK)) as (page, url):
        page.click("#do-show")
        stands_at(page, "result")
        page.goto(f"{url}/{link(other, TICK)}")
        stands_at(page, "prompt")
        page.click("#do-show")
        stands_at(page, "result")
        assert "Unclear" in said(page)
        assert "Positive" not in said(page)


# --- the network ------------------------------------------------------------------------------------------


def test_losing_the_network_midway_is_a_sentence_and_trying_again_works(browser: Browser) -> None:
    host = district()
    host.cut = 700
    with served_quietly(browser, host) as page:
        type_in(page, str(CODE), TICK)
        stands_at(page, "offline")
        host.cut = None
        page.click("#do-again")
        stands_at(page, "result")


def test_without_any_network_the_page_says_so_and_keeps_the_code(browser: Browser) -> None:
    with served_quietly(browser, district()) as page:
        page.context.set_offline(True)
        type_in(page, str(CODE), TICK)
        stands_at(page, "offline")
        page.click("#do-again")
        stands_at(page, "offline")
        page.context.set_offline(False)
        page.click("#do-again")
        stands_at(page, "result")


def answering(body: bytes) -> Callable[[bytes], bytes]:
    return lambda _: body


def test_a_server_that_answers_nonsense_or_nothing_is_a_sentence(browser: Browser) -> None:
    host = district()
    host.missing = ("/clock.json",)
    with served_quietly(browser, host) as page:
        type_in(page, str(CODE), TICK)
        stands_at(page, "offline")
        host.missing = ("/cohorts/",)
        page.click("#do-again")
        stands_at(page, "offline")
        host.missing = ()
        for body in (
            b"",
            b"{}",
            b"[]",
            b"null",
            b"\xff",
            b'{"v":2}'.ljust(64),
            b'{"v":1,"tick":-1,"oldest_cohort":0}'.ljust(64),
        ):
            host.spoil["/clock.json"] = answering(body)
            page.click("#do-again")
            expect(page.locator("#state-title")).to_have_text("The connection was lost")
        host.spoil.clear()
        page.click("#do-again")
        stands_at(page, "result")


def test_a_missing_notice_leaves_the_page_usable(browser: Browser) -> None:
    host = district()
    host.missing = ("/notice.json",)
    with served_quietly(browser, host) as page:
        show_result(page)


def test_a_part_of_the_page_that_does_not_come_is_told_in_six_languages(browser: Browser) -> None:
    host = district()
    host.missing = ("/record.js",)
    with served_quietly(browser, host, wait=False) as page:
        expect(page.locator("#stuck")).to_be_visible()
        assert page.locator("#stuck p").count() == 6


def test_without_a_secure_address_the_page_says_what_to_do(browser: Browser) -> None:
    with visiting(browser, district()) as (page, url):
        page.add_init_script("Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined });")
        page.goto(f"{url}/")
        type_in(page, str(CODE), TICK)
        stands_at(page, "insecure")


def test_a_broken_search_goes_on_where_it_broke_and_a_full_allowance_is_told(browser: Browser) -> None:
    host = district(ready_tick=NOW - 600)
    cohort = cohorts.cohort_of(NOW - 300)
    with served_quietly(browser, host) as page:
        type_in(page, str(CODE), None)
        stands_at(page, "more")
        host.missing = (cohorts.file_path(cohort),)
        page.click("#do-more")
        stands_at(page, "offline")
        host.missing = ()
        host.exhausted = True
        page.click("#do-again")
        stands_at(page, "busy")
        host.exhausted = False
        page.click("#do-again")
        stands_at(page, "result")
    tried = [asked for asked in host.looked_up() if "cohorts" in asked]
    assert len([asked for asked in tried if cohorts.file_path(cohort) not in asked]) == len(set(tried)) - 1
