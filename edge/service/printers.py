"""How the printers are: asked now and then by one thread of the process, whether or not anybody tests.

The asking has a period of its own, so that it tells nothing of visitors. While a slip is made nobody asks: a printer
talks to one host at a time. What is learnt goes to the screen (a fault) and into health at a window's end (the paper).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

PERIOD_S: Final = 20.0  # real
LEVELS: Final = {"ok": 2.0, "low": 1.0, "out": 0.0}  # the metric paper_level

Paper = Literal["ok", "low", "out", "unknown"]
PrinterFault = Literal["paper", "printer"]
Look = Callable[[], tuple[Paper, PrinterFault | None]]


@dataclass
class Printer:
    """One printer as it was last seen. `busy` tells whether a slip is on its way, `said` is told of a fault or None."""

    look: Look
    busy: Callable[[], bool]
    said: Callable[[PrinterFault | None], None]
    paper: Paper = "unknown"

    def level(self) -> dict[str, float]:
        """Return the paper's level for health; nothing while it is unknown."""
        level = LEVELS.get(self.paper)
        return {} if level is None else {"paper_level": level}

    def ask(self) -> None:
        """Ask, unless a slip is being printed; an answer that a slip has cut short counts for nothing."""
        if self.busy():
            return
        paper, fault = self.look()
        if fault == "printer" and self.busy():
            return
        self.paper = paper
        self.said(fault)


class PrinterRounds:
    """Goes round the printers that were added, in a thread of its own."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._printers: list[Printer] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, printer: Printer) -> Callable[[], None]:
        """Ask this one from now on; returns what ends that."""
        with self._lock:
            self._printers.append(printer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="printers", daemon=True)
                self._thread.start()
        self._wake.set()

        def end() -> None:
            with self._lock:
                self._printers.remove(printer)

        return end

    def close(self) -> None:
        """Ask no more."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                printers = list(self._printers)
            for printer in printers:
                printer.ask()
            self._wake.wait(self._period_s)
            self._wake.clear()
