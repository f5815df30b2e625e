"""Every table of every owner, as SQLAlchemy describes it; the migrations make them, a test compares the two.

Instants `_ns` are nanoseconds of the district's clock, `_s` real Unix seconds. 64-bit numbers are BigInteger.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

# SQLite numbers rows by INTEGER PRIMARY KEY only.
ID: Final = BigInteger().with_variant(Integer, "sqlite")

INGEST: Final = MetaData()
ANALYSE: Final = MetaData()
BACKEND: Final = MetaData()
COHORTS: Final = MetaData()


def _big(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _bytes(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _id() -> Column[int]:
    return Column("id", ID, primary_key=True)


def signals_table(metadata: MetaData) -> Table:
    """Findings: of ingest (safety) and of analyse (detectors), in each one's own state."""
    return Table(
        "signals",
        metadata,
        _id(),
        _text("rule"),
        _text("subject"),
        _text("zone", null=True),
        _text("target", null=True),
        _text("severity"),
        _text("phase"),
        _big("onset_ns"),
        _big("found_ns"),
        _text("facts"),
        UniqueConstraint("rule", "subject", "onset_ns", "phase", name="signals_key"),
    )


def cursors_table(metadata: MetaData) -> Table:
    """How far a reader of rows has come."""
    return Table("cursors", metadata, Column("name", Text, primary_key=True), _big("value"))


# --- ingest -------------------------------------------------------------------------------------------
# A record keeps the place where it was measured: projecting the journal again after a device moved changes nothing.
# `end_bytes` is the size of all payloads up to and with this row, since the journal began: sizes without a scan.
JOURNAL: Final = Table(
    "journal",
    INGEST,
    _id(),
    _text("device"),
    _text("kind"),
    _text("site"),
    _text("zone"),
    _flag("restricted"),
    _big("ob"),
    _text("stream"),
    _big("seq"),
    _big("n"),
    _big("skip"),
    _big("received_ns"),
    _text("content_type"),
    _bytes("payload"),
    _big("end_bytes"),
)
# On PostgreSQL several ingests may judge the same message: the row of its mark is what they contend for.
MARKS: Final = Table(
    "marks",
    INGEST,
    _text("device"),
    _big("ob"),
    _text("stream"),
    _big("hi"),
    _bytes("also"),
    PrimaryKeyConstraint("device", "ob", "stream"),
)
RELEASES: Final = Table(
    "releases",
    INGEST,
    _id(),
    _text("device"),
    _text("zone"),
    _big("window_start_ns"),
    _big("window_s"),
    _big("layout"),
    _text("counters"),
    _big("ob"),
    _big("seq"),
    _big("received_ns"),
    _flag("late"),
    _bytes("prev_hash"),
    _bytes("hash"),
    UniqueConstraint("device", "window_start_ns", name="releases_key"),
    Index("releases_by_window", "window_start_ns"),
)
DEAD_LETTERS: Final = Table(
    "dead_letters",
    INGEST,
    _id(),
    _text("device", null=True),
    _text("topic"),
    _text("stream", null=True),
    _big("ob", null=True),
    _big("seq", null=True),
    _big("n", null=True),
    _text("reason"),
    _big("received_ns"),
    _big("size_bytes"),
    _text("content_type", null=True),
    _text("sig", null=True),
    _bytes("payload", null=True),
)
COUNTS: Final = Table("counts", INGEST, Column("reason", Text, primary_key=True), _big("value"))
REPORTS: Final = Table(
    "device_reports",
    INGEST,
    _text("device"),
    _text("kind"),
    _big("ob"),
    _big("boot"),
    _big("conn"),
    _big("enrolment"),
    _big("received_ns"),
    _bytes("body"),
    PrimaryKeyConstraint("device", "kind"),
)
INGEST_SIGNALS: Final = signals_table(INGEST)
INGEST_CURSORS: Final = cursors_table(INGEST)

# --- cohorts ------------------------------------------------------------------------------------------
# Without row numbers, which would tell in which order ticks came.
SEALED_TICKS: Final = Table(
    "sealed_ticks",
    COHORTS,
    _text("device"),
    _big("tick"),
    _big("cohort"),
    _big("records"),
    _bytes("body"),
    PrimaryKeyConstraint("device", "tick"),
    Index("sealed_ticks_by_cohort", "cohort", "tick", "records"),  # answers `sizes` by itself, without the bodies
    sqlite_with_rowid=False,
)

# --- analyse ------------------------------------------------------------------------------------------
ANALYSE_SIGNALS: Final = signals_table(ANALYSE)
ANALYSE_CURSORS: Final = cursors_table(ANALYSE)

