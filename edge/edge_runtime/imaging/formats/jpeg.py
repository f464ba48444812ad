"""A walk through a JPEG file (ITU-T T.81): from marker to marker, up to the end-of-image marker."""

from __future__ import annotations

import re
import struct

from edge_runtime.imaging.formats.encoded import (
    CMYK,
    COPY_AGAIN,
    Encoded,
    UnfitPictureError,
    check_depth,
    check_enough,
    check_size,
    cut_off,
    damaged,
)
from edge_runtime.imaging.formats.tiff import orientation_from_exif

# In entropy-coded data, 0xFF is followed by 0x00 (stuffing), a restart marker or another 0xFF (fill).
NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
METADATA = frozenset({*range(0xE0, 0xF0), 0xFE}) - {0xE0, 0xEE}  # JFIF and Adobe say how colours are coded
MOST_SCANS = 100  # each decodes the whole picture again; progressive encoders make ten
PIXELS_PER_BIT = 64  # a block of 8 x 8 takes a bit or more in the first scan


def read_jpeg(data: bytes) -> Encoded:
    """Keep what makes pixels. A file that was cut off lacks its last marker: OpenCV would decode it into a grey area.

    Raises UnfitPictureError, and struct.error where the file ends within a segment's header.
    """
    kept, at, orientation, scans, compressed = bytearray(data[:2]), 2, 1, 0, 0
    size: tuple[int, int] | None = None
    while True:
        start = at
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if at + 2 > len(data):
            raise cut_off("JPEG", "has no end-of-image marker")
        if data[at] != 0xFF:
            raise damaged("JPEG", f"has no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xD9:
            if size is None or not scans:
                raise damaged("JPEG", "has no pixels before its end-of-image marker")
            width, height = size
            check_enough("JPEG", width, height, compressed, width * height // (PIXELS_PER_BIT * 8))
            return Encoded("JPEG", width, height, orientation, bytes(kept + b"\xff\xd9"))
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2:
            raise damaged("JPEG", f"has a segment of {length} bytes at byte {at}")
        payload = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker in FRAMES:
            if size is not None:
                raise damaged("JPEG", "has a second frame header")
            size = _size_of_frame(payload)
        if marker == 0xE1 and payload.startswith(b"Exif\0\0"):
            orientation = orientation_from_exif(payload[6:])
        if marker == 0xDA:
            scans += 1
            if size is None:
                raise damaged("JPEG", "has pixels before its frame header")
            if scans > MOST_SCANS:
                raise UnfitPictureError(f"is a JPEG of more than {MOST_SCANS} scans: save it again as a baseline JPEG")
            following = NEXT_MARKER.search(data, at)
            if following is None:
                raise cut_off("JPEG", "has no end-of-image marker")
            compressed += following.start() - at
            at = following.start()
        if marker not in METADATA:
            kept += memoryview(data)[start:at]


def _size_of_frame(payload: bytes) -> tuple[int, int]:
    """Width and height of a frame header that we can take."""
    bits, height, width, channels = struct.unpack_from(">BHHB", payload)
    check_depth(bits)
    check_size(width, height)
    if channels == 4:
        raise UnfitPictureError(CMYK)
    if channels not in (1, 3):
        raise UnfitPictureError(f"has {channels} channels: convert it to RGB; or, if it is damaged, {COPY_AGAIN}")
    return width, height
