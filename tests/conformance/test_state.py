"""One suite for the state, on SQLite and on a real PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, text

from contracts.layout import Assay, AssayLayout
from contracts.registry import Device, District, Layout, LimitRule, Placement, Rule, Site, StuckRule, Zone
from contracts.signals import Signal
from stores.errors import (
    ConflictError,
    SchemaTooNewError,
    SpecError,
    StoreError,
    StoreUnavailableError,
    WriterLockedError,
)
from stores.state import tables
from stores.state.accounts import Account, Accounts, Audit, Session
from stores.state.alerts import AlertEventRow, AlertRow, AlertState
from stores.state.analyse import AnalyseState
from stores.state.database import Database, Owner, open_for_reading, open_for_writing
from stores.state.devices import Certificate, Registry, load_registry
from stores.state.journal import IngestState
from stores.state.signals import signals_after

OWNERS: list[Owner] = ["ingest", "analyse", "backend", "cohorts"]


def co2(phase: str = "raised", onset_ns: int = 10) -> Signal:
    return Signal("co2", "air-10017", "z10017", None, "warning", phase, onset_ns, 20, {"value": 1712.5})  # type: ignore[arg-type]


# --- opening --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", OWNERS)
def test_the_migrations_make_exactly_the_tables_that_the_code_describes(spec: str, owner: Owner) -> None:
    described: dict[Owner, MetaData] = {
        "ingest": tables.INGEST,
        "analyse": tables.ANALYSE,
        "backend": tables.BACKEND,
        "cohorts": tables.COHORTS,
    }
    with open_for_writing(spec, owner) as database, database.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), described[owner]) == []


def test_a_second_writer_is_refused_and_the_next_one_let_in(spec: str) -> None:
    first = open_for_writing(spec, "analyse")
    with pytest.raises(WriterLockedError):
        open_for_writing(spec, "analyse")
    first.close()
    open_for_writing(spec, "analyse").close()


def test_a_reader_waits_for_the_writers_first_start_and_cannot_write(spec: str) -> None:
    with pytest.raises(StoreUnavailableError):
        open_for_reading(spec, "ingest")
    with open_for_writing(spec, "ingest"), open_for_reading(spec, "ingest") as reader:
        assert IngestState(reader).load_marks() == {}
        with pytest.raises(StoreError), reader.begin():
            pass
        with pytest.raises(StoreError), reader.read() as connection:
            connection.execute(text("DELETE FROM journal"))


def test_a_newer_programs_schema_is_refused(spec: str) -> None:
    with open_for_writing(spec, "backend") as database, database.begin() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = 'backend_9999'"))
    with pytest.raises(SchemaTooNewError):
        open_for_writing(spec, "backend")


def test_what_a_reader_sees_between_two_commits_is_one_state(ingest: Database, spec: str) -> None:
    state = IngestState(ingest)
    with open_for_reading(spec, "ingest") as reader, reader.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM cursors")).scalar()
        state.set_cursor("series", 7)
        assert connection.execute(text("SELECT count(*) FROM cursors")).scalar() == before == 0
    with ingest.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM cursors")).scalar() == 1


def test_a_writer_whose_connection_was_cut_writes_on_only_when_nobody_took_its_place(postgres_url: str) -> None:
    with open_for_writing(postgres_url, "ingest") as database:
        _cut_connections(postgres_url, "ingest")
        IngestState(database).set_cursor("series", 1)
        with pytest.raises(WriterLockedError):
            open_for_writing(postgres_url, "ingest")
        _cut_connections(postgres_url, "ingest")
        with open_for_writing(postgres_url, "ingest") as thief:
            IngestState(thief).set_cursor("series", 2)
            with pytest.raises(WriterLockedError):
                IngestState(database).set_cursor("series", 3)
        IngestState(database).set_cursor("series", 4)
        assert IngestState(database).cursor("series") == 4


def _cut_connections(url: str, owner: Owner) -> None:
    """As a server's restart does, for the connections of one owner."""
    with open_for_reading(url, owner) as other, other.read() as connection:
        cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
        connection.execute(text(f"{cut} AND pid <> pg_backend_pid()"))


