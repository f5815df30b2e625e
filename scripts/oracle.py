"""Compare our detectors with R's package `surveillance` on the package's own data, and write the outcome down.

    python scripts/oracle.py

Runs scripts/oracle.R (`make oracle` installs Debian's r-cran-surveillance), judges the same weeks of `salmNewport` and
`salmonella.agona` with gateway.surveillance, prints a table and puts it between the oracle's marks in docs/EVIDENCE.md,
leaving the rest of that file alone. Passes, and exits with 0, when every alarm is the same, every limit and CUSUM value
is equal (to 1e-9 of itself: the last digits of two programs), and expected values lie within 1e-3.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats

from gateway.surveillance.arrays import Array, BoolArray
from gateway.surveillance.cusum import CusumPath, betabinomial_lr, binomial_lr, negbinomial_lr, poisson_lr
from gateway.surveillance.ears import Ears, c1, c2
from gateway.surveillance.farrington import flexible

R_SCRIPT = Path(__file__).with_suffix(".R")
EVIDENCE = Path(__file__).parents[1] / "docs" / "EVIDENCE.md"
BEGIN, END = "<!-- oracle:begin -->", "<!-- oracle:end -->"
TITLE = (
    "# Evidence\n\nWhat was measured, by which command. Each section is written by its command and by nothing else.\n"
)

# As in oracle.R.
KAPPA, H, NB_ALPHA, SIGMA, ODDS = 2.0, 4.0, 0.15, 0.02, 2.0
EARS_Z, EARS_FLOOR = float(stats.norm.isf(0.001)), 0.5

LIMITS_EQUAL, EXPECTED_WITHIN = 1e-9, 1e-3


@dataclass(frozen=True, slots=True)
class Judged:
    """One method on one series, by whomever: one entry a judged week, NaN where there is none."""

    limit: Array
    alarm: BoolArray
    expected: Array = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True)
class Case:
    """What R judged: rows of its table for one series and method, and the whole series."""

    rows: list[dict[str, str]]
    series: list[dict[str, str]]

    def column(self, name: str) -> Array:
        """One column of R's table; NaN where it is empty."""
        return np.array([float(row[name] or "nan") for row in self.rows])

    @property
    def counts(self) -> Array:
        """Of the whole series."""
        return np.array([float(row["count"]) for row in self.series])

    @property
    def judged_weeks(self) -> list[int]:
        """Indices into the series."""
        return [int(row["week"]) for row in self.rows]

    def by_r(self) -> Judged:
        """R's own judgement."""
        return Judged(self.column("limit"), self.column("alarm") == 1, self.column("expected"))


def of_ears(method: Callable[..., Ears]) -> Callable[[Case], Judged]:
    """R's rule: an alarm above mean + z sd."""

    def judge(case: Case) -> Judged:
        got = method(case.counts, min_sd=EARS_FLOOR)
        at = case.judged_weeks
        limit = np.asarray(got.mean + EARS_Z * got.sd)[at]
        return Judged(limit, np.asarray(got.value)[at] > EARS_Z)

    return judge


def of_cusum(path: Callable[[Case], CusumPath]) -> Callable[[Case], Judged]:
    """The CUSUM's value takes the place of the limit."""
    return lambda case: Judged(path(case).s, path(case).alarm)


def of_farrington(alpha: float) -> Callable[[Case], Judged]:
    """Our defaults are R's settings in oracle.R."""

    def judge(case: Case) -> Judged:
        got = flexible(case.counts, [row["day"] for row in case.series], case.judged_weeks, alpha=alpha)
        return Judged(got.upper, got.alarm, got.expected)

    return judge


