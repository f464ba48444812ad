"""A walk through the first directory of a TIFF file (TIFF 6.0), and of an EXIF block, which is one.

Only the tags that make pixels are read, each of them once, and the decoder gets a directory of nothing else: what a
file carries beside them, and how often, costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.formats.encoded import (
    CMYK,
    CONVERT_DEPTH,
    SAVE_AS_PNG,
    Encoded,
    UnfitPictureError,
    check_depth,
    check_enough,
    check_size,
    cut_off,
    damaged,
)

WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS, CHANNELS, FORM = 256, 257, 258, 259, 262, 277, 339
STRIPS, STRIP_LENGTHS, TILES, TILE_LENGTHS = 273, 279, 324, 325
TILE_WIDTH, TILE_HEIGHT, ORIENTATION = 322, 323, 274
LOOKED_AT = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS, CHANNELS, FORM, STRIPS, STRIP_LENGTHS, TILES, TILE_LENGTHS}
    | {TILE_WIDTH, TILE_HEIGHT, ORIENTATION}
)
# Fill order, rows a strip, planes, CCITT options, predictor, colour map, extra samples, JPEG tables, YCbCr.
PASSED_ON = frozenset({266, 278, 284, 292, 293, 317, 320, 338, 347, 529, 530, 531, 532})
LONGEST_PASSED_ON = 1 << 16  # bytes
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # of a value, by its type
TYPES = {1: "u1", 3: "u2", 4: "u4"}  # BYTE, SHORT, LONG: what these tags may be
MOST_VALUES = 1 << 20  # of a tag: strips of one row for a picture of a million rows
LARGEST_TILE = 4096  # pixels an axis: a decoder makes room for a whole tile, however small the picture is
# Pixels' bytes from one byte, at best, by compression: none, LZW, both deflates, PackBits. JPEG has its own header.
BEST = {1: 1, 5: 1400, 8: 1032, 32946: 1032, 32773: 64}
BILEVEL = (2, 3, 4)  # CCITT: an empty row takes a bit
JPEG, OLD_JPEG = 7, 6


@dataclass(frozen=True)
class Tag:
    """values: unsigned, never none. entry: its twelve bytes in the directory."""

    values: NDArray[np.unsignedinteger]
    entry: bytes

    @property
    def first(self) -> int:
        """Its value, for a tag of one."""
        return int(self.values[0])


def read_tiff(data: bytes) -> Encoded:
    """Raises UnfitPictureError, and struct.error where the file ends within its directory."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        tags, following = _directory(data, order, LOOKED_AT)
    except struct.error:
        raise cut_off("TIFF", "ends before its directory") from None
    _check_kind(tags)
    if following:
        raise UnfitPictureError("has several pages: save each page as a picture of its own")
    for number, what in ((WIDTH, "width"), (HEIGHT, "height")):
        if number not in tags:
            raise damaged("TIFF", f"does not say its {what}")
    width, height = tags[WIDTH].first, tags[HEIGHT].first
    check_size(width, height)
    _check_pixels(tags, width, height, len(data))
    orientation = tags[ORIENTATION].first if ORIENTATION in tags else 1
    plain = _with_directory(data, order, {tag: tags[tag].entry for tag in tags} | _passed_on(data, order))
    return Encoded("TIFF", width, height, orientation if orientation in range(1, 9) else 1, plain)


def orientation_from_exif(block: bytes) -> int:
    """The orientation of an EXIF block; 1 (as stored) when it has none or is damaged, as it does not make pixels."""
    try:
        tags, _ = _directory(block, "<" if block[:2] == b"II" else ">", frozenset({ORIENTATION}))
    except (struct.error, UnfitPictureError):
        return 1
    orientation = tags[ORIENTATION].first if ORIENTATION in tags else 1
    return orientation if orientation in range(1, 9) else 1


def _check_kind(tags: dict[int, Tag]) -> None:
    """8 bits, unsigned, grey or RGB, and a compression whose memory is known."""
    form = tags[FORM].first if FORM in tags else 1
    if form == 3:
        raise UnfitPictureError(f"holds floating-point numbers; {CONVERT_DEPTH}")
    check_depth(int(tags[BITS].values.max()) if BITS in tags else 1)
    if form != 1:
        raise UnfitPictureError(f"holds signed numbers; {CONVERT_DEPTH}")
    if COLOURS in tags and tags[COLOURS].first == 5:
        raise UnfitPictureError(CMYK)
    channels = tags[CHANNELS].first if CHANNELS in tags else 1
    if channels not in (1, 2, 3, 4):
        raise UnfitPictureError(f"has {channels} channels: convert it to RGB")
    compression = tags[COMPRESSION].first if COMPRESSION in tags else 1
    if compression == OLD_JPEG:
        raise UnfitPictureError(f"is a TIFF with old-style JPEG inside, which is not read here: {SAVE_AS_PNG}")


