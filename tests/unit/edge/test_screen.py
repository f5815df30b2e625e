"""The kiosk's screen without a socket: which page stands when, what stands on it, and who may press a button."""

import re
import threading
from dataclasses import dataclass, field

import pytest

from contracts.notice import LANGUAGES
from contracts.windows import NS
from edge.errors import SettingsError
from edge.screen.flow import Sitting, advanced, in_visit
from edge.screen.http import Answer, Request, RequestError
from edge.screen.pages import ScreenFacts
from edge.screen.server import FORGET_AFTER_S, KioskScreen
from edge.screen.words import words
from edge.service.desk import CheckedIn, Fault, TurnedAway
from tests.support.desk import INSERTION_NS, NOW_NS, T_MAX_NS, FakeDesk
from tests.support.notices import OFFICE, notice

PORT = 8801
HOST = f"127.0.0.1:{PORT}"
FACTS = ScreenFacts(notice=notice(), targets=("sars-cov-2",), utc_offset_s=-18000, page_hash="a1b2 c3d4")
FAULTS: tuple[Fault, ...] = ("analyser", "control", "door", "clock", "printer", "paper", "store")


@dataclass
class Browser:
    """Somebody's finger on the glass."""

    desk: FakeDesk = field(default_factory=FakeDesk)
    facts: ScreenFacts = FACTS
    now_s: float = 0.0
    page: str = "/"

    def __post_init__(self) -> None:
        self.screen = KioskScreen(self.desk, lambda: self.facts, lambda: self.now_s)

    def get(self, path: str) -> Answer:
        answer = self.screen.answer(Request("GET", path, {"host": HOST}), PORT)
        return self.follow(answer)

    def post(self, path: str, **form: str) -> Answer:
        headers = {"host": HOST, "origin": f"http://{HOST}"}
        return self.follow(self.screen.answer(Request("POST", path, headers, form), PORT))

    def follow(self, answer: Answer) -> Answer:
        if answer.status != 303:
            return answer
        self.page = dict(answer.headers)["Location"]
        return self.get(self.page)

    def press(self, *, paper: bool = True) -> str:
        return shown(self.post("/check-in", token=self.token, paper=str(int(paper))))

    @property
    def token(self) -> str:
        return self.page.rpartition("/")[2]

    def now(self) -> str:
        return shown(self.get(self.page))

    def key(self) -> str:
        return self.get(f"{self.page}/state").body.decode()


def shown(answer: Answer) -> str:
    found = re.search(r'<body data-screen="(\w+)"', answer.body.decode())
    assert found is not None
    return found[1]


def test_a_visit_goes_from_language_to_slip_to_cartridge_to_the_way_out() -> None:
    visitor = Browser()
    assert shown(visitor.get("/")) == "start"
    assert shown(visitor.get("/fr")) == "info"
    assert visitor.press() == "insert"
    assert visitor.desk.asked == [("fr", True)]
    visitor.desk.insert()
    assert visitor.now() == "done"
    assert shown(visitor.post("/leave", token=visitor.token)) == "start"
    assert visitor.desk.left == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_before_the_slip_the_visitor_reads_what_is_tested_and_kept_and_who_answers_for_it(language: str) -> None:
    page = Browser().get(f"/{language}").body.decode()
    say = words(language)
    assert say["target.sars-cov-2"] in page
    assert page.count("<li>") == 3, "three sentences"
    for sentence in (say["kept"], say["not_kept"], say["limits"], OFFICE[language]):
        assert sentence in page
    assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_fault_has_its_own_screen_that_says_what_to_do(fault: Fault, language: str) -> None:
    visitor = Browser(FakeDesk(fault=fault))
    answer = visitor.get(f"/{language}")
    assert shown(answer) == fault
    assert words(language)[f"{fault}_text"] in answer.body.decode()
    assert visitor.desk.asked == []


@pytest.mark.parametrize("fault", ["analyser", "control", "door", "clock", "store"])
def test_a_button_that_is_pressed_by_other_means_starts_nothing_under_a_fault(fault: Fault) -> None:
    visitor = Browser()
    visitor.get("/en")
    visitor.desk.fault = fault
    assert visitor.press() == fault
    assert visitor.desk.asked == []


