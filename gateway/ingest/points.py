"""A journalled record to its line for the series store (contract rule C10). Pure, and in the hot path.

One record is one line; the last three digits of its time stamp are seq mod 1000, so that two readings of equal device
time stay two points and writing a record again meets itself. Tags are what the journal says of the device, as it was
when the record came: projecting again gives the same lines, wherever the device stands now.
"""

from functools import lru_cache
from typing import Final

from contracts.messages import Event, Reading
from contracts.metrics import METRICS
from gateway.ingest.world import Place
from stores.series.lines import escaped_head

RESTRICTED: Final = "restricted"
_EVENTS: Final = ("fleet", "event")
_OPEN: Final = "environment"  # the bucket whose readings are restricted at some sites
_TIE: Final = 1000
_CACHED: Final = 4096


def line_of(record: Reading | Event, seq: int, device: str, place: Place, district: str) -> tuple[str, str]:
    """Return the bucket and the line of a record that passed every check; KeyError for a metric that is no more."""
    if isinstance(record, Event):
        (bucket, measurement), fields = _EVENTS, f'code="{record.code}",state="{record.state}"'
    else:
        values = record.values
        bucket, measurement, template = _shape(tuple(values))
        fields = template % tuple(values.values())
        if bucket == _OPEN and place.restricted:
            bucket = RESTRICTED
    ts_ns = record.ts_ns - record.ts_ns % _TIE + seq % _TIE
    return bucket, f"{_head(measurement, device, place, district)} {fields} {ts_ns}"


@lru_cache(maxsize=_CACHED)
def _shape(names: tuple[str, ...]) -> tuple[str, str, str]:
    """Return bucket, measurement and the fields' template for the metrics of one record; floats are spelt by repr."""
    rows = [METRICS[name] for name in names]
    return rows[0].bucket, rows[0].measurement, ",".join(f"{row.name}=%r" for row in rows)


@lru_cache(maxsize=_CACHED)
def _head(measurement: str, device: str, place: Place, district: str) -> str:
    tags = {"district": district, "zone": place.zone, "site": place.site, "device": device, "kind": place.kind}
    return escaped_head(measurement, tags).decode()
