"""From committed signals to alerts that people handle. Rows in, rows out; the life cycle itself is pure.

A poll reads what ingest and analyse have committed since last time, steps each alert by the life cycle, and commits
alerts, their history and the cursors in one transaction: a kill at any point changes nothing or everything. What
cannot be read now (a store not there yet, or down) is read at the next poll. Nothing of `restricted` comes here.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, cast

from backend.accounts.audit import AuditLog
from backend.alerts.following import Place, evidence_of, is_told, place_names
from backend.alerts.life_cycle import Entry, Event, LifeCycleError, Standing, State, Step, opened, step
from backend.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from backend.web.names import Subjects
from backend.web.viewer import Viewer
from backend.web.words import N_
from contracts.clock import Clock
from contracts.signals import Severity, Signal
from stores.errors import StoreError
from stores.state.alerts import AlertEventRow, AlertRow, AlertState
from stores.state.database import Database, Transaction
from stores.state.signals import SignalRow

log = logging.getLogger(__name__)

BATCH: Final = 200  # signals in one transaction
MAX_NOTE_CHARS: Final = 2000
_CHANGED: Final = N_("Somebody was faster: the alert is already in another state. Look at it again.")
_UNKNOWN: Final = N_("There is no such alert.")


class SignalSource(Protocol):
    """Where signals come from: a table of another process, read-only."""

    @property
    def name(self) -> str:
        """The cursor's name."""

    def after(self, last_id: int, limit: int) -> Sequence[SignalRow]:
        """Return the next signals in the order of their ids; StoreError when they cannot be read now."""


class AlertService:
    """All that happens to alerts."""

    def __init__(
        self,
        database: Database,
        *,
        sources: Sequence[SignalSource],
        subjects: Callable[[], Subjects],
        audit: AuditLog,
        clock: Clock,
        changed: Callable[[int], None],
    ) -> None:
        self._database = database
        self._state = AlertState(database)
        self._sources = sources
        self._subjects = subjects
        self._audit = audit
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()  # a person's step and a poll must not judge the same state

    # --- signals -----------------------------------------------------------------------------------

    def poll(self) -> int:
        """Take in new signals of every source that can be read; return how many there were."""
        return sum(self._poll_one(source) for source in self._sources)

    def _poll_one(self, source: SignalSource) -> int:
        place = self._place(source.name)
        try:
            rows = source.after(max(place.last_id - 1, 0), BATCH + 1)
        except StoreError as exc:
            log.debug("signals of %s cannot be read now: %s", source.name, type(exc).__name__)
            return 0
        if not place.is_in(rows):
            self._read_again(source)
            return 0
        found = [row for row in rows if row.id > place.last_id][:BATCH]
        if found or place.again:
            self._take_all(source, found, place)
        return len(found)

    def _take_all(self, source: SignalSource, found: Sequence[SignalRow], place: Place) -> None:
        """Step the alerts of some signals, and remember how far they are read, in one transaction."""
        subjects = self._subjects()
        touched: dict[tuple[str, str], AlertRow] = {}  # readers see a transaction when it is committed, not before
        with self._lock, self._database.begin() as tx:
            for one in found:
                key = one.signal.rule, subjects.prefixed(one.signal.subject)
                row = touched.get(key) or self._state.open_alert(*key)
                if place.again and is_told(one.signal, row, self._state.events_about(*key)):
                    continue
                saved = self._take(tx, one.signal, row, subjects)
                if saved is not None:
                    touched[key] = saved
            self._keep_place(tx, source.name, place.behind(found, all_read=len(found) < BATCH))
        for alert in touched.values():
            self._changed(alert.id)

    def _place(self, source: str) -> Place:
        return Place(*(self._state.cursor(name) for name in place_names(source)))

    def _keep_place(self, tx: Transaction, source: str, place: Place) -> None:
        for name, value in zip(place_names(source), place, strict=True):
            self._state.set_cursor(tx, name, value)

    def _read_again(self, source: SignalSource) -> None:
        """That process lost its state, and numbers its signals from 1 again."""
        log.warning("%s lost its signals and began anew: reading them from the start", source.name)
        with self._database.begin() as tx:
            self._keep_place(tx, source.name, Place(again=1))

    def _take(self, tx: Transaction, signal: Signal, row: AlertRow | None, subjects: Subjects) -> AlertRow | None:
        """Step the alert of one signal; return it as saved, None when nothing changed."""
        if row is None:
            if signal.phase == "cleared":
                return None  # over before it was ever open, or already resolved
            return self._save(tx, _new_row(signal, subjects), opened(signal.severity), signal)
        done = step(_standing(row), signal.phase, severity=signal.severity)
        return self._save(tx, row, done, signal) if done.entry is not None else None

    def _save(self, tx: Transaction, row: AlertRow, done: Step, signal: Signal) -> AlertRow:
        raised = signal.phase == "raised"
        evidence = evidence_of(signal)
        saved = self._state.save(
            tx,
            replace(
                _stepped(row, done.standing),
                last_ns=signal.found_ns if raised else row.last_ns,
                cleared_ns=None if raised else signal.found_ns,
                evidence=evidence if raised else row.evidence,
                signal_key=f"{signal.rule}/{signal.subject}/{signal.onset_ns}",
            ),
        )
        self._record(tx, saved, signal.found_ns, done.entry, None, "")
        return saved

    # --- people ------------------------------------------------------------------------------------

    def acknowledge(self, alert_id: int, viewer: Viewer, note: str) -> AlertRow:
        """Take an alert on oneself."""
        return self._person(alert_id, viewer, "acknowledged", note)

    def add_note(self, alert_id: int, viewer: Viewer, note: str) -> AlertRow:
        """Write something down without another change."""
        if not note:
            raise InputError(N_("The note is empty."))
        return self._person(alert_id, viewer, "note", note)

    def resolve(self, alert_id: int, viewer: Viewer, note: str) -> AlertRow:
        """Close an alert; one that its rule does not call over needs a note."""
        return self._person(alert_id, viewer, "resolved", note)

    def _person(self, alert_id: int, viewer: Viewer, event: Event, note: str) -> AlertRow:
        if len(note) > MAX_NOTE_CHARS:
            raise InputError(N_("At most %(characters)s characters."), characters=MAX_NOTE_CHARS)
        now_ns = self._clock.now_ns()
        with self._lock, self._database.begin() as tx:
            row = self._known(alert_id)
            if not may_handle(viewer, row):
                raise NotAllowedError(N_("Your role does not allow this."))
            if event == "resolved" and not row.cleared and not note:
                raise InputError(N_("By its rule this is not over: say in a note why you close it."))
            try:
                done = step(_standing(row), event)
            except LifeCycleError as exc:
                raise ConflictError(_CHANGED) from exc
            saved = self._state.save(tx, _signed(_stepped(row, done.standing), event, viewer.name, now_ns))
            self._record(tx, saved, now_ns, done.entry, viewer.name, note)
            self._audit.note(tx, viewer.name, f"alert_{event}", f"alert/{alert_id}")
        self._changed(alert_id)
        return saved

    def _record(
        self, tx: Transaction, alert: AlertRow, at_ns: int, entry: Entry | None, actor: str | None, note: str
    ) -> None:
        if entry is not None:
            row = AlertEventRow(
                id=0,
                alert_id=alert.id,
                at_ns=at_ns,
                event=entry,
                actor=actor,
                note=note,
                evidence=alert.evidence,
            )
            self._state.add_event(tx, row)

    # --- reading -----------------------------------------------------------------------------------

    def alert(self, alert_id: int) -> AlertRow:
        """Return an alert; NotFoundError when there is none."""
        return self._known(alert_id)

    def history(self, alert_id: int) -> list[AlertEventRow]:
        """Return what happened to it, oldest first."""
        return self._state.events(alert_id)

    def alerts(self, *, state: str | None, limit: int, before_id: int | None = None) -> list[AlertRow]:
        """Return alerts, newest first."""
        return self._state.alerts(state=state, limit=limit, before_id=before_id)

    def open_alerts(self) -> list[AlertRow]:
        """Return what is not resolved."""
        return self._state.open_alerts()

    def _known(self, alert_id: int) -> AlertRow:
        row = self._state.alert(alert_id)
        if row is None:
            raise NotFoundError(_UNKNOWN)
        return row


