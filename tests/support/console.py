"""A real backend on real stores with a district's data in them, for tests of the API and of the pages.

What ingest and analyse would have written is written here through the same stores and in the same shape: history from
the shipped public file, releases that join it, live air with one crowded room, health records, signals. Then the
backend runs as its own process, as an operator starts it.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from backend.devices.district_file import DistrictFile, parse_district
from contracts.clock import TimeAnchors
from contracts.messages import Birth, InstrumentBirth, State, encode
from contracts.rows import DeviceReport, ReportKind
from contracts.signals import Phase, Signal
from contracts.windows import DAY_S, NS, Calendar, to_ns
from gateway.analyse.rollup import limits
from stores.series.lines import Point, Value
from stores.series.lines import encode as encode_line
from stores.series.open import open_series
from stores.series.port import TimeSeriesStore
from stores.state.database import open_for_writing
from stores.state.reports import save_reports
from stores.state.signals import add_signals
from tests.support.process import Program, free_port
from tests.support.seeds import SEED

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "kioskwatch" / "demo"
TARGET = "sars-cov-2"
NOW = datetime(2021, 12, 23, 15, 0, tzinfo=UTC)
KIOSKS_FROM = datetime(2021, 12, 12, 5, 0, tzinfo=UTC)  # 00:00 of the district
CROWDED = "air-10022"
SILENT = "kiosk-10044-2"
PASSWORD = "correct horse battery staple"
SOURCE = "NYC Department of Health and Mental Hygiene, nychealth/coronavirus-data, a2643c43"
UNENROLLED = "kiosk-10065-3"
NOISE_SD, NOISE_SD_VALID = 1.357, 5.642  # interfaces.md: of epsilon 1 and 1/4


@dataclass(frozen=True)
class Console:
    """A running backend and how to reach it."""

    folder: Path
    url: str
    district: DistrictFile
    program: Program

    def client(self, name: str = "admin", password: str = PASSWORD) -> httpx.Client:
        """A program that has signed in; `x-csrf-token` is set."""
        client = httpx.Client(base_url=self.url, timeout=20)
        answer = client.post("/api/v1/session", json={"name": name, "password": password})
        answer.raise_for_status()
        client.headers["x-csrf-token"] = answer.json()["csrf"]
        return client

    def account(self, name: str, role: str) -> None:
        """Make an account whose password is PASSWORD."""
        with httpx.Client(base_url=self.url, timeout=20) as machine:
            body = {"action": "add", "name": name, "role": role}
            answer = machine.post("/admin/v1/user", json=body, headers=self.bearer())
            answer.raise_for_status()
        set_own_password(self.url, name, answer.json()["password"])

    def bearer(self) -> dict[str, str]:
        """The header of the administration API."""
        return {"authorization": f"Bearer {(self.folder / 'admin.token').read_text().strip()}"}

    def token(self, device: str) -> str:
        """A one-time token, as `kioskwatch device token` gets it."""
        answer = httpx.post(f"{self.url}/admin/v1/device-token", json={"device": device}, headers=self.bearer())
        answer.raise_for_status()
        return str(answer.json()["token"])

    def enrol(self, device: str, key: Ed25519PrivateKey) -> httpx.Response:
        """Enrol as a device does."""
        body = {"token": self.token(device), "csr": signing_request(device, key)}
        return httpx.post(f"{self.url}/api/v1/enrol", json=body, timeout=20)

    def signal(self, signal: Signal) -> None:
        """Commit a signal as ingest does."""
        database = open_for_writing(f"sqlite:{self.folder / 'state'}", "ingest")
        with database, database.begin() as tx:
            add_signals(tx, "ingest", [signal])


def serves(url: str) -> bool:
    """Whether a backend answers there."""
    try:
        return httpx.get(f"{url}/healthz", timeout=1).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def signing_request(device: str, key: Ed25519PrivateKey) -> str:
    """PKCS#10 in PEM form, as a device makes it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    return made.public_bytes(Encoding.PEM).decode()


