"""The result page's own cryptography in a real Chromium, against standards, the known answers and Python."""

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from playwright.sync_api import Browser, Page

from contracts.claim import ALPHABET, ClaimCode, parse_ready_group, ready_group
from contracts.errors import ClaimCodeError
from contracts.sealed import CALLS, Call, ResultBody, open_record, result_body
from tests.support.chromium import watched_page
from tests.support.repository import ROOT
from tests.support.result_host import District, cohort_file, sealed, served
from tests.support.result_visit import WITHOUT_X25519
from tests.support.seeds import seeded

pytestmark = pytest.mark.timeout(90)  # a browser on a shared machine

VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/claim.json").read_text())
VISIT: dict[str, Any] = json.loads((ROOT / "tests/vectors/visit.json").read_text())
SEALER = (Path(__file__).parents[1] / "support/result_page.js").read_text()
SEALER = SEALER[SEALER.index("async (keys") :]
TICK = 2_991_168
BODY = result_body("2026-11-22", {"94500-6": "negative"})
HEX = """
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const hex = (data) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
"""
OPEN = f"""async ([code, file]) => {{ {HEX}
  const {{ keysOf, findResult }} = await import("/record.js");
  return findResult(await keysOf(code), bytes(file));
}}"""


@pytest.fixture(scope="module", params=["native", "own"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of the result page's origin, in a browser with X25519 and in one without."""
    with served(District(TICK)) as url, watched_page(browser) as page:
        if request.param == "own":
            page.add_init_script(WITHOUT_X25519)
        page.goto(f"{url}/health/en.html")  # the page's own modules, and none of its behaviour
        yield page


# RFC 7748: §5.2 (two), §6.1 (Alice's and Bob's keys, and their secret).
X25519 = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
    (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "09".ljust(64, "0"),
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ),
    (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    ),
]
MULTIPLY = f"""async ([key, point]) => {{ {HEX}
  const {{ x25519 }} = await import("/x25519.js");
  return hex(await x25519(bytes(key), bytes(point)));
}}"""


@pytest.mark.parametrize(("key", "point", "product"), X25519)
def test_x25519_gives_what_rfc_7748_says(page: Page, key: str, point: str, product: str) -> None:
    assert page.evaluate(MULTIPLY, [key, point]) == product


def test_our_own_x25519_survives_the_thousand_rounds_of_rfc_7748(page: Page) -> None:
    rounds = f"""async () => {{ {HEX}
      const {{ own }} = await import("/x25519.js");
      let [k, u] = [bytes("09".padEnd(64, "0")), bytes("09".padEnd(64, "0"))];
      for (let round = 0; round < 1000; round += 1) [k, u] = [own(k, u), k];
      return hex(k);
    }}"""
    assert page.evaluate(rounds) == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def test_our_own_x25519_agrees_with_python_on_any_key_and_point(page: Page) -> None:
    chance = seeded("x25519")
    pairs = [(chance.randbytes(32), chance.randbytes(32)) for _ in range(40)]
    products = page.evaluate(
        f"""async (pairs) => {{ {HEX}
          const {{ own }} = await import("/x25519.js");
          return pairs.map(([key, point]) => hex(own(bytes(key), bytes(point))));
        }}""",
        [[key.hex(), point.hex()] for key, point in pairs],
    )
    for (key, point), product in zip(pairs, products, strict=True):
        other = X25519PublicKey.from_public_bytes(point)
        assert product == X25519PrivateKey.from_private_bytes(key).exchange(other).hex()


# Points of small order (RFC 7748 §6.1: the secret would be all zeros): 0, 1, p-1, p, p+1 and the two of order 8.
SMALL = [
    "00" * 32,
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
]


@pytest.mark.parametrize("point", SMALL)
def test_a_point_of_small_order_is_refused(page: Page, point: str) -> None:
    refused = MULTIPLY.replace(
        "return hex(await x25519(bytes(key), bytes(point)));",
        "return x25519(bytes(key), bytes(point)).then(() => 'taken', () => 'refused');",
    )
    assert page.evaluate(refused, [X25519[0][0], point]) == "refused"


def test_hpke_opens_the_message_of_rfc_9180(page: Page) -> None:
    opened = page.evaluate(
        f"""async ([key, enc, text, info, aad]) => {{ {HEX}
          const {{ open }} = await import("/hpke.js");
          return new TextDecoder().decode(await open(bytes(key), bytes(enc), bytes(text), bytes(info), bytes(aad)));
        }}""",
        [  # A.1.1, sequence number 0
            "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
            "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
            "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
            "4f6465206f6e2061204772656369616e2055726e",
            "436f756e742d30",
        ],
    )
    assert opened == "Beauty is truth, truth beauty"


def test_hkdf_gives_the_first_block_of_rfc_5869(page: Page) -> None:
    made = page.evaluate(
        f"""async ([salt, material, info]) => {{ {HEX}
          const {{ hkdf }} = await import("/hpke.js");
          return hex(await hkdf(bytes(salt), bytes(material), bytes(info), 32));
        }}""",
        ["000102030405060708090a0b0c", "0b" * 22, "f0f1f2f3f4f5f6f7f8f9"],  # A.1
    )
    assert made == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=["first", "second"])
