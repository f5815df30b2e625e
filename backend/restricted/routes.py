"""Pages and API of the bucket `restricted`: asking, confirming, refusing, closing, and reading while it is open.

The readings are one page and one address of the API; both go through the door. Only the two who opened it together
see them, and why; other officers see that it is open, and to whom.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from backend.accounts.guard import Needs, add_page, field, read_form, signed_in
from backend.accounts.passwords import MAX_BYTES
from backend.accounts.roles import Permission
from backend.boards.series_routes import OneSeries, SeriesListAnswer, parameters, question, read_question
from backend.boards.spark import Spark, spark
from backend.errors import InputError
from backend.restricted.door import SHOWN_S, RestrictedDoor, Shown
from backend.restricted.service import MAX_MINUTES, MAX_REASON_CHARS, MIN_MINUTES, MIN_REASON_CHARS, OpeningService
from backend.web.names import Names
from backend.web.openapi import answers
from backend.web.pages import Pages, json_answer
from backend.web.reasons import METRIC_NAMES, shown
from backend.web.viewer import Viewer, client_address
from backend.web.words import N_, Words
from contracts.clock import Clock
from contracts.windows import NS
from stores.state.openings import OpeningRow

LENGTHS_MIN: Final = (15, 30, 60, 120, 240)
_NUMBER_CHARS: Final = 6
_NEEDS: Final = Permission.OPEN_RESTRICTED

Fields = Annotated[Mapping[str, str], Depends(read_form)]


class OpenRequest(BaseModel):
    """What an officer asks for."""

    reason: str = Field(max_length=MAX_REASON_CHARS)
    minutes: int = Field(ge=MIN_MINUTES, le=MAX_MINUTES)
    password: str = Field(max_length=MAX_BYTES)


class ConfirmRequest(BaseModel):
    """What the second officer adds."""

    password: str = Field(max_length=MAX_BYTES)


class OpeningAnswer(msgspec.Struct, frozen=True):
    """What is asked for or open now; `reason` for those whom it concerns; `left_s` in real seconds."""

    state: str  # closed, requested, open
    number: int | None = None
    requested_by: str | None = None
    confirmed_by: str | None = None
    reason: str | None = None
    minutes: int | None = None
    left_s: int | None = None


class RestrictedRoutes:
    """Routes of this feature."""

    def __init__(
        self,
        service: OpeningService,
        door: RestrictedDoor,
        pages: Pages,
        names: Callable[[Words], Names],
        clock: Clock,
    ) -> None:
        self._service = service
        self._door = door
        self._pages = pages
        self._names = names
        self._clock = clock

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_page(router, "/restricted", self.page, _NEEDS)
        add_page(router, "/restricted", self.request_form, _NEEDS, method="POST")
        add_page(router, "/restricted/readings", self.readings_page, _NEEDS)
        add_page(router, "/restricted/{number:int}/confirm", self.confirm_form, _NEEDS, method="POST")
        add_page(router, "/restricted/{number:int}/refuse", self.refuse_form, _NEEDS, method="POST")
        add_page(router, "/restricted/{number:int}/close", self.close_form, _NEEDS, method="POST")
        return router

    def api(self) -> APIRouter:
        """Return what programs use."""
        router = APIRouter(prefix="/restricted", tags=["restricted"], dependencies=[Depends(Needs(_NEEDS))])
        told = answers(OpeningAnswer)
        router.add_api_route("", self.state, responses=told)
        router.add_api_route("", self.request, methods=["POST"], responses=told)
        router.add_api_route(
            "/series", self.series, responses=answers(SeriesListAnswer), openapi_extra={"parameters": parameters()}
        )
        router.add_api_route("/{number}/confirm", self.confirm, methods=["POST"], responses=told)
        router.add_api_route("/{number}/refuse", self.refuse, methods=["POST"], responses=told)
        router.add_api_route("/{number}/close", self.close, methods=["POST"], responses=told)
        return router

    # --- pages -------------------------------------------------------------------------------------

    def page(self, request: Request) -> Response:
        """Show what is asked for or open, and the form that fits; reads nothing of the bucket."""
        row, viewer = self._service.current(), signed_in(request)
        view = {
            "opening": None if row is None else self._view(row, viewer),
            "lengths": LENGTHS_MIN,
            "least_chars": MIN_REASON_CHARS,
            "most_chars": MAX_REASON_CHARS,
        }
        return self._pages.answer(request, "restricted.html", view=view)

    def readings_page(self, request: Request) -> Response:
        """Show the last day of what is restricted, to one of the two; the browser leaves the page at the end."""
        words, viewer = self._pages.words(request), signed_in(request)
        opening, found, stop_ns = self._door.last_day(viewer)
        names = self._names(words)
        lines = [_line(one, names, stop_ns) for one in found]
        answer = self._pages.answer(
            request, "restricted_readings.html", opening=self._view(opening, viewer), lines=lines
        )
        answer.headers["refresh"] = f"{self._service.left_s(opening) + 1}; url=/restricted"
        return answer

    def request_form(self, request: Request, fields: Fields) -> Response:
        """Ask."""
        reason, minutes = field(fields, "reason", most=MAX_REASON_CHARS), field(fields, "minutes", most=_NUMBER_CHARS)
        if not (minutes.isascii() and minutes.isdecimal()):
            raise InputError(N_("%(least)s to %(most)s minutes."), least=MIN_MINUTES, most=MAX_MINUTES)
        self._service.request(
            signed_in(request),
            reason=reason,
            minutes=int(minutes),
            password=_password(fields),
            address=client_address(request),
        )
        return _back()

    def confirm_form(self, request: Request, number: int, fields: Fields) -> Response:
        """Confirm, and go to the readings."""
        person, address = signed_in(request), client_address(request)
        self._service.confirm(person, number, password=_password(fields), address=address)
        return _back()

    def refuse_form(self, request: Request, number: int) -> Response:
        """Refuse, or withdraw."""
        self._service.refuse(signed_in(request), number)
        return _back()

    def close_form(self, request: Request, number: int) -> Response:
        """Close early."""
        self._service.close(signed_in(request), number)
        return _back()

    # --- API ---------------------------------------------------------------------------------------

    def state(self, request: Request) -> Response:
        """Return what is asked for or open now."""
        return json_answer(self._answer(signed_in(request)))

    def request(self, request: Request, wanted: OpenRequest) -> Response:
        """Ask for the bucket to be opened."""
        person, address = signed_in(request), client_address(request)
        self._service.request(
            person, reason=wanted.reason.strip(), minutes=wanted.minutes, password=wanted.password, address=address
        )
        return json_answer(self._answer(person))

    def confirm(self, request: Request, number: int, wanted: ConfirmRequest) -> Response:
        """Confirm another officer's request."""
        person, address = signed_in(request), client_address(request)
        self._service.confirm(person, number, password=wanted.password, address=address)
        return json_answer(self._answer(person))

    def refuse(self, request: Request, number: int) -> Response:
        """Refuse another officer's request, or withdraw one's own."""
        person = signed_in(request)
        self._service.refuse(person, number)
        return json_answer(self._answer(person))

    def close(self, request: Request, number: int) -> Response:
        """Close what is open before its time."""
        person = signed_in(request)
        self._service.close(person, number)
        return json_answer(self._answer(person))

    def series(self, request: Request) -> Response:
        """Ask one question of the bucket `restricted`; each is noted in the audit log, and no answer is kept."""
        found = self._door.ask(signed_in(request), question(read_question(request.query_params)))
        return json_answer(SeriesListAnswer([OneSeries(dict(one.tags), one.times_ns, one.values) for one in found]))

    # --- below -------------------------------------------------------------------------------------

    def _answer(self, viewer: Viewer) -> OpeningAnswer:
        row = self._service.current()
        if row is None:
            return OpeningAnswer("closed")
        return OpeningAnswer(
            state="requested" if row.confirmed_s is None else "open",
            number=row.id,
            requested_by=row.requested_by,
            confirmed_by=row.confirmed_by,
            reason=row.reason if _concerns(row, viewer) else None,
            minutes=row.length_s // 60,
            left_s=self._service.left_s(row),
        )

    def _view(self, row: OpeningRow, viewer: Viewer) -> Mapping[str, object]:
        left_s = self._service.left_s(row)
        return {
            "number": row.id,
            "open": row.confirmed_s is not None,
            "own": row.requested_by == viewer.name,
            "mine": viewer.name in {row.requested_by, row.confirmed_by},
            "requested_by": row.requested_by,
            "confirmed_by": row.confirmed_by,
            "reason": row.reason if _concerns(row, viewer) else "",
            "minutes": row.length_s // 60,
            "left_min": -(-left_s // 60),
            "until_ns": self._clock.now_ns() + left_s * self._clock.speed * NS,
        }


def _concerns(row: OpeningRow, viewer: Viewer) -> bool:
    """Tell whether a person sees why: the two, and every officer who could be the second one."""
    return row.confirmed_s is None or viewer.name in {row.requested_by, row.confirmed_by}


def _line(one: Shown, names: Names, stop_ns: int) -> Mapping[str, object]:
    def told(value: float) -> str:
        return shown(one.metric, value, names.words)

    drawn: Spark | None = spark(
        start_ns=stop_ns - SHOWN_S * NS,
        stop_ns=stop_ns,
        history=_EMPTY,
        now=(one.times_ns, one.values),
        low=_EMPTY,
        high=_EMPTY,
    )
    return {
        "place": f"{names.site(one.site)}, {names.zone(one.zone)}",
        "device": one.device,
        "metric": names.words.text(METRIC_NAMES[one.metric]),
        "last": told(one.values[-1]),
        "last_ns": one.times_ns[-1],
        "least": told(min(one.values)),
        "most": told(max(one.values)),
        "spark": drawn,
    }


_EMPTY: Final[tuple[Sequence[int], Sequence[float]]] = ((), ())


def _password(fields: Mapping[str, str]) -> str:
    """A password is taken as typed: white space belongs to it."""
    return fields.get("password", "")[: MAX_BYTES + 1]


def _back() -> Response:
    return RedirectResponse("/restricted", HTTPStatus.SEE_OTHER)
