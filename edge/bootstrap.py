"""Joins settings, files, wires and the session into agents. The only place that chooses an implementation."""

import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from contracts.clock import Clock
from contracts.messages import VERSION, Birth, InstrumentBirth
from contracts.metrics import METRICS
from contracts.topics import all_down
from edge.adapters.clocks import (
    SharedClock,
    WatchedClock,
    disk_used_pct,
    real_now,
    simulated_clock,
    wall_clock,
)
from edge.adapters.enrolment import Enroller
from edge.adapters.http import BackendClient
from edge.adapters.links import make_link
from edge.adapters.lock import FolderLock
from edge.adapters.store import open_outbox
from edge.adapters.waiting import PollWaiter
from edge.assembly import KioskHost, build_kiosk
from edge.children.keeper import ForkServer
from edge.children.kiosk import KioskForks
from edge.core.backoff import Backoff
from edge.core.enrolment import Enrolment
from edge.core.schedule import Schedule, phase_of
from edge.core.sending import Sending
from edge.errors import EnrolmentError, EnrolmentRefusedError, SettingsError
from edge.front import Front, Kiosk
from edge.instruments.genexpert.driver import GenexpertDriver
from edge.instruments.line import Line
from edge.instruments.scd30.codec import BAUD
from edge.instruments.scd30.driver import Scd30Driver
from edge.ports import ClockQuality
from edge.service.agent import Agent, InstrumentTask, Mailbox, Parts
from edge.service.downlink import Downlink
from edge.service.health import PERIOD_S, HealthTask
from edge.service.kiosk import KioskTask
from edge.service.printing import print_analyser, print_sensor
from edge.service.publisher import Identity, Publisher
from edge.service.recorder import Recorder
from edge.service.renewal import RenewalTask
from edge.service.sensor import SensorTask
from edge.settings import InstrumentSection, LoadedCabinet
from edge.store_ports import Outbox
from mqttlink.session import Session
from mqttlink.types import LinkSettings

_LOG = logging.getLogger(__name__)

LINE_RETRY_S: Final = (0.5, 10.0)
ENROL_RETRY_S: Final = (1.0, 60.0)
RENEW_RETRY_S: Final = (60.0, 3600.0)
SIMULATED_RECONNECT_S: Final = 5.0  # a minute's pause is ten hours of a simulated district
RECONNECT_S: Final = 60.0
RECEIVE_MAXIMUM: Final = 50
HEALTH_SPREAD_S: Final = 600

_UNIFORM = secrets.SystemRandom().uniform


PRINTABLE: Final = ("genexpert", "scd30")


def print_instrument(kind: str, link: str, stopped: Callable[[], bool], show: Callable[[str], None]) -> None:
    """Show one instrument at work until stopped; SettingsError for a link that cannot be one."""
    if not link.startswith(("serial:", "tcp:")):
        link = f"serial:{link}" if link.startswith(("/", ".")) or ":" not in link else f"tcp:{link}"
    line, clock, waiter = make_line(link), wall_clock(), PollWaiter()
    if kind == "scd30":
        print_sensor(Scd30Driver(line), clock, waiter, stopped, show)
    else:
        analyser = GenexpertDriver(line, assay="", new_message_id=partial(secrets.token_hex, 8))
        print_analyser(analyser, clock, waiter, stopped, show)
    waiter.close()


def make_line(link: str) -> Line:
    """Return the line to an instrument."""
    return Line(make_link(link, BAUD), Backoff(*LINE_RETRY_S, _UNIFORM))


def make_clock(loaded: LoadedCabinet) -> tuple[Clock, ClockQuality]:
    """Return district time as this cabinet is to know it, and how far it may be trusted."""
    if loaded.time_file is not None:
        return simulated_clock(loaded.time_file), SharedClock()
    clock = wall_clock()
    return clock, WatchedClock(clock)


def obtain(
    enroller: Enroller, loaded: LoadedCabinet, *, fresh: bool, sleep: Callable[[float], bool], backoff: Backoff
) -> Enrolment | None:
    """Return the enrolment that is kept, renewed or asked for with the token; None when told to stop meanwhile.

    `fresh`: the outbox is a new one. The gateway takes it only after a newer enrolment (C12), so an unused token is
    then spent although a certificate is there. EnrolmentRefusedError or SettingsError when an operator must act.
    """
    while True:
        kept = enroller.current()
        if kept is not None and not fresh:
            return kept
        try:
            return _ask(enroller, loaded.cabinet.enrol.token, kept)
        except EnrolmentRefusedError:
            if kept is None:
                raise
            return _unproven(kept)
        except EnrolmentError as exc:
            _LOG.warning("not enrolled yet: %s", exc)
        if sleep(backoff.wait_s()):
            return None


