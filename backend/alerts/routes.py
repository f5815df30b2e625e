"""Alerts for people (list, one alert, the three steps) and for programs."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from backend.accounts.guard import Needs, add_page, field, read_form, signed_in
from backend.accounts.roles import Permission
from backend.alerts.service import MAX_NOTE_CHARS, AlertService, may_handle
from backend.web.alert_rows import bare, facts_of, finding, line, urgency
from backend.web.names import Names
from backend.web.openapi import answers
from backend.web.pages import Figure, Pages, json_answer
from backend.web.reasons import tell
from backend.web.viewer import Viewer
from backend.web.words import N_, Words
from stores.state.alerts import AlertEventRow, AlertRow

PAGE_ROWS: Final = 50
MAX_API_ROWS: Final = 500

EVENT_WORDS: Final = {
    "fired": N_("raised"),
    "again": N_("raised again"),
    "cleared": N_("over by its rule"),
    "acknowledged": N_("acknowledged"),
    "note": N_("note"),
    "resolved": N_("resolved"),
}
_FILTERS: Final = (("open", N_("Open")), ("resolved", N_("Resolved")), ("all", N_("All")))

Fields = Annotated[Mapping[str, str], Depends(read_form)]
Act = Callable[[int, Viewer, str], AlertRow]


class NoteRequest(BaseModel):
    """What a program sends with a step."""

    note: str = Field(default="", max_length=MAX_NOTE_CHARS)


class EventAnswer(msgspec.Struct, frozen=True):
    """One row of an alert's history."""

    at_ns: int
    event: str
    actor: str | None
    note: str


class AlertAnswer(msgspec.Struct, frozen=True):
    """An alert; instants are nanoseconds of district time, UTC."""

    id: int
    rule: str
    subject: str
    zone: str | None
    site: str | None
    device: str | None
    severity: str
    state: str
    over: bool
    count: int
    opened_ns: int
    last_ns: int
    over_ns: int | None
    acknowledged_ns: int | None
    acknowledged_by: str | None
    resolved_ns: int | None
    resolved_by: str | None
    headline: str
    facts: dict[str, float | int | str]
    events: list[EventAnswer] | None = None


class AlertsAnswer(msgspec.Struct, frozen=True):
    """A list of alerts, newest first."""

    alerts: list[AlertAnswer]


