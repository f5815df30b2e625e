"""The simulated printer's ear and paper, from the manual's bytes."""

import itertools
import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.instruments.printer.paper import Paper
from firmware_sim.wire.escpos import Cut, Decoder, Feed, Mischief, Order, Raster, Report, Reset, Status, Text, Urgent

# By hand: initialise, two rows of 16 dots, feed 24, report, cut; a status question in the middle of the picture.
DOCUMENT = bytes.fromhex("1b40 1d763000 0200 0200 8001 100401 ff00 1b4a18 1d7201 1d564200")
ORDERS = [Reset(), Raster(2, 2, bytes.fromhex("8001ff00")), Feed(24), Report(1), Cut()]


def heard(pieces: list[bytes]) -> tuple[list[Urgent], list[Order]]:
    decoder = Decoder()
    urgent: list[Urgent] = []
    orders: list[Order] = []
    for piece in pieces:
        more, then = decoder.feed(piece)
        urgent += more
        orders += then
    return urgent, orders


def test_a_document_is_understood_and_a_status_is_asked_out_of_turn() -> None:
    assert heard([DOCUMENT]) == ([Status(1)], ORDERS)


@given(st.lists(st.integers(0, len(DOCUMENT)), max_size=8))
def test_it_does_not_matter_how_the_bytes_arrive(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(DOCUMENT)]
    assert heard([DOCUMENT[a:b] for a, b in itertools.pairwise(edges)]) == ([Status(1)], ORDERS)


@given(st.binary(max_size=400))
def test_garbage_is_swallowed(data: bytes) -> None:
    heard([data])


def test_a_drawer_that_is_opened_is_noticed() -> None:
    assert heard([b"\x10\x14\x01\x00\x01"])[0] == [Mischief()]


def test_text_is_boxes_and_feeds_are_white() -> None:
    assert heard([b"Hi\n\x1bd\x02"])[1] == [Text(1), Text(1), Feed(30), Feed(60)]


def test_a_slip_is_a_png_whose_dots_are_those_that_were_sent() -> None:
    paper = Paper(keep=True)
    paper.raster(2, 2, bytes.fromhex("8001ff00"))
    picture = paper.cut()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", picture[16:24]) == (576, 2)
    at = picture.index(b"IDAT")
    length = struct.unpack(">I", picture[at - 4 : at])[0]
    rows = zlib.decompress(picture[at + 4 : at + 4 + length])
    assert rows[:3] == b"\0\x7f\xfe"  # black is 0 in a grey PNG
    assert rows[73:76] == b"\0\x00\xff"


def test_paper_that_nobody_asked_to_keep_remembers_its_length_alone() -> None:
    paper = Paper(keep=False)
    paper.raster(2, 2, bytes.fromhex("8001ff00"))
    assert paper.length == 2
    assert struct.unpack(">II", paper.cut()[16:24]) == (576, 1)
