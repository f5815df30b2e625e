"""A sparkline as SVG paths in a box of 100 by 36: history dashed, releases solid, their band filled. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 100.0
HEIGHT: Final = 36.0
MARGIN: Final = 2.0

Line = tuple[Sequence[int], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Spark:
    """The three paths; empty where there is nothing to draw."""

    history: str
    now: str
    band: str


def spark(*, start_ns: int, stop_ns: int, history: Line, now: Line, low: Line, high: Line) -> Spark | None:
    """Draw a sparkline; None when there are fewer than two points in all."""
    drawn = [*history[1], *now[1]]
    if len(drawn) < 2:  # noqa: PLR2004 - one point is no line
        return None
    top = max([*drawn, *high[1]]) or 1.0

    def places(line: Line) -> list[str]:
        return [f"{_x(time, start_ns, stop_ns):.1f} {_y(value, top):.1f}" for time, value in zip(*line, strict=True)]

    return Spark(_path(places(history)), _path(places(now)), _band(places(low), places(high)))


def _x(time: int, start_ns: int, stop_ns: int) -> float:
    return min(1.0, max(0.0, (time - start_ns) / max(1, stop_ns - start_ns))) * WIDTH


def _y(value: float, top: float) -> float:
    return HEIGHT - MARGIN - min(1.0, max(0.0, value / top)) * (HEIGHT - 2 * MARGIN)


def _path(places: list[str]) -> str:
    return "M" + "L".join(places) if places else ""


def _band(low: list[str], high: list[str]) -> str:
    return "M" + "L".join([*high, *reversed(low)]) + "Z" if low and high else ""
