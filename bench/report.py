"""Figures, their bars, and the page that they are written to."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Machine

PAGE = Path(__file__).parents[1] / "docs/BENCHMARKS.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing. `bar` says what it is held to ("" for a figure that only stands beside another)."""

    section: str
    what: str
    measured: str
    bar: str = ""
    met: bool = True


def at_least(section: str, what: str, value: float, bar: float, unit: str) -> Figure:
    """A figure that must not be below its bar."""
    return Figure(section, what, f"{value:,.2f} {unit}".strip(), f"≥ {bar:,g} {unit}".strip(), value >= bar)


def at_most(section: str, what: str, value: float, bar: float, unit: str) -> Figure:
    """A figure that must not be above its bar."""
    return Figure(section, what, f"{value:,.2f} {unit}".strip(), f"≤ {bar:,g} {unit}".strip(), value <= bar)


def page(machine: Machine, figures: Sequence[Figure], *, command: str, commit: str, day: str) -> str:
    """The whole of docs/BENCHMARKS.md."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{command}` at commit {commit} on {day}. The bars are ratios or limits of the design;",
        "absolute figures belong to the machine and the moment, and two calibration figures of the same run say so.",
        "",
        f"Machine: {machine.name}. Calibration: {machine.verifies_per_s:,.0f} Ed25519 verifications/s on one core, "
        f"fsync {machine.fsync_ms:.2f} ms (median).",
        "",
        "| part | what | measured | bar | |",
        "|---|---|---:|---:|---|",
    ]
    lines += [
        f"| {figure.section} | {figure.what} | {figure.measured} | {figure.bar or '—'} | {_mark(figure)} |"
        for figure in figures
    ]
    return "\n".join([*lines, "", (Path(__file__).parent / "METHOD.md").read_text()])


def show(figure: Figure) -> None:
    """Print a figure as soon as it is known."""
    print(
        f"bench: {figure.section}: {figure.what}: {figure.measured} {figure.bar} {_mark(figure)}".rstrip(), flush=True
    )


def note(text: str) -> None:
    """Say what is being done; the figures alone go to stdout."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _mark(figure: Figure) -> str:
    if not figure.bar:
        return ""
    return "met" if figure.met else "**missed**"
