"""A journalled record to its line for the series store (contract rule C10). Pure, and in the hot path.

One record is one line; the last three digits of its time stamp are seq mod 1000, so that two readings of equal device
time stay two points and writing a record again meets itself. Tags are what the journal says of the device, as it was
when the record came: projecting again gives the same lines, wherever the device stands now.

Of a restricted place only its equipment's health is told outside, and only by the day (C29): each record replaces the
one before it at the start of its UTC day. Its readings and events go to the bucket `restricted`.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from contracts.messages import Event, Reading
from contracts.metrics import METRICS
from contracts.windows import DAY_S, NS
from gateway.ingest.world import Place
from stores.series.lines import escaped_head

RESTRICTED: Final = "restricted"
_EVENTS: Final = ("fleet", "event")
_OPEN: Final = "environment"  # the bucket whose readings are restricted at some sites
_TIE: Final = 1000
_CACHED: Final = 4096


Line = tuple[str, str]
"""A bucket, and a line for it."""


def lines_of(
    records: Iterable[Reading | Event | None], first_seq: int, device: str, place: Place, district: str
) -> Iterator[Line | None]:
    """Give the line of each record that passed every check; None for one that is unreadable or no metric any more."""
    names: tuple[str, ...] = ()
    bucket = head = template = ""
    for seq, record in enumerate(records, start=first_seq):
        if isinstance(record, Reading):
            these = tuple(record.values)
            if these != names:  # the readings of a message are mostly of one shape
                try:
                    bucket, head, template = _reading_line(these, device, place, district)
                except KeyError:
                    yield None
                    continue
                names = these
            fields = template % tuple(record.values.values())
            daily = place.restricted and bucket != RESTRICTED
            yield bucket, f"{head} {fields} {_day_ns(record.ts_ns) if daily else _tied_ns(record.ts_ns, seq)}"
        else:
            yield None if record is None else _event_line(record, seq, device, place, district)


def _event_line(event: Event, seq: int, device: str, place: Place, district: str) -> Line:
    bucket, measurement = _EVENTS
    if place.restricted:
        bucket = RESTRICTED
    fields = f'code="{event.code}",state="{event.state}"'
    return bucket, f"{_head(measurement, device, place, district)} {fields} {_tied_ns(event.ts_ns, seq)}"


def _tied_ns(ts_ns: int, seq: int) -> int:
    return ts_ns - ts_ns % _TIE + seq % _TIE


def _day_ns(ts_ns: int) -> int:
    return ts_ns - ts_ns % (DAY_S * NS)


@lru_cache(maxsize=_CACHED)
def _reading_line(names: tuple[str, ...], device: str, place: Place, district: str) -> tuple[str, str, str]:
    """Return bucket, head and the fields' template for the metrics of one record; floats are spelt by repr."""
    rows = [METRICS[name] for name in names]
    bucket = RESTRICTED if rows[0].bucket == _OPEN and place.restricted else rows[0].bucket
    return bucket, _head(rows[0].measurement, device, place, district), ",".join(f"{row.name}=%r" for row in rows)


def _head(measurement: str, device: str, place: Place, district: str) -> str:
    tags = {"district": district, "zone": place.zone, "site": place.site, "device": device, "kind": place.kind}
    return escaped_head(measurement, tags).decode()
