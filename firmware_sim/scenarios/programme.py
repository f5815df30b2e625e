"""Which scenario plays: by name, and `quiet` wherever the named one has no data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from firmware_sim.errors import ConfigError
from firmware_sim.scenarios.replay import Replay
from firmware_sim.scenarios.source import Week, WeekSource
from firmware_sim.scenarios.synthetic import Outbreak, Quiet

QUIET = "quiet"
SCENARIOS: Mapping[str, Callable[[int], WeekSource]] = MappingProxyType(
    {QUIET: Quiet, "outbreak": Outbreak, "replay": lambda seed: Replay(seed=seed)}
)


@dataclass(frozen=True, slots=True)
class Programme:
    """Implements WeekSource: the named scenario, then quiet."""

    name: str
    main: WeekSource
    quiet: Quiet

    def week(self, zone: str, sunday: date) -> Week:
        """The scenario's week, or a quiet one."""
        return self.main.week(zone, sunday) or self.quiet.week(zone, sunday)

    def end(self, zone: str) -> date | None:
        """From which day on it is quiet; None when the scenario never ends."""
        return self.main.end(zone)


def programme(name: str, *, seed: int) -> Programme:
    """The scenario of that name.

    Raises:
        ConfigError: there is none; the sentence lists them.
    """
    maker = SCENARIOS.get(name)
    if maker is None:
        raise ConfigError(f"there is no scenario {name!r}; choose one of {', '.join(SCENARIOS)}")
    return Programme(name, maker(seed), Quiet(seed))