def set_own_password(url: str, name: str, first: str) -> None:
    """Do what a person does at the first sign-in."""
    with httpx.Client(base_url=url, timeout=20, follow_redirects=False) as person:
        csrf = person.post("/api/v1/session", json={"name": name, "password": first}).json()["csrf"]
        form = {"csrf": csrf, "old": first, "new": PASSWORD, "again": PASSWORD}
        answer = person.post("/password", data=form)
        assert answer.status_code == 303, answer.text


@contextmanager
def running_console(
    folder: Path, *, state: str | None = None, speed: int = 1, simulated: bool = True, data: bool = True
) -> Iterator[Console]:
    """A backend with the demonstration district; its administrator is `admin` with PASSWORD."""
    file = parse_district((DEMO / "district.toml").read_text())
    port = free_port()
    write_time(folder, speed)
    write_settings(folder, port, state=state or f"sqlite:{folder / 'state'}", simulated=simulated)
    (folder / "district.toml").write_text((DEMO / "district.toml").read_text())
    if data:
        fill(folder, file)
    command = [sys.executable, "-m", "backend", "serve", "--settings", str(folder / "backend.toml")]
    log = folder / "backend.log"
    url = f"http://127.0.0.1:{port}"
    program = Program(command, log=log, ready=lambda: serves(url), env={**os.environ})
    program.start()
    try:
        first = next(
            line.partition(" ")[2] for line in log.read_text().splitlines() if line.startswith("admin-password ")
        )
        set_own_password(url, "admin", first)
        console = Console(folder, url, file, program)
        if data:
            for device in (device.id for device in file.device if device.id != UNENROLLED):
                console.enrol(device, Ed25519PrivateKey.generate())
        yield console
    finally:
        program.stop()


