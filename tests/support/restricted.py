"""Readings of a room where people live, as ingest would have written them: values that nothing else has."""

from pathlib import Path

from contracts.windows import NS, to_ns
from stores.series.lines import Point, encode
from stores.series.open import open_series
from tests.support.console import NOW

SECRET_PPM = 31_337.25  # a value that stands nowhere else, in any spelling
ROOM, ROOM_SITE, ROOM_ZONE = "air-10022-room", "hall-10022", "z10022"


def write_room(folder: Path, district: str, *, hours: int = 6) -> None:
    """Write a room's air into the bucket `restricted` of a console's folder."""
    tags = {"district": district, "zone": ROOM_ZONE, "site": ROOM_SITE, "device": ROOM, "kind": "air_monitor"}
    points = [
        Point("air", tags, {"co2_ppm": SECRET_PPM, "temperature_c": 21.0}, to_ns(NOW) - minute * 60 * NS)
        for minute in range(10, hours * 60, 10)
    ]
    store = open_series(f"sqlite:{folder / 'series'}", writes=frozenset({"restricted"}))
    try:
        store.write("restricted", b"\n".join(map(encode, points)))
    finally:
        store.close()
