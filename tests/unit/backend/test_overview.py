"""The district in sentences: a zone is calm only when its numbers may be shown, and nothing is claimed beyond noise."""

from dataclasses import replace

from backend.boards.evidence import Evidence, newest_share
from backend.boards.overview import lede, sentences, state_of
from backend.boards.reader import Points, Span
from backend.web.words import Languages
from contracts.windows import DAY_S, NS
from stores.state.alerts import AlertRow

EN = Languages(lambda: -18_000).words("en")
TODAY = 1_640_235_600 * NS  # 2021-12-23 00:00 at UTC-05:00
NOW = TODAY + 10 * 3600 * NS
WEEK = 7 * DAY_S * NS

ALERT = AlertRow(
    id=1,
    rule="co2",
    subject="device/air-2",
    district="d",
    zone="z1",
    site="s",
    device="air-2",
    severity="warning",
    state="firing",
    cleared=False,
    count=1,
    opened_ns=NOW,
    last_ns=NOW,
    cleared_ns=None,
    acknowledged_ns=None,
    acknowledged_by=None,
    resolved_ns=None,
    resolved_by=None,
    signal_key="",
    evidence="{}",
)


def evidence(
    status: str = "shown", *, day_ns: int = TODAY, weeks: tuple[tuple[float, float, float], ...] = ()
) -> Evidence:
    shown: dict[str, Points] = {
        "status": {day_ns: status},
        "kiosks_reporting": {day_ns: 10},
        "kiosks_expected": {day_ns: 12},
    }
    if status == "shown":
        shown |= {"positivity": {day_ns: 0.1}, "lower": {day_ns: -0.01}, "upper": {day_ns: 0.15}}
    days = {field: {"z1": shown.get(field, {})} for field in (*shown, "positivity", "lower", "upper")}
    starts = [TODAY - (len(weeks) - number) * WEEK for number in range(len(weeks))]
    weekly: dict[str, dict[str, Points]] = {
        field: {"z1": dict(zip(starts, [week[place] for week in weeks], strict=True))}
        for place, field in enumerate(("positivity", "lower", "upper"))
    }
    return Evidence(NOW, Span(TODAY - WEEK, NOW), days, weekly, {}, {})


def test_a_zone_is_calm_only_when_its_newest_day_may_be_shown_and_is_fresh() -> None:
    assert state_of(evidence(), "z1", [], EN) == ("good", "calm")
    assert state_of(evidence("few"), "z1", [], EN) == ("", "too few tests to tell")
    assert state_of(evidence("none"), "z1", [], EN) == ("", "too few tests to tell")
    assert state_of(evidence(day_ns=TODAY - 3 * DAY_S * NS), "z1", [], EN) == ("", "no data")
    assert state_of(evidence(), "z2", [], EN) == ("", "no data")


def test_an_alert_of_any_kind_colours_its_zone_until_it_is_over() -> None:
    assert state_of(evidence(), "z1", [ALERT], EN) == ("warning", "attention")
    assert state_of(evidence("few"), "z1", [replace(ALERT, severity="critical")], EN) == ("critical", "act")
    assert state_of(evidence(), "z1", [replace(ALERT, cleared=True)], EN) == ("good", "calm")


def test_a_share_is_told_with_its_range_clamped_and_as_not_over_yet() -> None:
    share = newest_share(evidence().days, "z1")
    assert share is not None
    assert (share.lower, share.upper) == (0.0, 0.15)
    told = " ".join(sentences(evidence(), "z1", EN))
    assert "On 23 Dec 2021 so far 10.0% of the tests were positive" in told
    assert "between 0.0% and 15.0% (95%)" in told
    assert "Only 10 of the 12 releases" in told


def test_without_enough_tests_no_share_is_told() -> None:
    assert sentences(evidence("few"), "z1", EN)[0].startswith("Too few tests")


def test_weeks_differ_only_when_their_ranges_do_not_touch() -> None:
    higher = evidence(weeks=((0.05, 0.04, 0.06), (0.10, 0.08, 0.12)))
    lower = evidence(weeks=((0.10, 0.08, 0.12), (0.05, 0.04, 0.06)))
    alike = evidence(weeks=((0.05, 0.03, 0.09), (0.10, 0.08, 0.12)))
    words = ["higher than the week before", "lower than the week before", "cannot be told"]
    for case, word in zip((higher, lower, alike), words, strict=True):
        assert any(word in sentence for sentence in sentences(case, "z1", EN)), word


def test_the_first_line_says_whether_anybody_is_needed() -> None:
    over = replace(ALERT, cleared=True)
    taken = replace(ALERT, state="acknowledged")
    assert lede([], EN) == "Nothing needs you now"
    assert lede([ALERT, taken], EN) == "One alert needs a person now"
    assert lede([ALERT, ALERT], EN) == "2 alerts need a person now"
    assert lede([over], EN) == "One alert went over by itself: look at it"
    assert lede([taken, taken], EN) == "2 alerts are being worked on"
