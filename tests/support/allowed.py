"""What may leave a process, name by name, each with the reason why nobody learns of a visitor by it (DESIGN §7).

Written by hand; `tests/privacy/test_allow_list.py` walks the program and fails on a name that is not here. Who adds a
name answers in its reason: could it differ because somebody came, or because of what a test said?
"""

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


IDENTITY: Final = "which record of which outbox: numbers that every stream has, as many whoever came"
FIXED: Final = "at fixed times or of fixed size, the same whoever came"
CABINET: Final = "the cabinet, its program or its line; never a visitor's run"
ALLOWED: Final = "names and words of the metrics' and events' own list"
DOWNWARD: Final = "from the district to a device; a device says nothing by it"
SEALED: Final = "noise from the start, or sealed among dummies; of constant size"
CONDITION: Final = "devices, controls, releases and rooms' air; facts of an alert are of a rule or of releases"
PEOPLE: Final = "people of the district at their work, who know that it is noted"
RELEASED: Final = "sums of releases, environment and equipment; the bucket `restricted` by its door alone"
CONFIGURED: Final = "what the operator wrote, and the interface itself"

# --- messages: struct -> field -> reason --------------------------------------------------------------
_BATCH: Final = dict.fromkeys(("v", "ob", "stream", "seq", "n", "lo", "hist"), IDENTITY)
_DOCUMENT: Final = dict.fromkeys(("v", "ob", "boot", "conn"), IDENTITY)
MESSAGES: Final[dict[str, dict[str, str]]] = {
    "Reading": {"ts_ns": FIXED, "tq": CABINET, "values": ALLOWED},
    "Event": {
        "ts_ns": "a technician's, the line's or the clock's doing",
        "tq": CABINET,
        "code": ALLOWED,
        "state": ALLOWED,
    },
    "ReadingBatch": {**_BATCH, "r": ALLOWED},
    "EventBatch": {**_BATCH, "r": ALLOWED},
    "DamagedBatch": {**_BATCH, "r": ALLOWED},
    "State": {**_DOCUMENT, "online": CABINET, "fw": CABINET},
    "InstrumentBirth": {"kind": CABINET, "model": CABINET, "fw": CABINET},
    "Birth": {
        **_DOCUMENT,
        "fw": CABINET,
        "ts_ns": CABINET,
        "instruments": CABINET,
        "metrics": ALLOWED,
        "layout": CONFIGURED,
    },
    "Reported": {**_DOCUMENT, "version": DOWNWARD, "accepted": DOWNWARD, "errors": DOWNWARD},
    "CommandAnswer": {**_DOCUMENT, "id": DOWNWARD, "state": DOWNWARD},
    "Ack": {"v": IDENTITY, "ob": IDENTITY, "stream": IDENTITY, "hi": IDENTITY, "also": IDENTITY},
    "Desired": {"v": IDENTITY, "version": DOWNWARD, "doc": DOWNWARD},
    "Command": {"v": IDENTITY, "id": DOWNWARD, "name": DOWNWARD, "not_after_ns": DOWNWARD, "args": DOWNWARD},
    "Rebirth": {"v": IDENTITY},
    "GatewayState": {"v": IDENTITY, "online": "whether anyone listens"},
    "Identity": {"ob": IDENTITY, "seq": IDENTITY, "n": IDENTITY, "lo": IDENTITY},
}
FRAMES: Final[dict[str, dict[str, str]]] = {
    "Frame": {**dict.fromkeys(("ob", "seq", "lo"), IDENTITY), "start": FIXED, "body": SEALED},
    "ReleaseBody": {"layout": CONFIGURED, "counters": SEALED},
    "TickBody": {"records": SEALED},
}

# --- what devices measure and say, by name ------------------------------------------------------------
METRICS: Final = _names(
    "co2_ppm temperature_c humidity_pct outbox_pct disk_pct clock_quality thinned_records instrument_ok "
    "certificate_days day_min_temperature_c control_ok lots_level paper_level"
)
EVENTS: Final = {
    "service_door": {"opened", "closed"},
    "power": {"restored"},
    "instrument": {"lost", "found"},
    "clock": {"jumped", "good"},
    "outbox": {"thinned", "full", "drained", "quarantined"},
    "control": {"failed", "passed"},
    "down_refused": {"signature", "version", "ack"},
}

