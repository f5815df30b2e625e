"""The registry as ingest knows it: read again every few seconds, so that a revocation holds within seconds."""

import logging
from collections.abc import Callable
from typing import Final

from contracts.clock import Clock
from gateway.ingest.world import World, world_of
from stores.errors import StoreError
from stores.state.database import Database
from stores.state.devices import load_registry

_LOG = logging.getLogger(__name__)

REFRESH_S: Final = 2.0  # real time; the contract says at most 5
ASK_AGAIN_S: Final = 5.0  # a device that is unknown stays so for as long, or one that floods would have us read always
ASK_FLOOR_S: Final = 0.05  # between two reads, whoever asks: ids that nobody knows cost nothing to make
_ASKED_MAX: Final = 1000


class RegistryReader:
    """Gives the newest known world; keeps the last one while the registry cannot be read."""

    def __init__(self, open_database: Callable[[], Database], clock: Clock) -> None:
        self._clock = clock
        self._database = open_database()
        self._read_s = clock.real_s()
        self._world = world_of(load_registry(self._database))
        self._failing = False
        self._asked_s: dict[str, float] = {}

    def world(self) -> World:
        """Return the world, at most `REFRESH_S` old when the registry can be read."""
        now_s = self._clock.real_s()
        if now_s - self._read_s >= REFRESH_S:
            self._read_s = now_s
            self._refresh()
        return self._world

    def world_with(self, device: str) -> World:
        """Return the world after looking for a device that is not in it: it may have enrolled this very moment."""
        now_s = self._clock.real_s()
        if now_s - self._read_s < ASK_FLOOR_S:
            return self._world
        if now_s - self._asked_s.get(device, float("-inf")) >= ASK_AGAIN_S:
            if len(self._asked_s) >= _ASKED_MAX:
                self._asked_s.clear()
            self._asked_s[device] = self._read_s = now_s
            self._refresh()
        return self._world

    def _refresh(self) -> None:
        try:
            registry = load_registry(self._database)
        except StoreError as exc:
            if not self._failing:
                _LOG.warning("registry: %s; going on with what is known", exc)
            self._failing = True
            return
        self._failing = False
        if registry != self._world.registry:
            self._world = world_of(registry)

    def close(self) -> None:
        """Let go of the registry."""
        self._database.close()
