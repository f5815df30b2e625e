"""Westgard's rules against hand-made control charts and a checker that reads the rules run by run."""

import math

import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SurveillanceError
from gateway.surveillance.qc import westgard


def rules(*z: float) -> set[str]:
    """What the last run of one level breaks."""
    return set(westgard(list(z))[-1])


STREAKS = (("2-2s", 2, 2), ("4-1s", 4, 1), ("8x", 8, 0), ("10x", 10, 0), ("12x", 12, 0))


def along_a_level(back: list[float]) -> set[str]:
    """The rules over consecutive runs; the newest score first, the side of interest up."""
    return {rule for rule, runs, limit in STREAKS if len(back) >= runs and all(z > limit for z in back[:runs])}


def by_reading(table: list[list[float]]) -> list[set[str]]:
    """The rules in words, one run after the other."""
    found: list[set[str]] = []
    for run, now in enumerate(table):
        broken = {rule for rule, limit in (("1-2s", 2), ("1-3s", 3)) if any(abs(z) > limit for z in now)}
        if max(now) > 2 and min(now) < -2:
            broken.add("R-4s")
        for side in (1, -1):
            if sum(side * z > 2 for z in now) >= 2:
                broken.add("2-2s")
            for level in range(len(now)):
                broken |= along_a_level([side * past[level] for past in table[: run + 1]][::-1])
        found.append(broken)
    return found


def test_each_rule_by_hand() -> None:
    assert rules(2.0) == set()
    assert rules(2.01) == {"1-2s"}
    assert rules(-3.01) == {"1-2s", "1-3s"}
    assert rules(2.5, 2.5) == {"1-2s", "2-2s"}
    assert rules(2.5, -2.5) == {"1-2s"}  # across runs R-4s is no rule
    assert rules(1.1, 1.1, 1.1, 1.1) == {"4-1s"}
    assert rules(1.1, 1.1, 1.0, 1.1) == set()
    assert rules(*[0.1] * 8) == {"8x"}
    assert rules(*[-0.1] * 10) == {"8x", "10x"}
    assert rules(*[0.1] * 12) == {"8x", "10x", "12x"}


def test_a_value_on_the_mean_ends_a_streak() -> None:
    assert rules(*[0.1] * 7, 0.0, 0.1) == set()


def test_levels_of_a_run_are_judged_together_where_the_rule_says_so() -> None:
    assert westgard([[2.1, 2.1]])[0] == {"1-2s", "2-2s"}
    assert westgard([[2.1, -2.1]])[0] == {"1-2s", "R-4s"}
    assert westgard([[2.1, 0.5], [0.5, 2.1]])[1] == {"1-2s"}  # another level, another run
    assert westgard([[1.1, 1.1]] * 2)[1] == set()  # 4-1s looks along a level
    assert westgard([[0.1, -0.1]] * 4 + [[0.1, -0.1]] * 4)[-1] == {"8x"}


def test_a_streak_that_goes_on_stays_broken() -> None:
    assert ["4-1s" in broken for broken in westgard([1.5] * 6)] == [False, False, False, True, True, True]


def test_no_run_breaks_nothing() -> None:
    assert westgard([]) == []


@given(
    st.integers(1, 3).flatmap(
        lambda levels: st.lists(
            st.lists(
                st.sampled_from([-3.5, -2.2, -2.0, -1.2, -0.3, 0.0, 0.4, 1.0, 1.3, 2.1, 3.0, 4.0]),
                min_size=levels,
                max_size=levels,
            ),
            min_size=1,
            max_size=30,
        )
    )
)
def test_any_chart_is_read_alike(table: list[list[float]]) -> None:
    assert [set(broken) for broken in westgard(table)] == by_reading(table)


@pytest.mark.parametrize("bad", [[math.nan], [math.inf], 3.0, [[]], [[[1.0]]], ["high"]])
def test_a_chart_with_gaps_is_refused(bad: npt.ArrayLike) -> None:
    with pytest.raises(SurveillanceError, match="z_levels"):
        westgard(bad)
