"""One start of a district: all its processes from the first to the last, and the clock they share.

Joins the plan (kioskwatch.plan), the supervisor and the real world: hooks that probe the broker, mend its database,
write the cabinets, and pass a new revocation list on. One thread; nothing here may wait longer than a second or two.
"""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Final, Protocol

import msgspec

from backend.devices.visitors import notice_of
from contracts.windows import NS, to_datetime, to_ns
from kioskwatch import broker as brokers
from kioskwatch import machine, plan, preparation
from kioskwatch.cabinets import write_cabinets
from kioskwatch.checks import folder_error
from kioskwatch.children import LocalLauncher
from kioskwatch.errors import BrokerError, OptionError, ProcessFailedError
from kioskwatch.folder import StateFolder
from kioskwatch.mqtt_probe import probe
from kioskwatch.options import DEFAULT_SPEED, DEFAULT_START, start_ns
from kioskwatch.progress import Progress
from kioskwatch.supervisor import ProcessPlan, Supervisor
from kioskwatch.timekeeper import Timekeeper, anchors_for_start

POLL_S: Final = 0.05
LOOK_AT_REVOCATIONS_S: Final = 2.0
PROBE_TIMEOUT_S: Final = 1.0
# How close to today simulated time may come, in real seconds, before it goes on at the speed of the world.
TODAY_MARGIN_S: Final = 60


class StopRequest(Protocol):
    """Whether the operator wants an end."""

    @property
    def asked(self) -> int:
        """How often it was asked for; a second time means at once."""


class DistrictRun:
    """One start of all processes, until all have ended."""

    def __init__(self, district: plan.District, progress: Progress, stop: StopRequest) -> None:
        self._progress = progress
        self._stop = stop
        self._timekeeper = None if district.options.real else _timekeeper(district)
        speed = 1 if self._timekeeper is None else self._timekeeper.anchors.speed
        self._district = replace(district, speed=speed)
        self._history = history_wanted(self._district)
        kiosks = [device.id for device in self._district.simulated_devices if device.kind == "kiosk"]
        self._ports = preparation.kiosk_ports(kiosks)
        self._revoked_at = _changed_ns(self._district.folder)
        self._revoked_looked_s = 0.0
        plans = self._plans()
        self._names = [process.name for process in plans]
        self._supervisor = Supervisor(plans, LocalLauncher(district.folder.logs), progress)

    @property
    def given_up(self) -> list[str]:
        """The sentences of processes that a person must mend."""
        return self._supervisor.given_up

    def until_stopped(self) -> bool:
        """Start, supervise and end everything; True when it should start again because today was reached."""
        try:
            preparation.write_settings(self._district, self._ports)
            self._progress.step("starting", ", ".join(self._names))
            self._until_ready()
            if not self._stop.asked:
                self._announce()
            return self._until_asked_or_today()
        except OSError as exc:
            raise folder_error(self._district.folder.root, exc) from exc
        finally:
            self._end()

    def _until_ready(self) -> None:
        while not self._stop.asked and not self._supervisor.all_ready:
            self._turn()
            if self._supervisor.given_up:
                raise ProcessFailedError("; ".join(self._supervisor.given_up))
        if self._history and not self._stop.asked:
            self._district.folder.history_imported.touch()

    def _until_asked_or_today(self) -> bool:
        while not self._stop.asked:
            self._turn()
            if self._timekeeper is not None and reaches_today(self._timekeeper, machine.real_now()):
                return True
        return False

    def _turn(self) -> None:
        now_s = machine.monotonic_s()
        self._supervisor.tick(now_s)
        if self._timekeeper is not None:
            self._timekeeper.beat()
        if now_s - self._revoked_looked_s > LOOK_AT_REVOCATIONS_S:
            self._revoked_looked_s = now_s
            self._pass_revocations_on()
        machine.sleep_s(POLL_S)

    def _end(self) -> None:
        password = self._progress.take_password()
        if password is not None:  # the start was broken off behind the backend's first start
            self._progress.plain(f"Log in as admin with the password {password} (shown this once)")
        if not self._supervisor.all_ended:
            self._progress.step("stopping", "in order; Ctrl-C again ends everything at once")
        self._supervisor.stop()
        asked = self._stop.asked
        try:
            while not self._supervisor.all_ended and self._stop.asked <= asked:
                self._turn()
        finally:
            self._supervisor.kill()
        self._progress.step("stopped", "nothing of this district runs any more")

    def _pass_revocations_on(self) -> None:
        changed = _changed_ns(self._district.folder)
        if changed == self._revoked_at or self._district.broker.kind != "mosquitto":
            return
        child = self._supervisor.child("broker")
        if child is not None:
            child.reload()
            self._revoked_at = changed

    def _plans(self) -> list[ProcessPlan]:
        district = self._district
        before = None
        if self._history and self._timekeeper is not None:
            before = _local(self._timekeeper.now_ns(), district.file.utc_offset_s).date()
        plans = plan.processes(district, history_before=before)
        return [self._with_hooks(process) for process in plans]

    def _with_hooks(self, process: ProcessPlan) -> ProcessPlan:
        if process.name == "edge":
            return replace(process, prepare=self._write_cabinets)
        if process.name == "broker":
            return self._broker_plan(process)
        return process

    def _broker_plan(self, process: ProcessPlan) -> ProcessPlan:
        district = self._district
        command = brokers.prepare(
            district.broker,
            district.folder.broker,
            listen=district.options.listen,
            tls=preparation.broker_files(district.folder),
        )
        target = brokers.probe_target(district.broker, preparation.probe_files(district.folder))

        def answers() -> bool:
            try:
                probe(target, timeout_s=PROBE_TIMEOUT_S)
            except BrokerError:
                return False
            return True

        def mend() -> str | None:
            aside = brokers.set_database_aside(district.folder.broker)
            return None if aside is None else f"its database is put aside as {aside.name}; devices send again"

        return replace(process, command=tuple(command), probe=answers, mend=mend)

    def _write_cabinets(self) -> None:
        write_cabinets(self._district, self._ports, machine.real_now())

    def _announce(self) -> None:
        district, line = self._district, self._progress.plain
        line()
        line(f"  Console    {district.console_url}")
        password = self._progress.take_password()
        if password is not None:
            line(f"  Log in     admin, password {password} (shown this once; it must be changed at the first log-in)")
        if self._timekeeper is not None:
            shown = _local(self._timekeeper.now_ns(), district.file.utc_offset_s)
            line(f"  SIMULATED  x{district.speed}: it is {shown:%A %Y-%m-%d %H:%M} in the district")
        else:
            token = f"kioskwatch device token DEVICE --settings {district.folder.backend_settings}"
            line(f"  Devices    enrol at {district.console_url} with the token of `{token}`")
            line(f"             fingerprint of the CA (SHA-256): {district.ca_fingerprint}")
        self._announce_results()
        self._announce_kiosk()
        if district.broker.kind == "iotcore":
            line("  Broker     built-in, on loopback only: no certificates, no rights, nothing kept over its restart.")
            line("             Signed messages alone carry trust. Mosquitto is used as soon as it is installed.")
        else:
            protection = (
                "clients show certificates" if district.broker.tls else "plain TCP: signed messages carry trust"
            )
            line(f"  Broker     {district.broker.kind}, {district.broker.host}:{district.broker.port}, {protection}")
        line("  Ctrl-C stops everything; starting again goes on where it was.")
        line()

    def _announce_results(self) -> None:
        district, line = self._district, self._progress.plain
        if not district.file.has_kiosks:
            return
        if notice_of(district.file.notice) is None:
            line(f"  Visits     none: [notice] in {district.district_path} is not complete")
        line(f"  Results    {district.results_origin}")
        if district.results_origin.startswith("http:"):
            line("             for a browser on this machine: phones need https and a certificate that they trust")

    def _announce_kiosk(self) -> None:
        kiosk = self._district.persons_kiosk
        if kiosk is not None:
            line = self._progress.plain
            line(
                f"  Kiosk      http://127.0.0.1:{self._ports[kiosk.id].screen}/   the screen of {kiosk.id}: take a test"
            )
            line("             yourself, with a simulated cartridge; its result can be read within a minute")