def _ask(enroller: Enroller, token: str | None, kept: Enrolment | None) -> Enrolment:
    if kept is not None:
        return _unproven(kept) if token is None else enroller.enrol(token)
    if enroller.certificate_path.exists():  # it ran out: the key still proves who we are
        try:
            return enroller.renew()
        except EnrolmentRefusedError:
            if token is None:
                raise
    if token is None:
        raise SettingsError("not enrolled, and no [enrol] token: make one with `kioskwatch device token`")
    return enroller.enrol(token)


def _unproven(kept: Enrolment) -> Enrolment:
    _LOG.error("the outbox is new and the enrolment is not: the gateway refuses it until cabinet.toml has a new token")
    return kept


def build(
    loaded: LoadedCabinet,
    sleep: Callable[[float], bool],
    closing: ExitStack,
    children: ForkServer | None,
    front: Front | None = None,
) -> Agent | None:
    """Build one agent; None when told to stop before it is enrolled. What it holds is let go by `closing`.

    `children` is where a kiosk's child processes come from, `front` serves its screen and asks its printer; a cabinet
    without an analyser needs neither.
    """
    device = loaded.cabinet.device
    clock, quality = make_clock(loaded)
    enrol = loaded.cabinet.enrol
    client = BackendClient(enrol.url, ca_file=loaded.folder / "ca.pem", ca_fingerprint=enrol.ca_fingerprint)
    enroller = Enroller(loaded.folder, device.id, client, real_now, wants_terms=device.kind == "kiosk")
    closing.callback(FolderLock(loaded.folder).close)
    outbox, quarantined = open_outbox(loaded.folder / "outbox.db")
    closing.callback(outbox.close)
    backoff = Backoff(*ENROL_RETRY_S, _UNIFORM)
    enrolment = obtain(enroller, loaded, fresh=outbox.boot == 1, sleep=sleep, backoff=backoff)
    if enrolment is None:
        return None
    if loaded.cabinet.simulated is not None and enrolment.simulated is not True:  # silence is no leave
        raise SettingsError("[simulated] in cabinet.toml, but the deployment is a real one")
    builder = _Builder(loaded, enrolment, enroller, clock, quality, outbox, closing, children)
    if quarantined:
        builder.tell_quarantine()
    if front is not None:
        builder.open_front(front)
    return builder.agent()


