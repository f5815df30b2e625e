import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ContractError, EnvelopeError, VersionError
from contracts.messages import (
    DOCUMENTS_BY_KIND,
    DOWNS_BY_KIND,
    JSON_STREAMS,
    MAX_ACK_RANGES,
    MAX_RECORDS,
    Ack,
    Event,
    Identity,
    Reading,
    decode_batch,
    decode_document,
    decode_down,
    decode_gateway_state,
    encode,
    join,
    read_identity,
    salvage_batch,
)
from contracts.topics import DOCUMENTS, DOWN_KINDS
from tests.unit.contracts.vectors import MESSAGES, plain


@pytest.mark.rule("C8")
def test_joined_rows_are_the_hand_made_batch_byte_for_byte() -> None:
    rows = [row.encode() for row in MESSAGES["up/bulk"]["rows"]]
    assert join(ob=81985529216486895, stream="bulk", seq=7, lo=3, hist=False, rows=rows) == plain("up/bulk")


@pytest.mark.rule("C10")
def test_a_reading_is_three_values_in_the_order_of_the_contract() -> None:
    batch = decode_batch("bulk", plain("up/bulk"))
    assert batch.r[1] == Reading(1639285800000000000, 2, {"co2_ppm": 615.0, "humidity_pct": 41.25})
    assert encode(batch.r[0]) == MESSAGES["up/bulk"]["rows"][0].encode()


def test_an_event_is_a_code_and_a_word() -> None:
    batch = decode_batch("event", plain("up/event"))
    assert batch.r == [Event(1639288800000000000, 0, "service_door", "opened")]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_document_reads_and_writes_its_vector(kind: str) -> None:
    document = decode_document(kind, plain(f"up/{kind}"))
    assert type(document) is DOCUMENTS_BY_KIND[kind]
    assert encode(document) == plain(f"up/{kind}")


@pytest.mark.parametrize("kind", DOWN_KINDS)
def test_every_down_message_reads_and_writes_its_vector(kind: str) -> None:
    message = decode_down(kind, plain(f"down/{kind}"))
    assert type(message) is DOWNS_BY_KIND[kind]
    assert encode(message) == plain(f"down/{kind}")


def test_the_gateway_says_that_it_is_there() -> None:
    assert encode(decode_gateway_state(plain("_gw/state"))) == plain("_gw/state")


@pytest.mark.parametrize(
    "damage",
    [
        (b'"n":2', b'"n":3'),
        (b'"seq":7', b'"seq":2'),
        (b'"seq":7', b'"seq":0'),
        (b'"ob":81985529216486895', b'"ob":0'),
        (b'"ob":81985529216486895', b'"ob":9223372036854775808'),
        (b'"stream":"bulk"', b'"stream":"health"'),
        (b'"lo":3', b'"lo":8'),
        (b"612.5", b"NaN"),
        (b"612.5", b"1e999"),
        (b"612.5", b"null"),
        (b"612.5", b'"612.5"'),
        (b"co2_ppm", b"co2_\xff\xfe"),
        (b'"hist":false', b'"hist":false,"name":"x"'),
    ],
)
@pytest.mark.rule("C21")
def test_a_batch_that_breaks_one_rule_is_refused(damage: tuple[bytes, bytes]) -> None:
    assert damage[0] in plain("up/bulk")
    with pytest.raises(EnvelopeError):
        decode_batch("bulk", plain("up/bulk").replace(*damage, 1))


@pytest.mark.rule("C5")
def test_one_record_above_the_cap_is_refused() -> None:
    row = encode(Reading(1, 2, {"co2_ppm": 1.0}))
    full = join(ob=1, stream="bulk", seq=1, lo=1, hist=False, rows=[row] * MAX_RECORDS)
    assert decode_batch("bulk", full).n == MAX_RECORDS
    with pytest.raises(EnvelopeError):
        decode_batch("bulk", join(ob=1, stream="bulk", seq=1, lo=1, hist=False, rows=[row] * (MAX_RECORDS + 1)))


@pytest.mark.parametrize("other", [b'{"v":2}', b'{"v":2,"anything":[1]}', b'{"v":0,"ob":1}'])
def test_a_message_of_another_version_is_told_from_garbage(other: bytes) -> None:
    with pytest.raises(VersionError):
        decode_batch("bulk", other)
    with pytest.raises(VersionError):
        decode_document("state", other)


@pytest.mark.rule("C17")
@pytest.mark.parametrize(
    "also",
    [
        [(40, 45)],  # touches hi
        [(45, 44)],
        [(50, 60), (55, 70)],
        [(2 * n, 2 * n) for n in range(30, 31 + MAX_ACK_RANGES)],
        [(50, 2**63)],
    ],
)
def test_an_acknowledgement_with_impossible_ranges_is_refused(also: list[tuple[int, int]]) -> None:
    with pytest.raises(EnvelopeError):
        decode_down("ack", encode(Ack(v=1, ob=5, stream="bulk", hi=40, also=also)))


@given(st.binary(max_size=300))
def test_garbage_gives_a_contract_error_and_nothing_else(garbage: bytes) -> None:
    for stream in JSON_STREAMS:
        with pytest.raises(ContractError):
            decode_batch(stream, garbage)
    for kind in DOCUMENTS:
        with pytest.raises(ContractError):
            decode_document(kind, garbage)
    for kind in DOWN_KINDS:
        with pytest.raises(ContractError):
            decode_down(kind, garbage)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_byte_gives_a_batch_or_a_contract_error(position: int, value: int) -> None:
    damaged = bytearray(plain("up/bulk"))
    damaged[position % len(damaged)] = value
    try:
        batch = decode_batch("bulk", bytes(damaged))
    except ContractError:
        return
    assert batch.n == len(batch.r)


def test_deep_nesting_is_refused_not_followed() -> None:
    with pytest.raises(EnvelopeError):
        decode_document("state", b'{"v":1,"ob":' + b"[" * 100_000)


# --- what can be told of a damaged batch ------------------------------------------------------------------------


def test_a_record_that_cannot_be_read_leaves_its_neighbours() -> None:
    rows = [b'[1000,2,{"co2_ppm":1.5}]', b"7", b'[2000,2,{"co2_ppm":2.5}]']
    batch = salvage_batch("bulk", join(ob=5, stream="bulk", seq=9, lo=1, hist=True, rows=rows))
    assert (batch.ob, batch.seq, batch.n, batch.lo, batch.hist) == (5, 9, 3, 1, True)
    assert batch.r == [Reading(1000, 2, {"co2_ppm": 1.5}), None, Reading(2000, 2, {"co2_ppm": 2.5})]
    with pytest.raises(EnvelopeError):
        salvage_batch("bulk", join(ob=5, stream="bulk", seq=9, lo=1, hist=True, rows=[b"7", b"null"]))


def test_a_batch_that_is_no_json_says_which_records_it_was_to_hold_as_far_as_its_head_goes() -> None:
    whole = join(ob=5, stream="bulk", seq=9, lo=2, hist=True, rows=[b'[1000,2,{"co2_ppm":NaN}]'])
    head_end = whole.index(b'"hist"')
    for cut in range(len(whole)):
        found = read_identity(whole[:cut])
        assert found == (Identity(ob=5, seq=9, n=1, lo=2) if cut >= head_end else None)


@given(st.binary(max_size=80), st.sampled_from(["bulk", "event"]))
def test_garbage_gives_no_identity_and_the_typed_error(garbage: bytes, stream: str) -> None:
    read_identity(garbage)
    with pytest.raises((EnvelopeError, VersionError)):
        salvage_batch(stream, garbage)
