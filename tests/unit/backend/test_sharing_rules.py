"""Agreements in district.toml, and what they cover on which day: everything else is refused in one sentence."""

import contextlib
import datetime
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devices.agreements import Agreement
from backend.devices.district_file import parse_district
from backend.errors import AgreementError, DistrictFileError
from backend.sharing.roll_ups import LEAST_SDS_FOR_POSITIVITY, LEAST_VALID_FOR_POSITIVITY, shown
from backend.sharing.rules import Request, day_start_ns, district_day, grant, iso
from contracts.windows import Calendar, to_ns
from gateway.analyse import rollup
from tests.unit.backend.test_district_file import GOOD

AGREEMENT = """
[[agreement]]
name = "city"
recipient = "City department of health"
contact = "desk 7"
legal_basis = "Ordinance 12"
valid_from = 2021-12-12
valid_until = 2021-12-31
levels = ["zone_day", "district_week"]
targets = ["sars-cov-2"]
environment = ["co2_ppm"]
"""
FIRST, LAST, TODAY = date(2021, 12, 13), date(2021, 12, 19), date(2021, 12, 20)
ASKED = Request(agreement="city", first_day=FIRST, last_day=LAST)
CALENDAR = Calendar(21_600, -18_000, 6)


def agreements(text: str = AGREEMENT) -> tuple[Agreement, ...]:
    return parse_district(GOOD + text).agreement


def refused(request: Request, today: date = TODAY) -> str:
    with pytest.raises(AgreementError) as caught:
        grant(agreements(), request, today)
    return str(caught.value)


def test_an_agreement_reads_as_written() -> None:
    (one,) = agreements()
    assert (one.name, one.recipient, one.releases) == ("city", "City department of health", "links")
    assert one.valid_until == date(2021, 12, 31)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"city"', '"City of"', "name"),
        ('"City department of health"', '" "', "recipient: 1 to 120 characters"),
        ('"Ordinance 12"', '""', "legal_basis: 1 to 120 characters"),
        ("2021-12-31", "2021-12-11", "valid_until: this lies before valid_from"),
        ("2021-12-31", '"soon"', "valid_until"),
        ('"zone_day"', '"kiosk_day"', "levels: some of"),
        ('"zone_day", "district_week"', "", "levels: levels and targets go together"),
        ('["sars-cov-2"]', '["influenza"]', "targets: some of sars-cov-2"),
        ('["co2_ppm"]', '["outbox_pct"]', "environment: some of co2_ppm"),
        ('["co2_ppm"]', '["co2_ppm", "co2_ppm"]', "environment: some of"),
        ('legal_basis = "Ordinance 12"\n', "", "missing required field `legal_basis`"),
        ("valid_from = 2021-12-12", "valid_form = 2021-12-12", "valid_form"),
        ('contact = "desk 7"', 'contact = "desk 7"\nreleases = "all"', "releases"),
    ],
)
def test_what_is_wrong_with_an_agreement_is_said_with_its_line(old: str, new: str, said: str) -> None:
    with pytest.raises(DistrictFileError, match=re.escape(said)) as caught:
        agreements(AGREEMENT.replace(old, new))
    assert caught.value.line is not None
    assert caught.value.line > len(GOOD.splitlines())


def test_an_agreement_about_nothing_and_two_of_one_name_are_refused() -> None:
    empty = AGREEMENT.replace('"zone_day", "district_week"', "").replace('"sars-cov-2"', "").replace('"co2_ppm"', "")
    with pytest.raises(DistrictFileError, match="covers nothing"):
        agreements(empty)
    with pytest.raises(DistrictFileError, match="twice"):
        agreements(AGREEMENT + AGREEMENT)


def test_whole_releases_need_every_target_of_the_district() -> None:
    two = GOOD.replace('targets = ["sars-cov-2"]', 'targets = ["sars-cov-2", "rsv"]')
    whole = AGREEMENT + 'releases = "whole"\n'
    with pytest.raises(DistrictFileError, match="every target"):
        parse_district(two + whole)
    both = whole.replace('targets = ["sars-cov-2"]', 'targets = ["rsv", "sars-cov-2"]')
    assert parse_district(two + both).agreement[0].releases == "whole"


def test_what_is_left_open_is_all_that_the_agreement_covers_and_less_may_be_asked() -> None:
    everything = grant(agreements(), ASKED, TODAY).request
    assert (everything.levels, everything.targets) == (("zone_day", "district_week"), ("sars-cov-2",))
    assert everything.environment == ("co2_ppm",)
    assert grant(agreements(), replace(ASKED, levels=("zone_day",)), TODAY).request.levels == ("zone_day",)


