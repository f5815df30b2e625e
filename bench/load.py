"""The readings that both sides of the ingest bench store, as each side's own messages. Deterministic.

One reading = one record of five values = one line. Ours: a signed envelope as an agent sends it (gzip above 1 KiB).
Telegraf's: the same readings as the JSON that its parser reads fastest: the tags once a message (with the tags in
every reading it takes half as much processor time again).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.codec import pack_json
from contracts.envelope import sign
from contracts.messages import Reading, encode, join
from contracts.topics import UpTopic

DISTRICT: Final = "bench"
ZONES: Final = ("north", "south")
DEVICES: Final = 50
STREAM: Final = "health"
MEASUREMENT: Final = "health"
BUCKET: Final = "fleet"
KIND: Final = "kiosk"
FIELDS: Final = ("outbox_pct", "disk_pct", "clock_quality", "certificate_days", "thinned_records")
TAGS: Final = ("district", "zone", "site", "device", "kind")
TELEGRAF_TOPIC: Final = "bench/readings"
OB: Final = 0x1D5EED
_START_NS: Final = 1_639_267_200_000_000_000  # 2021-12-12T00:00:00Z
_STEP_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """What goes on the wire."""

    topic: str
    payload: bytes
    content_type: str | None = None
    sig: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One sender."""

    id: str
    zone: str
    site: str

    @property
    def tags(self) -> dict[str, str]:
        """As every line of it carries them."""
        return {"district": DISTRICT, "zone": self.zone, "site": self.site, "device": self.id, "kind": KIND}


def devices() -> tuple[Device, ...]:
    """All senders, over two zones."""
    return tuple(Device(f"bench-{n:03}", ZONES[n % 2], f"site-{ZONES[n % 2]}") for n in range(DEVICES))


def readings(device: Device, count: int) -> Iterator[Reading]:
    """The device's readings in the order of their seq, from 1 on."""
    random = Random(device.id)
    for index in range(count):
        values = (
            float(10 * random.randrange(11)),
            float(10 * random.randrange(11)),
            2.0,
            float(random.randrange(30)),
            float(random.randrange(1000)),
        )
        yield Reading(_START_NS + index * _STEP_NS, 2, dict(zip(FIELDS, values, strict=True)))


def line_time_ns(ts_ns: int, seq: int) -> int:
    """The line's time stamp: the last three digits are seq mod 1000 (docs/CONTRACT.md)."""
    return ts_ns - ts_ns % 1000 + seq % 1000


def envelopes(keys: dict[str, Ed25519PrivateKey], *, count: int, per_message: int) -> list[Message]:
    """`count` readings a device as signed envelopes, the devices taking turns."""
    return _take_turns([_device_envelopes(device, keys[device.id], count, per_message) for device in devices()])


def telegraf_messages(*, count: int, per_message: int) -> list[Message]:
    """The same readings in the same order, for Telegraf."""
    return _take_turns([_device_telegraf(device, count, per_message) for device in devices()])


def expected_digest(count: int) -> str:
    """What `digest` gives for a store that holds exactly these readings."""
    return digest(
        {
            device.id: (
                (line_time_ns(reading.ts_ns, seq), *reading.values.values())
                for seq, reading in enumerate(readings(device, count), start=1)
            )
            for device in devices()
        }
    )


def digest(rows_by_device: dict[str, Iterator[tuple[float, ...]]]) -> str:
    """SHA-256 over every row (time, then the fields in the order of FIELDS), device by device."""
    sha = hashlib.sha256()
    for device in sorted(rows_by_device):
        sha.update(f"{device}\n".encode())
        for time_ns, *values in rows_by_device[device]:
            sha.update(f"{int(time_ns)} {[float(value) for value in values]}\n".encode())
    return sha.hexdigest()


def _device_envelopes(device: Device, key: Ed25519PrivateKey, count: int, per_message: int) -> Iterator[Message]:
    topic = str(UpTopic(device.id, STREAM))
    for first, batch in _batches(device, count, per_message):
        rows = [encode(reading) for reading in batch]
        payload, content_type = pack_json(join(ob=OB, stream=STREAM, seq=first, lo=1, hist=True, rows=rows))
        yield Message(topic, payload, content_type, sign(key, topic, payload))


def _device_telegraf(device: Device, count: int, per_message: int) -> Iterator[Message]:
    for first, batch in _batches(device, count, per_message):
        rows = [
            {"ts": line_time_ns(reading.ts_ns, seq), **reading.values} for seq, reading in enumerate(batch, start=first)
        ]
        yield Message(TELEGRAF_TOPIC, json.dumps({**device.tags, "r": rows}, separators=(",", ":")).encode())


def _batches(device: Device, count: int, per_message: int) -> Iterator[tuple[int, list[Reading]]]:
    batch: list[Reading] = []
    for seq, reading in enumerate(readings(device, count), start=1):
        batch.append(reading)
        if len(batch) == per_message or seq == count:
            yield seq - len(batch) + 1, batch
            batch = []


def _take_turns(sides: list[Iterator[Message]]) -> list[Message]:
    return [message for turn in zip(*sides, strict=True) for message in turn]
