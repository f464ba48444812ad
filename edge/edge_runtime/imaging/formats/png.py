"""A walk through a PNG file (ISO/IEC 15948): whole, checksums right, one header that comes first."""

from __future__ import annotations

import struct
import zlib

from edge_runtime.imaging.formats.encoded import (
    Encoded,
    UnfitPictureError,
    check_depth,
    check_enough,
    check_size,
    cut_off,
    damaged,
)
from edge_runtime.imaging.formats.tiff import orientation_from_exif

CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
BEST_DEFLATE = 1032  # bytes from one: 258 from two bits


def read_png(data: bytes) -> Encoded:
    """Keep the chunks that make pixels: the critical ones, and tRNS, which makes an alpha channel.

    Raises UnfitPictureError, and struct.error where the file ends within its header.
    """
    length, kind = struct.unpack_from(">I4s", data, 8)
    if kind != b"IHDR" or length != 13:
        raise damaged("PNG", "does not begin with its header")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    check_depth(bits, (1, 2, 4, 8))
    check_size(width, height)
    if colour not in CHANNELS:
        raise damaged("PNG", f"says colour type {colour}, which there is not")
    kept, at, orientation, compressed = bytearray(data[:8]), 8, 1, 0
    while True:
        if at + 12 > len(data):
            raise cut_off("PNG", "has no end chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        name = ascii(kind.decode("latin-1"))[1:-1]
        if end > len(data):
            raise cut_off("PNG", f"ends within a chunk {name}")
        if kind[:1].isupper() and kind not in CRITICAL:
            raise damaged("PNG", f"has a chunk {name} that no PNG has")
        if kind == b"IHDR" and at > 8:
            raise damaged("PNG", "has a second header")
        if kind == b"eXIf":
            orientation = orientation_from_exif(data[at + 8 : end - 4])
        if kind == b"tRNS" and colour == 0:  # OpenCV would drop it in silence
            raise UnfitPictureError("has a transparent grey value: save it without transparency")
        if kind in CRITICAL or kind == b"tRNS":
            if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
                raise damaged("PNG", f"has a wrong checksum in its chunk {name}")
            kept += memoryview(data)[at:end]
        if kind == b"IDAT":
            compressed += length
        if kind == b"IEND":
            raw = height * (1 + (width * bits * CHANNELS[colour] + 7) // 8)
            check_enough("PNG", width, height, compressed, raw // BEST_DEFLATE)
            return Encoded("PNG", width, height, orientation, bytes(kept))
        at = end