@pytest.mark.parametrize(
    ("request_", "today", "said"),
    [
        (replace(ASKED, agreement="county"), TODAY, "district.toml has no [[agreement]] named county."),
        (ASKED, date(2021, 12, 11), "Agreement city begins on 2021-12-12."),
        (ASKED, date(2022, 1, 1), "Agreement city ended on 2021-12-31."),
        (replace(ASKED, last_day=date(2021, 12, 12)), TODAY, "The last day lies before the first."),
        (
            replace(ASKED, last_day=TODAY),
            TODAY,
            "2021-12-20 is not over in the district: whole days are shared.",
        ),
        (
            replace(ASKED, first_day=date(2021, 12, 11)),
            TODAY,
            "Agreement city covers the days from 2021-12-12 to 2021-12-31 only.",
        ),
        (
            replace(ASKED, levels=("zone_day", "zone_window")),
            TODAY,
            "Agreement city does not cover zone_window: its levels: zone_day, district_week.",
        ),
        (
            replace(ASKED, targets=("rsv",)),
            TODAY,
            "Agreement city does not cover rsv: its targets: sars-cov-2.",
        ),
        (
            replace(ASKED, environment=("temperature_c",)),
            TODAY,
            "Agreement city does not cover temperature_c: its environment: co2_ppm.",
        ),
    ],
)
def test_each_thing_that_is_not_covered_has_its_sentence(request_: Request, today: date, said: str) -> None:
    assert refused(request_, today) == said


@given(
    today=st.dates(date(2021, 11, 1), date(2022, 2, 1)),
    first=st.dates(date(2021, 11, 1), date(2022, 2, 1)),
    length=st.integers(-5, 60),
    level=st.sampled_from(["zone_day", "zone_week", "district_week", "kiosk_window"]),
)
def test_whatever_is_granted_is_covered(today: date, first: date, length: int, level: str) -> None:
    (one,) = agreements()
    asked = Request(agreement="city", first_day=first, last_day=first + timedelta(days=length), levels=(level,))
    with contextlib.suppress(AgreementError):
        granted = grant((one,), asked, today).request
        assert one.valid_from <= granted.first_day <= granted.last_day < today <= one.valid_until
        assert set(granted.levels) <= set(one.levels)


def test_days_left_count_today_and_end_at_nothing() -> None:
    (one,) = agreements()
    assert [one.days_left(day) for day in (date(2021, 12, 31), date(2022, 1, 1), date(2021, 12, 1))] == [1, 0, 20]


def test_a_day_begins_at_midnight_of_the_district() -> None:
    midnight = to_ns(datetime.datetime(2021, 12, 13, 5, tzinfo=datetime.UTC))
    assert day_start_ns(FIRST, CALENDAR) == midnight
    assert [district_day(ns, CALENDAR) for ns in (midnight - 1000, midnight)] == [date(2021, 12, 12), FIRST]
    assert iso(midnight, -18_000) == "2021-12-13T00:00:00-05:00"
    assert iso(midnight, 19_800) == "2021-12-13T10:30:00+05:30"


# --- what is shown ----------------------------------------------------------------------------------------

LINE: dict[str, float | int | str | bool] = {
    "status": "shown",
    "positives": -2,
    "valid": 200,
    "invalid": 3,
    "noise_sd": 1.36,
    "noise_sd_valid": 5.64,
    "positivity": 0.0,
    "lower": 0.0,
    "upper": 0.03,
    "kiosks_reporting": 3,
    "kiosks_expected": 3,
    "late": 1,
}


def test_a_shown_line_is_given_as_released_negative_numbers_too() -> None:
    assert shown(LINE) == ["shown", -2, 200, 3, 1.36, 5.64, 0.0, 0.0, 0.03, 3, 3, 1]


@pytest.mark.parametrize("status", ["few", "none"])
def test_a_suppressed_line_is_empty_and_never_zero(status: str) -> None:
    # The counts of a line that is not shown are still stored, and so may be a share of before a late release.
    assert shown({**LINE, "status": status}) == [status, None, None, None, 1.36, 5.64, None, None, None, 3, 3, 1]


def test_a_share_below_its_limit_is_left_out_even_if_one_still_stands_in_the_store() -> None:
    assert shown({**LINE, "valid": 49})[6:9] == [None, None, None]
    assert shown({**LINE, "valid": 50})[6:9] == [0.0, 0.0, 0.03]
    assert shown({**LINE, "valid": 79, "noise_sd_valid": 10.0})[6:9] == [None, None, None]


def test_the_limits_of_a_share_are_those_of_the_roll_up() -> None:
    theirs = (rollup.LEAST_VALID_FOR_POSITIVITY, rollup.LEAST_SDS_FOR_POSITIVITY)
    assert theirs == (LEAST_VALID_FOR_POSITIVITY, LEAST_SDS_FOR_POSITIVITY)