@pytest.mark.parametrize("fault", ["paper", "printer"])
def test_without_paper_the_code_is_shown_on_the_screen(fault: Fault) -> None:
    visitor = Browser(FakeDesk(fault=fault, code_url="http://127.0.0.1:9999/x"))
    assert shown(visitor.get("/en")) == fault
    answer = visitor.post("/check-in", token=visitor.token, paper="0")
    assert shown(answer) == "insert"
    assert 'src="http://127.0.0.1:9999/x"' in answer.body.decode()
    assert "frame-src http://127.0.0.1:9999;" in dict(answer.headers)["Content-Security-Policy"]
    assert words("en")["take_photo"] in answer.body.decode()


def test_paper_that_ends_while_the_slip_is_printed_leads_to_the_offer_of_a_photograph() -> None:
    visitor = Browser(FakeDesk(refuse="paper", code_url="http://127.0.0.1:9999/x"))
    visitor.get("/en")
    assert visitor.press() == "paper"
    visitor.desk.refuse = None
    assert visitor.press(paper=False) == "insert"


@pytest.mark.parametrize("reason", ["internal", "analyser", "store", "clock"])
def test_who_is_turned_away_reads_why_until_they_leave(reason: Fault) -> None:
    visitor = Browser(FakeDesk(refuse=reason))
    visitor.get("/en")
    assert visitor.press() == reason
    assert visitor.now() == reason


def test_a_full_kiosk_says_until_when_and_opens_by_itself() -> None:
    visitor = Browser(FakeDesk(busy_until_ns=[NOW_NS + T_MAX_NS] * 4))
    answer = visitor.get("/en")
    assert shown(answer) == "busy"
    assert "15:05" in answer.body.decode(), "start + T_max, district time"
    before = visitor.key()
    visitor.desk.pass_ns(T_MAX_NS)
    assert visitor.key() != before
    assert visitor.now() == "info"


def test_a_cartridge_that_never_comes_ends_the_visit_with_a_word() -> None:
    visitor = Browser()
    visitor.get("/en")
    assert visitor.press() == "insert"
    visitor.desk.pass_ns(INSERTION_NS)
    assert visitor.now() == "lapsed"


def test_what_is_over_stays_over() -> None:
    visitor = Browser()
    visitor.get("/en")
    visitor.press()
    visitor.desk.insert()
    assert visitor.now() == "done"
    visitor.desk.pass_ns(T_MAX_NS)
    assert visitor.now() == "done"


def test_while_another_cartridge_is_awaited_the_next_visitor_waits_until_its_time_is_over() -> None:
    first = Browser()
    first.get("/en")
    first.press()
    second = Browser(first.desk)
    assert shown(second.get("/en")) == "busy"
    first.desk.insert()
    assert second.now() == "info"


def test_while_another_slip_is_made_the_next_visitor_waits() -> None:
    visitor = Browser(FakeDesk(issuing=True))
    assert shown(visitor.get("/en")) == "wait"


def test_pressing_twice_asks_once_and_both_see_the_same_page() -> None:
    visitor = Browser(FakeDesk(hold=threading.Event()))
    visitor.get("/en")
    pages: list[str] = []
    presses = [threading.Thread(target=lambda: pages.append(visitor.press())) for _ in range(2)]
    for press in presses:
        press.start()
    assert visitor.desk.hold is not None
    visitor.desk.hold.set()
    for press in presses:
        press.join()
    assert pages == ["insert", "insert"]
    assert len(visitor.desk.asked) == 1


def test_a_token_of_nobody_leads_to_the_start() -> None:
    visitor = Browser()
    assert shown(visitor.post("/check-in", token="guessed", paper="1")) == "start"
    assert shown(visitor.get("/visit/guessed")) == "start"
    assert visitor.get("/visit/guessed/state").body == b'{"key": null}'
    assert visitor.desk.asked == []


