"""What visitors stand before, joined for all kiosks of one process: their screens, and how their printers are.

One server and one thread of rounds a process (a simulated district hosts many kiosks). A kiosk that is taken away, or
starts anew, leaves nothing behind.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from contracts.clock import Clock
from edge.adapters.printer import look
from edge.core.enrolment import Enrolment, VisitTerms
from edge.screen.pages import ScreenFacts
from edge.screen.server import ScreenServer
from edge.service.counter import Counter
from edge.service.printers import Printer, PrinterRounds
from edge.settings import Cabinet

ASK_S: Final = 5.0  # real; a printer's status is answered at once or not at all


@dataclass(frozen=True, slots=True)
class Kiosk:
    """One kiosk, as its screen and its printer need to know it."""

    cabinet: Cabinet
    desk: Counter
    enrolment: Callable[[], Enrolment]  # the newest: notices and layouts change
    assay: str
    clock: Clock


class Front:
    """Screens and printers of one process."""

    def __init__(self) -> None:
        self._screens = ScreenServer()
        self._rounds = PrinterRounds()

    def open(self, kiosk: Kiosk, closing: ExitStack) -> Callable[[], dict[str, float]]:
        """Serve a kiosk until `closing` ends it; returns what tells its paper for health. SettingsError: port taken."""
        paper: Callable[[], dict[str, float]] = dict
        if kiosk.cabinet.printer is not None:
            printer = Printer(
                look=partial(look, kiosk.cabinet.printer.link, timeout_s=ASK_S),
                busy=lambda: kiosk.desk.view().stage == "issuing",
                said=kiosk.desk.printer_said,
            )
            closing.callback(self._rounds.add(printer))
            paper = printer.level
        else:
            kiosk.desk.printer_said("printer")
        if kiosk.cabinet.screen is not None:
            closing.callback(self._screens.add(kiosk.cabinet.screen.port, kiosk.desk, partial(facts_of, kiosk)))
        return paper

    def close(self) -> None:
        """Serve nobody any more."""
        self._screens.close()
        self._rounds.close()


def facts_of(kiosk: Kiosk) -> ScreenFacts:
    """Return what the screen says of the deployment now."""
    enrolment = kiosk.enrolment()
    terms = enrolment.visit_terms()
    told = terms if isinstance(terms, VisitTerms) else None
    return ScreenFacts(
        notice=None if told is None else told.notice,
        targets=enrolment.layout_book().at(kiosk.clock.now_ns()).assay(kiosk.assay).targets,
        utc_offset_s=enrolment.utc_offset_s,
        page_hash="" if told is None else told.page_hash,
        speed=kiosk.clock.speed if kiosk.cabinet.simulated is not None else None,
        slot_url=kiosk.cabinet.screen.slot_url if kiosk.cabinet.screen is not None else None,
    )
