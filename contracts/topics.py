"""The topics of the contract (C3): a bad topic cannot exist. No I/O.

`kw/v1/{device}/up/{kind}` · `kw/v1/{device}/down/{kind}` · `kw/v1/_gw/{gateway}/state`.
Site and zone are never in a topic: they come from the registry.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from contracts.errors import TopicError

PREFIX: Final = "kw/v1"
_LEVELS: Final = 5  # kw, v1, device, direction, kind

# Kinds whose records are numbered by `seq`; the stream of a record has the name of its topic kind.
STREAMS: Final = ("release", "sealed", "event", "health", "bulk")
# Kinds that describe the device as it is now, ordered by (ob, boot, conn) instead of seq (C12).
DOCUMENTS: Final = ("state", "birth", "reported", "cmdresp")
UP_KINDS: Final = STREAMS + DOCUMENTS
DOWN_KINDS: Final = ("ack", "desired", "cmd", "rebirth")

ALL_UP: Final = f"{PREFIX}/+/up/#"
ALL_GATEWAYS: Final = f"{PREFIX}/_gw/+/state"

MAX_NAME_CHARS: Final = 63  # one DNS label, so an id fits a certificate's CN and a file name
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def check_name(name: str) -> str:
    """Return a device or gateway id; TopicError unless it is one lower-case DNS label."""
    if _NAME.fullmatch(name) is None:
        raise TopicError(f"an id is 1-{MAX_NAME_CHARS} of a-z, 0-9 and '-', not {len(name)} other characters")
    return name


def _parts(text: str, direction: str, kinds: tuple[str, ...]) -> tuple[str, str]:
    parts = text.split("/")
    if len(parts) != _LEVELS or parts[:2] != ["kw", "v1"] or parts[3] != direction or parts[4] not in kinds:
        raise TopicError(f"not a {PREFIX}/{{device}}/{direction}/{{kind}} topic")
    return check_name(parts[2]), parts[4]


@dataclass(frozen=True, slots=True)
class UpTopic:
    """What a device says."""

    device: str
    kind: str

    def __post_init__(self) -> None:
        _parts(str(self), "up", UP_KINDS)

    def __str__(self) -> str:
        return f"{PREFIX}/{self.device}/up/{self.kind}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a topic as received; TopicError on anything that is not ours."""
        return cls(*_parts(text, "up", UP_KINDS))


@dataclass(frozen=True, slots=True)
class DownTopic:
    """What a device is told."""

    device: str
    kind: str

    def __post_init__(self) -> None:
        _parts(str(self), "down", DOWN_KINDS)

    def __str__(self) -> str:
        return f"{PREFIX}/{self.device}/down/{self.kind}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a topic as received; TopicError on anything that is not ours."""
        return cls(*_parts(text, "down", DOWN_KINDS))


def all_down(device: str) -> str:
    """Return the filter a device subscribes to."""
    return f"{PREFIX}/{check_name(device)}/down/+"


def gateway_state(gateway: str) -> str:
    """Return the topic on which a gateway says whether it is there."""
    return f"{PREFIX}/_gw/{check_name(gateway)}/state"