def test_several_writers_share_a_server_and_never_a_file(spec: str) -> None:
    if spec.startswith("sqlite"):
        with pytest.raises(SpecError):
            open_for_writing(spec, "ingest", shared=True)
        return
    with (
        open_for_writing(spec, "ingest", shared=True),
        open_for_writing(spec, "ingest", shared=True),
        pytest.raises(WriterLockedError),  # rebuild and redrive want to be alone
    ):
        open_for_writing(spec, "ingest")


@pytest.mark.parametrize("wrong", ["", "sqlite:", "mysql://x", "postgresql://x"])
def test_a_setting_that_names_no_state_is_refused(wrong: str) -> None:
    with pytest.raises(SpecError):
        open_for_writing(wrong, "ingest")


# --- analyse ------------------------------------------------------------------------------------------------


def test_a_signal_found_again_changes_nothing(spec: str) -> None:
    with open_for_writing(spec, "analyse") as database:
        state = AnalyseState(database)
        state.commit([co2()], {"releases": 7})
        state.commit([co2(), co2("cleared")], {"releases": 9})
        assert [row.signal.phase for row in signals_after(database, 0)] == ["raised", "cleared"]
        assert signals_after(database, signals_after(database, 0)[-1].id) == []
        assert (state.cursor("releases"), state.signal_states()[("co2", "air-10017")].phase) == (9, "cleared")


# --- backend ------------------------------------------------------------------------------------------------

DISTRICT = District(
    id="turtle-bay",
    name="T",
    names={"zh": "龟湾"},
    utc_offset_s=-18_000,
    week_start=6,
    window_s=21_600,
    languages=("en", "zh"),
)
ZONES = [Zone(id="z2", name="Two", place=0, population=9), Zone(id="z1", name="One", place=1)]
SITES = [Site(id="s1", zone="z1", kind="kiosk", name="S")]
RULES: list[Rule] = [
    LimitRule(
        name="co2", metric="co2_ppm", severity="warning", above=1500.0, clear=1200.0, hold_s=1800, site_kinds=("venue",)
    ),
    StuckRule(name="stuck", metric="co2_ppm", severity="info", readings=12),
]


def applied(backend: Database, devices: list[Device], *, now_ns: int = 0, sites: Sequence[Site] = SITES) -> Registry:
    registry = Registry(backend)
    with backend.begin() as tx:
        registry.apply(tx, DISTRICT, zones=ZONES, sites=sites, devices=devices, rules=RULES, now_ns=now_ns)
    return registry


def test_the_registry_comes_back_as_it_was_applied(backend: Database) -> None:
    with pytest.raises(StoreUnavailableError):
        load_registry(backend)
    kiosk = Device(id="kiosk-1", kind="kiosk", site="s1", zone="z1", label="left")
    registry = applied(backend, [kiosk])
    layout = Layout(AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),)), 100)
    with backend.begin() as tx:
        registry.add_layout(tx, layout)
    found = load_registry(backend)
    assert (found.district, list(found.zones.values()), found.sites["s1"]) == (DISTRICT, ZONES, SITES[0])
    assert (found.devices, found.layouts, found.rules) == ({"kiosk-1": kiosk}, {1: layout}, tuple(RULES))
    assert found.limits_on("co2_ppm", ["venue"]) == (RULES[0],)
    assert found.limits_on("co2_ppm", ["kiosk"]) == ()
    assert (found.layout_at(99), found.layout_at(100)) == (None, layout)


def test_a_device_keeps_its_key_when_the_file_changes_and_leaves_with_it(backend: Database) -> None:
    device = Device(id="air-1", kind="air_monitor", site="s1", zone="z1")
    registry = applied(backend, [device])
    certificate = Certificate(serial="0a", device="air-1", not_after_ns=5, fingerprint="f")
    with backend.begin() as tx:
        assert registry.enrol(tx, certificate, b"k" * 32) == 1
        assert registry.enrol(tx, replace(certificate, serial="0b", not_after_ns=6), b"l" * 32) == 2
    assert registry.revoked_serials() == ["0a"]  # of the key before
    applied(backend, [replace(device, label="moved")])
    kept = load_registry(backend).devices["air-1"]
    assert (kept.label, kept.enrolment, kept.public_key, kept.cert_not_after_ns) == ("moved", 2, b"l" * 32, 6)
    with backend.begin() as tx:
        assert registry.revoke(tx, "air-1") == 1
    assert registry.revoked_serials() == ["0a", "0b"]
    assert load_registry(backend).devices["air-1"].status == "revoked"
    applied(backend, [])
    assert load_registry(backend).devices == {}


