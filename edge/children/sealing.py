"""Runs to sealed records: the analyser's words to calls by the table, calls to a body, the body to 256 bytes. Pure."""

from collections.abc import Mapping, Sequence

from contracts.sealed import result_body, seal
from edge.core.outcome import AssayTable, Call, RunReport, calls_of, control_holds
from edge.ports import ControlSeen, ResultsSealed, RunSeen, SealedRun, SealOrder


def ours(reports: Sequence[RunReport]) -> tuple[RunReport, ...]:
    """Return the runs of our samples and the controls; of others' runs nothing is said.

    All of them: which ones are awaited only the agent knows, and what is left out here is acknowledged and lost.
    """
    return tuple(report for report in reports if report.sample is not None or report.control is not None)


def seen(reports: Sequence[RunReport]) -> tuple[RunSeen, ...]:
    """Return what the agent may know before anything is sealed."""
    return tuple(RunSeen(report.sample, report.control, report.final) for report in reports)


def seal_upload(reports: Sequence[RunReport], orders: Sequence[SealOrder], table: AssayTable) -> ResultsSealed:
    """Seal the ordered runs that are final, the first report of each; judge the newest control of each level."""
    final = [report for report in reports if report.final]
    runs = {report.sample: report for report in reversed(final) if report.control is None}
    wanted = {order.sample: order for order in orders}
    sealed = (
        seal_run(order, calls_of(runs[sample], order.table)) for sample, order in wanted.items() if sample in runs
    )
    controls = (ControlSeen(one.control, control_holds(one, table)) for one in final if one.control is not None)
    newest = {control.level: control for control in controls}
    return ResultsSealed(tuple(sealed), tuple(newest.values()))


def seal_no_result(orders: Sequence[SealOrder]) -> ResultsSealed:
    """Seal "no result, please test again" for each order."""
    wanted = {order.sample: order for order in orders}
    return ResultsSealed(tuple(seal_run(order, _invalid(order.table)) for order in wanted.values()), ())


def seal_run(order: SealOrder, calls: Mapping[str, Call]) -> SealedRun:
    """Seal one run. For the counters a run with any call that is no statement is invalid as a whole (DESIGN §7)."""
    public = order.public
    body = result_body(order.day, calls).encode()
    record = seal(public.slot, public.public_key, public.origin, body)
    valid = all(call in {"positive", "negative"} for call in calls.values())
    positives = (target for target, call in calls.items() if valid and call == "positive")
    return SealedRun(order.sample, record, valid, frozenset(positives))


def _invalid(table: AssayTable) -> dict[str, Call]:
    return dict.fromkeys(table.targets.values(), "invalid")
