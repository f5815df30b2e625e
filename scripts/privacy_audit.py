"""Measure what one test moves, audit the sampler, price the noise; write docs/PRIVACY_AUDIT.md (make privacy-audit).

    python -m scripts.privacy_audit [DRAWS [OUTBREAKS]]

DRAWS a world (20 000) and OUTBREAKS a cell (400) can be made smaller for a first look, which is printed and not
written. Every figure is of the seed of the tests (KIOSKWATCH_SEED) but the sampler's, which draws from `secrets`. Exits
with 1 when a bound does not hold or a mutant is not seen.
"""

import math
import secrets
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from contracts.layout import AssayLayout
from edge.release.noise import discrete_laplace
from scripts.privacy_utility import QUIET_WINDOWS, SHARE, Delay, measure
from tests.support.odds import LEVEL, Moved, largest, moved, threshold_events
from tests.support.release_path import (
    MUTANTS,
    PAIRS,
    PANEL,
    SINGLE,
    Experiment,
    OneLook,
    ReleasePath,
    words,
)
from tests.support.seeds import SEED, seeded

PAGE: Final = Path(__file__).parents[1] / "docs" / "PRIVACY_AUDIT.md"
DRAWS, OUTBREAKS, MUTANT_DRAWS = 20_000, 400, 4_000
LAYOUTS: Final = {"one target": SINGLE, "panel of four": PANEL}
NAMES: Final = {"none": "no noise", "central": "one draw a zone", "kiosks": "one draw a kiosk (ours)"}

TEMPLATE: Final = Path(__file__).with_suffix(".template")
BOUNDLESS: Final = 4.0  # a ratio of which more draws would only show more


Row = tuple[str, bool]
"""A line of a table, and whether what it says is as it must be."""


def main(arguments: list[str]) -> int:
    """Measure, print, and write the page when nothing was shortened; 1 when a bound does not hold."""
    draws, outbreaks = (*map(int, arguments), *(DRAWS, OUTBREAKS)[len(arguments) :])
    failed, tables = 0, {}
    for name, rows in _tables(draws, outbreaks).items():
        lines = []
        for line, holds in rows:
            print(line, flush=True)
            lines.append(line)
            failed += not holds
        tables[name] = "\n".join(lines)
    if not arguments:
        facts = {"draws": f"{draws:,}", "mutant_draws": f"{MUTANT_DRAWS:,}", "seed": SEED, "level": f"{1 - LEVEL:.1%}"}
        facts |= {"share": SHARE, "outbreaks": outbreaks, "quiet": f"{QUIET_WINDOWS:,}"}
        PAGE.write_text(TEMPLATE.read_text().format(**facts, **tables))
    print(f"privacy-audit: {failed} of the bounds do not hold" if failed else "privacy-audit: every bound holds")
    return 1 if failed else 0


def _tables(draws: int, outbreaks: int) -> dict[str, Iterator[Row]]:
    return {
        "one_test": (row for name, layout in LAYOUTS.items() for row in _one_test(name, layout, draws)),
        "mutants": map(_mutant, MUTANTS),
        "sampler": (_sampler(epsilon, draws) for epsilon in (Fraction(1), Fraction(1, 2), Fraction(1, 4))),
        "utility": ((_cost(delay), True) for delay in measure(SEED, outbreaks)),
    }


def _mutant(name: str) -> Row:
    path, pair = MUTANTS[name]
    found = moved(*(_drawn(path, SINGLE, word, MUTANT_DRAWS) for word in pair))
    seen = found.lower > PAIRS[pair]
    certain = f"> {BOUNDLESS:g}" if found.lower > BOUNDLESS else f"{found.lower:.2f}"
    return f"| {name} | {' or '.join(pair)} | {certain} | {PAIRS[pair]} | {'seen' if seen else '**missed**'} |", seen


def _one_test(name: str, layout: AssayLayout, draws: int) -> Iterator[Row]:
    worlds = {word: _drawn(OneLook(), layout, word, draws) for word in words(layout)}
    for pair, promised in PAIRS.items():
        found: Moved = moved(worlds[pair[0]], worlds[pair[1]])
        holds = found.lower <= promised
        row = f"| {name} | {' or '.join(pair)} | {found.estimate:.2f} | {found.lower:.2f} | {promised} |"
        yield f"{row} {'holds' if holds else '**does not hold**'} |", holds


def _drawn(path: ReleasePath, layout: AssayLayout, word: str, draws: int) -> np.typing.NDArray[np.float64]:
    chance = seeded(f"audit {type(path).__name__} {layout.number} {word}")
    return Experiment(path, layout).outputs(words(layout)[word], draws, chance)


def _sampler(epsilon: Fraction, draws: int) -> Row:
    sides = [
        np.array([[float(discrete_laplace(epsilon, secrets.randbelow) + shift)] for _ in range(draws)])
        for shift in (0, 1)
    ]
    found = largest(threshold_events(sides[0], sides[1]))
    holds = found.lower <= float(epsilon)
    return f"| {epsilon} | {found.estimate:.3f} | {found.lower:.3f} | {'holds' if holds else '**no**'} |", holds


def _cost(delay: Delay) -> str:
    def days(value: float) -> str:
        return "> 60" if math.isinf(value) else f"{value:.2f}".rstrip("0").rstrip(".")

    return (
        f"| {delay.tests_a_day} | {delay.window_s // 3600} h | × {delay.factor} | {NAMES[delay.noise]} "
        f"| {days(delay.median)} ({days(delay.low)} to {days(delay.high)}) "
        f"| {delay.within:.0%} ({delay.within_low:.0%} to {delay.within_high:.0%}) |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
