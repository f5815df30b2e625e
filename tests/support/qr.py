"""Reads a QR symbol that stands straight, as on a printed slip: versions 3 to 6, byte mode, no error to mend.

From ISO/IEC 18004 alone, to be a witness against the library that draws it: 7.7.1 placement, 7.8 masks, 7.9 format,
table 9 blocks.
"""

from collections.abc import Callable, Iterator

from PIL import Image

Matrix = list[list[bool]]

WIDTH_DOTS = 576
QUIET_MODULES = 4
FORMAT_MASK = 0b101010000010010
LEVELS = {0b01: "L", 0b00: "M", 0b11: "Q", 0b10: "H"}

# Data code words of each block, in the order of the blocks.
BLOCKS: dict[tuple[int, str], list[int]] = {
    (3, "L"): [55],
    (3, "M"): [44],
    (3, "Q"): [17] * 2,
    (3, "H"): [13] * 2,
    (4, "L"): [80],
    (4, "M"): [32] * 2,
    (4, "Q"): [24] * 2,
    (4, "H"): [9] * 4,
    (5, "L"): [108],
    (5, "M"): [43] * 2,
    (5, "Q"): [15] * 2 + [16] * 2,
    (5, "H"): [11] * 2 + [12] * 2,
    (6, "L"): [68] * 2,
    (6, "M"): [27] * 4,
    (6, "Q"): [19] * 4,
    (6, "H"): [15] * 4,
}

MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, _: row % 2 == 0,
    lambda _, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)


def read_slip(picture: Image.Image) -> str:
    """Return what the symbol on a slip's picture says."""
    dots = picture.convert("1").load()
    assert dots is not None
    for version in range(3, 7):
        size = 17 + 4 * version
        side = (size + 2 * QUIET_MODULES) * (module := 400 // (size + 2 * QUIET_MODULES))
        left = (WIDTH_DOTS - side) // 2 + QUIET_MODULES * module
        for top in range(picture.height - size * module):

            def dark(row: int, column: int, top: int = top, left: int = left, module: int = module) -> bool:
                return dots[left + column * module + module // 2, top + row * module + module // 2] == 0

            if _is_symbol(dark, size):
                return read([[dark(row, column) for column in range(size)] for row in range(size)])
    raise AssertionError("there is no symbol on this slip")


def _is_symbol(dark: Callable[[int, int], bool], size: int) -> bool:
    """Whether three corners hold a finder pattern and the timing pattern alternates between them."""
    for at_row, at_column in ((0, 0), (0, size - 7), (size - 7, 0)):
        for row in range(7):
            for column in range(7):
                ring = max(abs(row - 3), abs(column - 3))
                if dark(at_row + row, at_column + column) != (ring != 2):
                    return False
    return all(dark(6, column) == (column % 2 == 0) for column in range(8, size - 8))


def read(matrix: Matrix) -> str:
    """Return what a symbol says."""
    size = len(matrix)
    version = (size - 17) // 4
    level, mask = _format(matrix)
    bits = [matrix[row][column] ^ MASKS[mask](row, column) for row, column in _places(size)]
    words = [sum(bit << 7 - n for n, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits) - 7, 8)]
    data = "".join(f"{word:08b}" for word in _in_order(words, BLOCKS[version, level]))
    assert data[:4] == "0100", "not byte mode"
    length = int(data[4:12], 2)
    return bytes(int(data[12 + 8 * n : 20 + 8 * n], 2) for n in range(length)).decode("ascii")


def _format(matrix: Matrix) -> tuple[str, int]:
    cells = [(8, c) for c in (0, 1, 2, 3, 4, 5, 7, 8)] + [(r, 8) for r in (7, 5, 4, 3, 2, 1, 0)]
    value = sum(matrix[row][column] << 14 - n for n, (row, column) in enumerate(cells)) ^ FORMAT_MASK
    return LEVELS[value >> 13], value >> 10 & 0b111


def _places(size: int) -> Iterator[tuple[int, int]]:
    """The cells of data and error correction, in their order: pairs of columns from the right, up and down."""
    upwards = True
    for right in (*range(size - 1, 6, -2), *range(5, 0, -2)):
        for step in range(size):
            row = size - 1 - step if upwards else step
            yield from ((row, column) for column in (right, right - 1) if not _is_function(row, column, size))
        upwards = not upwards


def _is_function(row: int, column: int, size: int) -> bool:
    finder = (row < 9 and (column < 9 or column >= size - 8)) or (row >= size - 8 and column < 9)
    alignment = abs(row - (size - 7)) <= 2 and abs(column - (size - 7)) <= 2
    return finder or alignment or row == 6 or column == 6


def _in_order(words: list[int], sizes: list[int]) -> list[int]:
    """Take the blocks apart that were sent word by word in turn."""
    blocks: list[list[int]] = [[] for _ in sizes]
    sent = iter(words)
    for at in range(max(sizes)):
        for block, size in zip(blocks, sizes, strict=True):
            if at < size:
                block.append(next(sent))
    return [word for block in blocks for word in block]
