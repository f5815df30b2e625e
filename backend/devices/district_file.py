"""district.toml, read: text in, a checked description of the district out, or one sentence with line and key. Pure.

The file is the operator's one file (DESIGN §2): zones, sites, devices, assays, limits, time zone, languages. Nothing
here knows the registry; `registry` compares and applies. An unknown key is an error: a misspelt limit must not be
a limit that is silently off.
"""

import datetime
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec

from backend.devices.agreements import Agreement, wrong_agreements
from backend.devices.file_lines import At, Lines
from backend.devices.visitors import Fault, NoticeEntry, ResultsEntry, unfinished, wrong_form
from backend.errors import DistrictFileError
from contracts.cohorts import MAX_KIOSKS
from contracts.errors import ContractError
from contracts.layout import Assay, AssayLayout
from contracts.metrics import DEVICE_KINDS, METRICS, SITE_KINDS
from contracts.notice import LANGUAGES
from contracts.query import is_tag_value
from contracts.sealed import check_targets
from contracts.windows import WEEKDAYS, Calendar

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 5000  # of one kind; a district of 500 devices is large
MAX_POPULATION: Final = 10**8
MIN_READINGS: Final = 2
MAX_READINGS: Final = 10_000
MAX_HOLD_S: Final = 7 * 86_400  # a rule that waits longer protects nobody

_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_PATH = re.compile(r"(.*?)(?: - at `\$\.?(.*?)`)?", re.DOTALL)
_TOML_LINE = re.compile(r"\(at line (\d+)")

Names = Mapping[str, str]


class DistrictEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[district]`."""

    id: str
    name: str
    names: Names = {}
    utc_offset: str = "+00:00"
    week_start: str = "monday"
    window_s: int = 86_400
    languages: tuple[str, ...] = ("en", "zh")


class AssayEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[assay]]`: the order of assays and targets is the order of the counters in a release."""

    code: str
    targets: tuple[str, ...]


class ZoneEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[zone]]`."""

    id: str
    name: str
    names: Names = {}
    population: int | None = None


class SiteEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[site]]`."""

    id: str
    zone: str
    kind: str
    name: str
    names: Names = {}
    valid_from: datetime.date | None = None
    valid_to: datetime.date | None = None
    population: int | None = None


class DeviceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[device]]`."""

    id: str
    site: str
    kind: str
    label: str = ""


class LimitEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[limit]]`: a safety rule on a reading; exactly one of `above` and `below`."""

    rule: str
    metric: str
    clear: float
    hold_s: int
    above: float | None = None
    below: float | None = None
    severity: Literal["info", "warning", "critical"] = "warning"
    site_kinds: tuple[str, ...] = ()


class StuckEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[stuck]]`: the same value so many times in a row."""

    rule: str
    metric: str
    readings: int
    severity: Literal["info", "warning", "critical"] = "info"


class DistrictFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file, checked."""

    district: DistrictEntry
    assay: tuple[AssayEntry, ...] = ()
    zone: tuple[ZoneEntry, ...] = ()
    site: tuple[SiteEntry, ...] = ()
    device: tuple[DeviceEntry, ...] = ()
    limit: tuple[LimitEntry, ...] = ()
    stuck: tuple[StuckEntry, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    results: ResultsEntry = ResultsEntry()
    notice: NoticeEntry = NoticeEntry()

    @property
    def has_kiosks(self) -> bool:
        """Whether visitors come."""
        return any(device.kind == "kiosk" for device in self.device)

    @property
    def utc_offset_s(self) -> int:
        """The district's fixed offset."""
        return offset_s(self.district.utc_offset)

    @property
    def week_start(self) -> int:
        """0 = Monday."""
        return WEEKDAYS.index(self.district.week_start)

    def assays(self) -> tuple[Assay, ...]:
        """The assays as a layout holds them."""
        return tuple(Assay(entry.code, entry.targets) for entry in self.assay)


def parse_district(text: str, *, real: bool = False) -> DistrictFile:
    """Read and check the file; DistrictFileError names the line and the key.

    `real`: for real devices, where kiosks need a results address and a whole notice of the operator's own.
    """
    lines = Lines(text)
    if len(text) > MAX_FILE_BYTES:
        raise DistrictFileError(f"the file is longer than {MAX_FILE_BYTES} characters", key="file")
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        found = _TOML_LINE.search(str(exc))
        raise DistrictFileError(f"not TOML: {exc}", key="syntax", line=int(found[1]) if found else None) from exc
    try:
        file = msgspec.convert(raw, DistrictFile)
    except msgspec.ValidationError as exc:
        sentence, path = _split_path(str(exc))
        raise DistrictFileError(sentence, key=path or "file", line=lines.line_of_path(path)) from exc
    for check in _CHECKS:
        check(file, lines)
    if real:
        for fault in lacking(file):
            lines.refuse(fault)
    return file


def lacking(file: DistrictFile) -> Iterator[Fault]:
    """Yield what the file still lacks before kiosks may serve the public."""
    return unfinished(file.results, file.notice) if file.has_kiosks else iter(())


def offset_s(text: str) -> int:
    """Return an offset such as -05:00 in seconds; ValueError when it is none."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise ValueError("an offset looks like -05:00")
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def _split_path(message: str) -> tuple[str, str]:
    """Split msgspec's message into the sentence and the path, here without its leading `$.`."""
    found = _PATH.fullmatch(message)
    sentence, path = (found[1], found[2] or "") if found else (message, "")
    missing = re.search(r"(?:missing required|contains unknown) field `([a-zA-Z0-9_-]{1,40})`", sentence)
    if missing is not None:
        path = f"{path}.{missing[1]}" if path else missing[1]
    return sentence.replace("Object ", "this table ", 1), path


def _check_sizes(file: DistrictFile, lines: Lines) -> None:
    for table in ("assay", "zone", "site", "device", "limit", "stuck", "agreement"):
        if len(getattr(file, table)) > MAX_ENTRIES:
            lines.at(table, MAX_ENTRIES).refuse("id", f"at most {MAX_ENTRIES} of these")


def _check_district(file: DistrictFile, lines: Lines) -> None:
    entry, at = file.district, lines.at("district")
    at.name("id", entry.id)
    at.text("name", entry.name)
    at.one_of("week_start", entry.week_start, WEEKDAYS)
    if not entry.languages or not set(entry.languages) <= set(LANGUAGES):
        at.refuse("languages", f"some of {', '.join(sorted(LANGUAGES))}")
    try:
        seconds = offset_s(entry.utc_offset)
        Calendar(86_400, seconds, 0)
    except ValueError as exc:
        at.refuse("utc_offset", str(exc), exc)
    try:
        Calendar(entry.window_s, seconds, 0)
    except ContractError as exc:
        at.refuse("window_s", str(exc), exc)


def _check_visitors(file: DistrictFile, lines: Lines) -> None:
    for fault in wrong_form(file.results, file.notice):
        lines.refuse(fault)


def _check_agreements(file: DistrictFile, lines: Lines) -> None:
    targets = {target for assay in file.assay for target in assay.targets}
    for index, key, sentence in wrong_agreements(file.agreement, targets):
        lines.at("agreement", index).refuse(key, sentence)
    _unique((entry.name for entry in file.agreement), "agreement", "name", lines)


def _check_assays(file: DistrictFile, lines: Lines) -> None:
    for index, entry in enumerate(file.assay):
        try:
            Assay(entry.code, entry.targets)
            check_targets(entry.targets)
        except ContractError as exc:
            lines.at("assay", index).refuse("targets", str(exc), exc)
    _unique((entry.code for entry in file.assay), "assay", "code", lines)
    if not file.assay:
        if file.has_kiosks:
            lines.at("assay").refuse("code", "a district with kiosks names at least one [[assay]]")
        return
    try:
        AssayLayout(1, file.assays())
    except ContractError as exc:
        lines.at("assay", len(file.assay) - 1).refuse("code", str(exc), exc)


def _check_zones(file: DistrictFile, lines: Lines) -> None:
    if not file.zone:
        lines.at("zone").refuse("id", "a district has at least one [[zone]]")
    for index, zone in enumerate(file.zone):
        at = lines.at("zone", index)
        at.name("id", zone.id)
        at.text("name", zone.name)
        if zone.population is not None and not 0 < zone.population < MAX_POPULATION:
            at.refuse("population", "the number of people who live there, 1 or more")
        if zone.id == file.district.id:
            at.refuse("id", "the district has this id already")
    _unique((entry.id for entry in file.zone), "zone", "id", lines)


def _check_sites(file: DistrictFile, lines: Lines) -> None:
    zones = {entry.id for entry in file.zone}
    for index, site in enumerate(file.site):
        at = lines.at("site", index)
        at.name("id", site.id)
        at.text("name", site.name)
        at.refers("zone", site.zone, zones, "zone")
        at.one_of("kind", site.kind, SITE_KINDS)
        if (site.valid_from or site.valid_to) and site.kind != "checkpoint":
            at.refuse("valid_from", "only a checkpoint has valid_from and valid_to")
        if site.population is not None and not 0 < site.population < MAX_POPULATION:
            at.refuse("population", "the number of people who contribute to a sample taken there, 1 or more")
        if site.valid_from and site.valid_to and site.valid_to < site.valid_from:
            at.refuse("valid_to", "this lies before valid_from")
    _unique((entry.id for entry in file.site), "site", "id", lines)


def _check_devices(file: DistrictFile, lines: Lines) -> None:
    sites = {entry.id for entry in file.site}
    taken = {file.district.id, *(entry.id for entry in file.zone)}
    for index, device in enumerate(file.device):
        at = lines.at("device", index)
        at.name("id", device.id)
        at.text("label", device.label, least=0)
        at.refers("site", device.site, sites, "site")
        at.one_of("kind", device.kind, DEVICE_KINDS)
        if device.id in taken:
            at.refuse("id", "a zone or the district has this id already")
    _unique((entry.id for entry in file.device), "device", "id", lines)
    kiosks = [index for index, device in enumerate(file.device) if device.kind == "kiosk"]
    if len(kiosks) > MAX_KIOSKS:
        sentence = f"a district has at most {MAX_KIOSKS} kiosks, whose results fill one public file: make two of it"
        lines.at("device", kiosks[MAX_KIOSKS]).refuse("kind", sentence)


def _check_rules(file: DistrictFile, lines: Lines) -> None:
    for index, limit in enumerate(file.limit):
        _check_rule(limit.rule, limit.metric, lines.at("limit", index))
        _check_limit(limit, lines.at("limit", index))
    for index, stuck in enumerate(file.stuck):
        _check_rule(stuck.rule, stuck.metric, lines.at("stuck", index))
        if not MIN_READINGS <= stuck.readings <= MAX_READINGS:
            lines.at("stuck", index).refuse("readings", f"{MIN_READINGS} to {MAX_READINGS} readings in a row")
    _unique((limit.rule for limit in file.limit), "limit", "rule", lines)
    _unique((stuck.rule for stuck in file.stuck), "stuck", "rule", lines, {limit.rule for limit in file.limit})


def _check_rule(rule: str, metric: str, at: At) -> None:
    if not is_tag_value(rule):
        at.refuse("rule", "a rule's name is letters, digits, '_', '.', ':' and '-'")
    at.one_of("metric", metric, METRICS)


def _check_limit(limit: LimitEntry, at: At) -> None:
    if (limit.above is None) == (limit.below is None):
        at.refuse("above", "exactly one of above and below")
    metric = METRICS[limit.metric]
    for key, value in (("above", limit.above), ("below", limit.below), ("clear", limit.clear)):
        if value is not None and not metric.low <= value <= metric.high:
            at.refuse(key, f"{metric.low:g} to {metric.high:g} {metric.unit}")
    if (limit.above is not None and limit.clear > limit.above) or (
        limit.below is not None and limit.clear < limit.below
    ):
        at.refuse("clear", "this must lie on the good side of the limit, so that an alert does not flutter")
    if not 0 <= limit.hold_s <= MAX_HOLD_S:
        at.refuse("hold_s", f"0 to {MAX_HOLD_S} seconds")
    if not set(limit.site_kinds) <= SITE_KINDS:
        at.refuse("site_kinds", f"some of {', '.join(sorted(SITE_KINDS))}")


_CHECKS: Final = (
    _check_sizes,
    _check_district,
    _check_visitors,
    _check_assays,
    _check_zones,
    _check_sites,
    _check_devices,
    _check_rules,
    _check_agreements,
)


def _unique(values: Iterable[str], table: str, key: str, lines: Lines, taken: Collection[str] = frozenset()) -> None:
    seen = set(taken)
    for index, value in enumerate(values):
        if value in seen:
            lines.at(table, index).refuse(key, "this stands there twice")
        seen.add(value)