def may_handle(viewer: Viewer, alert: AlertRow) -> bool:
    """Tell whether this person may answer this alert: an officer any, others those about a device."""
    if viewer.may("handle_any_alert"):
        return True
    return alert.device is not None and viewer.may("handle_device_alert")


def _standing(row: AlertRow) -> Standing:
    return Standing(
        state=cast("State", row.state), severity=cast("Severity", row.severity), cleared=row.cleared, count=row.count
    )


def _stepped(row: AlertRow, standing: Standing) -> AlertRow:
    return replace(
        row, state=standing.state, severity=standing.severity, cleared=standing.cleared, count=standing.count
    )


def _signed(row: AlertRow, event: Event, name: str, now_ns: int) -> AlertRow:
    if event == "acknowledged":
        return replace(row, acknowledged_ns=now_ns, acknowledged_by=name)
    return replace(row, resolved_ns=now_ns, resolved_by=name) if event == "resolved" else row


def _new_row(signal: Signal, subjects: Subjects) -> AlertRow:
    subject = subjects.prefixed(signal.subject)
    return AlertRow(
        id=0,
        rule=signal.rule,
        subject=subject,
        district=subjects.district,
        zone=signal.zone or subjects.zone_of(signal.subject),
        site=subjects.site_of(signal.subject),
        device=signal.subject if subject.startswith("device/") else None,
        severity=signal.severity,
        state="firing",
        cleared=False,
        count=1,
        opened_ns=signal.found_ns,
        last_ns=signal.found_ns,
        cleared_ns=None,
        acknowledged_ns=None,
        acknowledged_by=None,
        resolved_ns=None,
        resolved_by=None,
        signal_key="",
        evidence="{}",
    )