def write_time(folder: Path, speed: int) -> None:
    """time.json as `kioskwatch up` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    now_ns = to_ns(NOW)
    anchors = TimeAnchors(time.monotonic_ns(), now_ns, speed, now_ns)
    (folder / "time.json").write_bytes(anchors.written_at(time.monotonic_ns()))


def write_settings(folder: Path, port: int, *, state: str, simulated: bool) -> None:
    """backend.toml as `kioskwatch up` writes it."""
    lines = {
        "state": state,
        "series": f"sqlite:{folder / 'series'}",
        "ca_dir": str(folder / "ca"),
        "district": str(folder / "district.toml"),
        "admin_token_file": str(folder / "admin.token"),
        "listen": f"127.0.0.1:{port}",
        **({"time_file": str(folder / "time.json")} if simulated else {}),
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    text += f"simulated = {'true' if simulated else 'false'}\n"
    text += '[broker_public]\nhost = "127.0.0.1"\nport = 8883\ntls = true\n'
    (folder / "backend.toml").write_text(text)


def fill(folder: Path, file: DistrictFile) -> None:
    """Write what a district has after eleven days."""
    writes = frozenset({"environment", "fleet", "released", "history"})
    series = open_series(f"sqlite:{folder / 'series'}", writes=writes)
    try:
        _write(series, "history", _history(file))
        _write(series, "released", _releases(file))
        _write(series, "environment", _air(file))
        _write(series, "fleet", _health(file))
    finally:
        series.close()
    with open_for_writing(f"sqlite:{folder / 'state'}", "ingest") as database, database.begin() as tx:
        save_reports(tx, list(_reports(file)))
        add_signals(tx, "ingest", [co2_signal()])
    with open_for_writing(f"sqlite:{folder / 'state'}", "analyse") as database, database.begin() as tx:
        add_signals(tx, "analyse", [detector_signal()])


def _write(series: TimeSeriesStore, bucket: str, points: Iterator[Point]) -> None:
    series.write(bucket, b"\n".join(encode_line(point) for point in points))


def _history(file: DistrictFile) -> Iterator[Point]:
    for row in (DEMO / "history.csv").read_text().splitlines()[1:]:
        zone, week, target, tests, positives = row.split(",")
        start = datetime.fromisoformat(week).replace(tzinfo=UTC) + timedelta(hours=5)
        if start < KIOSKS_FROM:
            counts = {"tests": int(tests), "positives": int(positives), "positivity": int(positives) / int(tests)}
            tags = {"district": file.district.id, "zone": zone, "target": target}
            yield Point("weekly", tags, counts, to_ns(start))
    audit: dict[str, Value] = {"source": SOURCE, "sha256": "0" * 64, "rows": 6}
    audit |= {"operator": "test", "previous": "", "chain": ""}
    yield Point("imports", {"district": file.district.id}, audit, to_ns(NOW - timedelta(days=11)))


def _releases(file: DistrictFile) -> Iterator[Point]:
    calendar = Calendar(file.district.window_s, file.utc_offset_s, file.week_start)
    chance = Random(SEED)
    days = range(to_ns(KIOSKS_FROM), to_ns(NOW), DAY_S * NS)
    district: dict[int, list[tuple[int, int]]] = {}
    for zone in (zone.id for zone in file.zone):
        weeks: dict[int, list[tuple[int, int]]] = {}
        for number, day in enumerate(days):
            valid = 190 + chance.randrange(60)
            share = 0.04 * math.exp(0.13 * number) * (1.4 if zone == "z10022" else 1.0)
            positives = sum(chance.random() < share for _ in range(valid)) + chance.randrange(-3, 4)
            valid += chance.randrange(-20, 21)
            weeks.setdefault(calendar.week_start_ns(day), []).append((positives, valid))
            district.setdefault(day, []).append((positives, valid))
            yield _rolled(file, zone, "day", day, [(positives, valid)], 12)
        for week, counts in weeks.items():
            yield _rolled(file, zone, "week", week, counts, 84)
        for window in range(to_ns(NOW) - 3 * DAY_S * NS, to_ns(NOW), calendar.window_ns):
            start = calendar.window_start_ns(window)
            tags = {"district": file.district.id, "zone": zone, "target": TARGET, "level": "zone_window"}
            yield Point("detector", tags, {"s": 1.5, "threshold": 3.7, "p0": 0.045}, start)
    for day, counts in district.items():
        yield _rolled(file, None, "day", day, counts, 72)
    by_week: dict[int, list[tuple[int, int]]] = {}
    for day, counts in district.items():
        by_week.setdefault(calendar.week_start_ns(day), []).extend(counts)
    for week, counts in by_week.items():
        yield _rolled(file, None, "week", week, counts, 504)


def _rolled(
    file: DistrictFile, zone: str | None, length: str, start: int, counts: list[tuple[int, int]], expected: int
) -> Point:
    reporting = expected if zone != "z10044" else expected * 2 // 3
    positives, valid = sum(p for p, _ in counts), sum(v for _, v in counts)
    noise_sd, noise_sd_valid = NOISE_SD * math.sqrt(reporting), NOISE_SD_VALID * math.sqrt(reporting)
    shown = valid >= max(50.0, 8 * noise_sd_valid)
    lower, upper = limits(positives, valid, noise_sd, noise_sd_valid)
    tags = {"district": file.district.id, "target": TARGET, "level": f"{'zone' if zone else 'district'}_{length}"}
    fields: dict[str, float | int | str | bool] = {
        "positives": positives,
        "valid": valid,
        "invalid": 7,
        "noise_sd": noise_sd,
        "noise_sd_valid": noise_sd_valid,
        "kiosks_reporting": reporting,
        "kiosks_expected": expected,
        "status": "shown",
        "late": 0,
        "valid_shown": valid,
        "positives_shown": positives,
    }
    if shown:
        fields |= {"positivity": positives / valid, "lower": lower, "upper": upper}
    return Point("testing", tags | ({"zone": zone} if zone else {}), fields, start)


def _air(file: DistrictFile) -> Iterator[Point]:
    chance = Random(SEED + 1)
    start, stop = to_ns(NOW - timedelta(days=3)), to_ns(NOW)
    for device, site, zone in _devices(file, "air_monitor"):
        tags = {"district": file.district.id, "zone": zone, "site": site, "device": device, "kind": "air_monitor"}
        for ts in range(start, stop, 600 * NS):
            hour = (ts // NS - 5 * 3600) % DAY_S / 3600
            people = max(0.0, math.sin((hour - 7) / 12 * math.pi)) if 7 <= hour <= 19 else 0.0
            ppm = 440 + people * (1250 if device == CROWDED else 420) + chance.gauss(0, 12)
            fields = {"co2_ppm": round(ppm, 1), "temperature_c": 20.5 + 2 * people, "humidity_pct": 38 + 6 * people}
            yield Point("air", tags, fields, ts)


def _health(file: DistrictFile) -> Iterator[Point]:
    at = to_ns(NOW - timedelta(minutes=20))
    for kind in ("kiosk", "air_monitor"):
        for device, site, zone in _devices(file, kind):
            tags = {"district": file.district.id, "zone": zone, "site": site, "device": device, "kind": kind}
            fields = {
                "outbox_pct": 0.0,
                "disk_pct": 20.0,
                "clock_quality": 2.0,
                "instrument_ok": 1.0,
                "certificate_days": 29.0,
            }
            if kind == "kiosk":
                fields |= {
                    "control_ok": 1.0,
                    "lots_level": 1.0 if device == "kiosk-10016-1" else 2.0,
                    "paper_level": 2.0,
                }
            yield Point("health", tags, fields, at)
    gateway = {"records": 812, "duplicates": 3, "thinned": 0, "refused": 1, "dead_letters": 1, "waiting": 0}
    for hour in range(48):
        yield Point("pipeline", {"district": file.district.id}, dict(gateway), to_ns(NOW - timedelta(hours=hour)))


def _reports(file: DistrictFile) -> Iterator[DeviceReport]:
    for kind in ("kiosk", "air_monitor"):
        for device, _, _ in _devices(file, kind):
            if device == UNENROLLED:
                continue
            at = to_ns(NOW - timedelta(hours=9 if device == SILENT else 0, minutes=12))
            born = InstrumentBirth(kind="genexpert" if kind == "kiosk" else "scd30", model="simulated", fw="4.7")
            state = State(v=1, ob=7, boot=1, conn=2, online=device != SILENT, fw="0.1.0")
            birth = Birth(
                v=1, ob=7, boot=1, conn=2, fw="0.1.0", ts_ns=at, instruments=[born], metrics=["co2_ppm"], layout=None
            )
            yield _report(device, "state", at, encode(state))
            yield _report(device, "birth", at, encode(birth))


def _report(device: str, kind: ReportKind, at_ns: int, body: bytes) -> DeviceReport:
    return DeviceReport(device=device, kind=kind, ob=7, boot=1, conn=2, enrolment=1, received_ns=at_ns, body=body)


def _devices(file: DistrictFile, kind: str) -> Iterator[tuple[str, str, str]]:
    zones = {site.id: site.zone for site in file.site}
    for device in file.device:
        if device.kind == kind:
            yield device.id, device.site, zones[device.site]


def co2_signal(
    onset: datetime = NOW - timedelta(minutes=50), *, phase: Phase = "raised", device: str = CROWDED
) -> Signal:
    """What ingest commits when a room stays above its limit, and when it is over."""
    held_s = 2400
    found = onset + timedelta(seconds=held_s if phase == "raised" else 7200)
    return Signal(
        rule="co2",
        subject=device,
        zone=f"z{device.rpartition('-')[2]}",
        target=None,
        severity="warning",
        phase=phase,
        onset_ns=to_ns(onset),
        found_ns=to_ns(found),
        facts={
            "metric": "co2_ppm",
            "device": device,
            "site": f"hall-{device.rpartition('-')[2]}",
            "held_s": held_s,
            "value": 1624.0,
            "limit": 1500.0,
            "clear": 1200.0,
            "hold_s": 1800,
        },
    )


def detector_signal() -> Signal:
    """What analyse commits when a zone's positive tests rise."""
    onset = to_ns(NOW - timedelta(hours=7))
    return Signal(
        rule="cusum",
        subject="z10022",
        zone="z10022",
        target=TARGET,
        severity="warning",
        phase="raised",
        onset_ns=onset,
        found_ns=onset + 6 * 3600 * NS,
        facts={
            "s": 4.21,
            "threshold": 3.68,
            "p0": 0.0452,
            "odds_ratio": 2.0,
            "cases_needed": 9,
            "positives": 14,
            "valid": 96,
            "positivity": 0.1458,
            "lower": 0.081,
            "upper": 0.228,
            "noise_sd": 2.35,
            "kiosks_reporting": 3,
            "kiosks_expected": 3,
            "window_start_ns": onset,
            "window_s": 21600,
            "level": "zone_window",
        },
    )
