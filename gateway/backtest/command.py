"""`kioskwatch backtest`: runs the comparison, writes CSV, pictures and its section of EVIDENCE.md."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.backtest import figures, real, report, weekly, worlds
from gateway.backtest.findings import BUDGET, false_rows
from gateway.backtest.methods import methods
from gateway.backtest.run import CALIBRATED, TEXTBOOK, Piece, Results, joined, pieces, run, thresholds
from gateway.errors import BacktestError

OPERATOR: Final = 2
CHECKOUT: Final = Path(__file__).parents[2]
DATA: Final = CHECKOUT / "docs" / "evidence" / "data"
OUT: Final = CHECKOUT / "docs"
EVIDENCE: Final = "EVIDENCE.md"
TITLE: Final = (
    "# Evidence\n\nWhat was measured, by which command. Each section is written by its command and by nothing else.\n"
)
SEEDS: Final = 400
LEAST_SEEDS, MOST_SEEDS = 2, 10_000
MOST_JOBS: Final = 64
_SHOWN: Final = ("ours", "c1", "c2", "c3", "essence", "essence-floor", "positivity", weekly.NAME)
_TICK_DAYS: Final = 180

app = typer.Typer(add_completion=False, help="Measure false alarms and delays of every detector; write the evidence.")


@app.command()
def backtest(
    seeds: Annotated[int, typer.Option(min=LEAST_SEEDS, max=MOST_SEEDS, help="simulated districts a world")] = SEEDS,
    jobs: Annotated[int, typer.Option(min=1, max=MOST_JOBS, help="processes; the results are the same")] = 1,
    out: Annotated[Path, typer.Option(help="folder of EVIDENCE.md and evidence/")] = OUT,
    data: Annotated[Path, typer.Option(help="folder of the real series")] = DATA,
) -> None:
    """Compare ours with EARS, ESSENCE, Farrington and a fixed share, with and without the releases' noise."""
    try:
        _check(data)
        results = _measure(pieces(seeds, data), seeds, jobs)
        _write(results, out, f"kioskwatch backtest --seeds {seeds} --jobs {jobs}")
    except BacktestError as exc:
        typer.echo(f"kioskwatch backtest: {exc}", err=True)
        raise typer.Exit(OPERATOR) from exc
    typer.echo(f"written: {out / EVIDENCE} and {out / 'evidence'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    try:
        app(args=None if argv is None else list(argv), prog_name="kioskwatch backtest")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    return 0


def _check(data: Path) -> None:
    for name in real.FILES:
        if not (data / name).is_file():
            raise BacktestError(f"{data / name} is missing: --data names the folder with {', '.join(real.FILES)}")


def _measure(work: Sequence[Piece], seeds: int, jobs: int) -> Results:
    with typer.progressbar(run(work, jobs), length=len(work), label=f"{seeds} seeds", show_pos=True) as progress:
        done = dict(progress)
    return joined(work, done, seeds)


def _write(results: Results, out: Path, command: str) -> None:
    folder = out / "evidence"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("false_alarms", _false(results)), ("delays", _delays(results)), ("real", _real(results))):
            _csv(folder / f"{name}.csv", list(rows))
        for name, picture in _pictures(results):
            (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
        put(out / EVIDENCE, report.section(results, labels(), command))
    except OSError as exc:
        raise BacktestError(f"{out} cannot be written: {exc.strerror}") from exc


def labels() -> Mapping[str, str]:
    """Method names as people read them, in the order of tables."""
    return {name: method.label for name, method in methods(thresholds()).items()} | real.LABELS


def put(page: Path, section: str) -> None:
    """Replace the section between its marks, or add it; the rest of the page stays."""
    text = page.read_text(encoding="utf-8") if page.exists() else TITLE
    before, begin, rest = text.partition(report.BEGIN)
    _, end, after = rest.partition(report.END + "\n")
    if begin and not end:
        raise BacktestError(f"{page} has {report.BEGIN} but no {report.END}: put it back, or take both out")
    page.write_text(before + section + after if begin else f"{text.rstrip()}\n\n{section}", encoding="utf-8")


def _false(results: Results) -> Iterator[dict[str, object]]:
    for row in results.false:
        yield {
            "kind": row.kind,
            "tests_a_day_and_zone": row.volume,
            "noise": row.noise,
            "method": row.method,
            "setting": row.setting,
            "zone_limit": _figure(row.limit),
            "signals_a_fortnight": _figure(row.signals.mean),
            "low_95": _figure(row.signals.low),
            "high_95": _figure(row.signals.high),
            "alarm_days_a_fortnight": _figure(row.alarm_days),
            "seeds": results.seeds,
        }


def _delays(results: Results) -> Iterator[dict[str, object]]:
    for row in results.delays:
        yield {
            "kind": row.kind,
            "tests_a_day_and_zone": row.volume,
            "noise": row.noise,
            "factor": row.factor,
            "outbreak_days": row.days,
            "method": row.method,
            "setting": row.setting,
            "found_share": _figure(row.delay.found),
            "median_delay_days": _figure(row.delay.median),
            "low_95": _figure(row.delay.low),
            "high_95": _figure(row.delay.high),
            "seeds": results.seeds,
        }


def _real(results: Results) -> Iterator[dict[str, object]]:
    for row in results.real:
        yield {
            "series": row.data,
            "method": row.method,
            "noise": row.noise,
            "windows_judged": row.judged,
            "alarms": row.alarms,
            "alarms_outside_waves": row.outside,
            "waves": row.waves,
            "waves_found": row.found,
            "median_delay_windows": _figure(row.median_delay),
        }


def _figure(value: float) -> str:
    """Empty where there is none; "missed" where a delay has no end."""
    if math.isnan(value):
        return ""
    return "missed" if math.isinf(value) else f"{value:.4g}"


def _csv(path: Path, rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _pictures(results: Results) -> Iterator[tuple[str, str]]:
    names = labels()
    rows = []
    for method, label in names.items():
        found = [row.signals for row in false_rows(results, TEXTBOOK, noise=True, method=method)]
        if found:
            mean = sum(rate.mean for rate in found) / len(found)
            rows.append(figures.Bar(label, mean, min(r.mean for r in found), max(r.mean for r in found)))
    title = "False signals at textbook thresholds, with noise (bar: mean of the worlds, line: least to most)"
    yield "false_alarms", figures.bars(title, "signals in 14 days, whole district", rows, reference=(BUDGET, "budget"))
    for volume in worlds.VOLUMES:
        yield f"found_{volume}", _found(results, names, volume)
    city = results.city
    marks = [
        figures.Mark("ours", [at for at, day in enumerate(city) if day.ours]),
        figures.Mark("EARS C3", [at for at, day in enumerate(city) if day.ears]),
    ]
    ticks = [(at, city[at].day[:7]) for at in range(0, len(city), _TICK_DAYS)]
    share = figures.Line("share", [100 * day.share for day in city])
    yield (
        "city",
        figures.marked(
            "The city's days and their alarms, textbook limits, with noise", "% positive, 7 days", ticks, share, marks
        ),
    )


def _found(results: Results, names: Mapping[str, str], volume: int) -> str:
    steps = [(factor, days) for days in worlds.LENGTHS_D for factor in worlds.FACTORS]
    rows = [
        r
        for r in results.delays
        if r.setting == CALIBRATED and r.noise and r.kind == worlds.KINDS[0] and r.volume == volume
    ]
    shares = {(row.method, row.factor, row.days): 100 * row.delay.found for row in rows}
    drawn = [figures.Line(names[name], [shares.get((name, *step), math.nan) for step in steps]) for name in _SHOWN]
    title = f"Outbreaks found at one false signal in 14 days, {volume} tests a day and zone, with noise"
    return figures.lines(title, "% found", [f"×{factor}, {days} d" for factor, days in steps], drawn, most=100.0)
