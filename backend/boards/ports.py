"""What the boards are joined to; bootstrap does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.boards.evidence import Evidence
from backend.boards.figures import Figures
from backend.web.names import Names
from backend.web.words import Words
from contracts.clock import Clock
from stores.series.port import TimeSeriesStore
from stores.state.alerts import AlertRow


@dataclass(frozen=True, slots=True)
class BoardPorts:
    """Everything a board may ask."""

    store: TimeSeriesStore
    clock: Clock
    simulated: bool
    names: Callable[[Words], Names]
    figures: Callable[[Words], Figures]
    evidence: Callable[[str], Evidence]  # by target
    targets: Callable[[], Sequence[str]]
    open_alerts: Callable[[], Sequence[AlertRow]]
