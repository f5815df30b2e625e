from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from contracts.errors import ContractError, MetricError, QueryError
from contracts.metrics import EVENTS, METRICS, check_event, metric
from contracts.query import BUCKETS, TAGS, SeriesQuery
from contracts.signals import Signal

DAY = datetime(2021, 12, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "bucket": "environment",
    "measurement": "air",
    "field": "co2_ppm",
    "function": "mean",
    "every_s": 600,
    "group_by": ("zone",),
    "tags": {"zone": "z10016"},
    "start": DAY,
    "stop": DAY + timedelta(days=1),
}


def test_a_question_that_makes_sense_can_be_asked() -> None:
    assert SeriesQuery(**GOOD).limit == 10_000
    assert SeriesQuery(**GOOD | {"function": None, "every_s": None}).every_s is None
    assert SeriesQuery(**GOOD | {"every_s": None}).function == "mean"


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": "secrets"},
        {"measurement": 'air" OR 1=1'},
        {"field": "zone"},
        {"field": "Co2"},
        {"function": "median"},
        {"function": None},
        {"every_s": 0},
        {"group_by": ("name",)},
        {"group_by": ("zone", "zone")},
        {"tags": {"zone": "z'; DROP"}},
        {"tags": {"sample": "1"}},
        {"start": DAY + timedelta(days=1)},
        {"start": DAY.replace(tzinfo=None)},
        {"start": DAY.astimezone(timezone(timedelta(hours=-5)))},
        {"limit": 0},
        {"limit": 100_001},
    ],
)
def test_a_question_that_makes_no_sense_cannot_be_asked(wrong: dict[str, Any]) -> None:
    with pytest.raises(QueryError):
        SeriesQuery(**GOOD | wrong)


def test_a_question_cannot_be_changed_through_the_mapping_it_was_made_from() -> None:
    tags = {"zone": "z10016"}
    query = SeriesQuery(**GOOD | {"tags": tags})
    tags["zone"] = "z10017"
    assert query.tags == {"zone": "z10016"}


@pytest.mark.rule("C14")
def test_every_metric_has_a_bucket_and_no_name_of_a_tag() -> None:
    for row in METRICS.values():
        assert row.bucket in BUCKETS
        assert row.name not in TAGS
        assert row.low < row.high


@pytest.mark.rule("C14")
@pytest.mark.parametrize(
    "name", ["cq", "ct", "run_started", "runs", "tests", "heater_duty_pct", "cartridges", "prints", "co2", ""]
)
def test_what_could_tell_a_visitors_result_is_no_metric(name: str) -> None:
    with pytest.raises(MetricError):
        metric(name, "health", "kiosk")


@pytest.mark.rule("C14")
def test_a_metric_belongs_to_its_stream_and_kind_of_device() -> None:
    assert metric("co2_ppm", "bulk", "air_monitor").unit == "ppm"
    for stream, kind in (("health", "air_monitor"), ("bulk", "kiosk")):
        with pytest.raises(MetricError):
            metric("co2_ppm", stream, kind)


@pytest.mark.rule("C14")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -0.1, 40_000.1])
def test_a_value_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(MetricError):
        METRICS["co2_ppm"].check(value)


@pytest.mark.rule("C14")
def test_an_event_is_two_known_words() -> None:
    for code, states in EVENTS.items():
        for state in states:
            check_event(code, state)
    for code, state in (("run", "failed"), ("service_door", "ajar"), ("power", "")):
        with pytest.raises(MetricError):
            check_event(code, state)


def test_an_error_shows_a_peers_text_only_cut_and_harmless() -> None:
    with pytest.raises(MetricError) as refused:
        metric("Smith\nJohn " + "x" * 500, "bulk", "kiosk")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 100


def test_a_signal_keeps_its_facts_and_refuses_unknown_words() -> None:
    signal = Signal("co2", "air-10017", "z10017", None, "warning", "raised", 1, 2, {"co2_ppm": 1712.0})
    assert signal.facts["co2_ppm"] == 1712.0
    with pytest.raises(ContractError):
        Signal("co2", "air-10017", None, None, "urgent", "raised", 1, 2, {})  # type: ignore[arg-type]
    with pytest.raises(ContractError):
        Signal("", "air-10017", None, None, "info", "raised", 1, 2, {})