def test_a_visit_that_nobody_looks_at_is_forgotten() -> None:
    visitor = Browser()
    visitor.get("/en")
    visitor.now_s = FORGET_AFTER_S + 1
    assert visitor.now() == "start"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8801", "origin": "http://evil.example:8801"},
        {"host": "127.0.0.1", "origin": "http://127.0.0.1"},
        {"host": f"127.0.0.1:{PORT + 1}", "origin": f"http://127.0.0.1:{PORT + 1}"},
        {},
    ],
)
def test_a_name_that_points_here_from_outside_is_refused(headers: dict[str, str]) -> None:
    screen = Browser().screen
    for method in ("GET", "POST"):
        with pytest.raises(RequestError) as caught:
            screen.answer(Request("GET" if method == "GET" else "POST", "/", headers), PORT)
        assert caught.value.status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HOST},
        {"host": HOST, "origin": "null"},
        {"host": HOST, "origin": "http://evil.example"},
        {"host": HOST, "origin": f"http://127.0.0.1:{PORT + 1}"},
        {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "cross-site"},
        {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "same-site"},
    ],
)
def test_another_page_cannot_press_a_button(headers: dict[str, str]) -> None:
    visitor = Browser()
    visitor.get("/en")
    form = {"token": visitor.token, "paper": "1"}
    with pytest.raises(RequestError) as caught:
        visitor.screen.answer(Request("POST", "/check-in", headers, form), PORT)
    assert caught.value.status == 403
    assert visitor.desk.asked == []


def test_no_page_is_kept_framed_or_told_to_others() -> None:
    visitor = Browser()
    for path in ("/", "/ar"):
        headers = dict(visitor.get(path).headers)
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/words", "/xx", "/visit", "/visit/a/b", "/etc/passwd"]
)
def test_nothing_else_is_served(path: str) -> None:
    with pytest.raises(RequestError) as caught:
        Browser().get(path)
    assert caught.value.status == 404


def test_a_simulated_district_is_marked_on_every_screen_and_offers_a_cartridge() -> None:
    facts = ScreenFacts(notice(), ("sars-cov-2",), -18000, "a1b2", speed=600, slot_url="http://127.0.0.1:7777")
    visitor = Browser(facts=facts)
    assert "SIMULATED ×600" in visitor.get("/").body.decode()
    visitor.get("/zh")
    answer = visitor.post("/check-in", token=visitor.token, paper="1")
    page = answer.body.decode()
    assert "SIMULATED ×600" in page
    assert 'src="http://127.0.0.1:7777/zh"' in page
    assert "frame-src http://127.0.0.1:7777;" in dict(answer.headers)["Content-Security-Policy"]
    assert "SIMULATED" not in Browser().get("/en").body.decode()


def test_a_screen_follows_from_the_desk_and_the_visitors_own_steps_alone() -> None:
    """The same view and the same steps give the same bytes but for the token: nothing else can come in."""
    pages = set()
    for _ in range(2):
        visitor = Browser()
        visitor.get("/es")
        visitor.press()
        page = visitor.get(visitor.page).body.decode()
        pages.add(page.replace(visitor.token, "TOKEN"))
    assert len(pages) == 1


def test_the_flow_knows_no_way_back_from_the_end() -> None:
    desk = FakeDesk()
    outcome = desk.check_in("en", paper=True, timeout_s=1)
    assert isinstance(outcome, CheckedIn)
    sitting = Sitting("en", outcome)
    assert in_visit(sitting, desk.view()).name == "insert"
    desk.insert()
    over = advanced(sitting, desk.view())
    desk.check_in("en", paper=True, timeout_s=1)  # the next visitor
    assert in_visit(advanced(over, desk.view()), desk.view()).name == "done"
    assert in_visit(Sitting("en", TurnedAway("busy")), desk.view()).name == "busy"


def test_the_languages_have_the_same_sentences_with_the_same_gaps() -> None:
    gaps = {
        language: {name: sorted(re.findall(r"\{\w+\}", text)) for name, text in words(language).items()}
        for language in LANGUAGES
    }
    assert all(gaps[language] == gaps["en"] for language in LANGUAGES)
    with pytest.raises(SettingsError):
        words("tlh")


def test_times_are_district_time() -> None:
    visitor = Browser(FakeDesk(now_ns=NOW_NS))
    visitor.get("/en")
    page = visitor.post("/check-in", token=visitor.token, paper="1").body.decode()
    assert "14:30" in page, "until when the place is kept"
    assert "2021-12-12 15:15 (UTC-05:00)" in page
    assert NOW_NS % (60 * NS) == 0
