"""Two officers and the bucket `restricted`: who may, when it ends, what the audit log says, and that it is shut."""

from dataclasses import dataclass, field

import pytest

from backend.errors import ConflictError, InputError, NotAllowedError
from backend.restricted.door import RestrictedDoor
from backend.restricted.projection import OpeningProjection
from backend.restricted.service import MAX_MINUTES, REQUEST_LIFE_S, OpeningService
from backend.web.viewer import Viewer
from contracts.query import READABLE, RESTRICTED, SeriesQuery
from contracts.windows import to_datetime
from stores.errors import StoreAuthError
from stores.series.lines import Point, encode
from stores.series.open import open_series
from stores.series.port import TimeSeriesStore
from tests.unit.backend.conftest import NOW_NS, Parts

PASSWORD = "two people, one reason"
WHY = "outbreak call on floor three"
S = 10**9


@dataclass
class Office:
    """A district's people, and the door."""

    parts: Parts
    service: OpeningService
    door: RestrictedDoor
    everybody: TimeSeriesStore  # the store that the rest of the backend has
    viewers: dict[str, Viewer] = field(default_factory=dict)

    def sign_in(self, name: str, role: str) -> Viewer:
        first = self.parts.accounts.add(name, role, actor="test")
        viewer = self.parts.accounts.sign_in(name, first, "10.0.0.1").viewer
        self.parts.accounts.change_password(viewer, old=first, new=PASSWORD, address="10.0.0.1")
        viewer = self.parts.accounts.sign_in(name, PASSWORD, "10.0.0.1").viewer
        self.viewers[name] = viewer
        return viewer

    def ask(self, name: str = "olga", minutes: int = 30) -> int:
        viewer = self.viewers[name]
        return self.service.request(viewer, reason=WHY, minutes=minutes, password=PASSWORD, address="10.0.0.1")

    def confirm(self, number: int, name: str = "omar") -> None:
        self.service.confirm(self.viewers[name], number, password=PASSWORD, address="10.0.0.1")

    def read(self, name: str) -> list[float]:
        return [value for shown in self.door.last_day(self.viewers[name])[1] for value in shown.values]

    def told(self) -> list[tuple[str, str]]:
        return [(who, what) for who, what, _ in self.parts.actions() if what.startswith("restricted")]


def question(bucket: str) -> SeriesQuery:
    return SeriesQuery(
        bucket=bucket,
        measurement="air",
        field="co2_ppm",
        function=None,
        every_s=None,
        start=to_datetime(NOW_NS - 86_400 * S),
        stop=to_datetime(NOW_NS + S),
    )


@pytest.fixture
def office(parts: Parts) -> Office:
    spec = f"sqlite:{parts.folder / 'series'}"
    ingest = open_series(spec, writes=frozenset({RESTRICTED, "alerts"}))
    tags = {"district": "turtle-bay", "zone": "z2", "site": "hall-2", "device": "room-1", "kind": "air_monitor"}
    ingest.write(RESTRICTED, encode(Point("air", tags, {"co2_ppm": 1234.5}, NOW_NS - 600 * S)))
    ingest.close()
    service = OpeningService(
        parts.database,
        accounts=parts.accounts,
        audit=parts.audit,
        clock=parts.clock,
        wall_s=lambda: int(parts.real.timestamp()),
    )
    door = RestrictedDoor(
        open_series(spec, reads={RESTRICTED}), service, clock=parts.clock, district=lambda: "turtle-bay"
    )
    made = Office(parts, service, door, open_series(spec, reads=frozenset(READABLE), writes=frozenset({"alerts"})))
    for name, role in {"olga": "officer", "omar": "officer", "ivo": "officer", "tess": "technician"}.items():
        made.sign_in(name, role)
    return made


@pytest.mark.rule("C30")
def test_two_officers_read_until_the_time_is_over_and_every_step_is_in_the_audit_log(office: Office) -> None:
    office.confirm(office.ask())
    assert office.read("olga") == office.read("omar") == [1234.5]
    office.parts.later(minutes=29, seconds=59)
    assert office.read("omar") == [1234.5]
    office.parts.later(seconds=1)
    for name in ("olga", "omar"):
        with pytest.raises(NotAllowedError):
            office.read(name)
    assert office.service.current() is None
    assert office.service.advance() == 1
    assert office.service.advance() == 0
    assert office.told() == [
        ("olga", "restricted_requested"),
        ("omar", "restricted_confirmed"),
        ("olga", "restricted_read"),
        ("omar", "restricted_read"),
        ("omar", "restricted_read"),
        ("system", "restricted_ended"),
    ]
    asked = next(row for row in office.parts.audit.latest() if row.action == "restricted_requested")
    assert WHY in asked.detail
    assert office.parts.audit.broken_at() is None


@pytest.mark.rule("C30")
def test_nobody_reads_alone_and_nobody_else_reads_with_them(office: Office) -> None:
    for name in office.viewers:
        with pytest.raises(NotAllowedError):
            office.read(name)
    number = office.ask()
    with pytest.raises(NotAllowedError):
        office.read("olga")
    with pytest.raises(NotAllowedError):
        office.confirm(number, "olga")
    office.confirm(number)
    for name in ("ivo", "tess"):
        with pytest.raises(NotAllowedError):
            office.read(name)
    assert ("ivo", "restricted_read") not in office.told()