class AlertRoutes:
    """Routes of this feature; `figure` finds the chart that shows what an alert is about."""

    def __init__(
        self,
        service: AlertService,
        pages: Pages,
        names: Callable[[Words], Names],
        figure: Callable[[AlertRow, Words], Figure | None],
    ) -> None:
        self._service = service
        self._pages = pages
        self._names = names
        self._figure = figure

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_page(router, "/alerts", self.list_page, Permission.READ)
        add_page(router, "/alerts/{alert_id:int}", self.alert_page, Permission.READ)
        for word, act in self._acts().items():
            path = f"/alerts/{{alert_id:int}}/{word}"
            add_page(router, path, self._form(act), Permission.HANDLE_DEVICE_ALERT, method="POST")
        return router

    def api(self) -> APIRouter:
        """Return what programs use."""
        router = APIRouter(tags=["alerts"])
        read = [Depends(Needs(Permission.READ))]
        handle = [Depends(Needs(Permission.HANDLE_DEVICE_ALERT))]
        router.add_api_route("/alerts", self.alerts, dependencies=read, responses=answers(AlertsAnswer))
        router.add_api_route("/alerts/{alert_id}", self.alert, dependencies=read, responses=answers(AlertAnswer))
        for word, act in self._acts().items():
            router.add_api_route(
                f"/alerts/{{alert_id}}/{word}",
                self._call(act, word),
                methods=["POST"],
                dependencies=handle,
                responses=answers(AlertAnswer),
            )
        return router

    def _acts(self) -> Mapping[str, Act]:
        service = self._service
        return {"acknowledge": service.acknowledge, "note": service.add_note, "resolve": service.resolve}

    # --- pages -------------------------------------------------------------------------------------

    def list_page(self, request: Request, show: str = "open", before: int | None = None) -> Response:
        """List alerts: what needs a person first."""
        words = self._pages.words(request)
        names = self._names(words)
        chosen = show if show in dict(_FILTERS) else "open"
        rows = self._rows(chosen, before)
        view = {
            "show": chosen,
            "filters": [{"key": key, "name": words.text(name), "chosen": key == chosen} for key, name in _FILTERS],
            "alerts": [line(row, names) for row in rows],
            "older": rows[-1].id if chosen != "open" and len(rows) == PAGE_ROWS else None,
            "empty": words.text(_EMPTY[chosen]),
        }
        return self._pages.answer(request, "alerts.html", view=view)

    def _rows(self, show: str, before: int | None) -> list[AlertRow]:
        if show == "open":
            return sorted(self._service.open_alerts(), key=urgency)
        return self._service.alerts(state="resolved" if show == "resolved" else None, limit=PAGE_ROWS, before_id=before)

    def alert_page(self, request: Request, alert_id: int) -> Response:
        """Show one alert: what happened, how sure, what now, who and when."""
        words = self._pages.words(request)
        names = self._names(words)
        row = self._service.alert(alert_id)
        return self._pages.answer(
            request,
            "alert.html",
            alert=line(row, names),
            reason=tell(finding(row, names), words),
            events=[_event_line(event, words) for event in self._service.history(alert_id)],
            allowed=may_handle(signed_in(request), row),
            links=_links(row, names),
            chart=self._figure(row, words),
        )

    def _form(self, act: Act) -> Callable[..., Response]:
        def handle(request: Request, alert_id: int, fields: Fields) -> Response:
            note = field(fields, "note", most=MAX_NOTE_CHARS, needed=False)
            act(alert_id, signed_in(request), note)
            return RedirectResponse(f"/alerts/{alert_id}", HTTPStatus.SEE_OTHER)

        return handle

    # --- API ---------------------------------------------------------------------------------------

    def alerts(
        self,
        request: Request,
        state: Literal["open", "firing", "acknowledged", "resolved"] | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_API_ROWS)] = PAGE_ROWS,
        before: int | None = None,
    ) -> Response:
        """List alerts, newest first."""
        names = self._names(self._pages.words(request))
        if state == "open":
            rows = sorted(self._service.open_alerts(), key=lambda row: -row.id)[:limit]
        else:
            rows = self._service.alerts(state=state, limit=limit, before_id=before)
        return json_answer(AlertsAnswer([_answer(row, names) for row in rows]))

    def alert(self, request: Request, alert_id: int) -> Response:
        """Return one alert with its history."""
        names = self._names(self._pages.words(request))
        return json_answer(_answer(self._service.alert(alert_id), names, self._service.history(alert_id)))

    def _call(self, act: Act, word: str) -> Callable[..., Response]:
        def handle(request: Request, alert_id: int, wanted: NoteRequest) -> Response:
            row = act(alert_id, signed_in(request), wanted.note.strip())
            return json_answer(_answer(row, self._names(self._pages.words(request))))

        handle.__name__ = f"{word}_alert"
        handle.__doc__ = f"Take the step: {word}."
        return handle


_EMPTY: Final = {
    "open": N_("No alert is open. Nothing needs you now."),
    "resolved": N_("No alert has been resolved yet."),
    "all": N_("There has been no alert yet."),
}


def _event_line(event: AlertEventRow, words: Words) -> Mapping[str, object]:
    return {
        "event": event.event,
        "word": words.text(EVENT_WORDS[event.event]),
        "actor": event.actor,
        "at_ns": event.at_ns,
        "note": event.note,
    }


def _links(row: AlertRow, names: Names) -> list[Mapping[str, str]]:
    words = names.words
    links: list[Mapping[str, str]] = []
    if row.zone is not None:
        links.append({"address": f"/zones/{row.zone}", "name": words.text("Zone %(zone)s", zone=names.zone(row.zone))})
    if row.device is not None:
        links.append({"address": f"/devices/{row.device}", "name": words.text("Device %(device)s", device=row.device)})
    return links


def _answer(row: AlertRow, names: Names, events: list[AlertEventRow] | None = None) -> AlertAnswer:
    return AlertAnswer(
        id=row.id,
        rule=row.rule,
        subject=bare(row.subject),
        zone=row.zone,
        site=row.site,
        device=row.device,
        severity=row.severity,
        state=row.state,
        over=row.cleared,
        count=row.count,
        opened_ns=row.opened_ns,
        last_ns=row.last_ns,
        over_ns=row.cleared_ns,
        acknowledged_ns=row.acknowledged_ns,
        acknowledged_by=row.acknowledged_by,
        resolved_ns=row.resolved_ns,
        resolved_by=row.resolved_by,
        headline=line(row, names).headline,
        facts=dict(facts_of(row)),
        events=None if events is None else [EventAnswer(e.at_ns, e.event, e.actor, e.note) for e in events],
    )
