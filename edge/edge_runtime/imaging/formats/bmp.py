"""The header of a BMP file: its size, and that all of its rows are there."""

from __future__ import annotations

import struct

from edge_runtime.imaging.formats.encoded import (
    SAVE_AS_PNG,
    Encoded,
    UnfitPictureError,
    check_enough,
    check_size,
    cut_off,
    damaged,
)

OS2_HEADER = 12
UNCOMPRESSED, BIT_FIELDS = (0,), (3, 6)
RUN_LENGTH = (1, 2)
LONGEST_RUN = 128  # pixels a byte: 255 from two


def read_bmp(data: bytes) -> Encoded:
    """Raises UnfitPictureError, and struct.error where the file ends within its header."""
    offset, header = struct.unpack_from("<II", data, 10)
    compression = 0
    if header == OS2_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: rows from the top
    check_size(width, height)
    if bits not in (1, 2, 4, 8, 16, 24, 32):
        raise damaged("BMP", f"says {bits} bits a pixel")
    if compression in (*UNCOMPRESSED, *BIT_FIELDS):
        needed = offset + (width * bits + 31) // 32 * 4 * height
        if len(data) < needed:
            raise cut_off("BMP", f"has {len(data)} bytes of {needed}")
    elif compression in RUN_LENGTH:
        check_enough("BMP", width, height, len(data), width * height // LONGEST_RUN)
    else:
        raise UnfitPictureError(f"is a BMP compressed in a way ({compression}) that is not read here: {SAVE_AS_PNG}")
    return Encoded("BMP", width, height, 1, data)
