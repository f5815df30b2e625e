"""A window's counters as one blob of constant length."""

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import ReleaseBody
from contracts.layout import Assay, AssayLayout
from edge.errors import ReleaseError
from edge.release.counters import open_window
from edge.release.window import BLOB_BYTES, Window, decode, decode_blob, draw, encode_blob

LAYOUT = AssayLayout(3, (Assay("SARSCOV2", ("sars-cov-2",)), Assay("COV2FLU", ("sars-cov-2", "flu-a"))))
BIG = AssayLayout(4, tuple(Assay(f"A{n}", tuple(f"t{i}" for i in range(8))) for n in range(8)))
LAYOUTS = {3: LAYOUT, 4: BIG}
START = 1_639_285_200 * 10**9


def _draw(layout: AssayLayout = LAYOUT, seed: int = 1) -> Window:
    return draw(START, layout, partial(open_window, randbelow=random.Random(seed).randrange))


def test_a_release_holds_valid_invalid_and_positives_of_each_assay_in_the_layouts_order() -> None:
    window = _draw()
    first, second = window.counters
    covid = (first.valid, first.invalid, first.positives["sars-cov-2"])
    panel = (second.valid, second.invalid, second.positives["sars-cov-2"], second.positives["flu-a"])
    assert ReleaseBody.decode(window.body(), LAYOUTS) == ReleaseBody(3, covid + panel)


def test_a_run_moves_its_own_assay_only() -> None:
    window = _draw()
    after = window.add("COV2FLU", {"sars-cov-2": "positive", "flu-a": "negative"})
    assert after.counters[0] == window.counters[0]
    assert after.counters[1].valid == window.counters[1].valid + 1
    with pytest.raises(ReleaseError):
        window.add("OTHER", {})


@pytest.mark.parametrize("layout", [LAYOUT, BIG])
def test_a_blob_has_one_length_and_is_read_back(layout: AssayLayout) -> None:
    window = _draw(layout)
    assert len(window.encode()) == BLOB_BYTES
    assert decode(window.encode(), LAYOUTS) == window
    assert decode_blob(encode_blob(START, window.body())) == (START, window.body())


def test_counters_of_a_layout_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ReleaseError):
        decode(_draw().encode(), {4: BIG})


@given(st.binary(max_size=BLOB_BYTES + 8))
def test_damage_is_a_release_error(blob: bytes) -> None:
    for candidate in (blob, blob.ljust(BLOB_BYTES, b"\0")[:BLOB_BYTES]):
        try:
            decode(candidate, LAYOUTS)
        except ReleaseError:
            continue
