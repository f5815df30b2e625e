"""The way of one test into everything that is published: two kiosks, two windows, roll-ups; and its mutants.

What runs are the real windows (`edge.release`), release bodies (`contracts.frames`) and roll-ups
(`gateway.analyse.rollup`); a mutant is another implementation of one step. The attacker knows every test but one, so
all the others are a constant that stands in the counters beside the draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Final

import numpy as np

from contracts.frames import ReleaseBody
from contracts.layout import EPSILON_INVALID, EPSILON_VALID, Assay, AssayLayout
from edge.release.counters import WindowCounters, open_window
from edge.release.noise import RandBelow, discrete_laplace
from edge.release.window import Window, draw
from gateway.analyse.rollup import Release, RollUp, roll_up
from tests.support.kiosk import START_NS, WINDOW_S, open_at_zero
from tests.support.odds import Outputs

KIOSKS, WINDOWS = 2, 2
KNOWN_VALID, KNOWN_POSITIVES, KNOWN_INVALID = (
    34,
    3,
    2,
)  # of each kiosk and window, known to the attacker: near the limits
SINGLE = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))
PANEL = AssayLayout(2, (Assay("FLUCOV", ("sars-cov-2", "influenza-a", "influenza-b", "rsv")),))
STATUS: Final = {"none": 0.0, "few": 1.0, "shown": 2.0}

Calls = Mapping[str, str]


def words(layout: AssayLayout) -> dict[str, Calls | None]:
    """What the one unknown test may have been."""
    targets = layout.assays[0].targets
    return {
        "positive": dict.fromkeys(targets, "positive"),
        "negative": dict.fromkeys(targets, "negative"),
        "invalid": dict.fromkeys(targets, "invalid"),
        "absent": None,
    }


PAIRS: Final[dict[tuple[str, str], float]] = {
    ("positive", "negative"): 1.0,
    ("positive", "invalid"): 1.5,
    ("positive", "absent"): 1.25,
    ("negative", "invalid"): 0.5,
    ("negative", "absent"): 0.25,
    ("invalid", "absent"): 0.25,
}


class ReleasePath:
    """The real one."""

    looks_inside = False  # whether a thief's one look at the open window is among the outputs

    def open(self, start_ns: int, layout: AssayLayout, randbelow: RandBelow) -> Window:
        """Return the window as it stands when its first visitor comes."""
        return draw(start_ns, layout, lambda start, targets: open_window(start, targets, randbelow))

    def close(self, window: Window, randbelow: RandBelow) -> list[bytes]:
        """Return the bodies that leave the kiosk."""
        del randbelow
        return [window.body()]

    def roll_up(self, releases: Sequence[Release], exact_valid: int) -> RollUp:
        """Return the released numbers; nobody knows the exact number, and the real roll-up is not told."""
        del exact_valid
        return roll_up(releases, expected=len(releases))


class OneLook(ReleasePath):
    """The real one, and a thief who copies the open window once, after the test."""

    looks_inside = True


class NoNoise(ReleasePath):
    """A mutant: counters start at zero."""

    def open(self, start_ns: int, layout: AssayLayout, randbelow: RandBelow) -> Window:
        del randbelow
        return draw(start_ns, layout, open_at_zero)


class HalfNoise(ReleasePath):
    """A mutant: every epsilon doubled."""

    def open(self, start_ns: int, layout: AssayLayout, randbelow: RandBelow) -> Window:
        def half(start: datetime, targets: tuple[str, ...]) -> WindowCounters:
            each = 2 * Assay("X", targets).epsilon_positives
            positives = {target: discrete_laplace(each, randbelow) for target in targets}
            rest = (discrete_laplace(2 * epsilon, randbelow) for epsilon in (EPSILON_VALID, EPSILON_INVALID))
            return WindowCounters(start, positives, *rest)

        return draw(start_ns, layout, half)


class NoiseAtTheEnd(NoNoise):
    """A mutant: what is released has all its noise, but until then the exact count lies on the disk."""

    looks_inside = True

    def close(self, window: Window, randbelow: RandBelow) -> list[bytes]:
        return [with_noise(window, randbelow).body()]


class DrawnAgain(NoNoise):
    """A mutant: after a crash the noise of a window is drawn again, and both releases leave the kiosk."""

    def close(self, window: Window, randbelow: RandBelow) -> list[bytes]:
        return [with_noise(window, randbelow).body() for _ in range(2)]


class ShownByExactNumber(ReleasePath):
    """A mutant: whether counts are shown depends on how many tests there really were."""

    def roll_up(self, releases: Sequence[Release], exact_valid: int) -> RollUp:
        rolled = super().roll_up(releases, exact_valid)
        return replace(rolled, status="shown" if exact_valid > KNOWN_VALID * len(releases) else "few")


MUTANTS: Final[Mapping[str, tuple[ReleasePath, tuple[str, str]]]] = {
    "noise off": (NoNoise(), ("positive", "negative")),
    "half noise": (HalfNoise(), ("positive", "negative")),
    "noise added at the end": (NoiseAtTheEnd(), ("positive", "negative")),
    "second draw after a crash": (DrawnAgain(), ("positive", "negative")),
    "exact number in the display rule": (ShownByExactNumber(), ("positive", "absent")),
}


def with_noise(window: Window, randbelow: RandBelow) -> Window:
    """Add a fresh draw to every counter."""
    fresh = draw(window.start_ns, window.layout, lambda start, targets: open_window(start, targets, randbelow))
    return replace(window, counters=tuple(map(_sum, window.counters, fresh.counters)))


def _sum(a: WindowCounters, b: WindowCounters) -> WindowCounters:
    positives = {target: held + b.positives[target] for target, held in a.positives.items()}
    return WindowCounters(a.window_start, positives, a.valid + b.valid, a.invalid + b.invalid)


def _known(counters: WindowCounters) -> WindowCounters:
    """The tests of everybody whom the attacker knows."""
    positives = {target: held + KNOWN_POSITIVES for target, held in counters.positives.items()}
    return replace(
        counters, positives=positives, valid=counters.valid + KNOWN_VALID, invalid=counters.invalid + KNOWN_INVALID
    )


@dataclass(frozen=True)
class Experiment:
    """One way, one layout; `outputs` draws what the attacker sees when the unknown test was this."""

    path: ReleasePath
    layout: AssayLayout

    def outputs(self, calls: Calls | None, draws: int, chance: Random) -> Outputs:
        """Everything that is published, once a row."""
        return np.array([self._once(calls, chance.randrange) for _ in range(draws)])

    def _once(self, calls: Calls | None, randbelow: RandBelow) -> list[float]:
        seen: list[float] = []
        cells: list[list[list[Release]]] = []
        code = self.layout.assays[0].code
        for kiosk in range(KIOSKS):
            cells.append([])
            for number in range(WINDOWS):
                window = self.path.open(START_NS + number * WINDOW_S * 10**9, self.layout, randbelow)
                window = replace(window, counters=tuple(map(_known, window.counters)))
                if calls is not None and (kiosk, number) == (0, 0):
                    window = window.add(code, calls)
                if self.path.looks_inside:
                    seen += ReleaseBody.decode(window.body(), {self.layout.number: self.layout}).counters
                bodies = self.path.close(window, randbelow)
                for body in bodies:
                    seen += ReleaseBody.decode(body, {self.layout.number: self.layout}).counters
                cells[-1].append(self._releases(bodies[0]))
        return seen + self._rolled_up(cells, calls)

    def _releases(self, body: bytes) -> list[Release]:
        valid, invalid, *positives = ReleaseBody.decode(body, {self.layout.number: self.layout}).counters
        return [Release(one, valid, invalid, len(positives)) for one in positives]

    def _rolled_up(self, cells: Sequence[Sequence[Sequence[Release]]], calls: Calls | None) -> list[float]:
        """Zone and district by window and day, of the first target; each kiosk stands in a zone of its own."""
        counted = calls is not None and "invalid" not in calls.values()
        seen: list[float] = []
        for kiosks in ((0,), (1,), (0, 1)):
            for windows in ((0,), (1,), (0, 1)):
                releases = [cells[kiosk][window][0] for kiosk in kiosks for window in windows]
                exact = KNOWN_VALID * len(releases) + (counted and 0 in kiosks and 0 in windows)
                rolled = self.path.roll_up(releases, exact)
                seen += [rolled.positives, rolled.valid, rolled.invalid, STATUS[rolled.status]]
                seen += [rolled.positivity, rolled.lower, rolled.upper]
        return seen
