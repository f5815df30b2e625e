"""Joins everything: settings in, a running backend out. The one place that chooses stores and hands out clocks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from backend.accounts.admin_routes import AccountAdmin
from backend.accounts.audit import AuditLog
from backend.accounts.guard import SessionReader, add_public
from backend.accounts.live_routes import LiveRoutes
from backend.accounts.passwords import Passwords
from backend.accounts.routes import AccountRoutes
from backend.accounts.service import AccountService
from backend.alerts.projection import AlertProjection
from backend.alerts.routes import AlertRoutes
from backend.alerts.service import AlertService
from backend.boards.board_routes import PanelRoutes
from backend.boards.cache import AnswerCache, Kept
from backend.boards.evidence import Evidence, gather
from backend.boards.figures import Figures
from backend.boards.ports import BoardPorts
from backend.boards.privacy import PrivacyBoard
from backend.boards.reader import Reader
from backend.boards.routes import BoardRoutes
from backend.boards.series_routes import SeriesRoutes
from backend.clocks import district_clock, wall_ns
from backend.devices.admin_routes import DeviceAdmin
from backend.devices.authority import ensure_authority, ensure_deployment_key
from backend.devices.condition import Fleet
from backend.devices.district_file import DistrictFile, parse_district
from backend.devices.enrolment import BrokerAnswer, EnrolmentService
from backend.devices.registry import LiveRegistry, targets_of
from backend.devices.routes import DeviceRoutes
from backend.devices.visitors import VisitTerms, languages_of, notice_of
from backend.errors import OperatorError
from backend.restricted.door import RestrictedDoor
from backend.restricted.projection import OpeningProjection
from backend.restricted.routes import RestrictedRoutes
from backend.restricted.service import OpeningService
from backend.results.page_hash import page_hash
from backend.settings import BackendSettings
from backend.sharing.admin_routes import SharingAdmin
from backend.sharing.packages import Sources
from backend.sharing.projection import SharingProjection
from backend.sharing.routes import SharingRoutes
from backend.sharing.service import SharingService
from backend.web import openapi
from backend.web.administration import AdminOnly, ensure_admin_token
from backend.web.assets import Assets
from backend.web.live import LiveHub
from backend.web.loops import Loop
from backend.web.names import Names, Subjects
from backend.web.operations import Counters, Operations
from backend.web.pages import Frame, Pages
from backend.web.problems import LastResort, Problems
from backend.web.security import BodyLimit, RateLimits, SecurityHeaders
from backend.web.states import OtherState, Releases, Reports, Signals, instrument_models
from backend.web.words import Languages, Words
from contracts.clock import Clock
from contracts.query import READABLE, RESTRICTED
from contracts.windows import NS, to_datetime
from dashboards.boards import district as district_board
from dashboards.boards import pipeline as pipeline_board
from stores.series.open import open_series
from stores.series.port import TimeSeriesStore
from stores.state.database import Database, open_for_reading, open_for_writing
from stores.state.devices import load_registry

POLL_S: Final = 0.25  # DESIGN §3 asks for at most 500 ms; a safety alert is on the screen within 2 s
PROJECT_S: Final = 0.5
OPENINGS_S: Final = 1.0
SHARED_S: Final = 5.0
POLL_LATE_S: Final = 5.0
TICK_S: Final = 2.0  # how often open pages look again while time runs fast
SLOW_TICK_S: Final = 10.0
BOARDS: Final = (district_board.BOARD, pipeline_board.BOARD)


@dataclass(frozen=True, slots=True)
class Core:
    """The backend's own state and what changes it; all that the commands need when no backend runs."""

    settings: BackendSettings
    clock: Clock
    database: Database
    registry: LiveRegistry
    audit: AuditLog
    limits: RateLimits
    accounts: AccountService
    enrolment: EnrolmentService
    openings: OpeningService
    sharing: SharingService

    def close(self) -> None:
        """Let go of the state."""
        self.database.close()


def open_core(settings: BackendSettings) -> Core:
    """Take the state as its only writer; OperatorError or a StoreError when that cannot be."""
    clock = district_clock(settings.time_file)
    database = open_for_writing(settings.state, "backend")
    try:
        return _core(settings, clock, database)
    except BaseException:
        database.close()
        raise


def _core(settings: BackendSettings, clock: Clock, database: Database) -> Core:
    audit = AuditLog(database, clock=clock, wall_s=_wall_s)
    limits = RateLimits(clock.real_s)
    registry = LiveRegistry(database, audit=audit, clock=clock)
    ensure_deployment_key(settings.ca_dir)
    broker = settings.broker_public
    accounts = AccountService(database, audit=audit, clock=clock, wall_s=_wall_s, passwords=Passwords(), limits=limits)
    return Core(
        settings=settings,
        clock=clock,
        database=database,
        registry=registry,
        audit=audit,
        limits=limits,
        accounts=accounts,
        openings=OpeningService(database, accounts=accounts, audit=audit, clock=clock, wall_s=_wall_s),
        enrolment=EnrolmentService(
            database,
            authority=ensure_authority(settings.ca_dir, _now()),
            registry=registry,
            audit=audit,
            limits=limits,
            now=_now,
            deployment_key=(settings.ca_dir / "deployment.pub").read_text().strip(),
            broker=BrokerAnswer(broker.host, broker.port, broker.tls),
            simulated=settings.simulated,
        ),
        sharing=SharingService(database, audit=audit, clock=clock),
    )