def test_the_known_answers_come_out(page: Page, vector: Mapping[str, str]) -> None:
    keys = page.evaluate(
        f"""async (text) => {{ {HEX}
          const [{{ parseCode }}, {{ keysOf }}, {{ publicKey }}] =
            await Promise.all([import("/claim.js"), import("/record.js"), import("/x25519.js")]);
          const keys = await keysOf(parseCode(text));
          return [keys.slot, keys.privateKey, await publicKey(keys.privateKey), keys.origin].map(hex);
        }}""",
        vector["code"],
    )
    assert keys == [vector[name] for name in ("slot", "private_key", "public_key", "origin")]
    code = ClaimCode.parse(vector["code"]).symbols
    found = page.evaluate(OPEN, [code, cohort_file(bytes.fromhex(vector["record"])).hex()])
    said = json.loads(vector["body"])
    assert found == {name: said[name] for name in ("day", "advice", "calls")}


@pytest.mark.parametrize("call", CALLS)
def test_what_python_seals_opens_here_and_what_is_sealed_here_opens_in_python(page: Page, call: Call) -> None:
    code, body = ClaimCode.generate(), result_body("2026-11-22", {"sars-cov-2": call, "influenza-a": "negative"})
    found = page.evaluate(OPEN, [code.symbols, cohort_file(sealed(code, body)).hex()])
    assert (found["day"], found["advice"], found["calls"]) == (body.day, body.advice, [list(c) for c in body.calls])

    keys = code.keys()
    parts = {name: getattr(keys, name).hex() for name in ("slot", "public_key", "origin")}
    for use_own in (True, False):
        if not use_own and not native(page):
            continue
        text = body.encode().decode()
        record = bytes.fromhex(
            page.evaluate(f"([keys, body, own]) => ({SEALER})(keys, body, own)", [parts, text, use_own])
        )
        assert ResultBody.decode(open_record(keys, record)) == body


def native(page: Page) -> bool:
    """Whether this browser has X25519."""
    asked = (
        "() => crypto.subtle.importKey('raw', new Uint8Array(32), 'X25519', false, []).then(() => true, () => false)"
    )
    return bool(page.evaluate(asked))


PARSE = """async (texts) => {
  const { parseCode, CodeError } = await import("/claim.js");
  return texts.map((text) => {
    try { return parseCode(text); } catch (error) { return error instanceof CodeError ? error.kind : String(error); }
  });
}"""


def test_codes_are_folded_and_refused_as_the_vectors_say(page: Page) -> None:
    first = VECTORS["valid"][0]["code"].replace("-", "")
    full_width = "".join(chr(ord(symbol) + 0xFEE0) for symbol in VECTORS["valid"][0]["code"].lower())
    native_digits = first.translate({ord("0") + n: chr(0x660 + n) for n in range(10)})
    cyrillic = first.translate(str.maketrans("ABCEHKMP", "АВСЕНКМР"))
    bidi = "\u2068" + "\u2011".join(first[at : at + 5] for at in range(0, 25, 5)) + "\u2069\u200f"
    read = [*VECTORS["read_as_the_first"], full_width, native_digits, cyrillic, bidi, f"\u3000{first}\u00a0"]
    assert page.evaluate(PARSE, read) == [first] * len(read)
    kinds = page.evaluate(PARSE, [refused["code"] for refused in VECTORS["refused"]])
    assert kinds == ["check", "check", "symbol", "length"]


