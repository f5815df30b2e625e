"""The result page as a visitor meets it, in a real Chromium, and every way in which a look-up can go wrong."""

import pytest
from playwright.sync_api import Browser, expect

from contracts import cohorts
from contracts.claim import MAX_TICK, PRACTICE_CODE, PRACTICE_TICK, ready_group
from contracts.sealed import RECORD_BYTES
from tests.support.result_host import District
from tests.support.result_visit import CODE, NOW, TICK, district, link, said, stands_at, tick_now, type_in, visiting

pytestmark = pytest.mark.timeout(90)  # a browser on a shared machine


def test_a_scanned_code_leaves_the_address_bar_at_once_and_shows_the_result_on_a_press(browser: Browser) -> None:
    host = district()
    with visiting(browser, host, fragment=link(CODE, TICK)) as (page, url):
        stands_at(page, "prompt")
        assert page.url == f"{url}/"
        assert page.evaluate("history.length") <= 2
        assert host.looked_up() == ["GET /clock.json"]
        assert "Your result can be read" in said(page)
        page.click("#do-show")
        stands_at(page, "result")
        text = said(page)
        for part in (
            "November 22, 2026",
            "SARS-CoV-2",
            "Positive",
            "Influenza A",
            "Negative",
            "confirmed by a laborator",
        ):
            assert part in text
        assert page.locator("#state-title").evaluate("node => node === document.activeElement")
        assert CODE.symbols not in page.content()
        assert (page.input_value("#code"), page.input_value("#group")) == ("", "")


@pytest.mark.parametrize(
    "typed",
    [
        (str(CODE), ready_group(TICK)),
        (f" {CODE.symbols.lower()} ", ready_group(TICK).lower()),
        (str(CODE).replace("-", " ").replace("0", "o").replace("1", "L"), ready_group(TICK)),
        (f"{CODE} {ready_group(TICK)}", None),
        (f"https://results.example/{link(CODE, TICK)}", None),
    ],
    ids=["as printed", "lower case", "confused letters", "six groups in one field", "a pasted address"],
)
def test_typing_works_as_well_as_scanning(browser: Browser, typed: tuple[str, str | None]) -> None:
    with visiting(browser, district()) as (page, _):
        type_in(page, *typed)
        stands_at(page, "result")


def test_the_keyboard_alone_is_enough(browser: Browser) -> None:
    with visiting(browser, district()) as (page, _):
        page.focus("#code")
        page.keyboard.type(str(CODE))
        page.keyboard.press("Tab")
        page.keyboard.type(ready_group(TICK))
        page.keyboard.press("Enter")
        stands_at(page, "result")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        stands_at(page, "hidden")


def wrong_symbol(text: str, at: int = 3) -> str:
    return text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :]


MISTYPED = [
    (wrong_symbol(str(CODE)), ready_group(TICK), "typing error in the code", "no typing error"),
    (str(CODE), wrong_symbol(ready_group(TICK)), "no typing error", "typing error in the ready group"),
    (wrong_symbol(str(CODE)), wrong_symbol(ready_group(TICK)), "typing error in the code", "error in the ready group"),
    (str(CODE)[:-1], ready_group(TICK), "here are 24", "no typing error"),
    (f"{CODE}0", ready_group(TICK), "here are 26", "no typing error"),
    (str(CODE)[:-1] + "U", ready_group(TICK), "“U” occurs in no code", "no typing error"),
    (str(CODE), "0000", "no typing error", "here are 4"),
    ("", "", "here are 0", ""),
]


def test_what_is_mistyped_is_told_before_anything_is_asked_for(browser: Browser) -> None:
    host = district()
    with visiting(browser, host) as (page, _):
        for code, group, code_note, group_note in MISTYPED:
            type_in(page, code, group)
            for field, note in (("code", code_note), ("group", group_note)):
                shown = page.locator(f"#{field}-note").inner_text().replace("\u2068", "").replace("\u2069", "")
                assert note in shown
                good = "no typing error" in shown or not shown
                assert page.get_attribute(f"#{field}", "aria-invalid") == str(not good).lower()
        assert host.looked_up() == []


def test_a_damaged_link_is_told_and_the_code_can_be_typed(browser: Browser) -> None:
    whole = link(CODE, TICK)
    host = district()
    with visiting(browser, host, fragment="#1.XXXX") as (page, url):
        for damaged in ("#1.XXXX", f"{whole[:-1]}U", f"#{wrong_symbol(whole[1:], 7)}", "#x", "#9.1.1"):
            page.goto(f"{url}/{damaged}")
            stands_at(page, "link")
            expect(page.locator("#entry")).to_be_visible()
            assert page.url == f"{url}/"
        assert "does not know this kind of link" in said(page)
        assert host.looked_up() == []
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")


