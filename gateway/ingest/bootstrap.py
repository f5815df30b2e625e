"""Joins ingest's parts to the stores, the broker and the clock; here alone settings are read and stores chosen."""

import gc
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from contracts.topics import ALL_UP
from gateway.clocks import district_clock
from gateway.errors import SettingsError
from gateway.ingest.counters import Counters
from gateway.ingest.inbox import Inbox
from gateway.ingest.loop import IngestLoop
from gateway.ingest.projector import Projector
from gateway.ingest.registry import RegistryReader
from gateway.ingest.service import IngestService
from gateway.ingest.verifier import Verifier
from gateway.settings import GatewaySettings
from mqttlink.session import Session
from mqttlink.types import LinkSettings
from stores.series.open import open_series
from stores.state.cohorts import CohortStore
from stores.state.database import open_for_reading, open_for_writing
from stores.state.journal import PROJECTED, IngestState

_LOG = logging.getLogger(__name__)

SERIES: Final = frozenset({"environment", "fleet", "restricted"})
SESSION_EXPIRY_S: Final = 24 * 3600  # what devices say while ingest is away waits in the broker, within its bounds
RECEIVE_MAXIMUM: Final = 2000
# A batch holds tens of thousands of objects for a moment, none of them in a cycle: at Python's 700 the collector would
# walk through all of them several times a batch.
COLLECT_AFTER: Final = (50_000, 20, 20)
SWITCH_S: Final = 0.0005  # three threads take turns here; at Python's 5 ms one waits that long after each verification
# Together with the projector's they stay below the five seconds in which a stop is promised.
GOODBYE_S: Final = 0.5
STOP_S: Final = 2.5
SHARED: Final = f"$share/ingest/{ALL_UP}"


class Ingest:
    """Everything of one ingest, opened; `run` works until `stop`."""

    def __init__(self, settings: GatewaySettings, stack: ExitStack) -> None:
        clock = district_clock(settings.time_file)
        database = stack.enter_context(open_for_writing(settings.state, "ingest", shared=settings.shared))
        reading = stack.enter_context(open_for_reading(settings.state, "ingest"))
        registry = RegistryReader(lambda: open_for_reading(settings.state, "backend"), clock)
        stack.callback(registry.close)
        if settings.series.startswith("influx:") and settings.series_restricted is None:
            _LOG.warning("restricted readings lie where other tokens reach them: set series_restricted")
        series = open_series(
            settings.series,
            reads=frozenset(),  # it writes `restricted` and asks nothing of any bucket
            writes=SERIES,
            org=settings.series_org,
            token_dir=settings.series_token_dir,
            restricted=settings.series_restricted,
        )
        stack.callback(series.close)
        self.verifier = Verifier(settings.verifiers)
        stack.callback(self.verifier.close)
        self.state = IngestState(database)
        cohorts = CohortStore(stack.enter_context(open_for_writing(settings.state, "cohorts", shared=settings.shared)))
        self.service = IngestService(self.state, cohorts, clock=clock, registry=registry, verifier=self.verifier)
        self.counters = Counters(series=series, district=lambda: registry.world().registry.district.id, clock=clock)
        self.projector = Projector(
            reading=IngestState(reading),
            writing=IngestState(database),
            series=series,
            district=lambda: registry.world().registry.district.id,
            clock=clock,
            handover=self.service.handover,
            tell=self.counters.tell,
        )
        self.inbox = Inbox(gateway=settings.gateway_id, key=_deployment_key(settings.deployment_key), clock=clock)
        self.loop = IngestLoop(
            inbox=self.inbox,
            service=self.service,
            state=self.state,
            projector=self.projector,
            clock=clock,
            retention=(settings.journal_days, settings.journal_max_bytes),
            counters=self.counters,
        )
        self._settings = settings

    def run(self) -> None:
        """Serve until a signal says stop; prints `ready` when the broker has accepted."""
        sys.setswitchinterval(SWITCH_S)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.loop.stop())
        session = Session(
            _link(self._settings),
            handler=self.inbox,
            subscriptions=(SHARED if self._settings.shared else ALL_UP,),
            will=self.inbox.will,
        )
        self.inbox.attach(session)
        if self._settings.metrics_listen is not None:
            self.counters.serve(self._settings.metrics_listen)
        self.verifier.start()
        gc.freeze()  # what is here stays here: no collection has to look at it again
        gc.set_threshold(*COLLECT_AFTER)
        self.projector.start()
        session.start()
        try:
            self.loop.run(on_ready=_say_ready)
        finally:
            self.inbox.goodbye(GOODBYE_S)
            session.stop(timeout_s=STOP_S)
            self.projector.stop()


@contextmanager
def opened(settings: GatewaySettings) -> Iterator[Ingest]:
    """Open all that ingest needs, under its locks; close it in the reverse order."""
    with ExitStack() as stack:
        yield Ingest(settings, stack)


def rebuild(settings: GatewaySettings) -> int:
    """Project the whole journal anew into the series store; return how many records."""
    with opened(settings) as ingest:
        ingest.state.forget_letters("projection")
        ingest.state.set_cursor(PROJECTED, 0)
        ingest.projector.restart()
        while ingest.projector.step():
            continue
        return ingest.projector.projected_records


def redrive(settings: GatewaySettings) -> tuple[int, int]:
    """Judge the dead letters anew; return how many were taken and how many stay."""
    with opened(settings) as ingest:
        return ingest.service.redrive()


def _say_ready() -> None:
    print("ready", flush=True)  # noqa: T201 -- the supervisor waits for this line


def _link(settings: GatewaySettings) -> LinkSettings:
    broker = settings.broker
    return LinkSettings(
        host=broker.host,
        port=broker.port,
        client_id=f"_gw-{settings.gateway_id}",
        ca=broker.ca,
        cert=broker.cert,
        key=broker.key,
        session_expiry_s=0 if settings.shared else SESSION_EXPIRY_S,
        receive_maximum=RECEIVE_MAXIMUM,
        max_inflight=100,
        reconnect_max_s=10.0,
    )


def _deployment_key(file: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise SettingsError(f"deployment_key {file} cannot be read as a PEM private key") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"deployment_key {file} is no Ed25519 key")
    return key