# --- logs: an argument as it stands in the source -> reason -------------------------------------------
_ERROR: Final = "an error of ours: their texts hold nothing of a payload (tests/conformance/test_error_texts.py)"
LOG_ARGUMENTS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("exc", "type(exc).__name__", "type(error).__name__", "_place(exc)", "len(exc.bad)", "hear.__name__"), _ERROR
    ),
    **dict.fromkeys(
        ("device", "parts.publisher.identity.device", "self._publisher.identity.device", "self.identity.device"),
        "which cabinet: its number is on its door",
    ),
    **dict.fromkeys(
        ("offer.first", "offer.stream", "one.first", "one.last", "one.stream", "outcome", "said.kind"), IDENTITY
    ),
    **dict.fromkeys(
        (
            "answer",
            "connection.reason",
            "reason",
            "self._settings.client_id",
            "self._settings.host",
            "self._settings.port",
            "'resumed' if session_present else 'new'",
        ),
        "the line, and words of our own about it",
    ),
    "*(('failed', 'stopped') if after.failed else ('passed', 'allowed'))": "the day's control, never a visitor's run",
    "', '.join((f'{n} {name}' for name, n in counts.items()))": "the names of HEALTH_COUNTS",
    **dict.fromkeys(("signal.rule", "signal.subject", "signal.phase"), "of releases, which everybody may know"),
    **dict.fromkeys(("BUCKET", "bucket", "source.name", "self.name", "cohort"), CONFIGURED),
    **dict.fromkeys(
        (
            "waiting",
            "said",
            "len(received.wire)",
            "self._journal_max_bytes",
            "self._clock.real_s() - self._failing_since_s",
        ),
        "sizes and times of the gateway's own work; of a put-aside message only its size, never a byte",
    ),
    "line": "a change of the operator's district file",
}
# What a cabinet tells its log of itself, from time to time: what was passed over, refused or repeated.
HEALTH_COUNTS: Final = frozenset({"samples skipped", "records refused", "down messages refused"})
SENDING_COUNTS: Final = frozenset({"no_subscriber", "refused", "timeouts", "acks_early", "acks_refused"})
# Words that no line of a log may have: what they stand for is nobody's to read there.
NEVER_LOGGED: Final = ("cq", "positive", "negative", "result", "payload", "password", "token=", "slot", "code=")

# --- Prometheus: name -> labels -----------------------------------------------------------------------
COUNTERS: Final[dict[str, tuple[str, ...]]] = {
    "kioskwatch_ingest": ("outcome",),
    "kioskwatch_ingest_waiting_records": (),
    "kioskwatch_backend_answers": ("status",),
    "kioskwatch_backend_unforeseen_errors": (),
    "kioskwatch_backend_loop_failures": ("loop",),
    "kioskwatch_backend_signals": (),
}
GAUGES: Final = frozenset({"open_alerts", "live_clients"})
# Values of the label `outcome`: records are as many whoever came, refusals are faults of devices and strangers.
OUTCOMES: Final = _names(
    "documents duplicates foreign_outbox records stale_documents thinned ticks too_many_gaps unreadable_again"
)

