"""A journalled record to its line for the series store (contract rule C10). Pure, and in the hot path.

One record is one line; the last three digits of its time stamp are seq mod 1000, so that two readings of equal device
time stay two points and writing a record again meets itself.
"""

from typing import Final

from contracts.messages import Event, Reading
from contracts.metrics import METRICS
from contracts.registry import Device
from gateway.ingest.world import World
from stores.series.lines import escaped_head

RESTRICTED: Final = "restricted"
_EVENTS: Final = ("fleet", "event")
_TIE: Final = 1000


def line_of(record: Reading | Event, seq: int, device: Device, world: World) -> tuple[str, bytes]:
    """Return the bucket and the line of a record that passed every check."""
    if isinstance(record, Event):
        bucket, measurement = _EVENTS
        fields = f'code="{record.code}",state="{record.state}"'
    else:
        row = METRICS[next(iter(record.values))]
        bucket, measurement = row.bucket, row.measurement
        fields = ",".join([f"{name}={value!r}" for name, value in record.values.items()])
    if bucket == "environment" and world.restricted(device):
        bucket = RESTRICTED
    head = escaped_head(measurement, world.tags(device))
    return bucket, b"%b %b %d" % (head, fields.encode(), record.ts_ns - record.ts_ns % _TIE + seq % _TIE)
