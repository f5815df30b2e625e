"""How many visits a look-up could belong to, for an attacker with a camera at every kiosk and the server's whole log.

    python scripts/anonymity_set.py            prints the table of docs/PRIVACY.md

The attacker knows who stood at which kiosk in which tick and hence when each slip says "ready"; the log says when
somebody downloaded which cohort (12 ticks, one file; a code is never sent). A look-up fits every visit of that cohort
that was ready by then. Who also knows how soon people look can do better than draw lots among them: `best guess` is
that attacker's chance of being right, with the true distribution of delays in hand.

Assumed: visits are independent and evenly spread over the opening hours, every visitor looks once, every kiosk works,
nobody uses the practice code and no file is fetched in advance. Each of these can make a real district better or
worse. Seeds are fixed: the table is the same on every machine.
"""

import bisect
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.cohorts import COHORT_TICKS
from contracts.windows import TICK_S

SEED: Final = 20_261_129
OPEN_TICKS: Final = range(8 * 6, 20 * 6)  # 08:00 to 20:00
INSERTION_S: Final = 600
T_MAX_S: Final = 2700
PLACES: Final = 4  # results of one kiosk that may become ready in one tick
MEAN_DELAY_TICKS: Final = 6.0  # an hour, exponential: most people look soon, some the next day
LOOKS: Final = 20_000  # at least so many look-ups a district, over as many days as they take

# Name in the table, kiosks, visits of one kiosk and tick.
DISTRICTS: Final = (
    ("4 kiosks, few visitors", 4, 0.3),
    ("10 kiosks", 10, 0.5),
    ("18 kiosks (the demonstration)", 18, 0.5),
    ("30 kiosks", 30, 0.5),
    ("50 kiosks", 50, 0.5),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A district in numbers: visits that fit a look-up, and the best guess about whose it was."""

    name: str
    visits_a_day: float
    least: int
    few: int  # 5 % of the look-ups have as few or fewer
    median: int
    guess: float  # median chance of the best guess
    guess_worst: float  # 95th percentile

    def line(self) -> str:
        """Return the row as Markdown."""
        return (
            f"| {self.name} | {self.visits_a_day:.0f} | {self.least} | {self.few} | {self.median} "
            f"| {self.guess:.1%} | {self.guess_worst:.0%} |"
        )


HEADER: Final = (
    "| district | visits a day | fewest | 5 % have at most | median | best guess right (median) | (worst 5 %) |\n"
    "|---|---|---|---|---|---|---|"
)


def table() -> str:
    """Return the whole table."""
    return "\n".join([HEADER, *(row.line() for row in rows())])


def rows() -> Iterator[Row]:
    """Simulate each district with a seed of its own."""
    for number, (name, kiosks, rate) in enumerate(DISTRICTS):
        yield _row(name, kiosks, rate, random.Random(SEED + number))


def ready_ticks(kiosks: int, rate: float, chance: random.Random) -> list[int]:
    """Return, for each visit of a day, the tick in which its record is published, in order."""
    ready: list[int] = []
    for _ in range(kiosks):
        taken: dict[int, int] = {}
        for start in OPEN_TICKS:
            for _visit in range(_poisson(rate, chance)):
                tick = start + math.ceil((chance.random() * TICK_S + INSERTION_S + T_MAX_S) / TICK_S)
                while taken.get(tick, 0) >= PLACES:
                    tick += 1
                taken[tick] = taken.get(tick, 0) + 1
                ready.append(tick)
    return sorted(ready)


def candidates(ready: Sequence[int], tick: int, now: float) -> dict[int, int]:
    """Return tick -> visits that a look-up at `now` for the cohort of `tick` could belong to."""
    first = tick - tick % COHORT_TICKS
    found: dict[int, int] = {}
    for other in range(first, first + COHORT_TICKS):
        count = bisect.bisect_right(ready, other) - bisect.bisect_left(ready, other)
        if count and other + 1 <= now:  # readable once its tick is over
            found[other] = count
    return found


def best_guess(fitting: dict[int, int], now: float) -> float:
    """Return the largest share that one visit has of the probability, delays known."""
    weights = {tick: math.exp(-(now - tick - 1) / MEAN_DELAY_TICKS) for tick in fitting}
    return max(weights.values()) / sum(weights[tick] * count for tick, count in fitting.items())


def _row(name: str, kiosks: int, rate: float, chance: random.Random) -> Row:
    sets: list[int] = []
    guesses: list[float] = []
    days = visits = 0
    while len(sets) < LOOKS:
        ready = ready_ticks(kiosks, rate, chance)
        days, visits = days + 1, visits + len(ready)
        for tick in ready:
            now = tick + 1 + chance.expovariate(1 / MEAN_DELAY_TICKS)
            fitting = candidates(ready, tick, now)
            sets.append(sum(fitting.values()))
            guesses.append(best_guess(fitting, now))
    sets.sort()
    guesses.sort()
    return Row(
        name=name,
        visits_a_day=visits / days,
        least=sets[0],
        few=sets[len(sets) // 20],
        median=sets[len(sets) // 2],
        guess=guesses[len(guesses) // 2],
        guess_worst=guesses[len(guesses) * 19 // 20],
    )


def _poisson(mean: float, chance: random.Random) -> int:
    """Knuth's product of uniforms; the means here are below 1."""
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


if __name__ == "__main__":
    print(table())