def read_district(settings: BackendSettings) -> DistrictFile:
    """Read and check district.toml; OperatorError says what is wrong with it."""
    try:
        text = settings.district.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise OperatorError("%(path)s cannot be read: it must be a UTF-8 text file.", path=settings.district) from exc
    return parse_district(text, real=not settings.simulated)


def apply_district_file(core: Core) -> list[str]:
    """Check district.toml and make the registry what it says; return what changed, a line each."""
    file = read_district(core.settings)
    core.sharing.agreements_are(file.agreement)
    core.enrolment.tell_visitors(
        VisitTerms(
            results_origin=file.results.origin or core.settings.results_origin,
            page_hash=page_hash(),
            languages=languages_of(file.district.languages),
            notice=notice_of(file.notice),
        )
    )
    return core.registry.apply(file)


@contextlib.contextmanager
def opened_for_sharing(settings: BackendSettings, now_ns: int) -> Iterator[Sources]:
    """Open what a package is made of, for reading; a StoreError says what cannot be."""
    ingest = OtherState(settings.state, "ingest")
    with contextlib.ExitStack() as stack:
        stack.callback(ingest.close)
        database = stack.enter_context(open_for_reading(settings.state, "ingest"))
        registry = load_registry(stack.enter_context(open_for_reading(settings.state, "backend")))
        series = _open_series(settings, reads=frozenset(READABLE))
        stack.callback(series.close)
        yield Sources(
            series=series,
            ingest=database,
            registry=registry,
            models=instrument_models(ingest),
            now_ns=now_ns,
            simulated=settings.simulated,
        )