OURS: Mapping[str, Callable[[Case], Judged]] = {
    "EARS C1": of_ears(c1),
    "EARS C2": of_ears(c2),
    "LR-CUSUM Poisson": of_cusum(
        lambda case: poisson_lr(case.column("count"), case.column("mean"), ratio=KAPPA, threshold=H)
    ),
    "LR-CUSUM negative binomial": of_cusum(
        lambda case: negbinomial_lr(case.column("count"), case.column("mean"), ratio=KAPPA, alpha=NB_ALPHA, threshold=H)
    ),
    "LR-CUSUM binomial": of_cusum(
        lambda case: binomial_lr(
            case.column("count"), case.column("tests"), p0=case.column("mean"), odds_ratio=ODDS, threshold=H
        )
    ),
    "LR-CUSUM betabinomial": of_cusum(
        lambda case: betabinomial_lr(
            case.column("count"),
            case.column("tests"),
            p0=case.column("mean"),
            odds_ratio=ODDS,
            dispersion=SIGMA,
            threshold=H,
        )
    ),
    "Farrington nbPlugin 0.05": of_farrington(0.05),
    "Farrington nbPlugin 0.005": of_farrington(0.005),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours against R's, in one row of the table."""

    data: str
    method: str
    weeks: int
    r_alarms: int
    same_alarms: bool
    limit: float  # largest, relative (absolute below 1)
    expected: float  # largest, relative; NaN where the method has none

    @property
    def none(self) -> bool:
        """Whether the bars are met."""
        return self.same_alarms and self.limit <= LIMITS_EQUAL and not self.expected > EXPECTED_WITHIN

    def __str__(self) -> str:
        expected = "" if np.isnan(self.expected) else f"{self.expected:.1e}"
        alarms = f"{self.r_alarms}, identical" if self.same_alarms else f"{self.r_alarms}, DIFFERENT"
        verdict = "equal" if self.none else "**DIFFERENT**"
        return f"| {self.data} | {self.method} | {self.weeks} | {alarms} | {self.limit:.1e} | {expected} | {verdict} |"


def compared(data: str, method: str, case: Case) -> Difference:
    """One row of the table. Where only one of the two has a number the difference is infinite."""
    r, ours = case.by_r(), OURS[method](case)
    return Difference(
        data=data,
        method=method,
        weeks=len(case.rows),
        r_alarms=int(r.alarm.sum()),
        same_alarms=bool((r.alarm == ours.alarm).all()),
        limit=largest(r.limit, ours.limit, floor=1.0),
        expected=largest(r.expected, ours.expected, floor=0.0) if len(ours.expected) else float("nan"),
    )


def largest(theirs: Array, ours: Array, *, floor: float) -> float:
    """The largest relative difference; below `floor` the absolute one over `floor`."""
    if (np.isnan(theirs) != np.isnan(ours)).any():
        return float("inf")
    both = ~np.isnan(theirs)
    difference = np.abs(theirs[both] - ours[both]) / np.maximum(np.abs(theirs[both]), floor)
    return float(np.max(difference, initial=0.0))


def asked_r() -> tuple[str, dict[tuple[str, str], Case]]:
    """R's versions, and its table by series and method."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "r.csv"
        answer = subprocess.run(
            ["Rscript", str(R_SCRIPT), str(table)], check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    by_method: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        by_method.setdefault((row["data"], row["method"]), []).append(row)
    return answer.stdout.strip(), {
        key: Case(found, by_method[key[0], "series"]) for key, found in by_method.items() if key[1] != "series"
    }


def section(versions: str, differences: list[Difference]) -> str:
    """The part of docs/EVIDENCE.md between the marks."""
    verdict = "no difference" if all(one.none for one in differences) else "DIFFERENT"
    head = f"""{BEGIN}
## Independent oracle: R `surveillance`

Written by `make oracle`: {versions}, against `gateway.surveillance`, on the package's own `salmNewport` (weekly)
and `salmonella.agona`. Outcome: **{verdict}**. Bars: identical alarms; limits and CUSUM values equal (to 1e-9);
expected values within 1e-3. Differences are the largest over all judged weeks. Agona has no denominators, so its
shares are of a made-up number of tests; EARS has a floor of 0.5 on the standard deviation; CUSUMs look for a doubling
(of counts, of odds) with h = 4.

| data | method | weeks judged | alarms | limit or CUSUM, largest difference | expected, largest difference | |
|---|---|---|---|---|---|---|
"""
    return head + "\n".join(str(one) for one in differences) + f"\n{END}"


def put_down(text: str, file: Path = EVIDENCE) -> None:
    """Replace what stands between the marks, or add it at the end."""
    before = file.read_text(encoding="utf-8") if file.exists() else TITLE
    if BEGIN in before and END in before:
        head, tail = before.split(BEGIN, 1)[0], before.split(END, 1)[1]
    else:
        head, tail = before.rstrip("\n") + "\n\n", "\n"
    file.write_text(head + text + tail, encoding="utf-8")


def main() -> int:
    """Ask R, compare, write down; 1 when anything differs."""
    versions, cases = asked_r()
    missing = [f"{method} on {data}" for data, method in cases if method not in OURS]
    differences = [compared(data, method, case) for (data, method), case in cases.items() if method in OURS]
    text = section(versions, differences)
    print(text)
    put_down(text)
    if missing or not differences:
        print(f"oracle: nothing of ours to compare with {', '.join(missing) or 'R'}", file=sys.stderr)
        return 1
    return 0 if all(one.none for one in differences) else 1


if __name__ == "__main__":
    sys.exit(main())
