"""Signals into alerts on a real state: one open alert a rule and subject, nothing twice, nothing half."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from backend.accounts.roles import GRANTS, Role
from backend.alerts.projection import AlertProjection
from backend.alerts.service import BATCH, MAX_NOTE_CHARS, AlertService
from backend.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from backend.web.names import Subjects
from backend.web.viewer import Viewer
from contracts.query import SeriesQuery
from contracts.signals import Phase, Severity, Signal
from stores.errors import StoreUnavailableError
from stores.series.lines import parse
from stores.series.port import Series
from stores.state.signals import SignalRow
from tests.unit.backend.conftest import NOW_NS, Parts

MINUTE = 60 * 10**9


@dataclass
class Source:
    """A table of signals, as another process would have committed it."""

    name: str = "ingest"
    rows: list[SignalRow] = field(default_factory=list)
    down: bool = False

    def add(self, *signals: Signal) -> None:
        for signal in signals:
            self.rows.append(SignalRow(len(self.rows) + 1, signal))

    def after(self, last_id: int, limit: int) -> Sequence[SignalRow]:
        if self.down:
            raise StoreUnavailableError("not there yet")
        return [row for row in self.rows if row.id > last_id][:limit]


def signal(
    minute: int = 0,
    phase: Phase = "raised",
    subject: str = "air-2",
    *,
    rule: str = "co2",
    severity: Severity = "warning",
) -> Signal:
    onset = NOW_NS + minute * MINUTE
    zone = None if subject == "turtle-bay" else "z2"
    return Signal(rule, subject, zone, None, severity, phase, onset, onset + MINUTE, {"value": 1600.0 + minute})


@dataclass
class Scene:
    service: AlertService
    source: Source
    changed: list[int]
    parts: Parts

    def poll(self, *signals: Signal) -> None:
        self.source.add(*signals)
        self.service.poll()


@pytest.fixture
def scene(parts: Parts) -> Scene:
    source = Source()
    changed: list[int] = []
    service = AlertService(
        parts.database,
        sources=[source],
        subjects=lambda: Subjects(parts.registry.get()),
        audit=parts.audit,
        clock=parts.clock,
        changed=changed.append,
    )
    return Scene(service, source, changed, parts)


def viewer(role: Role, name: str = "olga") -> Viewer:
    granted = frozenset(str(permission) for permission in GRANTS[role])
    return Viewer(name, role, role, granted, must_change=False, csrf="", session=b"")


def history(scene: Scene, alert: int) -> list[tuple[str, str | None, str]]:
    return [(event.event, event.actor, event.note) for event in scene.service.history(alert)]


def test_a_signal_opens_an_alert_with_its_place_and_its_facts(scene: Scene) -> None:
    scene.poll(signal())
    [row] = scene.service.open_alerts()
    assert (row.rule, row.subject, row.zone, row.site, row.device) == ("co2", "device/air-2", "z2", "hall-2", "air-2")
    assert (row.state, row.count, row.severity, row.opened_ns) == ("firing", 1, "warning", NOW_NS + MINUTE)
    assert '"value":1600.0' in row.evidence
    assert scene.changed == [row.id]


def test_polling_again_and_a_restarted_service_change_nothing(scene: Scene) -> None:
    scene.poll(signal())
    scene.poll()
    again = AlertService(
        scene.parts.database,
        sources=[scene.source],
        subjects=lambda: Subjects(scene.parts.registry.get()),
        audit=scene.parts.audit,
        clock=scene.parts.clock,
        changed=scene.changed.append,
    )
    assert again.poll() == 0
    assert (len(scene.service.alerts(state=None, limit=9)), scene.changed) == (1, [1])


def test_many_signals_of_one_subject_in_one_poll_are_one_alert(scene: Scene) -> None:
    scene.poll(signal(0), signal(5), signal(9, "cleared"), signal(20))
    [row] = scene.service.open_alerts()
    assert (row.count, row.cleared, row.last_ns) == (3, False, NOW_NS + 21 * MINUTE)
    assert [event for event, _, _ in history(scene, row.id)] == ["fired", "again", "cleared", "again"]


def test_each_rule_and_each_subject_has_an_alert_of_its_own(scene: Scene) -> None:
    scene.poll(
        signal(), signal(rule="stuck"), signal(subject="z2", rule="cusum"), signal(subject="turtle-bay", rule="cusum")
    )
    assert sorted(row.subject for row in scene.service.open_alerts()) == [
        "device/air-2",
        "device/air-2",
        "district/turtle-bay",
        "zone/z2",
    ]


def test_what_is_over_is_marked_and_stays_until_a_person_resolves_it(scene: Scene) -> None:
    scene.poll(signal(), signal(9, "cleared"))
    [row] = scene.service.open_alerts()
    assert (row.state, row.cleared, row.cleared_ns) == ("firing", True, NOW_NS + 10 * MINUTE)
    scene.service.acknowledge(row.id, viewer("officer"), "on my way")
    done = scene.service.resolve(row.id, viewer("officer"), "")
    assert (done.state, done.acknowledged_by, done.resolved_by) == ("resolved", "olga", "olga")
    assert scene.service.open_alerts() == []
    assert history(scene, row.id) == [
        ("fired", None, ""),
        ("cleared", None, ""),
        ("acknowledged", "olga", "on my way"),
        ("resolved", "olga", ""),
    ]
    assert ("olga", "alert_resolved", f"alert/{row.id}") in scene.parts.actions()


def test_a_signal_after_the_resolution_opens_a_new_alert_and_a_late_clearing_none(scene: Scene) -> None:
    scene.poll(signal())
    scene.service.acknowledge(1, viewer("officer"), "")
    scene.service.resolve(1, viewer("officer"), "a drill")
    scene.poll(signal(5, "cleared"))
    assert scene.service.open_alerts() == []
    scene.poll(signal(30))
    assert [row.id for row in scene.service.open_alerts()] == [2]


def test_an_alert_that_its_rule_does_not_call_over_is_closed_with_a_reason_only(scene: Scene) -> None:
    scene.poll(signal())
    scene.service.acknowledge(1, viewer("officer"), "")
    with pytest.raises(InputError, match="why you close it"):
        scene.service.resolve(1, viewer("officer"), "")
    scene.service.resolve(1, viewer("officer"), "the sensor hangs above the kettle")


def test_two_people_at_once_the_second_is_told_to_look_again(scene: Scene) -> None:
    scene.poll(signal())
    scene.service.acknowledge(1, viewer("officer"), "")
    with pytest.raises(ConflictError, match="faster"):
        scene.service.acknowledge(1, viewer("officer", "otto"), "")
    assert scene.service.alert(1).acknowledged_by == "olga"


@pytest.mark.parametrize(
    ("role", "about_a_device", "about_health"),
    [("officer", True, True), ("technician", True, False), ("admin", True, True), ("auditor", False, False)],
)
def test_who_may_answer_which_alert(scene: Scene, role: Role, *, about_a_device: bool, about_health: bool) -> None:
    scene.poll(signal(), signal(subject="z2", rule="cusum"))
    for alert, allowed in ((1, about_a_device), (2, about_health)):
        if allowed:
            scene.service.acknowledge(alert, viewer(role), "")
        else:
            with pytest.raises(NotAllowedError):
                scene.service.acknowledge(alert, viewer(role), "")


def test_notes_have_a_length_and_an_unknown_alert_is_told(scene: Scene) -> None:
    scene.poll(signal())
    with pytest.raises(InputError):
        scene.service.add_note(1, viewer("officer"), "")
    with pytest.raises(InputError):
        scene.service.add_note(1, viewer("officer"), "x" * (MAX_NOTE_CHARS + 1))
    with pytest.raises(NotFoundError):
        scene.service.add_note(99, viewer("officer"), "hello")


def test_a_source_that_is_not_there_yet_stops_no_other_and_is_read_later(scene: Scene) -> None:
    scene.source.down = True
    scene.poll(signal())
    assert scene.service.open_alerts() == []
    scene.source.down = False
    scene.service.poll()
    assert len(scene.service.open_alerts()) == 1


def test_a_gateway_that_lost_its_state_is_read_from_the_start(scene: Scene) -> None:
    scene.poll(signal(), signal(3), signal(6))
    scene.source.rows.clear()
    scene.source.add(signal(60))
    scene.service.poll()
    scene.service.poll()
    assert scene.service.alert(1).count == 4


def test_a_backlog_is_taken_in_batches_and_none_is_left(scene: Scene) -> None:
    scene.source.add(*(signal(minute) for minute in range(2 * BATCH + 3)))
    taken = [scene.service.poll() for _ in range(4)]
    assert taken == [BATCH, BATCH, 3, 0]
    assert scene.service.alert(1).count == 2 * BATCH + 3


def test_an_error_inside_a_batch_leaves_neither_alerts_nor_cursor_behind(scene: Scene) -> None:
    scene.source.add(signal(), signal(rule="bad"))
    breaks = replace(scene.source.rows[1].signal)
    object.__setattr__(breaks, "facts", {"value": object()})
    scene.source.rows[1] = SignalRow(2, breaks)
    with pytest.raises(TypeError):
        scene.service.poll()
    assert scene.service.alerts(state=None, limit=9) == []
    scene.source.rows[1] = SignalRow(2, signal(rule="good"))
    scene.service.poll()
    assert len(scene.service.open_alerts()) == 2


class Lines:
    """A time-series store that keeps what it is given, unless it is down."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.down = False

    def write(self, bucket: str, lines: bytes) -> None:
        assert bucket == "alerts"
        if self.down:
            raise StoreUnavailableError("down")
        self.kept += lines.split(b"\n")

    def query(self, query: SeriesQuery) -> list[Series]:
        raise AssertionError(f"nobody asks bucket {query.bucket} here")

    def delete_before(self, bucket: str, ns: int) -> None:
        raise AssertionError(f"nobody deletes from bucket {bucket} before {ns} here")

    def health(self) -> None:
        return

    def close(self) -> None:
        return


