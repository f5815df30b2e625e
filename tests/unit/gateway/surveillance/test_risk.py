"""The risk index by hand, by its properties, and the published colour tables row by row."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import SurveillanceError
from gateway.surveillance.risk import (
    CUT_POINTS,
    LEVELS,
    Stream,
    ZoneEvidence,
    cdc_community_2022,
    ecdc_2021,
    next_level,
    score,
    zone_risk,
)

CONFIDENT: dict[str, Any] = {"tests_7d_per_100k": 900, "freshness": 1.0, "qc_share": 1.0, "sensor_share": 1.0}

shares = st.floats(0, 1)
streams = st.builds(Stream, score=shares, weight=st.floats(0, 0.99), qc_ok=st.booleans())
zones = st.builds(
    ZoneEvidence,
    transmission=st.dictionaries(st.sampled_from(["kiosk", "wastewater", "swabs", "scan"]), streams),
    amplification=st.dictionaries(st.sampled_from(["air", "co2", "crowding"]), streams),
    tests_7d_per_100k=st.floats(0, 2000),
    freshness=shares,
    qc_share=shares,
    sensor_share=shares,
    novel_confirmed=st.booleans(),
    previous_level=st.sampled_from([None, 0, 1, 2, 3]),
    clean_periods=st.integers(0, 4),
)


def zone(
    transmission: dict[str, Stream] | None = None,
    amplification: dict[str, Stream] | None = None,
    **given_: float | None,
) -> ZoneEvidence:
    settings: dict[str, Any] = CONFIDENT | given_
    return ZoneEvidence(transmission or {}, amplification or {}, **settings)


def test_the_index_by_hand() -> None:
    evidence = zone({"kiosk": Stream(0.5, 0.8), "wastewater": Stream(1.0, 0.5)}, {"air": Stream(0.5, 0.8)})
    t, a = 1 - (1 - 0.4) * (1 - 0.5), 0.4
    total = -math.log((1 - t) * (1 - a * t / 2))
    risk = zone_risk(evidence)
    assert risk.index == pytest.approx(100 * (1 - (1 - t) * (1 - a * t / 2)))
    assert risk.level == LEVELS[3][2] == 3
    assert risk.confidence == 1.0
    assert risk.contributions["kiosk"] == pytest.approx(-math.log(0.6) / total)
    assert risk.contributions["wastewater"] == pytest.approx(-math.log(0.5) / total)
    assert risk.contributions["air"] == pytest.approx(-math.log(1 - a * t / 2) / total)


def test_bad_air_alone_is_no_risk() -> None:
    risk = zone_risk(zone(amplification={"air": Stream(1.0, 0.9), "co2": Stream(1.0, 0.9)}))
    assert (risk.level, risk.index, risk.contributions) == (0, 0.0, {})


@pytest.mark.parametrize(
    ("s", "band"), [(0.0, 0), (0.09, 0), (0.1, 1), (0.29, 1), (0.3, 2), (0.59, 2), (0.6, 3), (0.9, 3)]
)
def test_a_value_on_a_bands_limit_is_in_the_band_above(s: float, band: int) -> None:
    evidence = zone({"kiosk": Stream(s / 0.5, 0.5) if s <= 0.5 else Stream(1.0, s), "scan": Stream(1e-15, 0.1)})
    assert zone_risk(evidence).level == LEVELS[band][0]


def test_one_stream_alone_never_raises_a_level() -> None:
    alone = {"kiosk": Stream(1.0, 0.9)}
    assert zone_risk(zone(alone, previous_level=0)).level == 0
    assert zone_risk(zone(alone | {"scan": Stream(0.0, 0.9)}, previous_level=0)).level == 0
    assert zone_risk(zone(alone | {"scan": Stream(0.9, 0.9, qc_ok=False)}, previous_level=1)).level == 1
    assert zone_risk(zone(alone | {"scan": Stream(0.1, 0.1)}, previous_level=0)).level == 2


def test_a_first_level_is_what_the_evidence_says_for_nothing_rose() -> None:
    assert zone_risk(zone({"kiosk": Stream(1.0, 0.9)})).level == 2


def test_a_confirmed_novel_pathogen_is_the_highest_level_whatever_else_is_known() -> None:
    assert zone_risk(zone(novel_confirmed=True)).level == 3
    assert zone_risk(zone(novel_confirmed=True, tests_7d_per_100k=0)).level == 3
    assert zone_risk(zone(novel_confirmed=True, previous_level=0, clean_periods=9)).level == 3


def test_little_confidence_is_grey_at_first_and_later_may_only_raise() -> None:
    two = {"kiosk": Stream(1.0, 0.9), "wastewater": Stream(1.0, 0.5)}
    assert zone_risk(zone(two, tests_7d_per_100k=149)).level is None
    assert zone_risk(zone(two, tests_7d_per_100k=150)).level == 2
    assert zone_risk(zone(two, tests_7d_per_100k=0, previous_level=1)).level == 2
    assert zone_risk(zone(tests_7d_per_100k=149, previous_level=2, clean_periods=5)).level == 2


def test_a_level_falls_after_two_clean_periods() -> None:
    assert zone_risk(zone(previous_level=2, clean_periods=1)).level == 2
    assert zone_risk(zone(previous_level=2, clean_periods=2)).level == 0


def test_the_state_step_by_its_table() -> None:
    everything = {"sure": True, "may_rise": True, "clean": True}
    assert next_level(2, 1, **everything) == 2
    assert next_level(2, 1, **everything | {"may_rise": False}) == 1
    assert next_level(1, 2, **everything) == 1
    assert next_level(1, 2, **everything | {"clean": False}) == 2
    assert next_level(1, 2, **everything | {"sure": False}) == 2
    assert next_level(1, None, **everything | {"sure": False}) is None
    assert next_level(1, None, **everything | {"may_rise": False}) == 1


@given(zones)
def test_everything_is_bounded_and_the_shares_sum_to_one(evidence: ZoneEvidence) -> None:
    risk = zone_risk(evidence)
    assert risk.level in {None, 0, 1, 2, 3}
    assert 0 <= risk.index <= 100
    assert 0 <= risk.confidence <= 1
    assert all(share >= 0 for share in risk.contributions.values())
    assert (risk.contributions == {}) == (risk.index == 0)
    assert not risk.contributions or math.fsum(risk.contributions.values()) == pytest.approx(1, abs=1e-9)
    passed = {n for n, s in {**evidence.transmission, **evidence.amplification}.items() if s.qc_ok}
    assert set(risk.contributions) <= passed


@given(zones, st.data())
def test_more_evidence_never_means_less_risk(evidence: ZoneEvidence, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from(["transmission", "amplification"]))
    known = getattr(evidence, axis)
    assume(known)
    name = data.draw(st.sampled_from(sorted(known)))
    higher = dataclasses.replace(known[name], score=data.draw(st.floats(known[name].score, 1)))
    change: dict[str, Any] = {axis: {**known, name: higher}}
    more = zone_risk(dataclasses.replace(evidence, **change))
    less = zone_risk(evidence)
    assert more.index >= less.index - 1e-9  # the last bits of two logarithms
    assert (more.level is None) == (less.level is None)
    assert more.level is None or less.level is None or more.level >= less.level


@given(zones, st.data())
def test_a_stream_that_goes_missing_never_lowers_a_level_silently(evidence: ZoneEvidence, data: st.DataObject) -> None:
    """It may fall only where the caller counts clean periods, or where there was no level before; then it is missed."""
    known = evidence.transmission
    assume(known)
    name = data.draw(st.sampled_from(sorted(known)))
    before = zone_risk(evidence)
    gone = zone_risk(dataclasses.replace(evidence, transmission={n: s for n, s in known.items() if n != name}))
    assert name not in gone.contributions
    if evidence.previous_level is not None and evidence.clean_periods < 2:
        assert gone.level is not None
        assert gone.level >= min(evidence.previous_level, before.level or 0)
        assert gone.level >= evidence.previous_level


@given(zones)
def test_the_order_of_streams_and_a_replay_change_no_bit(evidence: ZoneEvidence) -> None:
    turned = dataclasses.replace(
        evidence,
        transmission=dict(list(evidence.transmission.items())[::-1]),
        amplification=dict(list(evidence.amplification.items())[::-1]),
    )
    risk, again = zone_risk(evidence), zone_risk(turned)
    assert (risk.level, risk.index, risk.confidence) == (again.level, again.index, again.confidence)
    assert risk.contributions == again.contributions
    assert zone_risk(evidence) == risk


@pytest.mark.parametrize("row", sorted(CUT_POINTS))
def test_every_row_of_the_cut_points_rises_or_falls_from_0_to_1_and_names_its_source(row: str) -> None:
    points = CUT_POINTS[row]
    assert list(points.values) == sorted(set(points.values))
    assert {points.scores[0], points.scores[-1]} == {0.0, 1.0}
    assert list(points.scores) in (sorted(points.scores), sorted(points.scores, reverse=True))
    assert points.source
    assert points.unit
    assert float(score(row, -1e9)) == points.scores[0]
    assert float(score(row, 1e9)) == points.scores[-1]


def test_scores_lie_on_straight_lines_between_the_cut_points() -> None:
    assert float(score("co2", 1250)) == pytest.approx(0.5)
    assert float(score("clean_air", 0.25)) == pytest.approx(0.75)
    assert float(score("swabs", 0.05)) == pytest.approx(0.165)


@pytest.mark.parametrize(
    ("rate", "share", "colour"),
    [
        (24.9, 3.9, "green"),
        (24.9, 4.0, "orange"),
        (25.0, 3.9, "orange"),
        (49.9, 4.0, "orange"),
        (50.0, 4.0, "red"),
        (150.0, 3.9, "orange"),
        (150.1, 0.0, "red"),
        (499.9, 0.0, "red"),
        (500.0, 0.0, "dark red"),
    ],
)
def test_ecdcs_colours_row_by_row(rate: float, share: float, colour: str) -> None:
    assert ecdc_2021(notification_14d=rate, positivity_7d_pct=share, tests_7d=300) == colour
    assert ecdc_2021(notification_14d=rate, positivity_7d_pct=share, tests_7d=299.9) == "grey"


@pytest.mark.parametrize(
    ("cases", "admissions", "beds", "level"),
    [
        (199.9, 9.9, 9.9, "low"),
        (0, 10, 0, "medium"),
        (0, 0, 10, "medium"),
        (0, 19.9, 14.9, "medium"),
        (0, 20, 0, "high"),
        (0, 0, 15, "high"),
        (200, 9.9, 9.9, "medium"),
        (200, 10, 0, "high"),
        (200, 0, 10, "high"),
    ],
)
def test_cdcs_levels_row_by_row(cases: float, admissions: float, beds: float, level: str) -> None:
    assert cdc_community_2022(cases_7d=cases, admissions_7d=admissions, beds_pct=beds) == level


ECDC: dict[str, Any] = {"notification_14d": 10, "positivity_7d_pct": 1, "tests_7d": 500}
CDC: dict[str, Any] = {"cases_7d": 10, "admissions_7d": 1, "beds_pct": 5}


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("score", lambda: Stream(1.1, 0.5)),
        ("score", lambda: Stream(math.nan, 0.5)),
        ("weight", lambda: Stream(0.5, 1.0)),
        ("freshness", lambda: zone(freshness=1.5)),
        ("qc_share", lambda: zone(qc_share=-0.1)),
        ("sensor_share", lambda: zone(sensor_share=math.nan)),
        ("tests_7d_per_100k", lambda: zone(tests_7d_per_100k=-1)),
        ("previous_level", lambda: zone(previous_level=4)),
        ("clean_periods", lambda: zone(clean_periods=-1)),
        ("amplification", lambda: zone({"air": Stream(1, 0.5)}, {"air": Stream(1, 0.5)})),
        ("name", lambda: score("smell", 1.0)),
        ("measured", lambda: score("co2", math.nan)),
        *[(name, lambda name=name: ecdc_2021(**ECDC | {name: math.nan})) for name in ECDC],
        *[(name, lambda name=name: ecdc_2021(**ECDC | {name: -1})) for name in ECDC],
        *[(name, lambda name=name: cdc_community_2022(**CDC | {name: math.nan})) for name in CDC],
        *[(name, lambda name=name: cdc_community_2022(**CDC | {name: -1})) for name in CDC],
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, call: Callable[[], object]) -> None:
    with pytest.raises(SurveillanceError, match=named):
        call()