def test_too_early_is_told_with_the_hour_and_can_be_checked_anyway(browser: Browser) -> None:
    ready = NOW + 9
    host = district(ready_tick=ready)
    host.files.clear()
    with visiting(browser, host) as (page, _):
        type_in(page, str(CODE), ready)
        stands_at(page, "prompt")
        at = page.evaluate(
            "ms => new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit' }).format(ms)",
            cohorts.readable_from_ns(ready) // 1_000_000,
        )
        assert at in said(page)
        assert "in about 90 minutes" in said(page) or "in about 2 hours" in said(page)
        page.click("#do-anyway")
        stands_at(page, "absent")
        assert "not ready yet" in said(page)
        page.click("#do-other")
        type_in(page, str(CODE), MAX_TICK)  # decades ahead: beyond what a browser's timer can wait
        stands_at(page, "prompt")
        page.wait_for_timeout(200)
        assert "not ready yet" in said(page)


@pytest.mark.parametrize("age", [cohorts.TTL_TICKS, cohorts.TTL_TICKS + 5, cohorts.TTL_TICKS + 500])
def test_expired_is_told_and_what_is_not_yet_deleted_can_be_read(browser: Browser, age: int) -> None:
    ready = NOW - age
    with visiting(browser, district(ready_tick=ready)) as (page, _):
        type_in(page, str(CODE), ready)
        stands_at(page, "prompt")
        assert "expired" in said(page)
        page.click("#do-anyway")
        if cohorts.is_live(cohorts.cohort_of(ready), NOW):
            stands_at(page, "result")
        else:
            stands_at(page, "absent")
            assert "was deleted" in said(page)


def test_the_practice_code_shows_an_example_from_the_newest_complete_cohort(browser: Browser) -> None:
    host = District(NOW)
    with visiting(browser, host, fragment=link(PRACTICE_CODE, PRACTICE_TICK)) as (page, _):
        page.click("#do-show")
        stands_at(page, "result")
        assert "nobody’s result" in said(page)
    assert host.asked()[-1] == f"GET {cohorts.file_path(cohorts.newest_complete_cohort(NOW))}"


@pytest.mark.parametrize(("hours", "told"), [(0, False), (-5, True), (30, True)])
def test_a_wrong_clock_of_the_device_is_noticed_and_changes_nothing(browser: Browser, hours: int, told: bool) -> None:
    now = tick_now()
    with visiting(browser, district(tick=now + 6 * hours, ready_tick=now + 6 * hours - 3)) as (page, _):
        type_in(page, str(CODE), now + 6 * hours + 20)
        stands_at(page, "prompt")
        assert ("clock of this device differs" in said(page)) == told
        assert "not ready yet" in said(page)
        page.click("#do-other")
        type_in(page, str(CODE), now + 6 * hours - 3)
        stands_at(page, "result")


def test_a_simulated_district_says_so_and_blames_no_clock(browser: Browser) -> None:
    host = district(tick=2_732_142, ready_tick=2_732_200)
    host.speed = 600
    with visiting(browser, host) as (page, _):
        expect(page.locator("#simulated")).to_contain_text("SIMULATED")
        expect(page.locator("#simulated")).to_contain_text("600")
        type_in(page, str(CODE), 2_732_200)
        stands_at(page, "prompt")
        assert "in about 58 seconds" in said(page)
        assert "clock of this device" not in said(page)


def test_without_the_ready_group_the_newest_file_comes_first_and_the_rest_says_its_size(browser: Browser) -> None:
    host = district(ready_tick=NOW - 60)
    with visiting(browser, host) as (page, _):
        type_in(page, str(CODE), None)
        stands_at(page, "more")
        older = len(cohorts.live_cohorts(NOW)) - 1
        assert f"{older} older files" in said(page)
        assert f"{older * 8 * RECORD_BYTES / 1000:.1f} kilobytes" in said(page)
        page.click("#do-more")
        stands_at(page, "result")
        tried = [asked for asked in host.asked() if "cohorts" in asked]
        live = list(reversed(cohorts.live_cohorts(NOW)))
        upto = live.index(cohorts.cohort_of(NOW - 60)) + 1
        assert tried == [f"GET {cohorts.file_path(cohort)}" for cohort in live[:upto]]


def test_a_search_through_all_files_ends_in_a_sentence_and_can_be_stopped(browser: Browser) -> None:
    host = District(NOW)
    with visiting(browser, host) as (page, _):
        type_in(page, str(CODE), None)
        stands_at(page, "more")
        page.click("#do-more")
        stands_at(page, "absent")
        assert "No current file holds it" in said(page)
        page.click("#do-other")
        host.slow_s = 1.0
        page.click("#show")  # what was typed is still there
        stands_at(page, "loading")
        page.click("#do-stop")
        stands_at(page, "start")


def test_who_waits_on_the_page_is_told_when_the_result_is_ready_and_nothing_is_asked_for_before_a_press(
    browser: Browser,
) -> None:
    host = district(tick=2_732_142, ready_tick=2_732_144)
    host.speed = 600  # a tick a second
    with visiting(browser, host) as (page, _):
        expect(page.locator("#simulated")).to_be_visible()
        type_in(page, str(CODE), 2_732_144)
        stands_at(page, "prompt")
        assert "not ready yet" in said(page)
        asked = len(host.heads)
        expect(page.locator("#live")).to_have_text("Your result can be read")
        assert len(host.heads) == asked
        host.tick = 2_732_145
        page.click("#do-show")
        stands_at(page, "result")
