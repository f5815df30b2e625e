"""Line protocol, the strict part of it that kioskwatch writes: one line, one point. Pure.

`measurement,tag=value field=1.5,other=2i,flag=true,word="text" 1639267200000000000`

Names are `contracts.query`'s, so that none needs an escape and no query can be broken out of. Every line has a
time stamp. A value keeps its type: floats have a dot, an exponent or nothing behind them, integers an `i`.
InfluxDB accepts all that is accepted here (line protocol reference, InfluxDB 2); the reverse does not hold.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from contracts.query import TAGS, is_identifier, is_tag_value
from stores.errors import LineError

Value = float | int | str | bool

MAX_LINE_BYTES: Final = 16 * 1024  # a reading has at most 32 metrics; InfluxDB itself stops at 64 KiB a string
MAX_FIELDS: Final = 64
MAX_STRING_CHARS: Final = 4096
MIN_TIME_NS: Final = -(2**63) + 2  # InfluxDB keeps the outermost instants for itself
MAX_TIME_NS: Final = 2**63 - 2
_INT64 = range(-(2**63), 2**63)
_HEADS_CACHED = 4096  # one per device, measurement and level; a district has hundreds

_NAME = r"[a-z][a-z0-9_]{0,62}"
_FIELD = re.compile(
    rf"(?P<name>{_NAME})=(?:"
    r"(?P<int>-?[0-9]{1,19})i"
    r"|(?P<float>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?)"
    r"|(?P<bool>true|false)"
    r'|"(?P<str>(?:[^"\\\x00-\x1f\x7f]|\\["\\])*)"'
    r")(?P<more>,|\Z)"
)
_LINE = re.compile(r'([^ "\\]+) (.+) (-?[0-9]{1,19})', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Point:
    """One line's content; LineError when no line can say it."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    ts_ns: int

    def __post_init__(self) -> None:
        escaped_head(self.measurement, self.tags)
        if not 0 < len(self.fields) <= MAX_FIELDS:
            raise LineError(f"a line has 1 to {MAX_FIELDS} fields")
        if any(not is_identifier(name) for name in self.fields):
            raise LineError("a field's name is lower case letters, digits and '_', and no tag")
        if not MIN_TIME_NS <= self.ts_ns <= MAX_TIME_NS:
            raise LineError("the time stamp does not fit signed 64-bit nanoseconds")
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))


def encode(point: Point) -> bytes:
    """Return the line, without a line feed; LineError for a value that no line can hold."""
    fields = ",".join(f"{name}={encode_value(value)}" for name, value in point.fields.items())
    return escaped_head(point.measurement, point.tags) + f" {fields} {point.ts_ns}".encode()


def encode_value(value: Value) -> str:
    """Return a value as a line spells it; LineError for NaN, infinities, huge integers and control characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value not in _INT64:
            raise LineError("an integer does not fit 64 bits")
        return f"{value}i"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise LineError("a number is not finite")
        return repr(value)
    if len(value) > MAX_STRING_CHARS or _CONTROL.search(value) is not None:
        raise LineError(f"a text is longer than {MAX_STRING_CHARS} or holds a control character")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped_head(measurement: str, tags: Mapping[str, str]) -> bytes:
    """Return what stands in front of the fields, tags sorted; cached, for a series has the same head for ever."""
    return _head(measurement, tuple(sorted(tags.items())))


@lru_cache(maxsize=_HEADS_CACHED)
def _head(measurement: str, tags: tuple[tuple[str, str], ...]) -> bytes:
    if not is_identifier(measurement):
        raise LineError("a measurement's name is lower case letters, digits and '_', and no tag")
    for key, value in tags:
        if key not in TAGS:
            raise LineError(f"tags are {', '.join(TAGS)}")
        if not is_tag_value(value):
            raise LineError(f"the value of tag {key} is not letters, digits, '_', '.', ':' and '-'")
    return ",".join((measurement, *(f"{key}={value}" for key, value in tags))).encode()


def parse(line: bytes) -> Point:
    """Read one line, without its line feed; LineError on anything that `encode` would not write or InfluxDB refuse."""
    head, fields, ts_ns = split(line)
    measurement, tags = parse_head(head)
    return Point(measurement, tags, parse_fields(fields), ts_ns)


def split(line: bytes) -> tuple[str, str, int]:
    """Return head and fields, both unread, and the time stamp; LineError."""
    if len(line) > MAX_LINE_BYTES:
        raise LineError(f"a line of {len(line)} bytes, {MAX_LINE_BYTES} allowed")
    try:
        text = line.decode()
    except UnicodeDecodeError as exc:
        raise LineError("not UTF-8") from exc
    found = _LINE.fullmatch(text)
    if found is None:
        raise LineError("not `measurement,tags fields time`")
    ts_ns = int(found[3])
    if not MIN_TIME_NS <= ts_ns <= MAX_TIME_NS:
        raise LineError("the time stamp does not fit signed 64-bit nanoseconds")
    return found[1], found[2], ts_ns


def parse_head(head: str) -> tuple[str, dict[str, str]]:
    """Return measurement and tags; LineError."""
    measurement, *pairs = head.split(",")
    tags: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key in tags:
            raise LineError("a tag stands twice")
        tags[key] = value
    escaped_head(measurement, tags)
    return measurement, tags


def parse_fields(text: str) -> dict[str, Value]:
    """Return the fields with typed values; LineError."""
    fields: dict[str, Value] = {}
    at, more = 0, True
    while more:
        found = _FIELD.match(text, at)
        if found is None or found["name"] in fields or found["name"] in TAGS:
            raise LineError(f"field {len(fields) + 1} is damaged, stands twice or has a tag's name")
        fields[found["name"]] = _value(found)
        at, more = found.end(), found["more"] == ","
    if len(fields) > MAX_FIELDS:
        raise LineError(f"a line has 1 to {MAX_FIELDS} fields")
    return fields


def _value(found: re.Match[str]) -> Value:
    if found["float"] is not None:
        number = float(found["float"])
        if not math.isfinite(number):
            raise LineError("a number is too large for 64 bits")
        return number
    if found["int"] is not None:
        whole = int(found["int"])
        if whole not in _INT64:
            raise LineError("an integer does not fit 64 bits")
        return whole
    if found["bool"] is not None:
        return found["bool"] == "true"
    text = _ESCAPED.sub(r"\1", found["str"])
    if len(text) > MAX_STRING_CHARS:
        raise LineError(f"a text is longer than {MAX_STRING_CHARS}")
    return text
