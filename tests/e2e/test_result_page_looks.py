"""How the result page looks and sounds: six languages, right to left too, phone and desk, light, dark, paper."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from contracts import cohorts
from contracts.claim import PRACTICE_CODE, PRACTICE_TICK, ready_group
from contracts.sealed import result_body
from tests.support.chromium import accessibility_violations, watched_page
from tests.support.result_host import District, sealed, served
from tests.support.result_visit import BODY, CODE, NOW, TICK, link, said, stands_at, type_in, visiting

SCREENSHOTS = os.environ.get("KIOSKWATCH_SCREENSHOTS")  # a folder: `make screenshots`
LANGUAGES = ("zh", "en", "fr", "es", "ru", "ar")
WEIGHT_BAR_BYTES = 100_000
NOTICE = {
    "controller": {
        "zh": "区卫生办公室",
        "en": "District Health Office",
        "fr": "Bureau de santé du district",
        "es": "Oficina de salud del distrito",
        "ru": "Управление здравоохранения района",
        "ar": "مكتب الصحة في المنطقة",
    },
    "contact": dict.fromkeys(LANGUAGES, "privacy@health.example"),
    "confirmatory_path": {
        "zh": "区实验室，每天 8 点至 18 点",
        "en": "District laboratory, daily from 8 to 18",
        "fr": "Laboratoire du district, tous les jours de 8 h à 18 h",
        "es": "Laboratorio del distrito, a diario de 8 a 18",
        "ru": "Лаборатория района, ежедневно с 8 до 18",
        "ar": "مختبر المنطقة، يوميًا من الساعة 8 إلى 18",
    },
}
pytestmark = pytest.mark.timeout(120)  # a browser on a shared machine
UNSURE = result_body("2026-11-22", {"sars-cov-2": "inconclusive", "influenza-b": "invalid"})
Step = Callable[[Page, str, District], None]


def back_to_start(page: Page, url: str) -> None:
    """To the form, as a visitor gets there."""
    if page.url != f"{url}/":
        page.goto(f"{url}/")
    leave = page.locator("#do-other, #do-stop, #do-hide")
    if leave.count():
        leave.first.click()
    expect(page.locator("#entry")).to_be_visible()
    page.fill("#group", "")


def entering(code: object, tick: int | None, end: str) -> Step:
    def step(page: Page, url: str, _: District) -> None:
        back_to_start(page, url)
        type_in(page, str(code), tick)
        stands_at(page, end)

    return step


def holding(body: object) -> Step:
    def step(page: Page, url: str, host: District) -> None:
        host.put(TICK, sealed(CODE, body))  # type: ignore[arg-type]  # bodies only
        entering(CODE, TICK, "result")(page, url, host)

    return step


def start(page: Page, url: str, _: District) -> None:
    page.goto(f"{url}/")
    expect(page.locator("#entry")).to_be_visible()
    page.click("#about summary")


def mistyped(page: Page, url: str, _: District) -> None:
    back_to_start(page, url)
    type_in(page, f"{CODE.symbols[:-1]}0", "PTGV3")


def scanned(page: Page, url: str, _: District) -> None:
    page.goto(f"{url}/{link(CODE, TICK)}")
    stands_at(page, "prompt")


def damaged(page: Page, url: str, _: District) -> None:
    page.goto(f"{url}/#1.0123")
    stands_at(page, "link")


def offline(page: Page, url: str, host: District) -> None:
    host.missing = ("/clock.json",)
    entering(CODE, TICK, "offline")(page, url, host)
    host.missing = ()


def busy(page: Page, url: str, host: District) -> None:
    back_to_start(page, url)
    host.exhausted = True
    type_in(page, str(CODE), TICK)
    stands_at(page, "busy")
    host.exhausted = False


def loading(page: Page, url: str, host: District) -> None:
    back_to_start(page, url)
    host.put(TICK, sealed(CODE, BODY), count=1024)
    host.slow_s = 0.5
    type_in(page, str(CODE), TICK)
    expect(page.locator("progress[value]")).to_be_visible()


def forgotten(page: Page, *_: object) -> None:
    page.reload()
    stands_at(page, "forgotten")


def insecure(page: Page, *_: object) -> None:
    page.evaluate("() => { Object.defineProperty(crypto, 'subtle', { value: undefined }); }")
    type_in(page, str(CODE), TICK)
    stands_at(page, "insecure")


def without_group(page: Page, url: str, _: District) -> None:
    page.goto(f"{url}/{link(CODE, TICK).rpartition('.')[0]}")
    stands_at(page, "prompt")


def hidden(page: Page, *_: object) -> None:
    page.click("#do-hide")
    stands_at(page, "hidden")


STATES: dict[str, Step] = {
    "start": start,
    "mistyped": mistyped,
    "scanned": scanned,
    "scanned-without-group": without_group,
    "damaged-link": damaged,
    "early": entering(CODE, NOW + 20, "prompt"),
    "expired": entering(CODE, NOW - cohorts.TTL_TICKS - 60, "prompt"),
    "search": entering(CODE, None, "more"),
    "offline": offline,
    "busy": busy,
    "loading": loading,
    "absent": entering(CODE, TICK - 36, "absent"),
    "practice": entering(PRACTICE_CODE, PRACTICE_TICK, "result"),
    "unsure": holding(UNSURE),
    "negative": holding(result_body("2026-11-22", {"sars-cov-2": "negative"})),
    "positive": holding(BODY),
    "hidden": hidden,
    "forgotten": forgotten,
    "insecure": insecure,
}


# axe takes long, and another language changes words and directions only.
JUDGED_EVERYWHERE = ("start", "mistyped", "early", "search", "absent", "unsure", "positive")


@pytest.fixture(scope="module", params=LANGUAGES)
def opened(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[Page, str, District, str]]:
    """The page in one language; the browser may tell of the refusals that stand for a lost or full line."""
    host = District(NOW, notice=NOTICE)
    with served(host) as url:
        context = browser.new_context(viewport={"width": 360, "height": 740}, locale=f"{request.param}")
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, url, host, request.param
        context.close()
    assert [text for text in complaints if "404" not in text and "429" not in text] == []


def picture(page: Page, name: str) -> None:
    """Keep what a visitor sees, where `make screenshots` asks for it."""
    if SCREENSHOTS is not None:
        page.screenshot(path=Path(SCREENSHOTS) / f"result-{name}.png", full_page=True)


def overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_every_state_is_accessible_and_fits_a_narrow_phone(opened: tuple[Page, str, District, str]) -> None:
    page, url, host, language = opened
    for name, step in STATES.items():
        step(page, url, host)
        assert page.evaluate("document.documentElement.lang") == language
        assert page.evaluate("getComputedStyle(document.body).direction") == ("rtl" if language == "ar" else "ltr")
        if language == "en" or name in JUDGED_EVERYWHERE:
            assert accessibility_violations(page) == [], name
        assert not overflows(page), name
        assert "undefined" not in said(page)
        assert "{" not in page.locator("main").inner_text()
        picture(page, f"{name}-{language}")
        if name == "loading":
            page.click("#do-stop")
            host.slow_s = 0.0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_health_page_is_accessible_and_leads_back(browser: Browser, language: str) -> None:
    with served(District(NOW)) as url, watched_page(browser, width_px=360) as page:
        page.goto(f"{url}/health/{language}.html")
        assert page.evaluate("document.documentElement.lang") == language
        assert accessibility_violations(page) == []
        assert not overflows(page)
        picture(page, f"health-{language}")
        page.click(".brand a")
        expect(page.locator("#entry")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_desk_wide_screen_and_the_dark_scheme_are_accessible_too(browser: Browser, scheme: str) -> None:
    host = District(NOW, notice=NOTICE)
    with visiting(browser, host, width_px=1920) as (page, url):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name in ("start", "mistyped", "absent", "unsure", "positive"):
            STATES[name](page, url, host)
            assert accessibility_violations(page) == [], name
            assert not overflows(page)
        picture(page, f"positive-desk-{scheme}-en")


@pytest.mark.parametrize(
    ("preferred", "shown"),
    [("zh-Hant-TW", "zh"), ("fr-CA", "fr"), ("ar-EG", "ar"), ("de-DE", "en"), ("ES", "es"), ("constructor", "en")],
)
def test_the_language_follows_the_browser(browser: Browser, preferred: str, shown: str) -> None:
    with served(District(NOW)) as url, watched_page(browser) as page:
        page.add_init_script(f"Object.defineProperty(navigator, 'languages', {{ get: () => ['{preferred}'] }});")
        page.goto(url)
        expect(page.locator("html")).to_have_attribute("lang", shown)


def test_the_language_can_be_changed_at_any_moment_and_loses_nothing(browser: Browser) -> None:
    host = District(NOW, notice=NOTICE)
    host.put(TICK, sealed(CODE, BODY))
    with visiting(browser, host) as (page, _):
        page.fill("#code", str(CODE))
        page.click("#language-ru")
        expect(page.locator("h1")).to_have_text("Узнать результат теста")
        assert page.input_value("#code") == str(CODE)
        expect(page.locator("#code-note")).to_have_text("В коде нет опечаток.")
        assert page.evaluate("document.activeElement.id") == "language-ru"
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
        assert "Положительный" in said(page)
        page.click("#language-ar")
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        assert "إيجابي" in said(page)
        assert page.evaluate("document.activeElement.id") == "language-ar"
        assert page.get_attribute("#language-ar", "aria-pressed") == "true"


def test_a_printed_result_is_the_result_and_nothing_else(browser: Browser) -> None:
    host = District(NOW, notice=NOTICE)
    with visiting(browser, host) as (page, url):
        STATES["positive"](page, url, host)
        page.emulate_media(media="print")
        for shown in (".call", "#advice", "#state-title"):
            expect(page.locator(shown).first).to_be_visible()
        for left_out in (".top", ".actions", "#countdown", "#entry", "#about", "#health"):
            expect(page.locator(left_out)).to_be_hidden()
        assert CODE.symbols[:5] not in page.locator("body").inner_text()
        assert "no certificate" in said(page)
        picture(page, "print-en")
        page.emulate_media(media="screen")
        page.evaluate("() => { window.printed = 0; window.print = () => { window.printed += 1; }; }")
        page.click("#do-print")
        assert page.evaluate("window.printed") == 1


def test_the_page_says_who_runs_it_and_shows_the_fingerprint_of_the_slip(browser: Browser) -> None:
    with visiting(browser, District(NOW, notice=NOTICE)) as (page, _):
        page.click("#about summary")
        about = page.locator("#about")
        for part in ("District Health Office", "privacy@health.example", "0123456789abcdef", "no cookie"):
            expect(about).to_contain_text(part)
        expect(page.locator("#entry")).to_contain_text("Typing the code is safer")


@pytest.mark.parametrize("language", ["en", "ru"])  # the lightest and the heaviest
def test_all_that_is_loaded_for_a_look_up_weighs_at_most_100_kb_without_the_cohort(
    browser: Browser, language: str
) -> None:
    host = District(NOW, notice=NOTICE)
    host.put(TICK, sealed(CODE, BODY))
    weights: dict[str, int] = {}
    with visiting(browser, host, language=language) as (page, url):
        page.on("response", lambda answer: weights.update({answer.url: int(answer.headers["content-length"])}))
        page.goto(f"{url}/health/{language}.html")
        page.goto(f"{url}/")
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
    loaded = sum(weight for address, weight in weights.items() if "/cohorts/" not in address)
    assert 30_000 < loaded <= WEIGHT_BAR_BYTES


def test_screen_readers_hear_what_happens(browser: Browser) -> None:
    host = District(NOW)
    host.put(TICK, sealed(CODE, BODY))
    with visiting(browser, host) as (page, _):
        expect(page.get_by_role("textbox", name="Code: five groups of five")).to_be_visible()
        expect(page.get_by_role("navigation", name="Language")).to_be_visible()
        page.fill("#code", "01")
        assert page.get_attribute("#code-note", "aria-live") == "off"  # a count at every key would be noise
        page.fill("#code", str(CODE))
        assert page.get_attribute("#code-note", "aria-live") == "polite"
        page.fill("#group", ready_group(NOW + 20))
        page.keyboard.press("Enter")
        stands_at(page, "prompt")
        heading = page.get_by_role("heading", level=2)
        expect(heading).to_be_focused()
        page.click("#do-other")
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
        expect(page.get_by_role("heading", name="Your result")).to_be_focused()
        expect(page.get_by_role("timer")).to_contain_text("2:00")