def history_wanted(district: plan.District) -> bool:
    """Tell whether the demonstration's public history is still to be imported."""
    return district.district_path == plan.DEMO_DISTRICT and not district.folder.history_imported.exists()


def reaches_today(timekeeper: Timekeeper, now: datetime) -> bool:
    """Tell whether a faster district is about to overtake the real time."""
    speed = timekeeper.anchors.speed
    return speed > 1 and timekeeper.now_ns() + speed * TODAY_MARGIN_S * NS >= to_ns(now)


def _timekeeper(district: plan.District) -> Timekeeper:
    options, folder = district.options, district.folder
    now = machine.real_now()
    first_ns = start_ns(options.start or DEFAULT_START, utc_offset_s=district.file.utc_offset_s, now=now)
    fresh = not folder.time.exists()
    if options.start is not None and not fresh:
        raise OptionError(f"--start is for a new district, and {folder.root} holds one: choose another with --state")
    speed = options.speed or (DEFAULT_SPEED if fresh else None)
    anchors = anchors_for_start(folder.time, start_ns=first_ns, speed=speed, monotonic_ns=machine.monotonic_ns())
    if anchors.simulated_anchor_ns + anchors.speed * TODAY_MARGIN_S * NS >= to_ns(now):
        anchors = msgspec.structs.replace(anchors, speed=1)
    try:
        return Timekeeper(folder.time, anchors, machine.monotonic_ns)
    except OSError as exc:
        raise folder_error(folder.root, exc) from exc


def _local(ns: int, utc_offset_s: int) -> datetime:
    return to_datetime(ns).astimezone(timezone(timedelta(seconds=utc_offset_s)))


def _changed_ns(folder: StateFolder) -> int:
    """When the revocation list was last replaced; 0 while there is none."""
    try:
        return (folder.ca / "crl.pem").stat().st_mtime_ns
    except OSError:
        return 0
