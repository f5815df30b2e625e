"""One instrument at work, in lines for a technician: no broker, no key, nothing kept.

Of an analyser only that it speaks is shown: a result is nobody's to read here.
"""

from collections.abc import Callable
from typing import Final

from contracts.clock import Clock
from contracts.metrics import METRICS
from edge.ports import (
    Found,
    Happening,
    Ignored,
    Lost,
    OrderSettled,
    OrderWanted,
    Reported,
    Sampled,
    Sensor,
    Waiter,
    WireAnalyser,
)

SAMPLE_EVERY_S: Final = 2.0
LONGEST_WAIT_S: Final = 0.5  # notices a stop


def print_sensor(
    sensor: Sensor, clock: Clock, waiter: Waiter, stopped: Callable[[], bool], show: Callable[[str], None]
) -> None:
    """Sample and show until stopped."""
    sample_s = clock.real_s()
    while not stopped():
        now_s = clock.real_s()
        if now_s >= sample_s:
            sensor.sample(now_s)
            sample_s = now_s + SAMPLE_EVERY_S
        for happening in sensor.step(now_s):
            show(_line(happening))
        waiter.wait([sensor.fileno()], _writing(sensor), _wait_s(clock, sensor.deadline_s(), sample_s))
    sensor.close()


def print_analyser(
    analyser: WireAnalyser, clock: Clock, waiter: Waiter, stopped: Callable[[], bool], show: Callable[[str], None]
) -> None:
    """Listen, order nothing, take no result, and show that until stopped."""
    while not stopped():
        happenings = analyser.step(clock.real_s())
        while happenings:
            happening = happenings.pop(0)
            show(_line(happening))
            if isinstance(happening, OrderWanted):
                happenings += analyser.order(None, clock.now_ns(), clock.real_s())
            elif isinstance(happening, Reported):
                happenings += analyser.not_kept(clock.real_s())  # whoever keeps results will be offered it again
        waiter.wait([analyser.fileno()], _writing(analyser), _wait_s(clock, analyser.deadline_s()))
    analyser.close()


def _wait_s(clock: Clock, *deadlines_s: float) -> float:
    return min(LONGEST_WAIT_S, *(deadline_s - clock.real_s() for deadline_s in deadlines_s))


def _writing(driver: Sensor | WireAnalyser) -> list[int]:
    return [driver.fileno()] if driver.wants_write() else []


_PHRASES: Final[dict[type, str]] = {
    Lost: "lost: no answer",
    OrderWanted: "asks for orders: answered with none",
    OrderSettled: "answered",
    Reported: "offers a result: not taken, and not shown",
}


def _line(happening: Happening) -> str:
    match happening:
        case Found(model, firmware):
            return f"found {model} {firmware}".rstrip()
        case Sampled(values):
            return "  ".join(f"{name} {value:.1f} {METRICS[name].unit}" for name, value in values.items())
        case Ignored(reason):
            return f"passed over: {reason}"
        case _:
            return _PHRASES[type(happening)]
