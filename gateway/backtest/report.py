"""The back-test's section of docs/EVIDENCE.md: what was run, the bars, the tables, what ours is worse at. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.backtest import findings, weekly, worlds
from gateway.backtest.findings import Comparison, false_rows
from gateway.backtest.methods import OURS
from gateway.backtest.real import CITY_KIOSKS, KIOSKS_A_ZONE
from gateway.backtest.run import CALIBRATED, TEXTBOOK, DelayRow, Results
from gateway.backtest.scoring import Delay, Rate

BEGIN, END = "<!-- backtest:begin -->", "<!-- backtest:end -->"
_SHOWN_KIND: Final = worlds.KINDS[0]
_MANY_MISSED: Final = 0.5


def section(results: Results, labels: Mapping[str, str], command: str) -> str:
    """Everything between the marks, the marks included."""
    parts = [
        BEGIN,
        "## Back-test",
        "",
        _how(results, command),
        "### The bars",
        "",
        *_bars(results),
        "",
        "### False alarms at textbook thresholds",
        "",
        "![False signals a fortnight by method](evidence/false_alarms.svg)",
        "",
        *_false_table(results, labels),
        "",
        "### Delay at the same measured false-alarm rate",
        "",
        *[
            f"![Outbreaks found, {volume} tests a day and zone](evidence/found_{volume}.svg)"
            for volume in worlds.VOLUMES
        ],
        "",
        *_delay_table(results, labels),
        "",
        "### Real data",
        "",
        *_real(results, labels),
        "",
        "### What ours is worse at",
        "",
        *_worse(results, labels),
        END,
    ]
    return "\n".join(parts) + "\n"


def _how(results: Results, command: str) -> str:
    volumes, kiosks, factors = (
        ", ".join(map(str, v)) for v in (worlds.VOLUMES, worlds.KIOSKS.values(), worlds.FACTORS)
    )
    return f"""Written by `{command}`: {results.seeds} seeds for every world, base seed {worlds.SEED}. Limits
are chosen on one set of seeds (calibration), everything below is measured on another (evaluation). Jobs change no bit.
All rows with their intervals: `docs/evidence/false_alarms.csv`, `delays.csv`, `real.csv`.

