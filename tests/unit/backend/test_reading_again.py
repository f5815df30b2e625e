"""A gateway that lost its signals, or got older ones back: nothing new is passed over, nothing is told twice."""

from backend.alerts.service import BATCH
from tests.unit.backend.test_alert_service import Scene, Source, history, scene, signal, viewer

__all__ = ["scene"]  # the fixture


def _told(scene: Scene) -> list[tuple[int, str, bool, int]]:
    return [(row.id, row.state, row.cleared, row.count) for row in scene.service.alerts(state=None, limit=99)]


def _lose(scene: Scene) -> Source:
    scene.source.rows.clear()
    return scene.source


def _settle(scene: Scene) -> None:
    while scene.service.poll():
        continue
    scene.service.poll()
    scene.service.poll()


def test_new_signals_that_reach_the_old_number_before_the_next_look_are_all_read(scene: Scene) -> None:
    scene.poll(signal(0), signal(3), signal(6))
    _lose(scene).add(*(signal(minute, rule="stuck") for minute in range(7)))
    _settle(scene)
    assert {row.rule: row.count for row in scene.service.open_alerts()} == {"co2": 3, "stuck": 7}


def test_findings_that_are_made_again_open_nothing_again(scene: Scene) -> None:
    scene.poll(signal(0), signal(9, "cleared"))
    scene.service.acknowledge(1, viewer("officer"), "")
    scene.service.resolve(1, viewer("officer"), "")
    scene.poll(signal(30), signal(40, subject="z2", rule="cusum"))
    before, told = _told(scene), [history(scene, alert) for alert in (1, 2, 3)]
    _lose(scene).add(signal(0), signal(0, "cleared"), signal(30), signal(40, subject="z2", rule="cusum"))
    _settle(scene)
    assert _told(scene) == before
    assert [history(scene, alert) for alert in (1, 2, 3)] == told


def test_what_is_new_among_findings_made_again_is_told(scene: Scene) -> None:
    scene.poll(signal(0))
    _lose(scene).add(signal(0), signal(0, "cleared"), signal(50))
    _settle(scene)
    assert [event for event, _, _ in history(scene, 1)] == ["fired", "cleared", "again"]


def test_an_older_state_that_was_put_back_is_read_again_and_repeats_nothing(scene: Scene) -> None:
    scene.poll(*(signal(minute) for minute in range(9)))
    del scene.source.rows[5:]
    scene.source.add(signal(20), signal(21), signal(22), signal(23), signal(24))
    _settle(scene)
    assert scene.service.alert(1).count == 9 + 5


def test_a_long_table_is_read_again_in_batches_and_only_once(scene: Scene) -> None:
    signals = [signal(minute) for minute in range(BATCH + 5)]
    scene.source.add(*signals)
    _settle(scene)
    _lose(scene).add(*signals, signal(BATCH + 6))
    _settle(scene)
    assert scene.service.alert(1).count == BATCH + 6
    scene.poll(signal(BATCH + 7))
    assert scene.service.alert(1).count == BATCH + 7
