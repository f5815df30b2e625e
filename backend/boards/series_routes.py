"""The neutral question over HTTP: `/api/v1/series` asks what a SeriesQuery can ask; also the clock, and the zones.

Answers are encoded once and kept for a second; the hot path is a look-up in memory.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.responses import Response

from backend.accounts.guard import Needs
from backend.accounts.roles import Permission
from backend.boards import overview
from backend.boards.cache import AnswerCache
from backend.boards.evidence import Evidence, Share, newest_share, reporting
from backend.boards.ports import BoardPorts
from backend.errors import InputError, NotAllowedError
from backend.web.names import Names
from backend.web.openapi import answers
from backend.web.pages import Pages, json_answer
from backend.web.problems import MALFORMED
from backend.web.words import N_, zone_name
from contracts.query import READABLE, Function, SeriesQuery
from stores.state.alerts import AlertRow

MAX_ROWS: Final = 20_000
_MS: Final = 1_000_000


class SeriesRequest(BaseModel):
    """A question; `tag` is name:value, to be matched exactly."""

    model_config = ConfigDict(extra="forbid")

    bucket: str
    measurement: str
    field: str
    start: str
    stop: str
    function: Function | None = None
    every_s: int | None = None
    group_by: list[str] = Field(default=[], max_length=8)
    tag: list[str] = Field(default=[], max_length=8)
    limit: int = Field(default=10_000, ge=1, le=MAX_ROWS)


class OneSeries(msgspec.Struct, frozen=True):
    """Times in nanoseconds UTC, oldest first, and a value for each."""

    tags: Mapping[str, str]
    times_ns: list[int]
    values: list[float | int | str | bool]


class SeriesListAnswer(msgspec.Struct, frozen=True):
    """What the store answered."""

    series: list[OneSeries]


class ClockAnswer(msgspec.Struct, frozen=True):
    """District time at the moment of the answer; it runs `speed` times as fast as the world."""

    now_ms: int
    speed: int
    simulated: bool
    utc_offset_s: int
    zone: str


class ZoneAnswer(msgspec.Struct, frozen=True):
    """A zone as the district's page shows it; shares are fractions."""

    id: str
    name: str
    state: str
    open_alerts: int
    day_start_ns: int | None
    positivity: float | None
    lower: float | None
    upper: float | None
    releases: int | None
    releases_expected: int | None


class DistrictAnswer(msgspec.Struct, frozen=True):
    """The district and its zones."""

    id: str
    name: str
    target: str
    zones: list[ZoneAnswer]


class SeriesRoutes:
    """Routes for programs."""

    def __init__(self, ports: BoardPorts, *, pages: Pages, cache: AnswerCache) -> None:
        self._ports = ports
        self._pages = pages
        self._cache = cache

    def api(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["series"])
        read = [Depends(Needs(Permission.READ))]
        router.add_api_route(
            "/series",
            self.series,
            dependencies=read,
            responses=answers(SeriesListAnswer),
            openapi_extra={"parameters": parameters()},
        )
        router.add_api_route("/district", self.district, dependencies=read, responses=answers(DistrictAnswer))
        router.add_api_route("/clock", self.clock, dependencies=[Depends(Needs(None))], responses=answers(ClockAnswer))
        return router

    async def series(self, request: Request) -> Response:
        """Ask one question of the time-series store; both bounds are ISO 8601 with an offset, half-open.

        The question is read only when no answer to these very words is kept: reading costs more than answering.
        """

        def make() -> bytes:
            found = self._ports.store.query(_query(read_question(request.query_params)))
            listed = [OneSeries(dict(one.tags), one.times_ns, one.values) for one in found]
            return msgspec.json.encode(SeriesListAnswer(listed))

        content = await self._cache.get(("series", request.url.query), lambda: run_in_threadpool(make))
        return Response(content, media_type="application/json")

    async def clock(self) -> Response:
        """Return district time: browsers show this, never their own."""
        district = self._ports.names(self._pages.plain()).registry.district
        return json_answer(
            ClockAnswer(
                now_ms=self._ports.clock.now_ns() // _MS,
                speed=self._ports.clock.speed,
                simulated=self._ports.simulated,
                utc_offset_s=district.utc_offset_s,
                zone=zone_name(district.utc_offset_s),
            )
        )

    def district(self, request: Request, target: str | None = None) -> Response:
        """Return the zones with what is known of each."""
        words = self._pages.words(request)
        names, known = self._ports.names(words), self._ports.targets()
        chosen = target or (known[0] if known else "none")
        evidence, alerts = self._ports.evidence(chosen), self._ports.open_alerts()
        zones = [_zone(zone, evidence, alerts, names) for zone in names.registry.zones]
        return json_answer(DistrictAnswer(names.registry.district.id, names.district(), chosen, zones))


def _zone(zone: str, evidence: Evidence, alerts: Sequence[AlertRow], names: Names) -> ZoneAnswer:
    own = [row for row in alerts if row.zone == zone]
    share: Share | None = newest_share(evidence.days, zone)
    seen = reporting(evidence, zone)
    return ZoneAnswer(
        id=zone,
        name=names.zone(zone),
        state=overview.state_of(evidence, zone, own, names.words)[0] or "none",
        open_alerts=len(own),
        day_start_ns=share.start_ns if share is not None else None,
        positivity=share.value if share is not None else None,
        lower=share.lower if share is not None else None,
        upper=share.upper if share is not None else None,
        releases=seen[0] if seen is not None else None,
        releases_expected=seen[1] if seen is not None else None,
    )


def parameters() -> list[dict[str, object]]:
    """The parameters of a question, for the API's document."""
    schema = SeriesRequest.model_json_schema()
    needed = set(schema["required"])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": described}
        for name, described in schema["properties"].items()
    ]


def read_question(parameters: QueryParams) -> SeriesRequest:
    """Return what is asked; InputError says which parts cannot be read."""
    lists = {name: parameters.getlist(name) for name in ("group_by", "tag") if name in parameters}
    try:
        return SeriesRequest.model_validate({**dict(parameters), **lists})
    except ValidationError as exc:
        places = ", ".join(".".join(str(part) for part in error["loc"]) for error in exc.errors()[:3])
        raise InputError(MALFORMED, places=places) from exc


def _query(asked: SeriesRequest) -> SeriesQuery:
    if asked.bucket not in READABLE:
        raise NotAllowedError(N_("This bucket is not open: two officers together open rooms where people live or lie."))
    return question(asked)


def question(asked: SeriesRequest) -> SeriesQuery:
    """Return it as the store takes it, whatever bucket it names; InputError or QueryError."""
    return SeriesQuery(
        bucket=asked.bucket,
        measurement=asked.measurement,
        field=asked.field,
        function=asked.function,
        every_s=asked.every_s,
        group_by=tuple(asked.group_by),
        tags=_tags(asked.tag),
        start=_instant(asked.start),
        stop=_instant(asked.stop),
        limit=asked.limit,
    )


def _tags(pairs: Sequence[str]) -> Mapping[str, str]:
    tags = {}
    for pair in pairs:
        name, found, value = pair.partition(":")
        if not found:
            raise InputError(N_("A tag looks like zone:z10016."))
        tags[name] = value
    return tags


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InputError(N_("An instant looks like 2021-12-12T05:00:00Z.")) from exc
    if instant.tzinfo is None:
        raise InputError(N_("An instant needs its offset from UTC, such as Z or -05:00."))
    return instant.astimezone(UTC)