@pytest.mark.rule("C31")
def test_a_devices_windows_count_where_it_stood_when_they_began_also_once_it_has_left(backend: Database) -> None:
    kiosk = Device(id="kiosk-1", kind="kiosk", site="s1", zone="z1")
    window_ns, moved = DISTRICT.calendar.window_ns, [replace(SITES[0], zone="z2")]
    start_ns = DISTRICT.calendar.window_start_ns(1_639_300_000 * 10**9)
    applied(backend, [kiosk], now_ns=start_ns)
    assert load_registry(backend).placements == {"kiosk-1": (Placement(0, "s1", "z1"),)}
    applied(backend, [replace(kiosk, zone="z2")], now_ns=start_ns + 1, sites=moved)
    found = load_registry(backend)
    assert found.placements == {"kiosk-1": (Placement(0, "s1", "z1"), Placement(start_ns + window_ns, "s1", "z2"))}
    assert (found.devices["kiosk-1"].zone, found.zone_at("kiosk-1", start_ns)) == ("z2", "z1")
    applied(backend, [kiosk], now_ns=start_ns + window_ns - 1)
    assert load_registry(backend).placements == {"kiosk-1": (Placement(0, "s1", "z1"),)}
    applied(backend, [], now_ns=start_ns + window_ns)
    assert load_registry(backend).zone_at("kiosk-1", start_ns) == "z1"


def test_a_state_from_before_placements_gets_those_of_all_its_devices(spec: str) -> None:
    with open_for_writing(spec, "backend") as database:
        kiosks = [Device(id=f"kiosk-{number}", kind="kiosk", site="s1", zone="z1") for number in (1, 2)]
        applied(database, kiosks)
        applied(database, kiosks[:1])
        with database.begin() as tx:
            tx.execute(text("DROP TABLE placements"))
            tx.execute(text("UPDATE alembic_version SET version_num = 'backend_0002'"))
        with open_for_reading(spec, "backend") as reader, pytest.raises(StoreError):
            load_registry(reader)  # the supervisor starts this reader again until the backend has updated its state
    with open_for_writing(spec, "backend") as database:
        found = load_registry(database)
        assert found.placements == {name: (Placement(0, "s1", "z1"),) for name in ("kiosk-1", "kiosk-2")}
        assert list(found.devices) == ["kiosk-1"]


def test_a_token_enrols_one_key_and_repeats_for_it_until_it_expires(backend: Database) -> None:
    registry = applied(backend, [])
    with backend.begin() as tx:
        registry.add_token(tx, b"h" * 32, "kiosk-1", expires_s=100)
        assert registry.use_token(tx, b"x" * 32, b"k", 50) is None
        assert registry.use_token(tx, b"h" * 32, b"k", 50) == "kiosk-1"
        assert registry.use_token(tx, b"h" * 32, b"k", 51) == "kiosk-1"
        assert registry.use_token(tx, b"h" * 32, b"other", 52) is None
        assert registry.use_token(tx, b"h" * 32, b"k", 100) is None


