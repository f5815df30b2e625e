"""What agent, fork server and children say to each other: whatever comes is a message or a ChildError."""

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.sealed import RECORD_BYTES
from edge.children.channel import MAX_MESSAGE_BYTES
from edge.children.messages import (
    MAX_REPORTS,
    MAX_RUNS,
    Came,
    CodeIssued,
    CodeNotIssued,
    Done,
    Failed,
    FromChild,
    IssueCode,
    Kill,
    LineGone,
    OrderTest,
    Passed,
    Ping,
    Pong,
    SealRuns,
    ServeAnalyser,
    Settled,
    Spawn,
    ToChild,
    ToServer,
    Verdict,
    Wanted,
    Warm,
    decode_for_child,
    decode_for_server,
    decode_from_child,
    decode_sealed,
    encode,
    encode_sealed,
    is_sealed,
    orders_of,
    seal_runs,
)
from edge.core.outcome import AssayTable
from edge.core.visit import PublicPart
from edge.errors import ChildError
from edge.ports import ControlSeen, ResultsSealed, SealedRun, SealOrder

SAMPLE = "6JDT06FXXF61J697SS0Y"
OTHER = "S5TJJC58FGSAK2HKY8MB"
ONE = AssayTable("SARSCOV2", {"SARSCOV2": "sars-cov-2"})
PANEL = AssayTable("PLUS", {"SARSCOV2": "sars-cov-2", "FLUA": "flu-a", "FLUB": "flu-b", "RSV": "rsv"})
PUBLIC = PublicPart(bytes(range(16)), bytes(range(32)), bytes(range(1, 17)))
ORDERS = (
    SealOrder(SAMPLE, PUBLIC, "2021-12-12", ONE),
    SealOrder(OTHER, PublicPart(b"s" * 16, b"k" * 32, b"o" * 16), "2021-12-13", PANEL),
)

FOR_SERVER: tuple[ToServer, ...] = (Spawn(1, "code"), Kill(2), Warm(b"{}", "0" * 16))
FOR_CHILD: tuple[ToChild, ...] = (
    IssueCode(
        None, 2_732_142, "2021-12-12 14:20", "2021-12-22 14:20", "zh", "https://results.example", "0" * 16, b"{}"
    ),
    ServeAnalyser("SARSCOV2", "kiosk^GeneXpert^6.5", OrderTest(SAMPLE, 1)),
    OrderTest(None, 5),
    seal_runs(ORDERS, ONE),
    Verdict(kept=True),
    Ping(),
)
FROM_CHILD: tuple[FromChild, ...] = (
    CodeIssued(b"s" * 16, b"k" * 32, b"o" * 16, "http://127.0.0.1:4242/x"),
    CodeNotIssued("paper"),
    Wanted(),
    Settled(SAMPLE, "perhaps"),
    Came(((SAMPLE, None, True), (None, "positive", True), (None, None, False))),
    Passed("noise"),
    LineGone(),
    Done("kiosk^GeneXpert^6.5", order_waits=True),
    Pong(),
    Failed("ValueError"),
)
DECODERS: tuple[tuple[tuple[object, ...], Callable[[bytes], object]], ...] = (
    (FOR_SERVER, decode_for_server),
    (FOR_CHILD, decode_for_child),
    (FROM_CHILD, decode_from_child),
)


@pytest.mark.parametrize(("messages", "decode"), DECODERS)
def test_every_message_reads_back_as_it_was(messages: tuple[object, ...], decode: Callable[[bytes], object]) -> None:
    for message in messages:
        assert decode(msgspec.msgpack.encode(message)) == message


@pytest.mark.parametrize(("messages", "decode"), DECODERS)
def test_a_cut_message_and_one_for_somebody_else_are_refused(
    messages: tuple[object, ...], decode: Callable[[bytes], object]
) -> None:
    others = [other for listed, _ in DECODERS for other in listed if other not in messages]
    for message in others:
        with pytest.raises(ChildError):
            decode(msgspec.msgpack.encode(message))
    for message in messages:
        whole = msgspec.msgpack.encode(message)
        for size in range(len(whole)):
            with pytest.raises(ChildError):
                decode(whole[:size])


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_nothing_else_is_raised(data: bytes) -> None:
    for _, decode in DECODERS:
        with pytest.raises(ChildError):
            decode(data)


NAMES = sorted({type(message).__name__ for listed, _ in DECODERS for message in listed})
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(), st.lists, max_leaves=8
)


@given(st.sampled_from(NAMES), st.lists(ANYTHING, max_size=8))
def test_a_message_of_any_name_with_anything_in_it_is_read_or_refused(name: str, values: list[object]) -> None:
    data = msgspec.msgpack.encode([name, *values])
    for _, decode in DECODERS:
        try:
            message = decode(data)
        except ChildError:
            continue
        assert type(message).__name__ == name


