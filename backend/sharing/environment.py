"""Readings of open rooms for a package: hourly means out of bucket `environment`, and of no other.

What stands in bucket `restricted` (DESIGN §7) cannot be asked for here; a site of a restricted kind is left out even
if its readings should ever lie in the open bucket.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from backend.sharing.odm import Dataset, Mean, Place, Sensor, tables
from backend.sharing.rules import Grant, iso
from contracts.metrics import METRICS, RESTRICTED_SITE_KINDS
from contracts.query import MAX_ROWS, SeriesQuery
from contracts.registry import RegistrySnapshot
from contracts.windows import DAY_S, NS, to_datetime
from stores.series.port import TimeSeriesStore

BUCKET: Final = "environment"
MEAN_S: Final = 3600
_PAGE_NS: Final = 7 * DAY_S * NS  # 168 hours of 500 devices fit one answer


def environment(
    store: TimeSeriesStore, grant: Grant, registry: RegistrySnapshot, models: Mapping[str, str], *, made_on: str
) -> dict[str, bytes]:
    """Return the tables; `models` are the instruments' by device, as far as they said. StoreError as the store."""
    means = list(_means(store, grant, registry))
    places = [
        Place(site.id, site.name, site.kind, site.zone)
        for site in registry.sites.values()
        if site.id in {mean.site for mean in means}
    ]
    sensors = [Sensor(device, models.get(device, "")) for device in sorted({mean.device for mean in means})]
    dataset = Dataset(registry.district.id, registry.district.name, made_on)
    return tables(dataset, places, sensors, means)


def _means(store: TimeSeriesStore, grant: Grant, registry: RegistrySnapshot) -> Iterator[Mean]:
    start_ns, stop_ns = grant.bounds_ns(registry.district.calendar)
    offset_s = registry.district.utc_offset_s
    every_s = math.gcd(MEAN_S, abs(offset_s))  # buckets begin at hours of UTC: where days do not, they are shorter
    for metric in grant.request.environment:
        for page_ns in range(start_ns, stop_ns, _PAGE_NS):
            question = SeriesQuery(
                bucket=BUCKET,
                measurement=METRICS[metric].measurement,
                field=metric,
                function="mean",
                every_s=every_s,
                group_by=("site", "device"),
                tags={"district": registry.district.id},
                start=to_datetime(page_ns),
                stop=to_datetime(min(page_ns + _PAGE_NS, stop_ns)),
                limit=MAX_ROWS,
            )
            for series in store.query(question):
                site, device = series.tags["site"], series.tags["device"]
                if not _is_open(site, registry):
                    continue
                for at_ns, value in zip(series.times_ns, series.values, strict=True):
                    ends = iso(at_ns, offset_s), iso(at_ns + every_s * NS, offset_s)
                    yield Mean(device, site, metric, *ends, float(value))


def _is_open(site: str, registry: RegistrySnapshot) -> bool:
    known = registry.sites.get(site)
    return known is not None and known.kind not in RESTRICTED_SITE_KINDS
