"""One neutral question to a time-series store (DESIGN §8); compiled to SQL or InfluxQL by `stores.series`. No I/O.

Both time bounds always, half-open; buckets aligned to the epoch; empty buckets left out. A board panel is such a
question, so Grafana, the console and the API cannot disagree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, get_args

from contracts.errors import QueryError

Function = Literal["min", "max", "mean", "sum", "count", "first", "last"]
FUNCTIONS: Final[tuple[str, ...]] = get_args(Function)
BUCKETS: Final = ("environment", "fleet", "restricted", "released", "alerts", "history")
# What two officers open together (DESIGN §7), and what everybody may read who may read at all.
RESTRICTED: Final = "restricted"
READABLE: Final = tuple(bucket for bucket in BUCKETS if bucket != RESTRICTED)
TAGS: Final = ("district", "zone", "site", "device", "kind", "target", "level", "rule")
MAX_ROWS: Final = 100_000

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


def is_tag_value(text: str) -> bool:
    """Tell whether a text may stand as a tag's value: nothing that a query language reads as its own."""
    return _TAG_VALUE.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """Tell whether a text may name a measurement or a field: no query language needs to quote it, no tag has it."""
    return _IDENTIFIER.fullmatch(text) is not None and text not in TAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """A question that is well-formed by construction; QueryError otherwise.

    `function` and `every_s` go together: both None is raw points; a function without `every_s` gives one value
    for the whole span, at `start`. `tags` must match exactly; `group_by` gives a series for each combination.
    """

    bucket: str
    measurement: str
    field: str
    function: Function | None
    every_s: int | None
    group_by: tuple[str, ...] = ()
    tags: Mapping[str, str] = default(default_factory=lambda: MappingProxyType({}))
    start: datetime
    stop: datetime
    limit: int = 10_000  # rows of the whole answer

    def __post_init__(self) -> None:
        self._check_names()
        self._check_time()
        if not 0 < self.limit <= MAX_ROWS:
            raise QueryError(f"limit is 1 to {MAX_ROWS}")
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))

    def _check_names(self) -> None:
        if self.bucket not in BUCKETS:
            raise QueryError(f"no bucket of that name; there are {', '.join(BUCKETS)}")
        for name in (self.measurement, self.field):
            if not is_identifier(name):
                raise QueryError("a measurement or field is lower case letters, digits and '_', and no tag")
        if any(tag not in TAGS for tag in (*self.group_by, *self.tags)) or len(set(self.group_by)) < len(self.group_by):
            raise QueryError(f"tags are {', '.join(TAGS)}, each once")
        if not all(is_tag_value(value) for value in self.tags.values()):
            raise QueryError("a tag's value is letters, digits, '_', '.', ':' and '-'")

    def _check_time(self) -> None:
        for bound in (self.start, self.stop):
            if bound.utcoffset() != timedelta(0):
                raise QueryError("both bounds are UTC")
        if self.start >= self.stop:
            raise QueryError("start must lie before stop")
        if self.function is not None and self.function not in FUNCTIONS:
            raise QueryError(f"functions are {', '.join(FUNCTIONS)}")
        if self.every_s is not None and (self.every_s <= 0 or self.function is None):
            raise QueryError("every_s is positive and goes with a function")