@pytest.mark.parametrize(
    "message",
    [
        OrderTest("QUACKENBUSH-OTTOLINE", 1),  # U is no symbol of ours
        OrderTest(SAMPLE, -1),
        ServeAnalyser("SARSCOV2", "x" * 161, None),
        SealRuns(seal_runs((ORDERS[0],) * (MAX_RUNS + 1), ONE).orders, "A", {}),
        SealRuns((), "A", {str(n): "t" for n in range(5)}),
    ],
)
def test_what_is_too_long_or_not_ours_does_not_reach_a_child(message: ToChild) -> None:
    with pytest.raises(ChildError):
        decode_for_child(encode(message))


def test_the_longest_upload_fits_a_message() -> None:
    assert len(encode(Came(((SAMPLE, "negative", True),) * MAX_REPORTS))) < MAX_MESSAGE_BYTES


def test_what_a_child_says_cannot_carry_what_was_typed_about_a_person() -> None:
    for message in (
        Came((("PASSPORT-X99", None, True),)),
        Came(((SAMPLE, None, True),) * (MAX_REPORTS + 1)),
        Failed("x" * 41),
        Passed("x" * 41),
    ):
        with pytest.raises(ChildError):
            decode_from_child(encode(message))


def test_orders_to_seal_read_back_as_they_were() -> None:
    message = decode_for_child(encode(seal_runs(ORDERS, PANEL)))
    assert isinstance(message, SealRuns)
    assert orders_of(message) == ORDERS
    assert AssayTable(message.assay, message.targets) == PANEL


# --- sealed runs --------------------------------------------------------------------------------------------

SEALED = ResultsSealed(
    (
        SealedRun(OTHER, b"\x01" * RECORD_BYTES, True, frozenset({"flu-b", "sars-cov-2"})),
        SealedRun(SAMPLE, b"\x02" * RECORD_BYTES, False, frozenset()),
    ),
    (ControlSeen("positive", True), ControlSeen("negative", False)),
)
# By the layout in the module, by hand: run 1 is the panel's (place 1, valid, bits 0 and 2), run 2 the other's.
WIRE = b"S\x02\x02" + b"\x01\x01\x05" + b"\x01" * 256 + b"\x00\x00\x00" + b"\x02" * 256 + b"\x01\x01" + b"\x00\x00"


def test_sealed_runs_have_the_layout_that_is_written_down() -> None:
    assert encode_sealed(SEALED, ORDERS) == WIRE
    assert is_sealed(memoryview(WIRE))
    assert decode_sealed(memoryview(WIRE), ORDERS) == SEALED


def test_a_message_of_sealed_runs_says_no_word_of_what_they_were() -> None:
    for word in (b"positive", b"sars", b"flu", SAMPLE.encode(), OTHER.encode()):
        assert word not in WIRE


def test_no_other_message_begins_like_sealed_runs() -> None:
    for messages, _ in DECODERS:
        assert not any(is_sealed(memoryview(msgspec.msgpack.encode(message))) for message in messages)
    assert not is_sealed(memoryview(b""))


@pytest.mark.parametrize(
    "damage",
    [
        WIRE[:-1],
        WIRE + b"\x00",
        WIRE.replace(b"S\x02", b"S\x03"),
        WIRE.replace(b"\x01\x01\x05", b"\x02\x01\x05"),  # nobody's order
        WIRE.replace(b"\x01\x01\x05", b"\x01\x02\x05"),  # neither valid nor invalid
        WIRE.replace(b"\x01\x01\x05", b"\x01\x01\x10"),  # a fifth target
        WIRE.replace(b"\x01\x01\x05", b"\x00\x01\x01"),  # the same run twice
        WIRE[:-1] + b"\x02",
        WIRE[:-2] + b"\x02\x00",
    ],
)
def test_damaged_sealed_runs_are_refused(damage: bytes) -> None:
    with pytest.raises(ChildError):
        decode_sealed(memoryview(damage), ORDERS)


@given(st.binary(max_size=700), st.booleans())
def test_garbage_for_sealed_runs_is_refused_or_reads_as_runs_that_were_ordered(data: bytes, begin: bool) -> None:
    data = b"S" + data if begin else data
    try:
        sealed = decode_sealed(memoryview(data), ORDERS)
    except ChildError:
        return
    assert {run.sample for run in sealed.runs} <= {SAMPLE, OTHER}


def test_every_combination_of_targets_is_told_apart() -> None:
    targets = tuple(PANEL.targets.values())
    seen = set()
    for size in range(5):
        for some in itertools.combinations(targets, size):
            run = SealedRun(OTHER, bytes(RECORD_BYTES), True, frozenset(some))
            wire = encode_sealed(ResultsSealed((run,), ()), ORDERS)
            assert decode_sealed(memoryview(wire), ORDERS).runs == (run,)
            seen.add(wire)
    assert len(seen) == 16
