"""Pictures as SVG text: bars with intervals, lines over labelled steps, a series with marks. Pure.

Colours are Okabe and Ito's (told apart in every common colour blindness); shapes and dashes tell the same, so that a
grey print does too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
DASHES: Final = ("", "6 3", "2 3", "8 3 2 3", "4 4", "1 4", "10 4", "3 2 1 2")
_FONT: Final = "font-family='sans-serif' font-size='12' fill='#222'"
_LEFT, _TOP, _RIGHT, _BOTTOM = 190, 44, 30, 48
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval."""

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """One value a step; NaN is a gap."""

    label: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """Steps of a series that are marked in a row below it."""

    label: str
    at: Sequence[int]


def bars(title: str, unit: str, rows: Sequence[Bar], *, reference: tuple[float, str]) -> str:
    """Horizontal bars from 0, and a dashed reference line with its word."""
    width, height = 560, 24 * len(rows)
    most = _nice(max([row.high for row in rows] + [reference[0]]))
    parts = _x_axis(most, width, height, unit)
    for number, row in enumerate(rows):
        y = _TOP + 24 * number
        x = [_LEFT + width * value / most for value in (row.value, row.low, row.high)]
        parts += [
            _text(_LEFT - 8, y + 16, row.label, anchor="end"),
            f"<rect x='{_LEFT}' y='{y + 4}' width='{x[0] - _LEFT:.1f}' height='16' fill='{COLOURS[0]}'/>",
            f"<path d='M{x[1]:.1f} {y + 12}H{x[2]:.1f}' stroke='#000' stroke-width='2'/>",
        ]
    at = _LEFT + width * reference[0] / most
    parts.append(
        f"<path d='M{at:.1f} {_TOP - 4}V{_TOP + height}' stroke='#D55E00' stroke-width='2' stroke-dasharray='6 3'/>"
    )
    parts.append(_text(at + 4, _TOP - 6, reference[1]))
    return _picture(title, _LEFT + width + _RIGHT, _TOP + height + _BOTTOM, parts)


def lines(title: str, unit: str, steps: Sequence[str], rows: Sequence[Line], *, most: float) -> str:
    """One line a row over labelled steps, 0 to `most` upwards, and a legend on the right."""
    left, width, height = 60, 420, 260
    parts = _y_axis(most, left, width, height, unit)
    gap = width / max(len(steps) - 1, 1)
    parts += [
        _text(left + gap * number, _TOP + height + 18, step, anchor="middle") for number, step in enumerate(steps)
    ]
    for number, row in enumerate(rows):
        points = [
            (left + gap * at, _TOP + height * (1 - value / most))
            for at, value in enumerate(row.values)
            if not math.isnan(value)
        ]
        parts.append(_path(points, number))
        parts += [_shape(x, y, number) for x, y in points]
        y = _TOP + 14 + 20 * number
        legend = [(left + width + 24.0, y - 4.0), (left + width + 54.0, y - 4.0)]
        parts += [
            _path(legend, number),
            _shape(left + width + 39, y - 4, number),
            _text(left + width + 60, y, row.label),
        ]
    return _picture(title, left + width + 220, _TOP + height + _BOTTOM, parts)


def marked(title: str, unit: str, ticks: Sequence[tuple[int, str]], row: Line, marks: Sequence[Mark]) -> str:
    """A long series with rows of marks below it; `ticks` name some of its steps."""
    left, width, height = 60, 780, 200
    known = [value for value in row.values if not math.isnan(value)]
    most = _nice(max(known))
    parts = _y_axis(most, left, width, height, unit)
    scale = width / max(len(row.values) - 1, 1)
    points = [
        (left + scale * at, _TOP + height * (1 - value / most))
        for at, value in enumerate(row.values)
        if not math.isnan(value)
    ]
    parts.append(_path(points, 0))
    below = _TOP + height
    for number, mark in enumerate(marks, start=1):
        y = below + 16 * number
        parts.append(_text(left + width + 8, y + 4, mark.label))
        parts += [f"<path d='M{left + scale * at:.1f} {y - 5}v10' stroke='{COLOURS[number]}'/>" for at in mark.at]
    bottom = below + 16 * len(marks) + 24
    parts += [_text(left + scale * at, bottom, name, anchor="middle") for at, name in ticks]
    return _picture(title, left + width + 150, bottom + 16, parts)


def _nice(most: float) -> float:
    """The end of an axis whose ticks are round: 1, 2, 2.5 or 5 times a power of ten apart."""
    step = most / _TICKS
    power = 10.0 ** math.floor(math.log10(step))
    return _TICKS * power * next(times for times in (1, 2, 2.5, 5, 10) if times * power >= step * (1 - 1e-9))


def _picture(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' role='img'>"
    frame = [f"<title>{escape(title)}</title>", f"<rect width='{width:.0f}' height='{height:.0f}' fill='#fff'/>"]
    return "\n".join([head, *frame, _text(10, 20, title), *parts, "</svg>", ""])


def _x_axis(most: float, width: float, height: float, unit: str) -> list[str]:
    bottom = _TOP + height
    parts = [f"<path d='M{_LEFT} {_TOP}V{bottom}H{_LEFT + width}' fill='none' stroke='#444'/>"]
    for number in range(_TICKS + 1):
        x = _LEFT + width * number / _TICKS
        parts.append(_text(x, bottom + 16, f"{most * number / _TICKS:.3g}", anchor="middle"))
    return [*parts, _text(_LEFT + width / 2, bottom + 36, unit, anchor="middle")]


def _y_axis(most: float, left: float, width: float, height: float, unit: str) -> list[str]:
    parts = [f"<path d='M{left} {_TOP}V{_TOP + height}H{left + width}' fill='none' stroke='#444'/>"]
    for number in range(_TICKS + 1):
        y = _TOP + height * (1 - number / _TICKS)
        parts.append(f"<path d='M{left} {y:.1f}h{width}' stroke='#ddd'/>")
        parts.append(_text(left - 6, y + 4, f"{most * number / _TICKS:.3g}", anchor="end"))
    return [*parts, _text(left - 50, _TOP - 8, unit)]


def _path(points: Sequence[tuple[float, float]], number: int) -> str:
    route = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    kind = number % len(COLOURS)
    dash = f" stroke-dasharray='{DASHES[kind]}'" if DASHES[kind] else ""
    return f"<polyline points='{route}' fill='none' stroke='{COLOURS[kind]}' stroke-width='2'{dash}/>"


def _shape(x: float, y: float, number: int) -> str:
    colour = COLOURS[number % len(COLOURS)]
    if number % 3 == 0:
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>"
    if number % 3 == 1:
        return f"<rect x='{x - 4:.1f}' y='{y - 4:.1f}' width='8' height='8' fill='{colour}'/>"
    return f"<path d='M{x:.1f} {y - 5:.1f}l5 9h-10z' fill='{colour}'/>"


def _text(x: float, y: float, words: str, *, anchor: str = "start") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {_FONT}>{escape(words)}</text>"