def test_the_history_is_drawn_into_the_bucket_once_and_after_an_outage(scene: Scene) -> None:
    lines = Lines()
    projection = AlertProjection(scene.parts.database, lines)
    scene.poll(signal())
    lines.down = True
    with pytest.raises(StoreUnavailableError):
        projection.advance()
    lines.down = False
    assert projection.advance() == 1
    assert projection.advance() == 0
    scene.service.acknowledge(1, viewer("officer"), "secret note")
    scene.service.add_note(1, viewer("officer"), "secret note")
    scene.service.resolve(1, viewer("officer"), "secret note")
    assert projection.advance() == 3
    drawn = [parse(line) for line in lines.kept]
    assert [(point.fields["state"], point.fields["open"]) for point in drawn] == [
        ("firing", 1),
        ("acknowledged", 0),
        ("resolved", 0),
    ]
    assert {tuple(point.tags.items()) for point in drawn} == {
        (("district", "turtle-bay"), ("level", "warning"), ("rule", "co2"), ("zone", "z2"))
    }
    assert not any(b"secret" in line or b"olga" in line for line in lines.kept)
    assert len({point.ts_ns for point in drawn}) == 3


def test_an_alert_that_grows_worse_leaves_its_milder_line(scene: Scene) -> None:
    lines = Lines()
    projection = AlertProjection(scene.parts.database, lines)
    scene.poll(signal())
    projection.advance()
    scene.poll(signal(5, severity="critical"))
    projection.advance()
    newest = {point.tags["level"]: point.fields["open"] for point in map(parse, lines.kept)}
    assert newest == {"info": 0, "warning": 0, "critical": 1}