def _check_pixels(tags: dict[int, Tag], width: int, height: int, length: int) -> None:
    """Strips or tiles are all in the file, of a size that fits the picture, and long enough for its pixels."""
    tiled = STRIPS not in tags
    places, lengths = (TILES, TILE_LENGTHS) if tiled else (STRIPS, STRIP_LENGTHS)
    if places not in tags or lengths not in tags:
        raise damaged("TIFF", "does not say where its pixels are")
    count = min(len(tags[places].values), len(tags[lengths].values))
    ends = tags[places].values[:count].astype(np.int64) + tags[lengths].values[:count].astype(np.int64)
    if int(ends.max()) > length:
        raise cut_off("TIFF", f"has {length} bytes, its pixels end at {int(ends.max())}")
    if tiled:
        for tag, side in ((TILE_WIDTH, width), (TILE_HEIGHT, height)):
            tile = tags[tag].first if tag in tags else 0
            if not 0 < tile <= max(LARGEST_TILE, side + 15):
                raise damaged("TIFF", f"says tiles of {tile} pixels for a side of {side}")
    channels = tags[CHANNELS].first if CHANNELS in tags else 1
    compression = tags[COMPRESSION].first if COMPRESSION in tags else 1
    if compression in BILEVEL:
        least = height // 8
    elif compression == JPEG:
        least = width * height // 512
    else:
        least = width * height * channels // BEST.get(compression, max(BEST.values()))
    check_enough("TIFF", width, height, int(tags[lengths].values[:count].astype(np.int64).sum()), least)


def _with_directory(data: bytes, order: str, entries: dict[int, bytes]) -> bytes:
    """The file with a directory of these entries alone. Without the orientation: OpenCV would turn TIFFs itself."""
    kept = [entries[tag] for tag in sorted(entries) if tag != ORIENTATION]
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    start = len(data) + len(data) % 2
    return data[:4] + struct.pack(order + "I", start) + data[8:].ljust(start - 8, b"\0") + directory


def _passed_on(data: bytes, order: str) -> dict[int, bytes]:
    """The entries that only the decoder needs. Raises UnfitPictureError for one that is longer than it can be."""
    found: dict[int, bytes] = {}
    for tag, entry in _entries(data, order, PASSED_ON):
        kind, count = struct.unpack_from(order + "HI", data, entry + 2)
        if tag in found:
            raise damaged("TIFF", f"has the tag {tag} twice")
        if count * SIZES.get(kind, LONGEST_PASSED_ON) > LONGEST_PASSED_ON:
            raise damaged("TIFF", f"has {count} values in its tag {tag}")
        found[tag] = data[entry : entry + 12]
    return found


def _directory(data: bytes, order: str, wanted: frozenset[int]) -> tuple[dict[int, Tag], int]:
    """The wanted tags of the first directory of a TIFF structure, and where the next one is (0: nowhere).

    Raises struct.error for a directory that is not in the data, UnfitPictureError for tags that cannot be trusted.
    """
    at, count = _extent(data, order)
    (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    tags: dict[int, Tag] = {}
    for tag, entry in _entries(data, order, wanted):
        if tag in tags:  # a decoder may take the other one
            raise damaged("TIFF", f"has the tag {tag} twice")
        tags[tag] = _read_tag(data, order, tag, entry)
    return tags, int(following)


def _extent(data: bytes, order: str) -> tuple[int, int]:
    """Where the first directory is, and how many entries it has."""
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    return int(at), int(count)


def _entries(data: bytes, order: str, wanted: frozenset[int]) -> Iterator[tuple[int, int]]:
    """The wanted tags and where their entries stand."""
    at, count = _extent(data, order)
    if at + 2 + 12 * count > len(data):
        raise struct.error("the directory is not in the file")
    numbers = np.frombuffer(data, f"{order}u2", count * 6, at + 2)[::6]
    for row in np.flatnonzero(np.isin(numbers, list(wanted))):
        yield int(numbers[row]), at + 2 + 12 * int(row)


def _read_tag(data: bytes, order: str, tag: int, entry: int) -> Tag:
    kind, count = struct.unpack_from(order + "HI", data, entry + 2)
    if kind not in TYPES:
        raise damaged("TIFF", f"has the tag {tag} as a number of type {kind}")
    if not 1 <= count <= MOST_VALUES:
        raise damaged("TIFF", f"has {count} values in its tag {tag}")
    form = np.dtype(order + TYPES[kind])
    size = form.itemsize * count
    place = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
    if place + size > len(data):
        raise struct.error(f"the values of tag {tag} are not in the file")
    return Tag(np.frombuffer(data, form, count, place), data[entry : entry + 12])
