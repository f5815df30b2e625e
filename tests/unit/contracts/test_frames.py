import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ContractError, EnvelopeError, LayoutError, VersionError
from contracts.frames import HEAD_BYTES, MAX_RECORDS, Frame, ReleaseBody, TickBody
from contracts.layout import MAX_TARGETS, Assay, AssayLayout
from contracts.sealed import RECORD_BYTES
from tests.unit.contracts.vectors import MESSAGES

LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))
RELEASE = MESSAGES["up/release"]
TICK = json.loads((Path(__file__).parents[2] / "vectors" / "visit.json").read_text())["tick_frame"]
WIRE = bytes.fromhex(RELEASE["hex"].replace(" ", ""))


@pytest.mark.rule("C11")
def test_a_release_reads_and_writes_the_hand_made_bytes() -> None:
    frame = Frame.decode(WIRE)
    assert (frame.ob, frame.seq, frame.lo, frame.start) == tuple(RELEASE[k] for k in ("ob", "seq", "lo", "start"))
    body = ReleaseBody.decode(frame.body, {1: LAYOUT})
    assert body == ReleaseBody(1, tuple(RELEASE["counters"]))
    assert Frame(frame.ob, frame.seq, frame.lo, frame.start, body.encode()).encode() == WIRE


@pytest.mark.rule("C11")
def test_a_release_has_one_length_whatever_was_counted() -> None:
    lengths = {len(ReleaseBody(1, counters).encode()) for counters in ((0, 0, 0), (-5, 2**31 - 1, -(2**31)))}
    assert lengths == {4 + 4 * LAYOUT.counters}


@pytest.mark.rule("C11")
def test_a_tick_has_the_same_head_with_its_number() -> None:
    sealed = MESSAGES["up/sealed"]
    head = bytes.fromhex(sealed["hex_head"].replace(" ", ""))
    assert len(head) == HEAD_BYTES
    assert Frame.decode(head + bytes(1024)) == Frame(
        sealed["ob"], sealed["seq"], sealed["lo"], sealed["start"], bytes(1024)
    )


@pytest.mark.rule("C11")
def test_a_tick_reads_and_writes_the_hand_made_bytes() -> None:
    wire = bytes.fromhex(TICK["hex"].replace(" ", ""))
    frame = Frame.decode(wire)
    assert (frame.ob, frame.seq, frame.lo, frame.start) == (int(TICK["ob"]), TICK["seq"], TICK["lo"], TICK["tick"])
    body = TickBody.decode(frame.body)
    assert [record.hex() for record in body.records] == TICK["hex"].split()[5:]
    assert Frame(frame.ob, frame.seq, frame.lo, frame.start, body.encode()).encode() == wire


@pytest.mark.rule("C11")
@pytest.mark.parametrize("length", [0, 1, 255, 257, 17 * 256, 16 * 256 + 1])
def test_a_tick_that_is_not_one_to_sixteen_whole_records_is_refused(length: int) -> None:
    with pytest.raises(EnvelopeError):
        TickBody.decode(bytes(length))


def test_a_tick_of_other_records_cannot_be_made() -> None:
    for records in ((), (bytes(RECORD_BYTES),) * (MAX_RECORDS + 1), (bytes(RECORD_BYTES), b"")):
        with pytest.raises(EnvelopeError):
            TickBody(records)


@given(st.binary(max_size=2 * RECORD_BYTES + 1))
def test_garbage_is_a_tick_of_that_length_or_an_envelope_error(garbage: bytes) -> None:
    try:
        body = TickBody.decode(garbage)
    except EnvelopeError:
        return
    assert body.encode() == garbage


def test_another_version_is_told_apart() -> None:
    with pytest.raises(VersionError):
        Frame.decode(b"\x02" + WIRE[1:])


@pytest.mark.parametrize("cut", range(len(WIRE)))
def test_a_cut_release_is_refused(cut: int) -> None:
    with pytest.raises(ContractError):
        ReleaseBody.decode(Frame.decode(WIRE[:cut]).body, {1: LAYOUT})


def test_a_release_of_an_unknown_layout_or_another_length_is_refused() -> None:
    body = Frame.decode(WIRE).body
    with pytest.raises(LayoutError, match="no layout"):
        ReleaseBody.decode(body, {2: AssayLayout(2, LAYOUT.assays)})
    with pytest.raises(LayoutError, match="another length"):
        ReleaseBody.decode(body + bytes(4), {1: LAYOUT})


def test_a_counter_that_does_not_fit_is_refused_when_it_is_written() -> None:
    with pytest.raises(LayoutError):
        ReleaseBody(1, (2**31,)).encode()


@given(st.binary(max_size=80))
def test_garbage_gives_a_contract_error_or_a_release(garbage: bytes) -> None:
    try:
        body = ReleaseBody.decode(Frame.decode(garbage).body, {1: LAYOUT})
    except ContractError:
        return
    assert len(body.counters) == LAYOUT.counters


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3))
def test_every_counter_comes_back(counters: list[int]) -> None:
    body = ReleaseBody(1, tuple(counters))
    assert ReleaseBody.decode(body.encode(), {1: LAYOUT}) == body


def test_a_target_in_two_assays_has_two_counters() -> None:
    panel = AssayLayout(7, (Assay("FLUAB", ("fluav", "flubv", "rsv")), Assay("RSV", ("rsv",))))
    assert panel.counters == 2 + 3 + 2 + 1
    assert panel.assay("RSV").targets == ("rsv",)
    with pytest.raises(LayoutError):
        panel.assay("HIV")


@pytest.mark.parametrize(
    ("code", "targets"),
    [("lower", ("a",)), ("", ("a",)), ("A" * 17, ("a",)), ("A", ()), ("A", ("b", "b")), ("A", tuple("abcdefghi"))],
)
def test_an_impossible_assay_cannot_be_made(code: str, targets: tuple[str, ...]) -> None:
    assert len("abcdefghi") > MAX_TARGETS
    with pytest.raises(ContractError):
        Assay(code, targets)


@pytest.mark.parametrize("number", [0, -1, 2**31])
def test_an_impossible_layout_cannot_be_made(number: int) -> None:
    with pytest.raises(LayoutError):
        AssayLayout(number, LAYOUT.assays)
    with pytest.raises(LayoutError):
        AssayLayout(1, (*LAYOUT.assays, *LAYOUT.assays))