# --- the API: schema -> (reason, fields) --------------------------------------------------------------
SCHEMAS: Final[dict[str, tuple[str, str]]] = {
    "AlertAnswer": (
        CONDITION,
        "acknowledged_by acknowledged_ns count device events facts headline id last_ns opened_ns over over_ns "
        "resolved_by resolved_ns rule severity site state subject zone",
    ),
    "AlertsAnswer": (CONDITION, "alerts"),
    "DeviceAnswer": (
        CONDITION,
        "certificate_days enrolment id kind label last_seen_ns online problems readings site status zone",
    ),
    "DevicesAnswer": (CONDITION, "devices"),
    "ProblemAnswer": (CONDITION, "remedy sentence severity"),
    "EventAnswer": (PEOPLE, "actor at_ns event note"),
    "NoteRequest": (PEOPLE, "note"),
    "SessionAnswer": (PEOPLE, "csrf must_change_password name permissions role"),
    "SessionRequest": (PEOPLE, "name password"),
    "OpenRequest": (PEOPLE, "minutes password reason"),
    "ConfirmRequest": (PEOPLE, "password"),
    "OpeningAnswer": (PEOPLE, "confirmed_by left_s minutes number reason requested_by state"),
    "EpsilonAnswer": (CONFIGURED, "assay target epsilon"),
    "PrivacyAnswer": (
        RELEASED,
        "day_start_ns expected received late missing chain_head releases epsilons epsilon_valid epsilon_invalid "
        "epsilon_test openings",
    ),
    "ZoneAnswer": (
        RELEASED,
        "day_start_ns id lower name open_alerts positivity releases releases_expected state upper",
    ),
    "DistrictAnswer": (RELEASED, "id name target zones"),
    "OneSeries": (RELEASED, "tags times_ns values"),
    "SeriesListAnswer": (RELEASED, "series"),
    "ChartAnswer": (RELEASED, "from_s from_zero series time_label title to_s unit utc_offset_s"),
    "SeriesAnswer": (RELEASED, "digits key label points role source times_s unit values"),
    "AssayAnswer": (CONFIGURED, "code targets"),
    "LayoutAnswer": (CONFIGURED, "assays number valid_from_ns"),
    "BoardAnswer": (CONFIGURED, "id note panels title"),
    "BoardsAnswer": (CONFIGURED, "boards"),
    "PanelAnswer": (CONFIGURED, "id kind note numbers title unit"),
    "BrokerAnswer": (CONFIGURED, "host port tls"),
    "ClockAnswer": (CONFIGURED, "now_ms simulated speed utc_offset_s zone"),
    "EnrolAnswer": (
        CONFIGURED,
        "broker ca certificate deployment_public_key device district languages layouts notice page_hash "
        "results_origin simulated utc_offset_s week_start window_s",
    ),
    "EnrolRequest": (CONFIGURED, "csr token"),
    "RenewRequest": (CONFIGURED, "csr device sig"),
    "ErrorAnswer": (CONFIGURED, "error"),
}
PARAMETERS: Final = _names(
    "alert_id before board bucket device every_s field function group_by level limit measurement metric number "
    "panel span start state stop tag target zone"
)

# --- pages: every name that a template asks for -------------------------------------------------------
PAGE_NAMES: Final = _names(
    "account accounts action actor address agreement agreements alert alert_row alerts allowed at_ns band board "
    "boards broken_at by certificate chart chosen cleared cleared_ns co2 code confirmed_by contact count counters "
    "covers created_ns csrf csv day days detail device devices disabled district district_names empty event "
    "events fact facts facts_title file files filters firing first_problem frame headline history id instant "
    "instrument instruments items key kind label language languages last last_ns late layout least least_chars lede "
    "left left_min legal_basis lengths level levels line lines link links may metric mine minutes more_alerts most "
    "most_chars must_change name next ngettext note now now_ns ns number numbers older open open_alerts opened_ns "
    "opening operator over own package panel panels path period place positivity positivity_note problem problems "
    "range ranges readings reason received_ns recipient releases remedy requested_by revoked role role_name roles "
    "row rows rule seen sentence sentences severity severity_word shape share sheet show simulated source span "
    "spark spark_label speed start_ns starts startswith stat state state_word static stats status subject summary "
    "sure taken text title token told tone ui until_ns valid value values view viewer what which why word words "
    "zone zones"
)

# --- answers that are files: a chart's numbers as CSV, and the CA's certificate ---------------------------
WITHOUT_SCHEMA: Final = frozenset(
    {
        "/api/v1/boards/{board}/{panel}.csv",
        "/api/v1/ca.pem",
        "/api/v1/charts/air.csv",
        "/api/v1/charts/device.csv",
        "/api/v1/charts/positivity.csv",
    }
)

# --- who names the bucket of rooms where people live ------------------------------------------------------
NAMES_RESTRICTED: Final[dict[str, str]] = {
    "backend/restricted/door.py": "the door",
    "backend/restricted/routes.py": "the name of the door's part of the API",
    "contracts/query.py": "the list of buckets",
    "gateway/ingest/bootstrap.py": "ingest writes it",
    "gateway/ingest/points.py": "ingest writes it",
    "kioskwatch/deployment.py": "makes its token",
    "kioskwatch/folder.py": "makes its token",
    "stores/state/migrations/ingest/v0001_first.py": "a column: whether a record is restricted",
    "stores/state/tables.py": "a column: whether a record is restricted",
}
