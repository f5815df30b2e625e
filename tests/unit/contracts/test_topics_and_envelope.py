import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import sign, verify
from contracts.errors import ContractError, SignatureError, TopicError
from contracts.topics import DOWN_KINDS, UP_KINDS, DownTopic, UpTopic, all_down, gateway_state
from tests.unit.contracts.vectors import MESSAGES, plain

BULK = MESSAGES["up/bulk"]
KEY = Ed25519PublicKey.from_public_bytes(bytes.fromhex(BULK["public_key"]))


@pytest.mark.rule("C3")
def test_every_kind_of_the_contract_has_a_vector_and_its_topic() -> None:
    wanted = {f"up/{kind}" for kind in UP_KINDS} | {f"down/{kind}" for kind in DOWN_KINDS} | {"_gw/state"}
    assert set(MESSAGES) == wanted
    for kind in UP_KINDS:
        topic = MESSAGES[f"up/{kind}"]["topic"]
        assert str(UpTopic.parse(topic)) == topic
    for kind in DOWN_KINDS:
        topic = MESSAGES[f"down/{kind}"]["topic"]
        assert str(DownTopic.parse(topic)) == topic
    assert gateway_state("main") == MESSAGES["_gw/state"]["topic"]
    assert all_down("air-10017") == "kw/v1/air-10017/down/+"


@pytest.mark.rule("C4")
def test_no_kind_of_topic_stands_for_one_test() -> None:
    assert not {"result", "run", "test", "visit", "diag"} & set(UP_KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "kw/v1/air/up/result",
        "kw/v2/air/up/bulk",
        "kw/v1/AIR/up/bulk",
        "kw/v1//up/bulk",
        "kw/v1/a/b/up/bulk",
        "kw/v1/+/up/bulk",
        "kw/v1/-a/up/bulk",
        "kw/v1/" + "a" * 64 + "/up/bulk",
        "kw/v1/air/down/ack",
        "kw/v1/air/up/bulk/",
        "kw/v1/air/up/bulk\n",
        "kw/v1/_gw/up/bulk",
    ],
)
@pytest.mark.rule("C3")
def test_what_is_not_a_topic_of_ours_is_refused(text: str) -> None:
    with pytest.raises(TopicError):
        UpTopic.parse(text)


@given(st.text(max_size=40))
def test_any_text_gives_a_topic_or_a_topic_error(text: str) -> None:
    for read in (UpTopic.parse, DownTopic.parse):
        with pytest.raises(TopicError):
            read(text)


@pytest.mark.rule("C7")
def test_a_signature_made_by_openssl_holds() -> None:
    verify(KEY, BULK["topic"], plain("up/bulk"), BULK["sig"])


@pytest.mark.rule("C7")
@pytest.mark.parametrize("other", ["kw/v1/air-10016/up/bulk", "kw/v1/air-10017/up/health", "kw/v1/air-10017/up/bul"])
def test_a_message_moved_to_another_topic_is_refused(other: str) -> None:
    with pytest.raises(SignatureError):
        verify(KEY, other, plain("up/bulk"), BULK["sig"])


@pytest.mark.rule("C7")
def test_a_changed_byte_or_another_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(KEY, BULK["topic"], plain("up/bulk") + b" ", BULK["sig"])
    with pytest.raises(SignatureError):
        verify(Ed25519PrivateKey.generate().public_key(), BULK["topic"], plain("up/bulk"), BULK["sig"])


@pytest.mark.parametrize("sig", [None, "", "A" * 85, "A" * 86, "A" * 87, "é" * 86, "+" * 86, BULK["sig"] + "=="])
@pytest.mark.rule("C7")
def test_a_missing_or_misspelt_signature_is_refused(sig: str | None) -> None:
    with pytest.raises(SignatureError):
        verify(KEY, BULK["topic"], plain("up/bulk"), sig)


@given(st.text(min_size=86, max_size=86))
def test_any_text_as_a_signature_gives_a_signature_error(sig: str) -> None:
    with pytest.raises(ContractError):
        verify(KEY, BULK["topic"], b"", sig)


def test_what_sign_makes_verify_takes() -> None:
    key = Ed25519PrivateKey.generate()
    verify(key.public_key(), "kw/v1/a/up/bulk", b"x", sign(key, "kw/v1/a/up/bulk", b"x"))