@pytest.mark.rule("C30")
def test_a_confirmation_needs_the_password_and_the_same_moment(office: Office) -> None:
    number = office.ask()
    with pytest.raises(InputError):
        office.service.confirm(office.viewers["omar"], number, password="guess", address="10.0.0.2")
    office.parts.later(seconds=REQUEST_LIFE_S)
    with pytest.raises(ConflictError):
        office.confirm(number)
    assert office.service.current() is None
    assert office.ask() != number, "an old request stands in nobody's way"
    assert ("system", "restricted_lapsed") in office.told()


@pytest.mark.parametrize(("minutes", "reason"), [(0, WHY), (MAX_MINUTES + 1, WHY), (30, "because"), (30, "x" * 301)])
def test_a_request_says_why_and_for_how_long(office: Office, minutes: int, reason: str) -> None:
    viewer = office.viewers["olga"]
    with pytest.raises(InputError):
        office.service.request(viewer, reason=reason, minutes=minutes, password=PASSWORD, address="10.0.0.1")
    assert office.told() == []


def test_a_request_without_the_right_password_is_none(office: Office) -> None:
    viewer = office.viewers["olga"]
    with pytest.raises(InputError):
        office.service.request(viewer, reason=WHY, minutes=30, password="guess", address="10.0.0.1")
    assert office.service.current() is None


def test_there_is_one_request_at_a_time_and_it_can_be_refused_and_withdrawn(office: Office) -> None:
    number = office.ask()
    with pytest.raises(ConflictError):
        office.ask("omar")
    office.service.refuse(office.viewers["ivo"], number)
    with pytest.raises(ConflictError):
        office.confirm(number)
    office.service.refuse(office.viewers["olga"], office.ask())
    assert [what for _, what in office.told()][1::2] == ["restricted_refused", "restricted_withdrawn"]


@pytest.mark.rule("C30")
@pytest.mark.parametrize("who", ["olga", "omar"])
def test_either_of_the_two_closes_it_early_and_nobody_else(office: Office, who: str) -> None:
    number = office.ask()
    office.confirm(number)
    with pytest.raises(NotAllowedError):
        office.service.close(office.viewers["ivo"], number)
    office.service.close(office.viewers[who], number)
    with pytest.raises(NotAllowedError):
        office.read("omar")
    assert office.told()[-1] == (who, "restricted_closed")


@pytest.mark.rule("C30")
@pytest.mark.parametrize("who", ["olga", "omar"])
def test_it_ends_when_one_of_the_two_is_an_officer_no_more(office: Office, who: str) -> None:
    office.confirm(office.ask())
    office.parts.accounts.set_role(who, "technician", actor="admin")
    for name in ("olga", "omar"):
        with pytest.raises(NotAllowedError):
            office.read(name)
    assert office.service.advance() == 1


def test_an_account_that_was_closed_meanwhile_opens_nothing(office: Office) -> None:
    number = office.ask()
    office.parts.accounts.set_disabled("olga", True, actor="admin")
    with pytest.raises(ConflictError):
        office.confirm(number)


@pytest.mark.rule("C30")
def test_it_stays_open_over_a_restart_and_no_longer_than_it_was_said(office: Office) -> None:
    office.confirm(office.ask())
    parts = office.parts
    again = OpeningService(
        parts.database,
        accounts=parts.accounts,
        audit=parts.audit,
        clock=parts.clock,
        wall_s=lambda: int(parts.real.timestamp()),
    )
    assert again.current() == office.service.current() is not None
    parts.later(minutes=30)
    assert again.current() is None


@pytest.mark.rule("C30")
def test_what_the_rest_of_the_backend_reads_with_has_no_such_bucket_and_the_door_no_other(office: Office) -> None:
    office.confirm(office.ask())
    with pytest.raises(StoreAuthError):
        office.everybody.query(question(RESTRICTED))
    for bucket in READABLE:
        office.everybody.query(question(bucket))
        with pytest.raises(NotAllowedError):
            office.door.ask(office.viewers["olga"], question(bucket))
    assert office.door.ask(office.viewers["olga"], question(RESTRICTED))[0].values == [1234.5]


def test_the_boards_learn_that_it_was_open_and_for_how_long_and_neither_who_nor_why(office: Office) -> None:
    projection = OpeningProjection(office.parts.database, office.everybody, lambda: "turtle-bay")
    number = office.ask()
    assert projection.advance() == 0
    office.confirm(number)
    assert (projection.advance(), projection.advance()) == (1, 0)
    office.service.close(office.viewers["olga"], number)
    office.service.refuse(office.viewers["olga"], office.ask())
    office.confirm(office.ask(minutes=60))
    assert (projection.advance(), projection.advance()) == (1, 0)
    asked = {
        name: SeriesQuery(
            bucket="alerts",
            measurement="openings",
            field=name,
            function="sum",
            every_s=None,
            start=to_datetime(NOW_NS - S),
            stop=to_datetime(NOW_NS + S),
        )
        for name in ("opened", "minutes")
    }
    sums = {name: office.everybody.query(query)[0].values for name, query in asked.items()}
    assert sums == {"opened": [2], "minutes": [90]}
