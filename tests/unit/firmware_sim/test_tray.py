"""The tray of the one printer whose paper a real person must be able to take."""

from firmware_sim.instruments.printer.printer import Printer
from firmware_sim.tray import TAKEN_AFTER_S, Tray

PNG = b"\x89PNG"
CUT = b"\x1dV\x00"


def test_a_slip_lies_there_until_it_is_taken_or_another_comes_out() -> None:
    now = [0.0]
    tray = Tray(lambda: now[0])
    seen = [tray.slip]
    tray.lay(b"first")
    now[0] = TAKEN_AFTER_S - 1
    seen.append(tray.slip)
    tray.lay(b"second")
    now[0] += TAKEN_AFTER_S
    seen.append(tray.slip)
    now[0] = 0.0  # forgotten, not hidden
    assert [*seen, tray.slip] == [None, b"first", None, None]


def test_a_printer_with_a_tray_lays_its_slips_there_and_one_without_keeps_none() -> None:
    tray = Tray(lambda: 0.0)
    for printer in (Printer("kiosk-1", tray=tray), Printer("kiosk-2")):
        printer.heard(CUT)
    assert tray.slip is not None
    assert tray.slip.startswith(PNG)