def test_accounts_sessions_and_their_end(backend: Database) -> None:
    accounts = Accounts(backend)
    ada = Account(
        name="ada",
        role="officer",
        password_hash="$argon2id$x",
        must_change=True,
        disabled=False,
        language=None,
        created_ns=1,
        password_changed_ns=None,
    )
    session = Session(token_hash=b"t" * 32, account="ada", csrf="c", created_s=1, last_seen_s=1, expires_s=100)
    with backend.begin() as tx:
        accounts.save(tx, ada)
        accounts.save(tx, replace(ada, must_change=False))
        accounts.add_session(tx, session)
        accounts.add_session(tx, replace(session, token_hash=b"u" * 32, expires_s=50))
    assert accounts.accounts() == [replace(ada, must_change=False)] == [accounts.account("ada")]
    accounts.touch_session(b"t" * 32, 9)
    accounts.prune_sessions(50)
    assert accounts.session(b"u" * 32) is None
    assert accounts.session(b"t" * 32) == replace(session, last_seen_s=9)
    with backend.begin() as tx:
        accounts.end_sessions_of(tx, "ada", but=b"t" * 32)
    assert accounts.session(b"t" * 32) is not None
    with backend.begin() as tx:
        accounts.end_session(tx, b"t" * 32)
    assert accounts.session(b"t" * 32) is None


def test_rows_of_one_action_are_read_backwards_and_forwards(backend: Database) -> None:
    audit = Audit(backend)
    with backend.begin() as tx:
        for number, action in enumerate(["shared", "sign_in", "shared", "shared"]):
            audit.append(tx, at_ns=number, at_s=number, actor="ada", action=action, subject="city", detail="{}")
    newest = audit.latest(2, action="shared")
    assert [row.at_ns for row in newest] == [3, 2]
    assert [row.at_ns for row in audit.latest(9, newest[-1].id, action="shared")] == [0]
    assert [row.at_ns for row in audit.after(0, 2, action="shared")] == [0, 2]
    assert [row.at_ns for row in audit.after(newest[-1].id, 9, action="shared")] == [3]


def test_the_audit_log_is_chained_and_a_change_shows(backend: Database) -> None:
    audit = Audit(backend)
    for number in range(3):
        with backend.begin() as tx:
            audit.append(tx, at_ns=number, at_s=number, actor="ada", action="sign_in", subject="ada", detail="{}")
    assert audit.verify() is None
    assert [row.at_ns for row in audit.latest(2)] == [2, 1]
    assert [row.at_ns for row in audit.latest(9, before_id=audit.latest(1)[0].id)] == [1, 0]
    with backend.begin() as tx:
        tx.execute(tables.AUDIT.update().where(tables.AUDIT.c.at_ns == 1).values(actor="eve"))
    assert audit.verify() == audit.latest(2)[1].id


def test_one_alert_of_a_rule_and_subject_is_open(backend: Database) -> None:
    state = AlertState(backend)
    new = AlertRow(
        rule="co2",
        subject="air-10017",
        district="turtle-bay",
        zone="z10017",
        site=None,
        device="air-10017",
        severity="warning",
        state="firing",
        cleared=False,
        count=1,
        opened_ns=1,
        last_ns=1,
        cleared_ns=None,
        acknowledged_ns=None,
        acknowledged_by=None,
        resolved_ns=None,
        resolved_by=None,
        signal_key="k",
        evidence="{}",
    )
    with backend.begin() as tx:
        saved = state.save(tx, new)
        event = AlertEventRow(alert_id=saved.id, at_ns=1, event="fired", actor=None, note="", evidence="{}")
        number = state.add_event(tx, event)
        state.set_cursor(tx, "ingest", 4)
    with pytest.raises(ConflictError), backend.begin() as tx:
        state.save(tx, new)
    assert state.open_alert("co2", "air-10017") == saved == state.alert(saved.id)
    assert state.open_alerts() == [saved] == state.alerts(state="firing", zone="z10017", device="air-10017", limit=5)
    assert (state.events(saved.id), state.events_after(number, 5)) == ([replace(event, id=number)], [])
    assert state.events_after(0, 5) == [(replace(event, id=number), saved)]
    assert (state.cursor("ingest"), state.counts()) == (4, {"firing": 1})
    with backend.begin() as tx:
        state.save(tx, replace(saved, state="resolved", resolved_by="ada", resolved_ns=9))
        state.save(tx, new)
    assert len(state.alerts(state=None, limit=9)) == 2
    assert state.alerts(state=None, limit=9, before_id=saved.id + 1) == [state.alert(saved.id)]
