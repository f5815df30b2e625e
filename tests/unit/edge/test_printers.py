"""How printers are asked: not while they print, by a period of their own, and what is told of it."""

import threading
from typing import Literal

import pytest

from contracts.metrics import METRICS
from edge.service.printers import LEVELS, Paper, Printer, PrinterRounds

Answer = tuple[Paper, Literal["paper", "printer"] | None]


class Bench:
    def __init__(self, answer: Answer = ("ok", None), *, busy: bool = False) -> None:
        self.answer = answer
        self.busy = busy
        self.busy_after = busy
        self.told: list[str | None] = []
        self.asked = threading.Event()

    def look(self) -> Answer:
        self.asked.set()
        self.busy = self.busy_after
        return self.answer

    def printer(self) -> Printer:
        return Printer(self.look, lambda: self.busy, self.told.append)


def test_a_printer_that_works_is_told_of_as_working() -> None:
    bench = Bench()
    printer = bench.printer()
    printer.ask()
    assert (bench.told, printer.level()) == ([None], {"paper_level": 2.0})


def test_paper_that_ended_is_a_fault_and_a_level() -> None:
    bench = Bench(("out", "paper"))
    printer = bench.printer()
    printer.ask()
    assert (bench.told, printer.level()) == (["paper"], {"paper_level": 0.0})


def test_nobody_asks_while_a_slip_is_made() -> None:
    bench = Bench(busy=True)
    bench.printer().ask()
    assert not bench.asked.is_set()
    assert bench.told == []


def test_an_answer_that_a_slip_has_cut_short_counts_for_nothing() -> None:
    bench = Bench(("unknown", "printer"))
    bench.busy_after = True
    bench.printer().ask()
    assert bench.told == []


def test_an_unknown_level_is_not_told() -> None:
    printer = Bench(("unknown", "printer")).printer()
    printer.ask()
    assert printer.level() == {}


def test_the_levels_are_those_that_the_gateway_takes() -> None:
    for level in LEVELS.values():
        METRICS["paper_level"].check(level)


def test_a_printer_is_asked_when_it_is_added_and_no_more_after_its_end() -> None:
    rounds = PrinterRounds(period_s=3600)
    bench = Bench()
    end = rounds.add(bench.printer())
    assert bench.asked.wait(5)
    end()
    rounds.close()


@pytest.mark.parametrize("printers", [0, 3])
def test_the_rounds_end_when_told(printers: int) -> None:
    rounds = PrinterRounds(period_s=3600)
    for _ in range(printers):
        rounds.add(Bench().printer())
    rounds.close()
