"""The state of analyse: its signals, and how far it has read releases (for speed only: all else is recomputed)."""

from collections.abc import Sequence

from contracts.signals import Signal
from stores.state.cursors import read_cursor, write_cursors
from stores.state.database import Database
from stores.state.signals import add_signals, newest_signals
from stores.state.tables import ANALYSE_CURSORS


class AnalyseState:
    """One door to the state of analyse."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def commit(self, signals: Sequence[Signal], cursors: dict[str, int]) -> None:
        """Store signals and cursors in one transaction; a signal that is there already changes nothing."""
        with self._database.begin() as connection:
            add_signals(connection, "analyse", signals)
            write_cursors(connection, ANALYSE_CURSORS, cursors)

    def cursor(self, name: str) -> int:
        """Return a cursor, 0 before it was first set."""
        with self._database.read() as connection:
            return read_cursor(connection, ANALYSE_CURSORS, name)

    def signal_states(self) -> dict[tuple[str, str], Signal]:
        """Return the newest signal of each (rule, subject)."""
        return newest_signals(self._database)
