"""Picture files that somebody broke on purpose: bombs made by hand, and whole files changed at random.

for data in mutated(seed=0, count=1000): ...
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np

ODD_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 4096, 32767, 32768, 65535, 65536, 1 << 24, (1 << 31) - 1, 1 << 31)
HUGE = 30_000


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """The header of a grey PNG."""
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def png(width: int, height: int, *, before: bytes = b"", after_header: bytes = b"", pixels: bytes = b"") -> bytes:
    """A grey PNG that says this size, with `pixels` compressed."""
    body = png_chunk(b"IDAT", zlib.compress(pixels)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + before + png_header(width, height) + after_header + body


def tiff(*entries: tuple[int, int, int, int], length: int = 4096) -> bytes:
    """A TIFF of these entries (tag, type, count, value or place), followed by nothing that means anything."""
    directory = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        directory += struct.pack("<HHII", tag, kind, count, value)
    return (b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)).ljust(length, b"\x7f")


def plain_tags(width: int, height: int, places: int = 0, length: int = 64) -> list[tuple[int, int, int, int]]:
    """The entries of an uncompressed grey picture."""
    looks = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    return [*looks, (273, 4, 1, places), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, length)]


def jpeg(*, exif: bytes = b"", size: tuple[int, int] | None = None, second_frame: bool = False) -> bytes:
    """A small JPEG with an EXIF block, saying another size, or with a second frame header of the true size."""
    plain = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    at = plain.index(b"\xff\xc0")
    end = at + 2 + struct.unpack_from(">H", plain, at + 2)[0]
    true = bytes(plain[at:end])
    if size:
        plain[at + 5 : at + 9] = struct.pack(">HH", *size)
    if second_frame:
        plain[-2:-2] = true
    app = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif if exif else b""
    return bytes(plain[:2]) + app + bytes(plain[2:])


def bombs() -> dict[str, bytes]:
    """Small files that would take gigabytes, minutes or the process, each named by what it does."""
    fake = png_chunk(b"teXt", struct.pack(">IIBB", 64, 64, 8, 2))
    many_tags = [(1000 + n, 1, 400_000, 0) for n in range(60_000)]
    small = plain_tags(64, 64, length=4096)
    scan = jpeg()[jpeg().index(b"\xff\xda") : -2]
    tiles = [*small[:5], (277, 3, 1, 1), (322, 4, 1, 1 << 20), (323, 4, 1, 1 << 10), (324, 4, 1, 0), (325, 4, 1, 4096)]
    return {
        "png: another chunk before the header": png(HUGE, HUGE, before=fake),
        "png: two headers": png(
            64, 64, after_header=png_chunk(b"IHDR", struct.pack(">IIBBBBB", HUGE, HUGE, 8, *[0] * 4))
        ),
        "png: nothing for 90 megapixels": png(9_000, 10_000, pixels=b"\0" * 100),
        "png: a critical chunk that nobody knows": png(8, 8, after_header=png_chunk(b"BOMB", b"x")),
        "png: many empty chunks": png(8, 8, after_header=png_chunk(b"IDAT", b"") * 200_000),
        "jpeg: two frame headers": jpeg(size=(HUGE, HUGE), second_frame=True),
        "jpeg: nothing for 90 megapixels": jpeg(size=(9_000, 10_000)),
        "jpeg: many scans": jpeg()[:-2] + scan * 5_000 + b"\xff\xd9",
        "jpeg: many segments": jpeg()[:2] + b"\xff\xe0\0\2" * 500_000 + jpeg()[2:],
        "jpeg: an EXIF block of tags on the same bytes": jpeg(exif=tiff(*many_tags[:5_000], length=64_000)),
        "jpeg: an EXIF block without values": jpeg(exif=tiff((274, 3, 0, 0), length=64)),
        "jpeg: a segment without length": jpeg()[:2] + b"\xff\xe0\0\0" + jpeg()[2:],
        "tiff: a tag with no value": tiff((258, 3, 0, 0)),
        "tiff: 60,000 tags on the same bytes": tiff(*small, *many_tags, length=1_200_000),
        "tiff: its size twice": tiff(*plain_tags(HUGE, HUGE), (256, 4, 1, 64), (257, 4, 1, 64)),
        "tiff: its size as other numbers": tiff((256, 9, 1, HUGE), (257, 9, 1, HUGE), *small[2:]),
        "tiff: nothing for 90 megapixels": tiff(*plain_tags(9_000, 10_000)),
        "tiff: a tile of a gigabyte": tiff(*tiles),
        "tiff: 65,535 channels": tiff(*[(t, k, n, 65_535) if t == 277 else (t, k, n, v) for t, k, n, v in small]),
        "tiff: old-style JPEG": tiff(*[(t, k, n, 6) if t == 259 else (t, k, n, v) for t, k, n, v in small]),
        "tiff: four billion strips": tiff(
            *[(t, k, 0xFFFFFFFF, v) if t == 273 else (t, k, n, v) for t, k, n, v in small]
        ),
        "bmp: nothing for 90 megapixels in runs": bmp(9_000, 10_000, 1),
        "bmp: nothing for 90 megapixels in fields": bmp(9_000, 10_000, 3),
        "bmp: the lowest height": bmp(1, -(1 << 31), 0),
        "bmp: JPEG inside": bmp(8, 8, 4),
    }


def _with(tags: list[tuple[int, int, int, int]], changed: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    return [changed if tag[0] == changed[0] else tag for tag in tags]


def bmp(width: int, height: int, compression: int) -> bytes:
    """A BMP's header and little more."""
    head = struct.pack("<2sIHHI", b"BM", 200, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, 0, 0) + bytes(200)


def whole_files() -> list[bytes]:
    """One small file of each kind that cameras and tools write."""
    picture = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    grey, alpha = picture[..., 0].copy(), np.dstack([picture, np.full((24, 40), 255, np.uint8)])
    orientation = tiff((274, 3, 1, 6), length=64)
    made = [
        cv2.imencode(suffix, image)[1].tobytes() for suffix in (".png", ".bmp", ".tif") for image in (picture, grey)
    ]
    made.append(cv2.imencode(".png", alpha)[1].tobytes())
    made += [cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, flag])[1].tobytes() for flag in (0, 1)]
    made += [
        cv2.imencode(".tif", picture, [cv2.IMWRITE_TIFF_COMPRESSION, how])[1].tobytes() for how in (1, 5, 8, 32773)
    ]
    made.append(jpeg(exif=orientation))
    return made


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Whole files, each changed in one to eight places: a bit, an odd number, a piece moved, doubled or cut off."""
    rng, files = random.Random(seed), whole_files()
    for _ in range(count):
        data = bytearray(rng.choice(files))
        for _ in range(rng.choice((1, 1, 2, 4, 8))):
            # Headers decide what a decoder does, so half of the changes are near the beginning or the end.
            at = rng.choice((rng.randrange(len(data)), rng.randrange(min(64, len(data))), -rng.randrange(1, 200)))
            at = at % len(data)
            what = rng.randrange(6)
            if what == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                number = rng.choice(ODD_NUMBERS) & 0xFFFFFFFF
                data[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
            elif what == 2:
                data[at : at + 2] = struct.pack(rng.choice("<>") + "H", rng.choice(ODD_NUMBERS) & 0xFFFF)
            elif what == 3:
                del data[at : at + rng.choice((1, 2, 8, 64))]
            elif what == 4:
                data[at:at] = data[at : at + rng.choice((2, 12, 64))]
            else:
                del data[max(at, 8) :]
            if len(data) < 8:
                break
        yield bytes(data)
