"""District and zone pages, and the numbers behind their charts: as JSON for the browser, as CSV for people."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, Literal, cast
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from backend.accounts.guard import Needs, add_page
from backend.accounts.roles import Permission
from backend.boards import overview
from backend.boards.cache import AnswerCache
from backend.boards.charts import Chart, ChartAnswer, answer, as_csv
from backend.boards.figures import AIR_SPAN, LENGTHS, SPANS, Figures, Length
from backend.boards.ports import BoardPorts
from backend.errors import InputError, NotFoundError
from backend.web.names import Names
from backend.web.openapi import answers
from backend.web.pages import Figure, Pages
from backend.web.words import N_, Words
from contracts.metrics import METRICS
from stores.state.alerts import AlertRow

DEFAULT_SPAN: Final = "12w"
CO2: Final = "co2_ppm"

SpanKey = Annotated[str, Query(description=f"one of {', '.join(SPANS)}")]


class BoardRoutes:
    """Routes of this feature."""

    def __init__(self, ports: BoardPorts, *, pages: Pages, cache: AnswerCache) -> None:
        self._ports = ports
        self._pages = pages
        self._cache = cache

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_page(router, "/", self.district_page, Permission.READ)
        add_page(router, "/zones/{zone}", self.zone_page, Permission.READ)
        return router

    def api(self) -> APIRouter:
        """Return what programs use."""
        router = APIRouter(prefix="/charts", tags=["charts"], dependencies=[Depends(Needs(Permission.READ))])
        charts: Mapping[str, Callable[..., Awaitable[Response]]] = {
            "positivity": self.positivity_chart,
            "air": self.air_chart,
            "device": self.device_chart,
        }
        for name, endpoint in charts.items():
            router.add_api_route(f"/{name}", endpoint, responses=answers(ChartAnswer), name=f"{name}_chart")
            router.add_api_route(f"/{name}.csv", endpoint, responses=_CSV_ANSWER, name=f"{name}_csv")
        return router

    # --- pages -------------------------------------------------------------------------------------

    def district_page(self, request: Request, target: str | None = None) -> Response:
        """Show the district: who is needed, what is known, each zone."""
        words = self._pages.words(request)
        names, chosen = self._ports.names(words), self._target(target)
        alerts, evidence = self._ports.open_alerts(), self._ports.evidence(chosen)
        rows = overview.listed(alerts, names)
        view = {
            "name": names.district(),
            "lede": overview.lede(alerts, words),
            "sentences": overview.district_sentences(evidence, words),
            "alerts": rows[: overview.LISTED_ALERTS],
            "more_alerts": max(0, len(rows) - overview.LISTED_ALERTS),
            "zones": overview.zone_cards(evidence, alerts, names),
            "chart": self._positivity_figure(words, None, chosen, "week", "1y"),
        }
        return self._pages.answer(request, "district.html", view=view)

    def zone_page(
        self, request: Request, zone: str, span: str = DEFAULT_SPAN, level: str = "day", target: str | None = None
    ) -> Response:
        """Show one zone: its tests, its air, its devices."""
        words = self._pages.words(request)
        names, chosen = self._ports.names(words), self._target(target)
        if zone not in names.registry.zones:
            raise NotFoundError(N_("There is no such zone."))
        span, length = span_key(span), _length(level)
        alerts = [row for row in self._ports.open_alerts() if row.zone == zone]
        evidence = self._ports.evidence(chosen)
        tone, state_word = overview.state_of(evidence, zone, alerts, words)
        view = {
            "name": names.zone(zone),
            "tone": tone,
            "state_word": state_word,
            "sentences": overview.sentences(evidence, zone, words),
            "alerts": overview.listed(alerts, names),
            "span": span,
            "level": length,
            "ranges": choices({key: name for key, (_, name) in SPANS.items()}, span, words),
            "levels": choices(LENGTHS, length, words),
            "positivity": self._positivity_figure(words, zone, chosen, length, span),
            "co2": self._air_figure(words, zone, span if span in (AIR_SPAN, "2w") else AIR_SPAN),
            "days": overview.day_rows(evidence, zone, words),
            "devices": _devices(zone, names),
        }
        return self._pages.answer(request, "zone.html", view=view)

    def alert_figure(self, row: AlertRow, words: Words) -> Figure | None:
        """Return the chart that shows what an alert is about."""
        names = self._ports.names(words)
        if row.device is not None:
            device = names.registry.devices.get(row.device)
            if device is None or device.kind != "air_monitor":
                return None
            return self._figure("device", {"device": row.device, "metric": CO2, "span": AIR_SPAN}, words, CO2_TITLE)
        return self._positivity_figure(words, row.zone, self._target(None), "day", DEFAULT_SPAN)

    def device_figure(self, device: str, metric: str, words: Words) -> Figure:
        """Return the chart of one device's readings."""
        return self._figure("device", {"device": device, "metric": metric, "span": AIR_SPAN}, words, CO2_TITLE)

    def _positivity_figure(self, words: Words, zone: str | None, target: str, length: str, span: str) -> Figure:
        query = {"target": target, "level": length, "span": span, **({"zone": zone} if zone is not None else {})}
        note = words.text(
            "Band: the range in which the true share lies (95%%), privacy noise included. Dashed: public statistics, "
            "a source of its own: %(source)s.",
            source=self._ports.figures(words).history_source(),
        )
        return self._figure("positivity", query, words, N_("Share of positive tests"), note)

    def _air_figure(self, words: Words, zone: str, span: str) -> Figure:
        note = words.text("Means of the sampling period; dashed: the limit of the district file.")
        return self._figure("air", {"zone": zone, "metric": CO2, "span": span}, words, CO2_TITLE, note)

    def _figure(self, name: str, query: Mapping[str, str], words: Words, title: str, note: str = "") -> Figure:
        asked = urlencode(query)
        address = f"/api/v1/charts/{name}"
        return Figure(words.text(title), f"{address}?{asked}", f"{address}.csv?{asked}", "", note)

    # --- API ---------------------------------------------------------------------------------------

    async def positivity_chart(
        self,
        request: Request,
        zone: str | None = None,
        target: str | None = None,
        level: Literal["window", "day", "week"] = "day",
        span: SpanKey = DEFAULT_SPAN,
    ) -> Response:
        """Return the positive share of a zone, or of the district: history, releases, their band."""

        def draw(figures: Figures) -> Chart:
            if zone is not None and zone not in figures.names.registry.zones:
                raise NotFoundError(N_("There is no such zone."))
            return figures.positivity(zone, self._target(target), level, figures.span(span_key(span)))

        return await self._answer(request, draw)

    async def air_chart(self, request: Request, zone: str, metric: str = CO2, span: SpanKey = AIR_SPAN) -> Response:
        """Return a metric of a zone's open rooms, with the limits."""

        def draw(figures: Figures) -> Chart:
            if zone not in figures.names.registry.zones:
                raise NotFoundError(N_("There is no such zone."))
            return figures.air(zone, _metric(metric), figures.span(span_key(span)))

        return await self._answer(request, draw)

    async def device_chart(
        self, request: Request, device: str, metric: str = CO2, span: SpanKey = AIR_SPAN
    ) -> Response:
        """Return a metric of one device."""

        def draw(figures: Figures) -> Chart:
            if device not in figures.names.registry.devices:
                raise NotFoundError(N_("There is no such device."))
            return figures.device(device, _metric(metric), figures.span(span_key(span)))

        return await self._answer(request, draw)

    async def _answer(self, request: Request, draw: Callable[[Figures], Chart]) -> Response:
        words = self._pages.words(request)
        path, query = request.url.path, request.url.query
        as_file = path.endswith(".csv")

        def make() -> bytes:
            figures = self._ports.figures(words)
            return encode_chart(draw(figures), words, as_file=as_file)

        content = await self._cache.get((path, query, words.language), lambda: run_in_threadpool(make))
        return chart_response(content, path, as_file=as_file)

    def _target(self, wanted: str | None) -> str:
        known = self._ports.targets()
        if wanted is None:
            return known[0] if known else "none"
        if wanted not in known:
            raise InputError(N_("There is no such target."))
        return wanted