def test_every_error_in_one_or_two_symbols_is_noticed(page: Page) -> None:
    """All 775 errors in one symbol; all 288 300 in two: the positions in turn, every pair of differences."""
    undetected = page.evaluate(
        """async ([code, alphabet]) => {
          const { parseCode } = await import("/claim.js");
          const values = [...code].map((symbol) => alphabet.indexOf(symbol));
          const taken = (changed) => {
            try { parseCode(changed.map((value) => alphabet[value]).join("")); return 1; } catch { return 0; }
          };
          let missed = 0;
          for (let i = 0; i < 25; i += 1) for (let a = 1; a < 32; a += 1) {
            const one = values.slice();
            one[i] ^= a;
            missed += taken(one);
            for (let j = i + 1; j < 25; j += 1) for (let b = 1; b < 32; b += 1) {
              const two = one.slice();
              two[j] ^= b;
              missed += taken(two);
            }
          }
          return missed;
        }""",
        [VECTORS["valid"][1]["code"].replace("-", ""), ALPHABET],
    )
    assert len(list(combinations(range(25), 2))) * 31**2 == 288_300
    assert undetected == 0


def test_garbage_is_refused_and_what_python_reads_is_read_the_same(page: Page) -> None:
    chance = seeded("garbage for the result page")
    signs = ALPHABET + "oOiIlLuU- .#\u2013\uff10\u0660\u0410é\U0001f600\x00\n"
    texts = ["".join(chance.choice(signs) for _ in range(chance.randrange(60))) for _ in range(4000)]
    texts += [str(ClaimCode.generate()).lower() for _ in range(50)]
    for text, here in zip(texts, page.evaluate(PARSE, texts), strict=True):
        try:
            assert here == ClaimCode.parse(text).symbols
        except ClaimCodeError:
            assert here in {"symbol", "length", "check"} or len(here) == 25
    huge = ["0" * 100_000, "\U0001f600" * 50_000]
    assert set(page.evaluate(PARSE, huge)) <= {"symbol", "length"}


GROUP = """async (texts) => {
  const { parseGroup, CodeError } = await import("/claim.js");
  return texts.map((text) => {
    try { return parseGroup(text); } catch (error) { return error instanceof CodeError ? error.kind : String(error); }
  });
}"""


def test_ready_groups_are_read_as_python_reads_them(page: Page) -> None:
    known = [row["group"] for row in VISIT["ready_groups"]]
    assert page.evaluate(GROUP, known) == [row["tick"] for row in VISIT["ready_groups"]]
    refused = page.evaluate(GROUP, VISIT["refused_groups"])
    assert set(refused) <= {"symbol", "length", "check"}
    chance = seeded("ready groups")
    ticks = [chance.randrange(1 << 22) for _ in range(500)]
    assert page.evaluate(GROUP, [ready_group(tick).lower() for tick in ticks]) == ticks
    for tick in ticks[:50]:  # whatever one symbol is changed to, both say the same
        changed = list(ready_group(tick))
        changed[chance.randrange(5)] = chance.choice(ALPHABET)
        try:
            expected: object = parse_ready_group("".join(changed))
        except ClaimCodeError:
            expected = "check"
        assert page.evaluate(GROUP, ["".join(changed)]) == [expected]


def test_fragments_are_read_as_python_writes_them(page: Page) -> None:
    row = VISIT["fragment"]
    read = page.evaluate(
        """async (text) => {
          const { parseFragment } = await import("/claim.js");
          return parseFragment(text);
        }""",
        row["fragment"],
    )
    assert read == {"code": row["code"].replace("-", ""), "tick": row["tick"]}
    short = page.evaluate("async (text) => (await import('/claim.js')).parseFragment(text)", row["fragment"][:28])
    assert short["tick"] is None
    for broken in ("", "#", "#2.X", "#1", "#1.", "#1.0.0.0", row["fragment"][:-1], "#" * 1000):
        kind = page.evaluate(
            """async (text) => {
              const { parseFragment, CodeError } = await import("/claim.js");
              try { parseFragment(text); return "taken"; } catch (error) { return error instanceof CodeError; }
            }""",
            broken,
        )
        assert kind is True, broken
