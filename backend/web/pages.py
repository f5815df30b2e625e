"""What every page shares: its frame, its language, its clock line, and how an answer is made.

A template gets `_` and `ngettext` for words, `words` for numbers and times, `frame` for what stands around each
page and `viewer` for the person. Undefined names are errors, and everything is escaped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from backend.web.assets import Assets
from backend.web.viewer import viewer_of
from backend.web.words import FALLBACK, LANGUAGES, Languages, Words, choose
from contracts.clock import Clock

TEMPLATES: Final = Path(__file__).with_name("templates")
LANGUAGE_COOKIE: Final = "kw_language"
_YEAR_S: Final = 31_536_000


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around each page."""

    district: str
    district_names: Mapping[str, str]
    simulated: bool
    speed: int
    firing: int  # alerts nobody has acknowledged
    open: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart as a page places it: where its numbers are, and what is said beside it."""

    title: str
    source: str
    csv: str
    sentence: str
    note: str


class Pages:
    """Renders templates; one for the process."""

    def __init__(self, *, languages: Languages, clock: Clock, frame: Callable[[], Frame], assets: Assets) -> None:
        self._languages = languages
        self._clock = clock
        self._frame = frame
        self.assets = assets
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = assets.address
        self._environment.globals["languages"] = LANGUAGES
        self._environment.filters["json"] = _json

    def words(self, request: Request) -> Words:
        """Return the words this reader wants."""
        kept = request.cookies.get(LANGUAGE_COOKIE)
        wanted = request.query_params.get("lang")
        return self._languages.words(choose(wanted, kept, request.headers.get("accept-language")))

    def plain(self) -> Words:
        """Return English words, for answers without any."""
        return self._languages.words(FALLBACK)

    def answer(self, request: Request, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """Render a page for this reader."""
        words = self.words(request)
        html = self._environment.get_template(template).render(
            _=words.text,
            ngettext=words.plural,
            words=words,
            frame=self._frame(),
            viewer=viewer_of(request),
            now_ns=self._clock.now_ns(),
            path=request.url.path,
            **context,
        )
        answer = HTMLResponse(html, status_code=status, headers={"vary": "cookie, accept-language"})
        if request.query_params.get("lang") == words.language:
            _keep_language(answer, words.language, secure=request.url.scheme == "https")
        return answer


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a value that msgspec can encode."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json", headers=headers)


def _keep_language(answer: Response, language: str, *, secure: bool) -> None:
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
