"""A shared package: whole and from its sender, or refused in one sentence; no byte can change unnoticed."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from contracts import shared_releases
from contracts.errors import SharingError
from contracts.release_chain import GENESIS, chain_hash
from contracts.rows import AssayCounts, ReleaseRow
from contracts.shared_releases import SharedChain, check_chain, check_continues, encode_links, encode_releases
from contracts.shared_sums import check_sums
from contracts.sharing import (
    MANIFEST,
    SIGNATURE,
    ChainEntry,
    Manifest,
    entries,
    opened,
    pack,
    public_text,
    read_public_key,
    sealed,
    unpack,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
NO_CHAIN = ChainEntry(before="00" * 32, last="00" * 32, links=0, head="00" * 32, head_number=0)
CONTENT = {"roll_ups.csv": b"level,zone\nzone_day,z1\n", "dictionary.csv": b"file,column\n"}


def manifest(files: dict[str, bytes], chain: ChainEntry = NO_CHAIN) -> Manifest:
    return Manifest(
        v=1,
        district="turtle-bay",
        agreement="city",
        recipient="City",
        first_day="2021-12-12",
        last_day="2021-12-13",
        created="2021-12-14T00:00:00-05:00",
        program="kioskwatch 0",
        simulated=True,
        key=public_text(KEY.public_key()),
        chain=chain,
        files=entries(files),
    )


PACKAGE = sealed(KEY, manifest(CONTENT), CONTENT)


def refused(files: dict[str, bytes]) -> str:
    with pytest.raises(SharingError) as caught:
        opened(files, KEY.public_key())
    return str(caught.value)


def test_a_whole_package_opens_and_its_signature_is_plain_ed25519_over_the_manifest() -> None:
    package = opened(PACKAGE, KEY.public_key())
    assert dict(package.files) == CONTENT
    assert package.manifest.recipient == "City"
    # Without any code of ours: the key, the label and the bytes, as the module's first lines say.
    padded = PACKAGE[SIGNATURE].decode().strip().translate(str.maketrans("-_", "+/")) + "=="
    KEY.public_key().verify(base64.b64decode(padded), b"kioskwatch/share/v1\x00" + PACKAGE[MANIFEST])
    told = json.loads(PACKAGE[MANIFEST])["files"]
    assert {one["name"]: one["sha256"] for one in told} == {
        name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()
    }


@pytest.mark.parametrize("name", sorted(PACKAGE))
def test_any_bit_changed_in_any_file_is_noticed_and_so_is_any_cut(name: str) -> None:
    data = PACKAGE[name]
    for at in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[at] ^= 1 << bit
            refused({**PACKAGE, name: bytes(altered)})
        refused({**PACKAGE, name: data[:at]})
    refused({**PACKAGE, name: data + b"\n"})


def test_any_bit_changed_in_the_one_file_is_noticed_and_so_is_any_cut() -> None:
    packed = pack(PACKAGE)
    for at in range(len(packed)):
        altered = bytearray(packed)
        altered[at] ^= 1 << at % 8
        with pytest.raises(SharingError):
            opened(unpack(bytes(altered)), KEY.public_key())
        with pytest.raises(SharingError):
            opened(unpack(packed[:at]), KEY.public_key())
    with pytest.raises(SharingError):
        unpack(packed + b"\0")


def test_each_thing_that_is_wrong_has_its_sentence() -> None:
    without = {name: data for name, data in PACKAGE.items() if name != "roll_ups.csv"}
    assert refused(without) == "roll_ups.csv is missing"
    assert refused({**PACKAGE, "more.csv": b""}) == "more.csv does not belong to the package"
    assert refused({**PACKAGE, "roll_ups.csv": CONTENT["roll_ups.csv"][:-1]}).startswith("roll_ups.csv has 22 bytes")
    assert refused({**PACKAGE, "roll_ups.csv": CONTENT["roll_ups.csv"].upper()}) == "roll_ups.csv was altered"
    assert refused({name: data for name, data in PACKAGE.items() if name != MANIFEST}) == f"{MANIFEST} is missing"
    assert refused({name: data for name, data in PACKAGE.items() if name != SIGNATURE}) == f"{SIGNATURE} is missing"
    assert "another key" in refused(sealed(OTHER, manifest(CONTENT), CONTENT))
    newer = sealed(KEY, msgspec.structs.replace(manifest(CONTENT), v=2), CONTENT)
    assert "newer program" in refused(newer)


@pytest.mark.parametrize("name", ["../roll_ups.csv", "/etc/passwd.csv", "a/b.csv", "A.csv", ".csv", "x.exe"])
def test_a_signed_name_that_is_no_plain_file_is_refused_all_the_same(name: str) -> None:
    files = {name: b""}
    assert "newer program" in refused(sealed(KEY, manifest(files), files))


def test_the_one_file_is_a_zip_that_an_independent_program_reads() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(PACKAGE))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == PACKAGE
    assert unpack(pack(PACKAGE)) == PACKAGE


def test_a_zip_of_another_program_is_refused_though_its_files_are_the_same() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in PACKAGE.items():
            archive.writestr(name, data)
    with pytest.raises(SharingError, match="another program"):
        unpack(out.getvalue())


@given(st.binary(max_size=300))
def test_garbage_is_no_package_and_no_other_error(data: bytes) -> None:
    for noise in (data, b"PK\x03\x04" + data):
        with pytest.raises(SharingError):
            unpack(noise)
    with pytest.raises(SharingError):
        opened({MANIFEST: data, SIGNATURE: data}, KEY.public_key())
    with pytest.raises(SharingError):
        opened(sealed_bytes(data), KEY.public_key())


def sealed_bytes(text: bytes) -> dict[str, bytes]:
    """A manifest that is garbage, truly signed."""
    signature = base64.urlsafe_b64encode(KEY.sign(b"kioskwatch/share/v1\x00" + text)).rstrip(b"=") + b"\n"
    return {MANIFEST: text, SIGNATURE: signature}


@given(st.text(max_size=60))
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SharingError):
        read_public_key(text)


def test_a_key_reads_back_and_has_one_spelling() -> None:
    text = public_text(KEY.public_key())
    assert public_text(read_public_key(f" {text}\n")) == text
    for other in (text.upper(), text[:-1], text + "0", f"{text[:32]} {text[32:]}"):
        with pytest.raises(SharingError):
            read_public_key(other)


def test_every_spelling_of_a_signature_but_one_is_refused() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = PACKAGE[SIGNATURE].decode().strip()
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]  # the same 64 bytes, other unused bits
    refused({**PACKAGE, SIGNATURE: twin.encode() + b"\n"})


# --- the chain --------------------------------------------------------------------------------------------


def releases(count: int) -> list[ReleaseRow]:
    previous, made = GENESIS, []
    for number in range(1, count + 1):
        row = ReleaseRow(
            id=number * 3,  # numbers may have gaps
            device=f"kiosk-{number}",
            zone="z1",
            window_start_ns=number * 10**12,
            window_s=21600,
            layout=1,
            counters={"SARSCOV2": AssayCounts(12 - number, -1, {"sars-cov-2": number - 2})},
            ob=2**62 + number,
            seq=number,
            received_ns=number * 10**12 + 5,
            late=number == 2,
        )
        row = replace(row, prev_hash=previous, hash=chain_hash(previous, row))
        previous = row.hash
        made.append(row)
    return made


ROWS = releases(4)
CHAIN = ChainEntry(
    before=GENESIS.hex(), last=ROWS[-1].hash.hex(), links=4, head=ROWS[-1].hash.hex(), head_number=ROWS[-1].id
)


def test_the_hash_of_a_release_is_the_one_computed_by_hand_from_its_json() -> None:
    counters = '{"SARSCOV2": {"invalid": -1, "positives": {"sars-cov-2": -1}, "valid": 11}}'
    text = (
        f'{{"counters": {json.dumps(counters)}, "device": "kiosk-1", "late": false, "layout": 1, '
        f'"ob": {2**62 + 1}, "received_ns": {10**12 + 5}, "seq": 1, "window_s": 21600, '
        f'"window_start_ns": {10**12}, "zone": "z1"}}'
    )
    assert ROWS[0].hash == hashlib.sha256(bytes(32) + text.encode()).digest()


def test_whole_releases_are_chained_again_and_links_are_compared() -> None:
    whole = check_chain(encode_releases(ROWS), CHAIN)
    assert [link.number for link in whole.links] == [3, 6, 9, 12]
    assert [release.counters for release in whole.releases] == [row.counters for row in ROWS]
    assert check_chain(encode_links(ROWS), CHAIN) == SharedChain(whole.links, ())


def changed(**values: object) -> Callable[[list[ReleaseRow]], list[ReleaseRow]]:
    return lambda rows: [rows[0], replace(rows[1], **values), *rows[2:]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "forge",
    [
        changed(counters={"SARSCOV2": AssayCounts(11, -1, {"sars-cov-2": 0})}),
        changed(received_ns=1),
        changed(late=False),
        changed(device="kiosk-9"),
        changed(hash=bytes(32)),
        lambda rows: [rows[0], *rows[2:]],
        lambda rows: [rows[1], rows[0], *rows[2:]],
        lambda rows: rows[:-1],
    ],
)
def test_a_release_changed_removed_moved_or_cut_off_breaks_the_chain(
    forge: Callable[[list[ReleaseRow]], list[ReleaseRow]],
) -> None:
    with pytest.raises(SharingError):
        check_chain(encode_releases(forge(list(ROWS))), CHAIN)


def test_links_that_end_elsewhere_or_beyond_the_head_are_refused() -> None:
    for wrong in (
        {"last": "11" * 32},
        {"head_number": 11},
        {"head": "22" * 32},
        {"links": 3},
    ):
        with pytest.raises(SharingError):
            check_chain(encode_links(ROWS), msgspec.structs.replace(CHAIN, **wrong))


def test_a_later_package_has_the_same_releases_or_history_was_rewritten() -> None:
    older = check_chain(encode_links(ROWS[:3]), part(ROWS[:3])).links
    newer = check_chain(encode_links(ROWS), CHAIN).links
    assert check_continues(older, newer) == 3
    rewritten = [replace(older[0], received_ns=7), *older[1:]]
    with pytest.raises(SharingError, match="another one"):
        check_continues(rewritten, newer)


def part(rows: list[ReleaseRow]) -> ChainEntry:
    return msgspec.structs.replace(CHAIN, last=rows[-1].hash.hex(), links=len(rows))


@given(st.binary(max_size=200))
def test_garbage_is_no_chain_and_no_other_error(data: bytes) -> None:
    heads = (b"", b",".join(name.encode() for name in shared_releases.LINK_COLUMNS) + b"\n")
    whole = b",".join(name.encode() for name in shared_releases.RELEASE_COLUMNS) + b"\n"
    for head in (*heads, whole, encode_releases(ROWS[:1])):
        with pytest.raises(SharingError):
            check_chain(head + data + b"x", CHAIN)


@given(counters=st.text(max_size=40))
def test_counters_that_are_none_are_refused(counters: str) -> None:
    row = encode_releases(ROWS[:1]).decode().splitlines()
    cells = ["3", "k", "z", "1", "2", "1", json.dumps(counters).replace('"', '""'), "1", "1", "1", "0", "00" * 32]
    cells[6] = f'"{cells[6]}"'
    data = "\n".join([row[0], ",".join(cells)]).encode() + b"\n"
    with pytest.raises(SharingError):
        check_chain(data, msgspec.structs.replace(CHAIN, links=1, last="00" * 32))


# --- sums -------------------------------------------------------------------------------------------------

# Windows of ROWS begin at 1000, 2000, … seconds of 1970; counters are (12 - n, -1, n - 2) for release n.
SUMS = (
    "level,zone,target,start,end,status,positives,valid,invalid\n"
    "zone_window,z1,sars-cov-2,1970-01-01T00:16:40+00:00,1970-01-01T00:33:20+00:00,shown,-1,11,-1\n"
    "district_day,,sars-cov-2,1970-01-01T00:00:00+00:00,1970-01-02T00:00:00+00:00,shown,2,38,-4\n"
    "zone_day,z2,sars-cov-2,1970-01-01T00:00:00+00:00,1970-01-02T00:00:00+00:00,none,,,\n"
)


def test_sums_are_added_up_again_from_the_releases() -> None:
    assert check_sums(SUMS.encode(), ROWS) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shown,2,", "shown,3,"),
        (",38,", ",39,"),
        (",-4", ",-3"),
        ("shown,2,", "shown,,"),
        ("zone_window,z1", "zone_window,z2"),
        ("1970-01-02T00:00:00+00:00,shown", "1970-01-01T01:00:00+00:00,shown"),
        ("1970-01-01T00:16:40+00:00", "1970-01-01T00:16:40"),
        ("1970-01-01T00:16:40+00:00", "noon"),
        ("status", "state"),
    ],
)
def test_another_sum_or_no_sum_is_refused(old: str, new: str) -> None:
    with pytest.raises(SharingError):
        check_sums(SUMS.replace(old, new).encode(), ROWS)


@given(st.binary(max_size=200))
def test_garbage_is_no_table_of_sums_and_no_other_error(data: bytes) -> None:
    with pytest.raises(SharingError):
        check_sums(data + b"x", ROWS)
    with pytest.raises(SharingError):
        check_sums(SUMS.encode() + data + b"x", ROWS)