CO2_TITLE: Final = N_("Carbon dioxide (CO₂) in the air")
_CSV_ANSWER: Final[dict[int | str, dict[str, object]]] = {
    200: {"description": "The numbers as drawn, a row a point", "content": {"text/csv": {}}}
}


def encode_chart(chart: Chart, words: Words, *, as_file: bool) -> bytes:
    """Encode a chart for the browser or for a table program."""
    offset = words.utc_offset_s
    if as_file:
        return as_csv(chart, utc_offset_s=offset).encode("utf-8-sig")  # with the mark, or Excel reads Latin-1
    return msgspec.json.encode(answer(chart, utc_offset_s=offset, time_label=words.text("Time")))


def chart_response(content: bytes, path: str, *, as_file: bool) -> Response:
    """Answer an encoded chart."""
    if not as_file:
        return Response(content, media_type="application/json")
    name = path.rsplit("/", 1)[-1]
    headers = {"content-disposition": f'attachment; filename="kioskwatch-{name}"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def choices(names: Mapping[str, str], chosen: str, words: Words) -> list[Mapping[str, object]]:
    """Return a row of links, the chosen one marked."""
    return [{"key": key, "name": words.text(name), "chosen": key == chosen} for key, name in names.items()]


def _devices(zone: str, names: Names) -> list[Mapping[str, str]]:
    return [
        {"id": device.id, "name": device.id, "what": f"{names.kind(device.kind)} · {names.site(device.site)}"}
        for device in names.registry.devices.values()
        if device.zone == zone
    ]


def span_key(key: str) -> str:
    """Return a span's key; InputError when there is none."""
    if key not in SPANS:
        raise InputError(N_("A span is one of %(spans)s."), spans=", ".join(SPANS))
    return key


def _length(level: str) -> Length:
    if level in LENGTHS:
        return cast("Length", level)
    raise InputError(N_("A level is one of %(levels)s."), levels=", ".join(LENGTHS))


def _metric(name: str) -> str:
    if name not in METRICS or METRICS[name].bucket != "environment":
        raise InputError(N_("There is no such metric."))
    return name
