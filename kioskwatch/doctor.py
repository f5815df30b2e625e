"""`kioskwatch doctor`: what this machine and a state folder lack, and how to mend it. Changes nothing.

Each check looks at one thing and returns findings: `ok`, `note` (works, but know it) or `wrong` (a district will not
start or will lose service). Exit code 2 when anything is wrong.
"""

import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from contracts.clock import read_anchors
from contracts.errors import ClockError
from contracts.windows import to_datetime
from kioskwatch import machine
from kioskwatch.broker import find_mosquitto
from kioskwatch.checks import MIB, MIN_FREE_BYTES, PortNeed, check_port, is_locked
from kioskwatch.errors import OPERATOR_MUST_ACT, OperatorError
from kioskwatch.folder import BUCKETS, DEFAULT_FOLDER, OWNERS, StateFolder
from kioskwatch.options import DEFAULT_BROKER_PORT, DEFAULT_PORT, Parser, port

Verdict = Literal["ok", "note", "wrong"]

MIN_PYTHON: Final = (3, 11)
MIN_MOSQUITTO: Final = (2, 0)  # 1.x speaks MQTT 5, but has neither max_queued_bytes nor today's TLS defaults
LOW_DISK_BYTES: Final = 10 * 1024 * MIB  # the journal alone may grow to 8 GiB
CERTIFICATE_DAYS: Final = 14  # `up` renews its own below 30 days, so fewer mean that it was not started for long
QUICK_CHECK_LIMIT_BYTES: Final = 512 * MIB  # reading more would take minutes
CLOCK_TOLERANCE: Final = timedelta(minutes=2)
PROGRAM_TIMEOUT_S: Final = 10.0
BUSY_TIMEOUT_S: Final = 5.0
SLIP_PACKAGES: Final = "fonts-dejavu-core fonts-wqy-microhei libfribidi0"
_PACKAGES: Final = (
    ("edge", ("paho", "serial", "PIL", "segno")),
    ("gateway", ("sqlalchemy", "alembic", "influxdb_client", "numpy", "prometheus_client")),
    ("backend", ("fastapi", "uvicorn", "jinja2", "segno", "limits")),
    ("all", ("iotcore", "tomli_w")),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw; `mend` says what to do unless it is ok."""

    verdict: Verdict
    what: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at."""

    folder: StateFolder
    host: str
    port: int
    broker_port: int
    search_path: str
    now: datetime
    district: Path | None = None  # the operator's file, unless it lies in the folder

    @property
    def runs(self) -> bool:
        """Whether a district runs in the folder now."""
        return is_locked(self.folder.lock)


Check = Callable[[Patient], Iterator[Finding]]


def main(argv: Sequence[str]) -> int:
    """Look at everything and print it; 0 when nothing is wrong, else 2."""
    try:
        given = _parser().parse_args(argv)
    except OperatorError as exc:
        print(f"kioskwatch doctor: {exc}", file=sys.stderr)
        return OPERATOR_MUST_ACT
    patient = Patient(
        folder=StateFolder(given.state.absolute()),
        host=given.listen,
        port=given.port,
        broker_port=given.broker_port,
        search_path=os.environ.get("PATH", ""),
        now=machine.real_now(),
        district=given.district,
    )
    findings = [finding for check in CHECKS for finding in check(patient)]
    for finding in findings:
        print(f"{finding.verdict:<6} {finding.what}")
        if finding.mend:
            print(f"       -> {finding.mend}")
    return OPERATOR_MUST_ACT if any(finding.verdict == "wrong" for finding in findings) else 0


def python(_patient: Patient) -> Iterator[Finding]:
    """Its version and the packages of each part."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < MIN_PYTHON:
        yield Finding("wrong", f"Python {version}", "install Python 3.11 or newer and run `make setup`")
    else:
        yield Finding("ok", f"Python {version}")
    for extra, modules in _PACKAGES:
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            yield Finding(
                "wrong",
                f"packages of the part {extra}: {', '.join(missing)} missing",
                f"pip install 'kioskwatch[{extra}]'",
            )


def mosquitto(patient: Patient) -> Iterator[Finding]:
    """Whether there is one, and its version."""
    program = find_mosquitto(patient.search_path)
    if program is None:
        verdict: Verdict = "wrong" if patient.folder.real.exists() else "note"
        yield Finding(
            verdict,
            "Mosquitto is not installed: a simulated district uses the built-in broker, real devices cannot be served",
            "on Debian: sudo apt-get install mosquitto",
        )
        return
    text = _output([str(program), "-h"])
    version = next((word for word in text.split() if word[:1].isdigit() and "." in word), "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < MIN_MOSQUITTO:
        yield Finding("wrong", f"Mosquitto {version or 'of an unknown version'} at {program}", "install 2.0 or newer")
    else:
        yield Finding("ok", f"Mosquitto {version} at {program}")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room where the state folder is, or will be."""
    place = next(path for path in (patient.folder.root, *patient.folder.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    what = f"{free // MIB} MiB free on the disk of {place}"
    if free < MIN_FREE_BYTES:
        yield Finding("wrong", what, f"free at least {MIN_FREE_BYTES // MIB} MiB: nothing starts below that")
    elif free < LOW_DISK_BYTES:
        yield Finding("note", what, "the journal may need 10 GiB after an outage of the series store")
    else:
        yield Finding("ok", what)


def ports(patient: Patient) -> Iterator[Finding]:
    """Whether the console's and the broker's can be listened on; they are taken while the district runs."""
    if patient.runs:
        yield Finding("ok", f"the district in {patient.folder.root} runs now, so its ports are its own")
        return
    for number, option, name in ((patient.port, "--port", "console"), (patient.broker_port, "--broker-port", "broker")):
        try:
            check_port(PortNeed(patient.host, number, option))
        except OperatorError as exc:
            yield Finding("wrong", f"the {name}'s port", str(exc))
        else:
            yield Finding("ok", f"port {number} on {patient.host} is free for the {name}")


def state_folder(patient: Patient) -> Iterator[Finding]:
    """Its rights, and that no secret in it is open to others."""
    root = patient.folder.root
    if not root.exists():
        yield Finding("ok", f"{root} does not exist yet: `kioskwatch up` makes it")
        return
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "wrong", f"{root} is not readable and writable for you", f"chown it to you, or use its owner: {root}"
        )
        return
    loose = [path for path in _secrets(patient.folder) if path.stat().st_mode & 0o077]
    if loose:
        names = ", ".join(str(path.relative_to(root)) or "." for path in loose[:3])
        yield Finding("wrong", f"others may read {names} in {root}", f"chmod -R go-rwx {root}")
    else:
        yield Finding("ok", f"{root} is open to its owner only")


def stores(patient: Patient) -> Iterator[Finding]:
    """That every owned file can be read, is whole and is not newer than this program."""
    folder = patient.folder
    files = [folder.state / f"{owner}.db" for owner in OWNERS] + [folder.series / f"{name}.db" for name in BUCKETS]
    present = [path for path in files if path.exists()]
    damaged = [(path, reason) for path in present if (reason := _damage(path)) is not None]
    for path, reason in damaged:
        yield Finding("wrong", f"{path}: {reason}", "update kioskwatch, or put a backup back: `kioskwatch restore DIR`")
    if present and not damaged:
        yield Finding("ok", f"{len(present)} store files are whole")


def visitors(patient: Patient) -> Iterator[Finding]:
    """What the district file still lacks before its kiosks may serve the public."""
    from backend.devices.district_file import lacking, parse_district
    from backend.errors import DistrictFileError

    path = patient.district or patient.folder.district
    if not path.exists():
        yield Finding("ok", "no district file in the folder: the demonstration's own notice is marked as such")
        return
    try:
        file = parse_district(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, DistrictFileError) as exc:
        yield Finding("wrong", f"{path}: {exc}", "mend that line: the district does not start with it")
        return
    verdict: Verdict = "note" if patient.folder.time.exists() else "wrong"  # a simulated district may do without
    faults = list(lacking(file))
    for table in dict.fromkeys(fault.table for fault in faults):
        keys = [fault.key for fault in faults if fault.table == table]
        first = next(fault.sentence for fault in faults if fault.table == table)
        yield Finding(verdict, f"{path}: {table}, {', '.join(keys)}", first)
    if not faults:
        yield Finding(
            "ok", "visitors read who answers for their tests" if file.has_kiosks else "no kiosks, no visitors"
        )


def certificates(patient: Patient) -> Iterator[Finding]:
    """Days left of every certificate in the folder."""
    from backend.devices.authority import certificate_facts
    from backend.errors import AuthorityError

    own = sorted(path for path in patient.folder.ca.glob("*.pem") if path.name != "crl.pem")
    for path in [*own, *sorted(patient.folder.devices.glob("*/device.pem"))]:
        try:
            facts = certificate_facts(path.read_bytes())
        except (OSError, AuthorityError) as exc:
            yield Finding(
                "wrong", f"{path}: {exc}", "restore it from a backup, or delete it and its key to make new ones"
            )
            continue
        days = (facts.not_after - patient.now).days
        if days < 0:
            yield Finding(
                "wrong", f"{path} has expired", "start the district: it renews its own and enrols devices again"
            )
        elif days < CERTIFICATE_DAYS:
            yield Finding("note", f"{path}: {days} days left", "start the district: renewal happens while it runs")
        elif path in own:
            yield Finding("ok", f"{path.name}: {days} days left")


def clock(patient: Patient) -> Iterator[Finding]:
    """District time, and that the machine's clock is not behind what it wrote."""
    newest = max((path.stat().st_mtime for path in patient.folder.root.glob("*/*") if path.is_file()), default=0.0)
    written = datetime.fromtimestamp(newest, tz=UTC)
    says = f"the machine's clock says {patient.now:%Y-%m-%d %H:%M} UTC"
    if written > patient.now + CLOCK_TOLERANCE:
        yield Finding(
            "wrong",
            f"{says}, but files were written at {written:%Y-%m-%d %H:%M}",
            "set the clock (for example: sudo timedatectl set-ntp true) before starting",
        )
    else:
        yield Finding("ok", says)
    if not patient.folder.time.exists():
        return
    try:
        anchors = read_anchors(patient.folder.time.read_bytes())
    except (OSError, ClockError) as exc:
        yield Finding("wrong", f"{patient.folder.time}: {exc}", "put a backup back: `kioskwatch restore DIR`")
        return
    shown = to_datetime(anchors.last_simulated_ns)
    yield Finding("ok", f"simulated time stands at {shown:%Y-%m-%d %H:%M} UTC, speed {anchors.speed}")


def slips(_patient: Patient) -> Iterator[Finding]:
    """Whether slips can be drawn in every language."""
    if any(importlib.util.find_spec(module) is None for module in ("PIL", "segno")):
        return  # said above
    from contracts.notice import LANGUAGES
    from edge.slip.raster import printable

    missing = [language for language in LANGUAGES if not printable(language)]
    if missing:
        yield Finding(
            "note",
            f"slips in {', '.join(missing)} come out in English: this machine has no font for them",
            f"apt-get install --no-install-recommends {SLIP_PACKAGES}",
        )
    else:
        yield Finding("ok", f"slips can be printed in {', '.join(LANGUAGES)}")


CHECKS: Final[tuple[Check, ...]] = (
    python,
    slips,
    mosquitto,
    disk,
    ports,
    state_folder,
    stores,
    visitors,
    certificates,
    clock,
)


def _parser() -> Parser:
    parser = Parser(prog="kioskwatch doctor", description="Say what is missing or wrong, and how to mend it.")
    parser.add_argument("--state", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="the district (./var)")
    parser.add_argument("--district", type=Path, metavar="FILE", help="district.toml (the one in the folder)")
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="where it shall serve")
    parser.add_argument("--port", type=port, default=DEFAULT_PORT, help="of the console")
    parser.add_argument("--broker-port", type=port, default=DEFAULT_BROKER_PORT, help="of the broker")
    return parser


def _secrets(folder: StateFolder) -> Iterator[Path]:
    yield folder.root
    yield from (path for path in (folder.admin_token,) if path.exists())
    yield from folder.ca.glob("*.key")
    yield from folder.devices.glob("*/device.key")


def _damage(path: Path) -> str | None:
    """Return why a store file cannot be used, None when it can."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
            if path.stat().st_size <= QUICK_CHECK_LIMIT_BYTES:
                said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if said != "ok":
                    return f"damaged ({said})"
            return None if _is_readable(path, connection) else "written by a newer kioskwatch"
    except (OSError, sqlite3.Error) as exc:
        return f"cannot be read ({exc})"


def _is_readable(path: Path, connection: sqlite3.Connection) -> bool:
    """Tell whether this program knows the layout of a file."""
    if path.parent.name == "series":
        from stores.series.sqlite_file import SCHEMA_VERSION

        return int(connection.execute("PRAGMA user_version").fetchone()[0]) <= SCHEMA_VERSION
    from stores.state.migrations.runner import knows

    table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if table is None:  # a first start was broken off: the next one begins anew
        return True
    return all(knows(path.stem, str(row[0])) for row in connection.execute("SELECT version_num FROM alembic_version"))


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
