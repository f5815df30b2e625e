"""The screens as HTML. Pure: all that stands on one is from its name, the language, the desk's view and the facts."""

from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlsplit

from contracts.notice import LANGUAGES, RIGHT_TO_LEFT, Notice
from edge.core.localtime import clock_text, when_text
from edge.screen.flow import WITHOUT_PAPER, Screen, Sitting
from edge.screen.words import words
from edge.service.desk import CheckedIn, DeskView

SILENCE_S: Final = 60  # then the screen goes back to the start
WARN_S: Final = 20  # before that it asks (WCAG 2.2, 2.2.1: at least twenty seconds to answer by a simple action)


@dataclass(frozen=True, slots=True)
class ScreenFacts:
    """What a deployment tells its screens; nothing of it is about a visitor."""

    notice: Notice | None  # None: not told yet, and no test starts without it
    targets: tuple[str, ...]
    utc_offset_s: int
    page_hash: str
    speed: int | None = None  # of a simulated district; None in a real one
    slot_url: str | None = None  # simulated: where a cartridge is put in


def start_page(facts: ScreenFacts) -> str:
    """Return the choice of a language: each in its own words."""
    choices = "".join(
        f'<li><a class="big" href="/{language}" lang="{language}" dir="{_direction(language)}">'
        f"<b>{_say(language, 'language')}</b><span>{_say(language, 'choose')}</span></a></li>"
        for language in LANGUAGES
    )
    body = f'<h1 lang="en">{_say("en", "choose")}</h1><ul class="languages">{choices}</ul>'
    return _page("en", Screen("start", "start"), facts, body, poll=None, token=None)


def visit_page(screen: Screen, sitting: Sitting, token: str, view: DeskView, facts: ScreenFacts) -> str:
    """Return any screen behind the choice of a language."""
    language = sitting.language
    if screen.name == "info":
        body = _info(language, token, facts)
    elif screen.name == "insert" and isinstance(sitting.outcome, CheckedIn):
        body = _insert(language, sitting.outcome, facts)
    elif screen.name == "done" and isinstance(sitting.outcome, CheckedIn):
        body = _said(language, "done") + _when(language, sitting.outcome, facts) + _button(language, "finish")
    else:
        body = _obstacle(language, screen, token, view, facts)
    poll = f"/visit/{token}/state"
    return _page(language, screen, facts, body, poll=poll, token=token)


def frame_origins(sitting: Sitting, facts: ScreenFacts) -> tuple[str, ...]:
    """Return whose pages the screen may show in a frame: the child that holds the code, the simulator's slot."""
    code_url = sitting.outcome.code_url if isinstance(sitting.outcome, CheckedIn) else None
    urls = (code_url, facts.slot_url)
    return tuple(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in urls if url is not None)


# --- bodies -----------------------------------------------------------------------------------------------


def _info(language: str, token: str, facts: ScreenFacts) -> str:
    names = words(language)
    joint = "、" if language == "zh" else "، " if language == "ar" else ", "
    targets = joint.join(names.get(f"target.{target}", target) for target in facts.targets)
    sentences = (names["tested"].replace("{targets}", targets), names["kept"], names["not_kept"])
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return (
        f'<h1>{_say(language, "info_title")}</h1><ol class="told">{told}</ol>'
        f"{_check_in(language, token, paper=True)}<p>{_say(language, 'limits')}</p>{_notice(language, facts)}"
        f"{_button(language, 'back')}"
    )


def _notice(language: str, facts: ScreenFacts) -> str:
    if facts.notice is None:
        return ""
    rows = (
        ("responsible", facts.notice.controller),
        ("contact", facts.notice.contact),
        ("legal_basis", facts.notice.legal_basis),
    )
    told = "".join(f"<dt>{_say(language, name)}</dt><dd>{escape(texts[language])}</dd>" for name, texts in rows)
    return f"<dl>{told}</dl>"


def _insert(language: str, outcome: CheckedIn, facts: ScreenFacts) -> str:
    take = "take_slip" if outcome.code_url is None else "take_photo"
    until = _said_at(language, "insert_until", clock_text(outcome.insert_until_ns, facts.utc_offset_s))
    frames = "" if outcome.code_url is None else _frame("code", outcome.code_url, _say(language, "code_frame"))
    if facts.slot_url is not None:
        frames += _frame("slot", f"{facts.slot_url}/{language}", _say(language, "slot_frame"))
    return (
        f'<h1>{_say(language, "insert_title")}</h1><ol class="steps"><li>{_say(language, take)}</li>'
        f"<li>{_say(language, 'insert_cartridge')} <b>{until}</b></li></ol>{frames}{_when(language, outcome, facts)}"
        f"{_button(language, 'finish')}"
    )