class Backend:
    """A backend that is ready to serve."""

    def __init__(self, core: Core) -> None:
        settings = core.settings
        self._core = core
        self._series = _open_series(settings, reads=frozenset(READABLE), writes=frozenset({"alerts"}))
        # Read by the door alone, for two officers together; its token is opened nowhere else.
        self._behind_door = _open_series(settings, reads=frozenset({RESTRICTED}))
        self.hub = LiveHub()
        self._counters = Counters()
        self._ingest = OtherState(settings.state, "ingest")
        self._analyse = OtherState(settings.state, "analyse")
        self._alerts = AlertService(
            core.database,
            sources=(Signals(self._ingest, "ingest"), Signals(self._analyse, "analyse")),
            subjects=lambda: Subjects(core.registry.get()),
            audit=core.audit,
            clock=core.clock,
            changed=lambda alert: self.hub.publish("alerts", b'{"id":%d}' % alert),
        )
        projection = AlertProjection(core.database, self._series)
        opened = OpeningProjection(core.database, self._series, self._district)
        self._poller = self._loop("alerts", self._poll, POLL_S)
        shared = SharingProjection(core.database, self._series, self._district)
        self._loops = (
            self._poller,
            self._loop("projection", projection.advance, PROJECT_S),
            self._loop("openings", core.openings.advance, OPENINGS_S),
            self._loop("opened", opened.advance, OPENINGS_S),
            self._loop("sharing", shared.advance, SHARED_S),
        )
        self._pages = Pages(
            languages=Languages(lambda: core.registry.get().district.utc_offset_s),
            clock=core.clock,
            frame=self._frame,
            assets=Assets(),
        )
        self.app = self._application()

    def close(self) -> None:
        """Stop the loops, let go of the stores; the core is its opener's to close."""
        for loop in self._loops:
            loop.stop()
        self._series.close()
        self._behind_door.close()
        self._ingest.close()
        self._analyse.close()

    def _loop(self, name: str, step: Callable[[], int], every_s: float) -> Loop:
        failed = self._counters.failures.labels(name).inc
        return Loop(name, step, every_s=every_s, real_s=self._core.clock.real_s, failed=failed)

    def _reader(self) -> Reader:
        return Reader(self._series, self._district())

    def _district(self) -> str:
        return self._core.registry.get().district.id

    def _poll(self) -> int:
        taken = self._alerts.poll()
        self._counters.signals.inc(taken)
        return taken

    def _frame(self) -> Frame:
        district = self._core.registry.get().district
        alerts = self._alerts.open_alerts()
        return Frame(
            district=district.name,
            district_names=district.names,
            simulated=self._core.settings.simulated,
            speed=self._core.clock.speed,
            firing=sum(row.state == "firing" for row in alerts),
            open=len(alerts),
        )

    # --- the application -----------------------------------------------------------------------------

    def _application(self) -> ASGIApp:
        app = FastAPI(
            title="kioskwatch",
            summary="Alerts, devices, zones and series of one district.",
            version="1",
            openapi_url="/api/v1/openapi.json",
            docs_url=None,  # their pages load scripts from elsewhere
            redoc_url=None,
            lifespan=self._life,
        )
        problems = Problems(self._pages)
        problems.install(app)
        self._add_routes(app)
        openapi.install(app)
        self.routes = app.routes
        accounts = self._core.accounts
        inner = SessionReader(app, kept=accounts.kept, look_up=accounts.viewer)
        guarded = LastResort(BodyLimit(inner), problems, self._counters.unforeseen.inc)
        return SecurityHeaders(guarded, self._counters.count_answer)

    def _add_routes(self, app: FastAPI) -> None:
        core, pages = self._core, self._pages
        admin = AdminOnly(ensure_admin_token(core.settings.admin_token_file), core.limits)
        ports, cache = self._ports(), AnswerCache(core.clock.real_s)
        boards = BoardRoutes(ports, pages=pages, cache=cache)
        released = Releases(self._ingest)
        privacy = PrivacyBoard(self._reader, ports.names, released.head, core.clock.now_ns)
        panels = PanelRoutes(BOARDS, figures=ports.figures, pages=pages, cache=cache, privacy=privacy)
        accounts = AccountRoutes(core.accounts, core.audit, pages)
        alerts = AlertRoutes(self._alerts, pages, ports.names, boards.alert_figure)
        reports = Reports(self._ingest)
        fleet = Fleet(core.registry, reports, self._series, clock=core.clock, now=_now)
        devices = DeviceRoutes(fleet, core.enrolment, pages, ports.names, boards.device_figure, released.of)
        live = LiveRoutes(self.hub, core.accounts.signed_in)
        series = SeriesRoutes(ports, pages=pages, cache=cache)
        door = RestrictedDoor(self._behind_door, core.openings, clock=core.clock, district=self._district)
        restricted = RestrictedRoutes(core.openings, door, pages, ports.names, core.clock)
        # The busiest first: routes are tried in order.
        for programs in (series, boards, panels, alerts, devices, accounts, restricted):
            app.include_router(programs.api(), prefix="/api/v1")
        sharing = SharingRoutes(core.sharing, core.registry.get, pages)
        for feature in (accounts, boards, panels, alerts, devices, live, restricted, sharing):
            app.include_router(feature.pages())
        for machines in (
            self._operations(admin),
            AccountAdmin(core.accounts, admin),
            DeviceAdmin(core.enrolment, admin),
            SharingAdmin(core.sharing, core.registry.get, admin),
        ):
            app.include_router(machines.routes())
        add_public(app.router, "/static/{name:path}", pages.assets.answer)

    def _ports(self) -> BoardPorts:
        core = self._core

        def names(words: Words) -> Names:
            return Names(core.registry.get(), words)

        reader = self._reader

        def figures(words: Words) -> Figures:
            return Figures(reader(), names(words), core.clock.now_ns())

        kept: dict[str, Kept[Evidence]] = {}

        def evidence(target: str) -> Evidence:
            if target not in kept:
                kept[target] = Kept(lambda: gather(reader(), target, core.clock.now_ns()), core.clock.real_s)
            return kept[target].get()

        return BoardPorts(
            store=self._series,
            clock=core.clock,
            simulated=core.settings.simulated,
            names=names,
            figures=figures,
            evidence=evidence,
            targets=lambda: targets_of(core.registry.get()),
            open_alerts=self._alerts.open_alerts,
        )

    def _operations(self, admin: AdminOnly) -> Operations:
        self._counters.gauge("open_alerts", "Alerts that are not resolved", lambda: len(self._alerts.open_alerts()))
        self._counters.gauge("live_clients", "Browsers that listen", lambda: self.hub.clients)
        checks: Mapping[str, Callable[[], None]] = {
            "state": lambda: _unused(self._alerts.open_alerts()),
            "series": self._series.health,
            "alerts": lambda: self._poller.check(most_s=POLL_LATE_S),
        }
        return Operations(self._counters, checks, admin)

    @contextlib.asynccontextmanager
    async def _life(self, _app: FastAPI) -> AsyncIterator[None]:
        self.hub.start()
        for loop in self._loops:
            loop.start()
        ticking = asyncio.create_task(self._tick())
        yield
        ticking.cancel()

    async def _tick(self) -> None:
        pause_s = TICK_S if self._core.clock.speed > 1 else SLOW_TICK_S
        while True:
            await asyncio.sleep(pause_s)
            self.hub.publish("tick")


def _open_series(
    settings: BackendSettings, *, reads: frozenset[str], writes: frozenset[str] = frozenset()
) -> TimeSeriesStore:
    return open_series(
        settings.series,
        reads=reads,
        writes=writes,
        org=settings.series_org,
        token_dir=settings.series_token_dir,
        restricted=settings.series_restricted,
    )


def _unused(_: object) -> None:
    """Take what a check read."""


def _wall_s() -> int:
    return wall_ns() // NS


def _now() -> datetime:
    return to_datetime(wall_ns())