class _Builder:
    """One agent's parts, in the order in which they need each other."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts it joins
        self,
        loaded: LoadedCabinet,
        enrolment: Enrolment,
        enroller: Enroller,
        clock: Clock,
        quality: ClockQuality,
        outbox: Outbox,
        closing: ExitStack,
        children: ForkServer | None,
    ) -> None:
        self._loaded = loaded
        self._device = loaded.cabinet.device
        self._enrolment = enrolment
        self._enroller = enroller
        self._clock = clock
        self._quality = quality
        self._closing = closing
        self._children = children
        self._forks: KioskForks | None = None
        self._paper: Callable[[], dict[str, float]] = dict
        self._waiter = PollWaiter()
        closing.callback(self._waiter.close)
        self._outbox = outbox
        self._sending = Sending(outbox.ob, outbox.held(), outbox.next_seq(), _UNIFORM)
        self._recorder = Recorder(outbox, self._sending, lambda: (clock.now_ns(), quality.now()))
        identity = Identity(device=self._device.id, firmware=_firmware(), ob=outbox.ob, boot=outbox.boot)
        self._publisher = Publisher(identity, enroller.key, outbox, self._sending, clock)
        self._downlink = Downlink(
            enrolment.deployment_key(),
            clock=clock,
            outbox=outbox,
            sending=self._sending,
            publisher=self._publisher,
            recorder=self._recorder,
            rebirth=self._born,
        )
        self._instruments = [self._instrument(section) for section in loaded.cabinet.instrument]

    def tell_quarantine(self) -> None:
        """Say that the outbox was damaged and is a new one now."""
        _LOG.error("the outbox was damaged; it is put aside and a new one begun")
        self._recorder.event("outbox", "quarantined")

    def open_front(self, front: Front) -> None:
        """Let visitors come: the screen and the printer of a kiosk."""
        for section, task in zip(self._loaded.cabinet.instrument, self._instruments, strict=True):
            if isinstance(task, KioskTask):
                kiosk = Kiosk(
                    self._loaded.cabinet, task.desk, lambda: self._enrolment, section.assay or "", self._clock
                )
                self._paper = front.open(kiosk, self._closing)

    def agent(self) -> Agent:
        """Return the agent."""
        mailbox = Mailbox(self._waiter)
        return Agent(
            Parts(
                clock=self._clock,
                waiter=self._waiter,
                mailbox=mailbox,
                uplink=Session(
                    self._link_settings(),
                    handler=mailbox,
                    subscriptions=(all_down(self._device.id),),
                    will=self._publisher.will,
                ),
                outbox=self._outbox,
                recorder=self._recorder,
                publisher=self._publisher,
                downlink=self._downlink,
                instruments=self._instruments,
                tasks=(self._health(), self._renewal()),
                born=self._born,
            )
        )

    # --- instruments ------------------------------------------------------------------------------------

    def _instrument(self, section: InstrumentSection) -> InstrumentTask:
        if section.kind == "scd30":
            return SensorTask(
                Scd30Driver(make_line(section.link)),
                kind=self._device.kind,
                schedule=Schedule(section.sample_period_s or 60),
                recorder=self._recorder,
                clock=self._clock,
                quality=self._quality,
            )
        return self._kiosk(section)

    def _kiosk(self, section: InstrumentSection) -> KioskTask:
        if self._children is None:
            raise SettingsError("an analyser needs the child processes of a kiosk, and this program started none")
        printer = self._loaded.cabinet.printer
        where = None if printer is None else printer.link
        self._forks = KioskForks(self._children, printer=where, utc_offset_s=self._enrolment.utc_offset_s)
        kiosk = build_kiosk(
            section,
            self._forks,
            self._loaded,
            self._enrolment,
            KioskHost(
                device_key=self._enroller.key.private_bytes_raw(),
                outbox=self._outbox,
                recorder=self._recorder,
                clock=self._clock,
                quality=self._quality,
                waiter=self._waiter,
                closing=self._closing,
            ),
        )
        self._tell_terms(kiosk)
        return kiosk

    def _tell_terms(self, kiosk: KioskTask) -> None:
        """What visitors are told, or why nobody can be told anything: to the desk and to the maker of slips."""
        terms = self._enrolment.visit_terms()
        kiosk.use_terms(terms)
        if self._forks is not None:
            self._forks.use_terms(terms)

    # --- what the cabinet says of itself ------------------------------------------------------------------

    def _born(self) -> None:
        layout = None
        if any(isinstance(task, KioskTask) for task in self._instruments):
            layout = self._enrolment.layout_book().at(self._clock.now_ns()).number
        who = self._publisher.identity
        kinds = [section.kind for section in self._loaded.cabinet.instrument]
        self._publisher.say(
            "birth",
            Birth(
                v=VERSION,
                ob=who.ob,
                boot=who.boot,
                conn=self._publisher.conn,
                fw=who.firmware,
                ts_ns=self._clock.now_ns(),
                instruments=[
                    InstrumentBirth(kind=kind, model=task.model[0], fw=task.model[1])
                    for kind, task in zip(kinds, self._instruments, strict=True)
                ],
                metrics=sorted(name for name, row in METRICS.items() if self._device.kind in row.kinds),
                layout=layout,
            ),
        )

    def _health(self) -> HealthTask:
        return HealthTask(
            kind=self._device.kind,
            schedule=Schedule(PERIOD_S, phase_of(self._device.id, HEALTH_SPREAD_S)),
            utc_offset_s=self._enrolment.utc_offset_s,
            facts=self._facts,
            daily=self._daily,
            counts=self._counts,
            recorder=self._recorder,
            clock=self._clock,
            quality=self._quality,
            at_window_end=self._paper,
            window_s=self._enrolment.window_s,
        )

    def _facts(self) -> dict[str, float]:
        return {
            "outbox_pct": self._outbox.fill_pct(),
            "disk_pct": disk_used_pct(self._loaded.folder),
            "thinned_records": float(self._outbox.thinned_records),
            "instrument_ok": float(all(task.instrument_ok for task in self._instruments)),
            "certificate_days": float(self._enroller.certificate_days()),
        }

    def _counts(self) -> dict[str, int]:
        skipped = sum(task.skipped for task in self._instruments if isinstance(task, SensorTask))
        return {
            "samples skipped": skipped,
            "records refused": self._recorder.refused,
            "down messages refused": self._downlink.refused,
            **{name.replace("_", " "): n for name, n in asdict(self._sending.counters).items()},
        }

    def _daily(self) -> dict[str, float]:
        for task in self._instruments:
            if isinstance(task, KioskTask) and task.control_ok is not None:
                return {"control_ok": task.control_ok}
        return {}

    # --- the deployment -----------------------------------------------------------------------------------

    def _renewal(self) -> RenewalTask:
        backoff = Backoff(*RENEW_RETRY_S, _UNIFORM)
        return RenewalTask(self._enroller, clock=self._clock, backoff=backoff, renewed=self._renewed)

    def _renewed(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment
        for task in self._instruments:
            if isinstance(task, KioskTask):
                task.use_layouts(enrolment.layout_book())
                self._tell_terms(task)

    def _link_settings(self) -> LinkSettings:
        broker, enroller = self._enrolment.broker, self._enroller
        simulated = self._loaded.cabinet.simulated is not None
        return LinkSettings(
            host=broker.host,
            port=broker.port,
            client_id=self._device.id,
            ca=enroller.ca_path if broker.tls else None,
            cert=enroller.certificate_path if broker.tls else None,
            key=enroller.key_path if broker.tls else None,
            receive_maximum=RECEIVE_MAXIMUM,
            reconnect_max_s=SIMULATED_RECONNECT_S if simulated else RECONNECT_S,
        )


def _firmware() -> str:
    try:
        return version("kioskwatch")
    except PackageNotFoundError:
        return "0+source"
