"""Alerts and devices in words: each kind has its sentences, and no facts can break a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devices.health import Condition, judge
from backend.web.reasons import FACT_NAMES, Facts, Finding, tell
from backend.web.words import Languages

EN, ZH = (Languages(lambda: -18_000).words(language) for language in ("en", "zh"))
LIMIT: Facts = {"metric": "co2_ppm", "value": 1624.0, "limit": 1500.0, "clear": 1200.0, "hold_s": 1800, "held_s": 2400}
DETECTOR: Facts = {"s": 4.21, "threshold": 3.68, "p0": 0.0452, "positivity": 0.1458, "lower": -0.01, "upper": 0.228}


def told(facts: Facts) -> str:
    reason = tell(Finding("rule", "place", facts, over=False), EN)
    return " | ".join([reason.headline, *reason.why, *reason.sure, *reason.now]).replace("\N{NO-BREAK SPACE}", " ")


def test_a_limit_is_told_with_value_limit_and_how_long_it_lasted() -> None:
    text = told(LIMIT)
    for part in (
        "Carbon dioxide (CO₂) beyond its limit",
        "1,624 ppm",
        "1,500 ppm",
        "40 minutes",
        "1,200 ppm",
        "Open windows",
    ):
        assert part in text


def test_a_stuck_sensor_sends_a_technician() -> None:
    text = told({"metric": "co2_ppm", "readings": 12, "value": 400.0})
    assert "The last 12 readings" in text
    assert "technician" in text


def test_a_detector_is_told_with_its_expectation_its_range_and_no_public_notice() -> None:
    facts = {**DETECTOR, "kiosks_reporting": 2, "kiosks_expected": 3, "window_start_ns": 0, "window_s": 21_600}
    text = told(facts)
    for part in ("14.6%", "4.5%", "0.0%", "22.8%", "Only 2 of 3", "no public notice", "fortnight", "6 hours"):
        assert part in text


def test_a_room_where_people_live_is_told_without_a_number() -> None:
    reason = tell(
        Finding("co2", "Room 7", {"metric": "co2_ppm", "device": "a", "site": "b", "held_s": 60}, over=False), EN
    )
    assert reason.numbers == ()
    assert "ppm" not in told({"metric": "co2_ppm", "device": "a", "site": "b", "held_s": 60})


FACTS = st.dictionaries(
    st.sampled_from([*FACT_NAMES, "device", "other"]),
    st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**63), 2**63) | st.text(max_size=20),
)


@given(FACTS)
def test_whatever_a_rule_says_the_page_has_a_headline_and_something_to_do(facts: Facts) -> None:
    for words in (EN, ZH):
        reason = tell(Finding("rule", "place", facts, over=True), words)
        assert reason.headline
        assert reason.now


WELL = Condition(enrolled=True, online=True, silent_s=60, certificate_days=29, readings={"outbox_pct": 10})


def test_a_device_that_reports_has_nothing_wrong() -> None:
    assert judge(WELL) == ()


# condition -> severity of the first problem, a word of its sentence
CASES = [
    (Condition(enrolled=False), "info", "has not enrolled"),
    (Condition(enrolled=True, revoked=True, silent_s=1, certificate_days=9), "critical", "withdrawn"),
    (Condition(enrolled=True, certificate_days=30), "warning", "nothing has come"),
    (Condition(enrolled=True, silent_s=1, certificate_days=-0.1), "critical", "run out"),
    (Condition(enrolled=True, silent_s=1, online=False, certificate_days=29), "critical", "offline"),
    (Condition(enrolled=True, silent_s=10_801, online=True, certificate_days=29), "critical", "three hours"),
    (Condition(enrolled=True, silent_s=1, online=True, certificate_days=7.9), "warning", "renewed"),
]
READINGS = [
    ({"instrument_ok": 0}, "critical", "does not answer"),
    ({"control_ok": 0}, "critical", "control failed"),
    ({"outbox_pct": 70}, "warning", "outbox"),
    ({"disk_pct": 90}, "warning", "disk"),
    ({"clock_quality": 1}, "warning", "clock"),
    ({"lots_level": 0}, "warning", "no cartridges"),
    ({"lots_level": 1}, "info", "Cartridges run low"),
    ({"paper_level": 0}, "warning", "no paper"),
    ({"paper_level": 1}, "info", "Paper runs low"),
    ({"thinned_records": 5}, "info", "gave up"),
]


@pytest.mark.parametrize(("condition", "severity", "words"), CASES)
def test_what_is_wrong_with_the_connection_says_it_all(condition: Condition, severity: str, words: str) -> None:
    problems = judge(condition)
    assert (len(problems), problems[0].severity) == (1, severity)
    assert words in problems[0].sentence
    assert problems[0].remedy


@pytest.mark.parametrize(("readings", "severity", "words"), READINGS)
def test_each_reading_that_is_wrong_has_its_remedy(readings: dict[str, float], severity: str, words: str) -> None:
    problems = judge(Condition(enrolled=True, online=True, silent_s=1, certificate_days=29, readings=readings))
    assert [problem.severity for problem in problems] == [severity]
    assert words in problems[0].sentence


def test_the_worst_comes_first() -> None:
    readings = {"paper_level": 1.0, "instrument_ok": 0.0, "disk_pct": 95.0}
    problems = judge(Condition(enrolled=True, online=True, silent_s=1, certificate_days=29, readings=readings))
    assert [problem.severity for problem in problems] == ["critical", "warning", "info"]