# --- backend: registry --------------------------------------------------------------------------------
DISTRICT: Final = Table(
    "district",
    BACKEND,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("names"),
    _big("utc_offset_s"),
    _big("week_start"),
    _big("window_s"),
    _text("languages"),
)
ZONES: Final = Table(
    "zones",
    BACKEND,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("names"),
    _big("population", null=True),
    _big("place"),
    _flag("retired"),
)
SITES: Final = Table(
    "sites",
    BACKEND,
    Column("id", Text, primary_key=True),
    _text("zone"),
    _text("kind"),
    _text("name"),
    _text("names"),
    _text("valid_from", null=True),
    _text("valid_to", null=True),
    _big("population", null=True),
    _flag("retired"),
)
DEVICES: Final = Table(
    "devices",
    BACKEND,
    Column("id", Text, primary_key=True),
    _text("site"),
    _text("kind"),
    _text("label"),
    _text("status"),
    _big("enrolment"),
    _bytes("public_key", null=True),
    _big("cert_not_after_ns", null=True),
    _flag("retired"),
)
# Where a device's windows count, from the window that starts at `from_ns` on (C31).
PLACEMENTS: Final = Table(
    "placements",
    BACKEND,
    _text("device"),
    _big("from_ns"),
    _text("site"),
    _text("zone"),
    PrimaryKeyConstraint("device", "from_ns"),
)
LAYOUTS: Final = Table(
    "layouts", BACKEND, Column("number", BigInteger, primary_key=True), _big("valid_from_ns"), _text("assays")
)
RULES: Final = Table(
    "rules",
    BACKEND,
    Column("name", Text, primary_key=True),
    _text("kind"),
    _text("metric"),
    _text("severity"),
    _text("settings"),
)
TOKENS: Final = Table(
    "enrolment_tokens",
    BACKEND,
    Column("hash", LargeBinary, primary_key=True),
    _text("device"),
    _big("expires_s"),
    _bytes("public_key", null=True),
)
CERTIFICATES: Final = Table(
    "certificates",
    BACKEND,
    Column("serial", Text, primary_key=True),
    _text("device"),
    _big("not_after_ns"),
    _text("fingerprint"),
    _flag("revoked"),
    Index("certificates_by_device", "device"),
)
# --- backend: people ----------------------------------------------------------------------------------
ACCOUNTS: Final = Table(
    "accounts",
    BACKEND,
    Column("name", Text, primary_key=True),
    _text("role"),
    _text("password_hash"),
    _flag("must_change"),
    _flag("disabled"),
    _text("language", null=True),
    _big("created_ns"),
    _big("password_changed_ns", null=True),
)
SESSIONS: Final = Table(
    "sessions",
    BACKEND,
    Column("token_hash", LargeBinary, primary_key=True),
    _text("account"),
    _text("csrf"),
    _big("created_s"),
    _big("last_seen_s"),
    _big("expires_s"),
    Index("sessions_by_account", "account"),
)
OPENINGS: Final = Table(
    "openings",
    BACKEND,
    _id(),
    _text("requested_by"),
    _text("reason"),
    _big("length_s"),
    _big("requested_s"),
    _text("confirmed_by", null=True),
    _big("confirmed_s", null=True),
    _big("confirmed_ns", null=True),
    _big("ended_s", null=True),
)
AUDIT: Final = Table(
    "audit",
    BACKEND,
    _id(),
    _big("at_ns"),
    _big("at_s"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("detail"),
    _bytes("prev_hash"),
    _bytes("hash"),
)
ALERTS: Final = Table(
    "alerts",
    BACKEND,
    _id(),
    _text("rule"),
    _text("subject"),
    _text("district"),
    _text("zone", null=True),
    _text("site", null=True),
    _text("device", null=True),
    _text("severity"),
    _text("state"),
    _flag("cleared"),
    _big("count"),
    _big("opened_ns"),
    _big("last_ns"),
    _big("cleared_ns", null=True),
    _big("acknowledged_ns", null=True),
    _text("acknowledged_by", null=True),
    _big("resolved_ns", null=True),
    _text("resolved_by", null=True),
    _text("signal_key"),
    _text("evidence"),
    Index(
        "alerts_open",
        "rule",
        "subject",
        unique=True,
        sqlite_where=text("state != 'resolved'"),
        postgresql_where=text("state != 'resolved'"),
    ),
)
ALERT_EVENTS: Final = Table(
    "alert_events",
    BACKEND,
    _id(),
    _big("alert_id"),
    _big("at_ns"),
    _text("event"),
    _text("actor", null=True),
    _text("note"),
    _text("evidence"),
    Index("alert_events_by_alert", "alert_id"),
)
BACKEND_CURSORS: Final = cursors_table(BACKEND)
