"""A four-module analyser: people put cartridges in, the host names the runs, results go to the host.

Modules, questions and results after docs/protocols/genexpert.md. Run times and stamps are district time, the line's
time-outs real. Nothing of a run is logged: what the analyser knows of visitors leaves it on its line only.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from firmware_sim.chance import below
from firmware_sim.clock import NS_PER_S, DistrictClock, local_time
from firmware_sim.errors import NoFreeModuleError, RecordError
from firmware_sim.faults import Fault
from firmware_sim.instruments.genexpert import messages
from firmware_sim.instruments.genexpert.assays import ASSAYS, Assay
from firmware_sim.instruments.genexpert.line import AnalyserLine
from firmware_sim.instruments.genexpert.physics import measure
from firmware_sim.outcome import Arrival, Control, Outcome

_log = logging.getLogger(__name__)

MODULES = 4
ANSWER_TIMEOUT_S = 60.0  # real; then the question is withdrawn
ASK_AGAIN_S = 120.0  # simulated, and never sooner than
ASK_AGAIN_REAL_S = 1.0
PATIENCE_S = 3 * 3600.0  # simulated; then the person leaves
DOOR_S = 2700.0  # simulated, from the start of a run to the opening of the cabinet's door: a host's usual T_max
UPLOAD_AGAIN_S = 30.0  # simulated, before the second upload of a doubled result
_DRIFT_CYCLES_A_RUN = 0.02
_CLOCK_JUMP_S = 86_400


@dataclass(frozen=True, slots=True)
class AnalyserSettings:
    """One analyser."""

    device: str
    seed: int = 1
    assay: str = "SARSCOV2"  # of control cartridges; visitors' runs have the assay of their order
    modules: int = MODULES
    door_s: float = DOOR_S
    patience_s: float = PATIENCE_S
    utc_offset_s: int = -5 * 3600
    answer_timeout_s: float = ANSWER_TIMEOUT_S
    fault: Fault = Fault.NONE


class Guest(Protocol):
    """Somebody at the kiosk's screen."""

    async def check_in(self) -> bool:
        """Whether the kiosk now waits for the cartridge."""

    async def leave(self) -> None:
        """Done at the screen."""