**Worlds**: {worlds.ZONES} zones and the district, share {worlds.P0:.0%} (a zone's own is lognormal around it, sd
{worlds.SPREAD:.0%}, as in the real district's areas), {volumes} tests a day and zone ({kiosks} kiosks), {worlds.DAYS}
days of which {worlds.FOLLOWED_D} count; a weekday pattern throughout; *closed*: no tests on Sundays and
{worlds.CLOSED_SHARE:.0%} of the other days; *growing*: volume grows fourfold. **Outbreaks**: the share of one zone
times {factors} for one or two weeks, half as high on its first and last day. **Noise**: each kiosk's daily release
(DESIGN §7). Not simulated: drifting shares, late releases, kiosks that fail.

**A signal** is raised by an alarm after three days without one, for every method alike. *Delay* 0 is the first day's
own numbers; *found* is an alarm in the zone or the district until a week after the end; a median is *missed* when more
than half of the seeds are. *Textbook*: each source's own limits (EARS 3, 3, 2 on counts, ESSENCE's red, Farrington's α
of 5 %, 5 % of a week's tests; ours: the committed table for one alarm in 14 days). *Calibrated*: each method gets the
limit, one for zones and one for the district, at which its false signals in the calibration seeds are one in 14 days.
*Floor*: told of the noise (docs/adr/0007). Intervals are at 95 %.
"""


def _bars(results: Results) -> list[str]:
    within = findings.budget(results, noise=True)
    days = findings.ratio_to_c3(results, lambda row: row.alarm_days, noise=True)
    signals = findings.ratio_to_c3(results, lambda row: row.signals.mean, noise=True)
    plain = findings.compare(results, findings.RIVALS, noise=True)
    told = findings.compare(results, (*findings.RIVALS, *findings.TOLD), noise=True)
    worst_days, worst_signals = max(days.values()), max(signals.values())
    signals_held = sum(ratio <= findings.MOST_OF_C3 for ratio in signals.values())
    rows = [
        (
            "false signals a fortnight, noise on, all worlds (budget 1.00)",
            f"{within.mean:.3f} ({within.low:.3f} to {within.high:.3f}); "
            f"alone, {within.worlds_within} of {within.worlds} worlds hold it",
            "budget within the 95 % interval",
            within.met,
        ),
        _compared("median delay ≤ C1-C3's and ESSENCE's, calibrated, noise on", plain),
        _compared("the same, the rivals told of the noise (floor) as well", told),
        (
            "false-alarm days ÷ C3's, textbook, noise on, worst world",
            f"{worst_days:.2f}",
            "≤ 0.25 in every world",
            worst_days <= findings.MOST_OF_C3,
        ),
        (
            "false signals ÷ C3's (C3's runs of days count once), worst world",
            f"{worst_signals:.2f}; held in {signals_held} of {len(signals)} worlds",
            "≤ 0.25 in every world",
            worst_signals <= findings.MOST_OF_C3,
        ),
    ]
    table = ["| what | measured | bar | |", "|---|---|---|---|"]
    table += [f"| {what} | {value} | {bar} | {'met' if met else '**missed**'} |" for what, value, bar, met in rows]
    return table


def _compared(what: str, comparison: Comparison) -> tuple[str, str, str, bool]:
    measured = f"{comparison.held} of {comparison.scenarios} scenarios ({comparison.unseen} of them missed by all)"
    return what, measured, "three quarters", comparison.met


def _false_table(results: Results, labels: Mapping[str, str]) -> list[str]:
    heads = ["without noise", "with noise", "with noise, least to most of the worlds", "alarm days, with noise"]
    table = [
        "Signals of the whole district (seven streams) in 14 days, mean of the worlds; the budget is 1.",
        "",
        f"| method | {' | '.join(heads)} |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, label in labels.items():
        noisy = false_rows(results, TEXTBOOK, noise=True, method=name)
        exact = false_rows(results, TEXTBOOK, noise=False, method=name)
        if not noisy:
            continue
        means = [row.signals.mean for row in noisy]
        without = f"{_mean([row.signals.mean for row in exact]):.2f}" if exact else "-"
        spread = f"{min(means):.2f} to {max(means):.2f}"
        table.append(
            f"| {label} | {without} | {_mean(means):.2f} | {spread} | {_mean([row.alarm_days for row in noisy]):.2f} |"
        )
    ours = [f"{r.kind} {r.volume}: {_rate(r.signals)}" for r in false_rows(results, TEXTBOOK, noise=True)]
    return [*table, "", f"Ours in each world, with noise (95 %): {'; '.join(ours)}."]


def _delay_table(results: Results, labels: Mapping[str, str]) -> list[str]:
    rows = [r for r in results.delays if r.setting == CALIBRATED and r.noise and r.kind == _SHOWN_KIND]
    names = [name for name in labels if any(row.method == name for row in rows)]
    by: dict[tuple[int, int, int], dict[str, DelayRow]] = {}
    for row in rows:
        by.setdefault((row.volume, row.factor, row.days), {})[row.method] = row
    table = [
        f"Median delay in days (95 % limits) and the share found; noise on, kind *{_SHOWN_KIND}*. "
        "The other kinds: `delays.csv`.",
        "",
        f"| tests | outbreak | {' | '.join(labels[name] for name in names)} |",
        "|---:|---|" + "---|" * len(names),
    ]
    for (volume, factor, days), methods in sorted(by.items()):
        cells = [_delay(methods[name].delay) if name in methods else "" for name in names]
        table.append(f"| {volume} | ×{factor}, {days} d | {' | '.join(cells)} |")
    return table


def _real(results: Results, labels: Mapping[str, str]) -> list[str]:
    said = f"""Textbook limits. Nobody knows which of these alarms were false, so waves are found in hindsight: a share
at least doubled for three weeks against the eight before. *Outside*: alarms without a wave's start in the last twelve
weeks. Ours takes its baseline from the eight weeks that end two weeks before. Noise of {KIOSKS_A_ZONE} kiosks a zone,
{CITY_KIOSKS} in the city. Farrington looks three years back here, which leaves it the city's last weeks.
Sources: `docs/evidence/data/README.md`.
"""
    table = [
        said,
        "![The city's days with the alarms of ours and of C3](evidence/city.svg)",
        "",
        "| series | method | noise | windows judged | alarms | outside | waves found | median delay, windows |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in results.real:
        delay = "-" if math.isnan(row.median_delay) else f"{row.median_delay:g}"
        words = [row.data, labels[row.method], "on" if row.noise else "off", row.judged, row.alarms, row.outside]
        table.append(f"| {' | '.join(map(str, words))} | {row.found} of {row.waves} | {delay} |")
    return table


def _worse(results: Results, labels: Mapping[str, str]) -> list[str]:
    every = (*findings.RIVALS, *findings.TOLD, "positivity", weekly.NAME)
    exact = findings.compare(results, findings.RIVALS, noise=False)
    missed = [findings.scenario(r) for r in _ours(results) if r.delay.found < _MANY_MISSED]
    return [
        "Scenarios in which a rival's median is earlier than ours, everyone calibrated, noise on (the bars count",
        "C1-C3 and ESSENCE; a fixed share needs no baseline, and here its limit was chosen for this very mean share):",
        "",
        *_earlier(findings.compare(results, every, noise=True), labels),
        "",
        f"- Without noise ours is as early as C1-C3 and ESSENCE or earlier in {exact.held} of {exact.scenarios}."
        + ("" if not exact.earlier else f" Not in: {_joined(one.scenario for one in exact.earlier)}."),
        f"- Ours misses more than half of the outbreaks of: {_joined(missed)}.",
        *_budget_worlds(results),
        *_real_worse(results, labels),
    ]


def _earlier(comparison: Comparison, labels: Mapping[str, str]) -> list[str]:
    by: dict[findings.Scenario, list[findings.Earlier]] = {}
    for one in comparison.earlier:
        by.setdefault(one.scenario, []).append(one)
    rows = [
        f"| {_named(key)} | {_days(rivals[0].ours)} | "
        f"{', '.join(f'{labels[one.rival]} {_days(one.theirs)}' for one in rivals)} |"
        for key, rivals in by.items()
    ]
    return ["| scenario | ours | earlier |", "|---|---:|---|", *rows] if rows else ["None."]


def _budget_worlds(results: Results) -> list[str]:
    outside = [
        r for r in false_rows(results, TEXTBOOK, noise=True) if not r.signals.low <= findings.BUDGET <= r.signals.high
    ]
    told = "; ".join(f"{r.kind} {r.volume}: {_rate(r.signals)}" for r in outside)
    exact = findings.budget(results, noise=False)
    return [
        f"- Worlds whose own interval does not hold the budget, noise on: {told or 'none'}.",
        f"- Without noise its thresholds, made for noise, give {exact.mean:.2f} ({exact.low:.2f} to {exact.high:.2f}) "
        "false signals a fortnight.",
    ]


def _real_worse(results: Results, labels: Mapping[str, str]) -> list[str]:
    said = []
    for row in results.real:
        fewer = [r for r in results.real if r.data == row.data and r.noise == row.noise and r.outside < row.outside]
        if row.method == OURS and row.noise and fewer:
            names = ", ".join(f"{labels[r.method]} {r.outside}" for r in fewer)
            said.append(
                f"- {row.data}: ours alarms {row.outside} times outside waves; fewer: {names}. "
                "Real shares drift by more than chance, and a CUSUM alarms again and again.",
            )
    return said


def _ours(results: Results) -> list[DelayRow]:
    return [r for r in results.delays if r.method == OURS and r.setting == CALIBRATED and r.noise]


def _joined(scenarios: Iterable[findings.Scenario]) -> str:
    names = [_named(one) for one in dict.fromkeys(scenarios)]
    return "; ".join(names) or "none"


def _named(scenario: findings.Scenario) -> str:
    kind, volume, factor, days = scenario
    return f"{kind} {volume}, ×{factor} for {days} d"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rate(rate: Rate) -> str:
    return f"{rate.mean:.2f} ({rate.low:.2f} to {rate.high:.2f})"


def _days(days: float) -> str:
    return "missed" if math.isinf(days) else f"{days:g}"


def _delay(delay: Delay) -> str:
    if math.isinf(delay.median):
        return f"missed, {delay.found:.0%}"
    high = "…" if math.isinf(delay.high) else f"{delay.high:g}"
    return f"{delay.median:g} ({delay.low:g}-{high}), {delay.found:.0%}"
