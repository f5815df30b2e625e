"""Joins what a kiosk is made of: visits, counters, ticks, the screen's counter and the child processes."""

import logging
import random
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from contracts.clock import Clock
from contracts.sealed import dummy
from edge.adapters.door import DoorFile
from edge.adapters.visits import VisitDatabase, open_visits
from edge.core.enrolment import Enrolment
from edge.core.outcome import AssayTable, Dialect
from edge.core.ticks import offset_ns
from edge.core.visit import VisitRules, most_in_a_tick
from edge.errors import SettingsError
from edge.ports import ClockQuality, KioskChildren, Waiter
from edge.release.counters import open_window
from edge.service.counter import Counter
from edge.service.kiosk import KioskParts, KioskRules, KioskTask
from edge.service.recorder import Recorder
from edge.service.ticks import STREAM, TickRules
from edge.settings import InstrumentSection, LoadedCabinet
from edge.store_ports import Outbox

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskHost:
    """What a kiosk shares with the rest of its agent."""

    device_key: bytes  # raw private key: ticks are delayed by what only this device can compute
    outbox: Outbox
    recorder: Recorder
    clock: Clock
    quality: ClockQuality
    waiter: Waiter
    closing: ExitStack


def build_kiosk(
    section: InstrumentSection, children: KioskChildren, loaded: LoadedCabinet, enrolment: Enrolment, host: KioskHost
) -> KioskTask:
    """Return the kiosk; SettingsError when its cabinet does not fit the district's layout."""
    layouts, dialect = enrolment.layout_book(), Dialect(section.assay or "", section.result_codes or {})
    now_ns = host.clock.now_ns()
    _check_targets(section, dialect.table(layouts.at(now_ns).assay(dialect.assay).targets))
    rules, visits = section.visit_rules(), _visits(loaded, enrolment, host)
    if most_in_a_tick(visits.visits) > rules.places:
        raise SettingsError("places: fewer than visitors hold who wait for results; put it back until these are out")
    parts = KioskParts(
        analyser=children.analyser(section.link, dialect.assay),
        codes=children.code_maker(),
        sealer=children.sealer(),
        visits=visits,
        counter=Counter(host.clock, host.waiter),
        recorder=host.recorder,
        clock=host.clock,
        quality=host.quality,
        door_open=DoorFile(loaded.door_file).is_open,
    )
    return KioskTask(
        parts,
        KioskRules(
            visits=rules,
            ticks=_tick_rules(rules, host.device_key, loaded.cabinet.device.id),
            last_tick=host.outbox.last_start(STREAM),
            dialect=dialect,
            layouts=layouts,
            window_ns=enrolment.calendar().window_ns,
            utc_offset_s=enrolment.utc_offset_s,
            randbelow=secrets.randbelow,
        ),
    )


def _tick_rules(rules: VisitRules, device_key: bytes, device: str) -> TickRules:
    return TickRules(
        places=rules.places,
        offset_ns=offset_ns(device_key, device),
        dummy=dummy,
        shuffle=secrets.SystemRandom().shuffle,
    )


def _visits(loaded: LoadedCabinet, enrolment: Enrolment, host: KioskHost) -> VisitDatabase:
    visits, destroyed = open_visits(
        loaded.folder / "visits.db",
        calendar=enrolment.calendar(),
        layouts=enrolment.layout_book(),
        open_window=partial(open_window, randbelow=_noise_source(loaded, host.outbox)),
        now_ns=host.clock.now_ns(),
    )
    host.closing.callback(visits.close)
    if destroyed:
        _LOG.error("the visit file was damaged and is destroyed; its open windows begin anew")
    return visits


def _noise_source(loaded: LoadedCabinet, outbox: Outbox) -> Callable[[int], int]:
    """Return the source of the noise: the system's, except in a simulated district."""
    simulated = loaded.cabinet.simulated
    if simulated is None:
        return secrets.randbelow
    seed = f"{simulated.seed}:{loaded.cabinet.device.id}:{outbox.ob}:{outbox.boot}"
    return random.Random(seed).randrange  # noqa: S311 -- a simulated district protects nobody


def _check_targets(section: InstrumentSection, table: AssayTable) -> None:
    if section.targets is not None and set(section.targets) != set(table.targets.values()):
        raise SettingsError(f"targets of {table.assay} differ from the district's layout")