class Analyser:
    """Runs in one event loop. `insert` puts a cartridge in; `run` lets a scenario's people come."""

    def __init__(self, settings: AnalyserSettings, clock: DistrictClock) -> None:
        self.line = AnalyserLine(settings.device, fault=settings.fault, on_message=self._on_message)
        self._settings = settings
        self._clock = clock
        self._identity = messages.Identity(settings.device, serial=800_000 + below(100_000, settings.device, "serial"))
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for module in range(1, settings.modules + 1):
            self._free.put_nowait(module)
        self._speaking = asyncio.Lock()
        self._answer: asyncio.Future[messages.Order | None] | None = None
        self._messages = below(10**9, settings.device, clock.simulated_anchor_ns, "message")
        self._runs = 0
        self._visits: set[asyncio.Task[None]] = set()
        self._at_screen = asyncio.Lock()  # a kiosk has one screen

    @property
    def free_modules(self) -> int:
        """How many cartridges can go in now."""
        return self._free.qsize()

    def insert(self, outcome: Outcome) -> None:
        """Put a cartridge in a free module and go on with it in the background.

        Raises:
            NoFreeModuleError: all are taken.
        """
        try:
            module = self._free.get_nowait()
        except asyncio.QueueEmpty:
            raise NoFreeModuleError("every module is taken") from None
        self._begin(module, outcome, self._clock.now_ns(), None)

    async def run(self, people: Iterator[Arrival], guest: Callable[[int], Guest] | None = None) -> None:
        """Let people come, each when it is time and a module is free; who waits too long leaves.

        `guest` makes, from the instant they came, who goes to the kiosk's screen; None where a kiosk has no screen.
        """
        for arrival in people:
            await self._clock.sleep_until(arrival.at_ns)
            module = await self._free.get()
            if self._clock.now_ns() - arrival.at_ns > self._settings.patience_s * NS_PER_S:
                self._free.put_nowait(module)
                continue
            screened = guest is not None and arrival.outcome.control is None
            who = guest(arrival.at_ns) if guest is not None and screened else None
            self._begin(module, arrival.outcome, arrival.at_ns, who)

    async def stop(self) -> None:
        """Switch off: what is in the modules is lost."""
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    # --- one cartridge --------------------------------------------------------------------------------

    def _begin(self, module: int, outcome: Outcome, since_ns: int, guest: Guest | None) -> None:
        visit = asyncio.create_task(self._visit(module, outcome, since_ns, guest))
        self._visits.add(visit)
        visit.add_done_callback(self._visited)

    def _visited(self, visit: asyncio.Task[None]) -> None:
        self._visits.discard(visit)
        if not visit.cancelled() and visit.exception() is not None:
            _log.error("%s: a module failed: %s", self._settings.device, type(visit.exception()).__name__)

    async def _visit(self, module: int, outcome: Outcome, since_ns: int, guest: Guest | None) -> None:
        try:
            if outcome.control is not None:
                order: messages.Order | None = self._control_order(outcome.control)
            elif guest is not None:
                order = await self._order_at_screen(guest, since_ns)
            else:
                order = await self._order_for(since_ns)
            if order is not None:
                await self._run_cartridge(module, order, outcome)
        finally:
            self._free.put_nowait(module)

    async def _order_at_screen(self, guest: Guest, since_ns: int) -> messages.Order | None:
        """The order behind a check-in; None when they lost patience. Nobody else is at the kiosk meanwhile."""
        while True:
            async with self._at_screen:
                if await guest.check_in():
                    order = await self._order_for(since_ns)
                    await guest.leave()
                    return order
            await self._clock.sleep(max(ASK_AGAIN_S, ASK_AGAIN_REAL_S * self._clock.speed))
            if self._clock.now_ns() - since_ns > PATIENCE_S * NS_PER_S:
                return None

    def _control_order(self, control: Control) -> messages.Order:
        number = self._local(self._clock.now_ns()).strftime("%d%H%M")
        return messages.Order(f"QC-{control.value[:3].upper()}-{number}", self._settings.assay)

    async def _run_cartridge(self, module: int, order: messages.Order, outcome: Outcome) -> None:
        started_ns = self._clock.now_ns()
        run, duration_s = self._prepare(module, order, outcome, started_ns)
        await self._clock.sleep_until(started_ns + int(duration_s * NS_PER_S))
        await self._deliver(run)
        if outcome.twice or self._settings.fault is Fault.DUPLICATE:
            await self._clock.sleep(UPLOAD_AGAIN_S)
            await self._deliver(run)
        await self._clock.sleep_until(started_ns + int(self._settings.door_s * NS_PER_S))

    def _prepare(
        self, module: int, order: messages.Order, outcome: Outcome, started_ns: int
    ) -> tuple[messages.Run, float]:
        settings = self._settings
        assay = ASSAYS[order.assay_code]
        self._runs += 1
        outcome = self._as_loaded(outcome, assay)
        number = 0 if settings.fault is Fault.STUCK else self._runs
        shift = _DRIFT_CYCLES_A_RUN * self._runs if settings.fault is Fault.DRIFT else 0.0
        key = (settings.seed, "run", settings.device, number, 0 if number == 0 else started_ns)
        measured = measure(outcome, assay, key, ct_shift=shift)
        return (
            messages.Run(
                order=order,
                assay=assay,
                outcome=outcome,
                readings=measured.readings,
                error=measured.error,
                started=self._local(started_ns),
                ended=self._local(started_ns + int(measured.duration_s * NS_PER_S)),
                hardware=self._hardware(module, key),
            ),
            measured.duration_s,
        )

    def _as_loaded(self, outcome: Outcome, assay: Assay) -> Outcome:
        """The outcome with the analyser's own faults, and a control's calls written out."""
        fault = self._settings.fault
        calls = outcome.calls
        if outcome.control is not None:
            passes = outcome.control_passes and fault is not Fault.CONTROL_FAILED
            calls = messages.control_calls(outcome.control, assay, passes=passes)
        late = outcome.late or (fault is Fault.LATE and outcome.control is None)
        return replace(outcome, calls=calls, late=late)

    def _hardware(self, module: int, key: tuple[int | str, ...]) -> str:
        cartridge = 300_000_000 + below(100_000_000, *key, "cartridge")
        serial = self._identity.serial
        return f"Cepheid-{serial:X}^{serial}^{serial * 10 + module}^{cartridge}^03307^20991231"

    # --- talking to the host --------------------------------------------------------------------------

    async def _order_for(self, since_ns: int) -> messages.Order | None:
        """Ask until the host has an order that can be run; None when the person has lost patience."""
        leaves_ns = since_ns + int(self._settings.patience_s * NS_PER_S)
        while await self.line.host_within(self._clock.real_s((leaves_ns - self._clock.now_ns()) / NS_PER_S)):
            order = await self._ask()
            if order is not None and await self._accepts(order):
                return order
            await self._clock.sleep(max(ASK_AGAIN_S, ASK_AGAIN_REAL_S * self._clock.speed))
            if self._clock.now_ns() > leaves_ns:
                break
        return None

    async def _ask(self) -> messages.Order | None:
        async with self._speaking:
            self._answer = asyncio.get_running_loop().create_future()
            try:
                if not await self.line.attempt(messages.query(self._envelope())):
                    return None
                return await asyncio.wait_for(self._answer, self._settings.answer_timeout_s)
            except TimeoutError:
                await self.line.attempt(messages.cancelled_query(self._envelope()))
                return None
            finally:
                self._answer = None

    async def _accepts(self, order: messages.Order) -> bool:
        if not messages.usable_sample(order.sample):
            reason = messages.INVALID_SAMPLE
        elif order.assay_code not in ASSAYS:
            reason = messages.INVALID_ASSAY
        else:
            return True
        _log.warning("%s: order handed back, code %s", self._settings.device, reason)
        async with self._speaking:
            await self.line.attempt(messages.refused_order(self._envelope(), order, reason))
        return False

    async def _deliver(self, run: messages.Run) -> None:
        async with self._speaking:
            await self.line.deliver(messages.upload(self._envelope(), run))

    def _on_message(self, text: bytes) -> None:
        if self._answer is None or self._answer.done():
            _log.warning("%s: the host spoke unasked; dropped", self._settings.device)
            return
        try:
            order = messages.parse_answer(text)
        except RecordError as exc:
            _log.warning("%s: answer not understood: %s", self._settings.device, exc)
            order = None
        self._answer.set_result(order)

    def _envelope(self) -> messages.Envelope:
        self._messages += 1
        jump = self._settings.fault is Fault.CLOCK_JUMP and self._messages % 2
        at_ns = self._clock.now_ns() + (_CLOCK_JUMP_S * NS_PER_S if jump else 0)
        return messages.Envelope(self._identity, self._messages, local_time(at_ns, self._settings.utc_offset_s))

    def _local(self, at_ns: int) -> datetime:
        return local_time(at_ns, self._settings.utc_offset_s)