def _when(language: str, outcome: CheckedIn, facts: ScreenFacts) -> str:
    ready, expires = (when_text(ns, facts.utc_offset_s) for ns in (outcome.ready_ns, outcome.expires_ns))
    return f"<p><b>{_said_at(language, 'ready', ready)}</b> {_said_at(language, 'expires', expires)}</p>"


def _obstacle(language: str, screen: Screen, token: str, view: DeskView, facts: ScreenFacts) -> str:
    if screen.name == "busy":
        free_ns = view.next_free_ns
        text = (
            _say(language, "busy_soon")
            if free_ns is None
            else _said_at(language, "busy_text", clock_text(free_ns, facts.utc_offset_s))
        )
        body = f"<h1>{_say(language, 'busy_title')}</h1><p>{text}</p>"
    else:
        body = _said(language, screen.name)
    if screen.name in WITHOUT_PAPER:
        body += _check_in(language, token, paper=False) + _notice(language, facts)
    return body + _button(language, "back")


def _said(language: str, name: str) -> str:
    return f"<h1>{_say(language, f'{name}_title')}</h1><p>{_say(language, f'{name}_text')}</p>"


def _check_in(language: str, token: str, *, paper: bool) -> str:
    return (
        f'<form method="post" action="/check-in" data-wait><input type="hidden" name="token" value="{token}">'
        f'<input type="hidden" name="paper" value="{int(paper)}">'
        f'<button class="big go">{_say(language, "start" if paper else "start_photo")}</button></form>'
    )


def _button(language: str, name: str) -> str:
    return f'<button class="big" form="leave">{_say(language, name)}</button>'


def _frame(kind: str, url: str, title: str) -> str:
    return f'<iframe class="{kind}" src="{escape(url)}" title="{title}" referrerpolicy="no-referrer"></iframe>'


# --- what every screen has ----------------------------------------------------------------------------------


def _page(language: str, screen: Screen, facts: ScreenFacts, body: str, *, poll: str | None, token: str | None) -> str:
    direction = _direction(language)
    asked = "" if poll is None else f' data-poll="{poll}"'
    return (
        f'<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{_title(language, screen)}</title>'
        '<link rel="stylesheet" href="/static/screen.css"><link rel="icon" href="data:,">'
        f'<script src="/static/screen.js" defer></script></head><body data-screen="{screen.name}" '
        f'data-key="{escape(screen.key)}"{asked}>{_mark(language, facts)}<main>{body}</main>'
        f"{_foot(language, facts)}{_asides(language, token)}</body></html>"
    )


def _title(language: str, screen: Screen) -> str:
    return _say(language, "choose" if screen.name == "start" else f"{screen.name}_title")


def _mark(language: str, facts: ScreenFacts) -> str:
    if facts.speed is None:
        return ""
    return f'<header class="simulated">{_say(language, "simulated").replace("{speed}", str(facts.speed))}</header>'


def _foot(language: str, facts: ScreenFacts) -> str:
    return f"<footer>{_say(language, 'page_hash')}: <bdi>{escape(facts.page_hash)}</bdi></footer>"


def _asides(language: str, token: str | None) -> str:
    """Return the way back, and what is shown while a slip is made or when nobody touches the screen."""
    if token is None:
        return ""
    return (
        f'<form id="leave" method="post" action="/leave"><input type="hidden" name="token" value="{token}"></form>'
        f'<section id="waiting" hidden role="status"><h2>{_say(language, "wait_title")}</h2>'
        f"<p>{_say(language, 'wait_text')}</p></section>"
        f'<dialog id="still" data-silence-s="{SILENCE_S}" data-warn-s="{WARN_S}" aria-labelledby="still-title">'
        f'<h2 id="still-title">{_say(language, "still_title")}</h2><p>{_say(language, "still_text")}</p>'
        f'<button class="big go" type="button">{_say(language, "still_button")}</button></dialog>'
    )


def _said_at(language: str, name: str, time: str) -> str:
    return _say(language, name).replace("{time}", f"<bdi>{escape(time)}</bdi>")


def _say(language: str, name: str) -> str:
    return escape(words(language)[name])


def _direction(language: str) -> str:
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"
