"""Nothing leaves a process by a name that is not on the list: a walk through everything that could say something.

Messages and frames, metrics and events, lines of logs with their arguments, Prometheus' counters, the API's document,
and every name that a page's template asks for. The list (`tests/support/allowed.py`) gives each its reason.
"""

import ast
import inspect
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args

import jinja2
import msgspec
import pytest
from jinja2 import nodes

import contracts.frames
import contracts.messages
from contracts import metrics
from contracts.query import RESTRICTED
from contracts.topics import DOCUMENTS
from edge.core.outcome import Controls
from edge.core.sending import Counters as SendingCounters
from gateway.ingest.steps import Reason
from tests.support import allowed
from tests.support.console import running_console
from tests.support.repository import PACKAGES, ROOT, python_files, text_of

LOGGERS = frozenset({"log", "logger", "logging"})
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
PROMETHEUS = frozenset({"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"})
# Programs that stand outside: a simulator's log is read by whoever plays with it and by nobody else.
OUTSIDE = frozenset({"firmware_sim"})


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every call in the programs that a district runs."""
    for path in python_files():
        if path.parts[0] in PACKAGES - OUTSIDE:
            yield from ((path, node) for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.Call))


def log_calls() -> list[tuple[Path, ast.Call]]:
    """Those that write a line to a log."""
    return [(path, call) for path, call in calls() if _is_log(call.func)]


def _is_log(func: ast.expr) -> bool:
    if not isinstance(func, ast.Attribute) or func.attr not in LEVELS:
        return False
    return ast.unparse(func.value).split(".")[-1].strip("_").lower() in LOGGERS


# --- messages --------------------------------------------------------------------------------------------


def structs() -> dict[str, set[str]]:
    """Each message kind, record and document of the contract with its fields."""
    return {
        name: {field.name for field in msgspec.structs.fields(kind)}
        for name, kind in vars(contracts.messages).items()
        if inspect.isclass(kind) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
        if not name.startswith("_")
    }


@pytest.mark.rule("C14")
def test_a_message_has_no_field_that_is_not_on_the_list() -> None:
    assert structs() == {name: set(listed) for name, listed in allowed.MESSAGES.items()}
    known = set(contracts.messages.DOCUMENTS_BY_KIND)
    assert known == set(DOCUMENTS)


@pytest.mark.rule("C14")
def test_a_frame_has_no_field_that_is_not_on_the_list() -> None:
    found = {
        name: {field.name for field in fields(kind)}
        for name, kind in vars(contracts.frames).items()
        if inspect.isclass(kind) and is_dataclass(kind) and kind.__module__ == contracts.frames.__name__
    }
    assert found == {name: set(listed) for name, listed in allowed.FRAMES.items()}


# --- metrics and events -------------------------------------------------------------------------------------


@pytest.mark.rule("C14")
def test_a_device_measures_and_says_nothing_that_is_not_on_the_list_and_each_has_its_reason() -> None:
    assert set(metrics.METRICS) == allowed.METRICS
    assert {code: set(states) for code, states in metrics.EVENTS.items()} == allowed.EVENTS
    assert set(metrics.EVENT_REASONS) == set(metrics.EVENTS)
    reasons = [row.reason for row in metrics.METRICS.values()] + list(metrics.EVENT_REASONS.values())
    assert all(len(reason.split()) > 4 for reason in reasons)


@pytest.mark.rule("C28")
def test_whatever_a_kiosk_says_of_itself_is_coarse_or_whole_or_once_a_day() -> None:
    for row in metrics.METRICS.values():
        if "kiosk" in row.kinds:
            assert row.step > 0 or row.daily, row.name
    assert {row.name for row in metrics.METRICS.values() if row.step == 10} == {"outbox_pct", "disk_pct"}
    assert {row.name for row in metrics.METRICS.values() if row.daily} == {"control_ok", "day_min_temperature_c"}


# --- logs -----------------------------------------------------------------------------------------------------


def test_a_line_of_a_log_has_a_text_of_ours_and_no_argument_that_is_not_on_the_list() -> None:
    strange = []
    for path, call in log_calls():
        text, *arguments = call.args
        if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
            strange.append(f"{path}:{call.lineno}: its text is made at run time")
        strange += [
            f"{path}:{call.lineno}: {ast.unparse(one)}"
            for one in arguments
            if ast.unparse(one) not in allowed.LOG_ARGUMENTS
        ]
    assert strange == []
    assert len(log_calls()) > 40, "the walk finds them"


def test_no_line_of_a_log_speaks_of_what_a_test_said_or_brings_a_traceback() -> None:
    for path, call in log_calls():
        text = str(getattr(call.args[0], "value", "")).lower()
        assert not [word for word in allowed.NEVER_LOGGED if word in text], f"{path}:{call.lineno}"
        assert isinstance(call.func, ast.Attribute)
        assert call.func.attr != "exception", f"{path}:{call.lineno}: its traceback quotes values"
        extra = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert extra in ({}, {"exc_info": "False"}), f"{path}:{call.lineno}: {extra}"


def test_no_argument_stays_on_the_list_that_no_log_has_any_more() -> None:
    used = {ast.unparse(one) for _, call in log_calls() for one in call.args[1:]}
    assert set(allowed.LOG_ARGUMENTS) - used == set()


def test_what_a_cabinet_counts_for_its_log_is_on_the_list() -> None:
    counts = next(
        node
        for node in ast.walk(ast.parse(text_of(Path("edge/bootstrap.py"))))
        if isinstance(node, ast.FunctionDef) and node.name == "_counts"
    )
    named = {
        key.value
        for node in ast.walk(counts)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert named == allowed.HEALTH_COUNTS
    assert {field.name for field in fields(SendingCounters)} == allowed.SENDING_COUNTS


# --- Prometheus -------------------------------------------------------------------------------------------------


def test_a_counter_has_a_name_and_labels_that_are_on_the_list() -> None:
    found: dict[str, tuple[str, ...]] = {}
    gauges = set()
    for path, call in calls():
        word = ast.unparse(call.func).removeprefix("prometheus_client.")
        if path.name in {"counters.py", "operations.py"} and word in PROMETHEUS and len(call.args) > 1:
            labels = ast.literal_eval(call.args[2]) if len(call.args) > 2 else ()
            if isinstance(call.args[0], ast.Constant):
                found[str(call.args[0].value)] = tuple(labels)
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "gauge":
            gauges.add(ast.literal_eval(call.args[0]))
    assert found == allowed.COUNTERS
    assert gauges == set(allowed.GAUGES)
    users = {
        str(path)
        for path in python_files()
        if "import prometheus_client" in text_of(path) or "from prometheus_client" in text_of(path)
    }
    assert {path for path in users if path.split("/")[0] in PACKAGES} == {
        "gateway/ingest/counters.py",
        "backend/web/operations.py",
    }


def test_what_ingest_counts_is_a_reason_or_on_the_list() -> None:
    tree = ast.parse(text_of(Path("gateway/ingest/judging.py")))
    found = {
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value).endswith("counts")
        and isinstance(node.slice, ast.Constant)
    }
    assert found - set(get_args(Reason)) <= allowed.OUTCOMES


# --- the API and the pages ----------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_an_answer_of_the_api_has_no_field_that_is_not_on_the_list(tmp_path: Path) -> None:
    with running_console(tmp_path, data=False) as console, closing(console.client()) as client:
        document = client.get("/api/v1/openapi.json").json()
    schemas = {name: set(schema.get("properties", {})) for name, schema in document["components"]["schemas"].items()}
    assert schemas == {name: set(listed.split()) for name, (_, listed) in allowed.SCHEMAS.items()}
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert {parameter["name"] for one in operations for parameter in one.get("parameters", [])} == allowed.PARAMETERS
    untold = {path for path, methods in document["paths"].items() for one in methods.values() if not _told(one)}
    assert untold == allowed.WITHOUT_SCHEMA


def _told(operation: dict[str, dict[str, dict[str, object]]]) -> bool:
    """Whether the document says what a good answer holds."""
    good = {status: one for status, one in operation["responses"].items() if status.startswith("2")}
    return all(status == "204" or "$ref" in str(one.get("content", "")) for status, one in good.items())


def test_a_page_asks_for_no_name_that_is_not_on_the_list() -> None:
    environment = jinja2.Environment(autoescape=True)
    found = set()
    for template in sorted((ROOT / "backend/web/templates").glob("*.html")):
        tree = environment.parse(template.read_text())
        found |= {node.attr for node in tree.find_all(nodes.Getattr)} | {
            node.name for node in tree.find_all(nodes.Name)
        }
        found |= {str(node.arg.value) for node in tree.find_all(nodes.Getitem) if isinstance(node.arg, nodes.Const)}
    words = {name for name in found if not name.isdigit() and name != "_"}
    assert words - allowed.PAGE_NAMES == set()
    assert allowed.PAGE_NAMES - words == set()


# --- what decisions are made of --------------------------------------------------------------------------------------


def test_a_devices_state_is_judged_by_its_health_and_controls_alone() -> None:
    """Stock, paper, control, disk, outbox, clock, instrument: words at fixed times. Nothing of a run is among them."""
    asked = {
        ast.literal_eval(call.args[0])
        for path, call in calls()
        if path == Path("backend/devices/health.py")
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "reads"
    }
    assert asked == {
        "instrument_ok",
        "control_ok",
        "outbox_pct",
        "disk_pct",
        "clock_quality",
        "lots_level",
        "paper_level",
        "thinned_records",
    }


def test_a_kiosk_is_locked_by_its_controls_alone() -> None:
    """The whole of what locks it: two answers, each a control's. No argument of it could be a visitor's run."""
    assert {field.name for field in fields(Controls)} == {"positive_holds", "negative_holds"}
    assert list(inspect.signature(Controls.after).parameters) == ["self", "level", "holds"]
    locked = Controls().after("positive", holds=False)
    assert locked.failed
    assert locked.after("negative", holds=True).failed, "the other level does not unlock it"
    assert not locked.after("positive", holds=True).failed


def test_a_safety_rule_sees_rooms_and_a_detector_sees_releases() -> None:
    bulk = {row.name for row in metrics.METRICS.values() if row.stream == "bulk"}
    assert {metrics.METRICS[name].bucket for name in bulk} == {"environment"}
    asked = {
        str(word.value.value)
        for path, call in calls()
        if path.parts[0] == "gateway" and ast.unparse(call.func) == "SeriesQuery"
        for word in call.keywords
        if word.arg == "bucket" and isinstance(word.value, ast.Constant)
    }
    assert asked <= {"released", "history"}


def test_the_word_restricted_as_a_bucket_stands_in_ingest_that_writes_it_and_at_the_door() -> None:
    """Whoever names the bucket could ask it: the list of who does is short, and anything new fails here."""
    named = {
        str(path)
        for path in python_files()
        if path.parts[0] in PACKAGES
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Constant) and node.value == RESTRICTED
    }
    assert named == set(allowed.NAMES_RESTRICTED)
