"""What a picture file says of itself before anything is decoded: size, depth, orientation, and whether it is whole.

OpenCV decodes a JPEG that was cut off into a grey area without a word, and its codecs write warnings about metadata to
stderr. So the file is walked here first: what is incomplete is refused, and the decoder gets nothing but the parts that
make pixels.

    encoded = encoded_from_bytes(path.read_bytes())
    pixels = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_UNCHANGED)
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

MAX_PIXELS = 100_000_000

_CONVERT_DEPTH = "the daemon judges 8-bit frames: convert it to 8 bits a channel in the way that the camera does"
_COPY_AGAIN = "copy it again from where it was made"
# In entropy-coded JPEG data, 0xFF is followed by 0x00 (stuffing), a restart marker or another 0xFF (fill).
_JPEG_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE}) - {0xE0, 0xEE}  # JFIF and Adobe say how colours are coded
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG: all that is looked at here


class UnfitPictureError(ValueError):
    """Why a file's bytes are no picture for us; the text goes on from the file's name."""


@dataclass(frozen=True)
class Encoded:
    """A picture that is whole and of 8 bits, not decoded yet. `data` has no metadata and nothing after its end.

    width and height are those of the stored pixels; the EXIF orientation (1 to 8) says how to turn them.
    """

    kind: str
    width: int
    height: int
    orientation: int
    data: bytes


def encoded_from_bytes(data: bytes) -> Encoded:
    """Walk a PNG, JPEG, BMP or TIFF file. Raises UnfitPictureError."""
    if not data:
        raise UnfitPictureError(f"is empty (0 bytes): {_COPY_AGAIN}")
    read = next((reader for magic, reader in _READERS.items() if data.startswith(magic)), None)
    if read is None:
        raise UnfitPictureError(
            f"is no PNG, JPEG, BMP or TIFF picture (it starts with {data[:8].hex(' ')}): convert it"
        )
    try:
        encoded = read(data)
    except (struct.error, IndexError, KeyError):
        raise UnfitPictureError(f"is damaged or cut off in its header: {_COPY_AGAIN}") from None
    _check_size(encoded)
    return encoded


def _check_size(encoded: Encoded) -> None:
    size = f"{encoded.width} x {encoded.height} pixels"
    if encoded.width < 1 or encoded.height < 1:
        raise UnfitPictureError(f"is damaged: its header says {size}; {_COPY_AGAIN}")
    if encoded.width * encoded.height > MAX_PIXELS:
        most = MAX_PIXELS // 1_000_000
        raise UnfitPictureError(f"says that it has {size}, more than {most} megapixels: crop or reduce it")


def _check_depth(bits: int, usual: tuple[int, ...] = (8,)) -> None:
    if bits not in usual:
        raise UnfitPictureError(f"has {bits} bits a channel; {_CONVERT_DEPTH}")


def _cut_off(kind: str, what: str) -> UnfitPictureError:
    return UnfitPictureError(f"is cut off: this {kind} {what}; {_COPY_AGAIN}")


def _read_png(data: bytes) -> Encoded:
    """Keep the chunks that make pixels: the critical ones, and tRNS, which makes an alpha channel."""
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    _check_depth(bits, (1, 2, 4, 8))
    kept, at, orientation = [data[:8]], 8, 1
    while True:
        if at + 12 > len(data):
            raise _cut_off("PNG", "has no end chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _cut_off("PNG", f"ends within a chunk {kind.decode('latin-1')}")
        if kind == b"eXIf":
            orientation = _orientation_from_exif(data[at + 8 : end - 4])
        if kind == b"tRNS" and _PNG_CHANNELS[colour] == 1:  # OpenCV would drop it in silence
            raise UnfitPictureError("has a transparent grey value: save it without transparency")
        if kind[:1].isupper() or kind == b"tRNS":
            if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
                raise UnfitPictureError(
                    f"is damaged: the checksum of its chunk {kind.decode('latin-1')} is wrong; {_COPY_AGAIN}"
                )
            kept.append(data[at:end])
        if kind == b"IEND":
            return Encoded("PNG", width, height, orientation, b"".join(kept))
        at = end


def _read_jpeg(data: bytes) -> Encoded:
    """Go from marker to marker up to the end-of-image marker, which a file that was cut off lacks."""
    kept, at, orientation = [data[:2]], 2, 1
    width = height = 0
    while True:
        start = at
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if at + 2 > len(data):
            raise _cut_off("JPEG", "has no end-of-image marker")
        if data[at] != 0xFF:
            raise UnfitPictureError(f"is damaged: this JPEG has no marker at byte {at}; {_COPY_AGAIN}")
        marker = data[at + 1]
        if marker == 0xD9:
            return Encoded("JPEG", width, height, orientation, b"".join([*kept, b"\xff\xd9"]))
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
        payload = data[start + 4 : at]
        if marker in _JPEG_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", payload)
            _check_depth(bits)
            if channels not in (1, 3):
                what = "is a CMYK picture" if channels == 4 else f"has {channels} channels"
                raise UnfitPictureError(f"{what}: convert it to RGB, or take it from the camera without conversion")
        if marker == 0xE1 and payload.startswith(b"Exif\0\0"):
            orientation = _orientation_from_exif(payload[6:])
        if marker == 0xDA:
            following = _JPEG_NEXT_MARKER.search(data, at)
            if following is None:
                raise _cut_off("JPEG", "has no end-of-image marker")
            at = following.start()
        if marker not in _JPEG_METADATA:
            kept.append(data[start:at])


def _read_bmp(data: bytes) -> Encoded:
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: rows from the top
    needed = offset + (width * bits + 31) // 32 * 4 * height
    if compression == 0 and len(data) < needed and width * height <= MAX_PIXELS:
        raise _cut_off("BMP", f"has {len(data)} bytes of {needed}")
    return Encoded("BMP", width, height, 1, data)


def _read_tiff(data: bytes) -> Encoded:
    order = "<" if data[:2] == b"II" else ">"
    try:
        tags, following = _tags(data, order)
    except struct.error:
        raise _cut_off("TIFF", "ends before its directory") from None
    first = {tag: values[0] for tag, (_, _, values) in tags.items() if values}
    if first.get(339, 1) == 3:
        raise UnfitPictureError(f"holds floating-point numbers; {_CONVERT_DEPTH}")
    _check_depth(max(tags[258][2]) if 258 in tags else 1)
    if first.get(339, 1) != 1:
        raise UnfitPictureError(f"holds signed numbers; {_CONVERT_DEPTH}")
    if first.get(262) == 5:
        raise UnfitPictureError("is a CMYK picture: convert it to RGB, or take it from the camera without conversion")
    if following:
        raise UnfitPictureError("has several pages: save each page as a picture of its own")
    offsets, counts = (273, 279) if 273 in tags else (324, 325)  # strips or tiles
    end = max(at + length for at, length in zip(tags[offsets][2], tags[counts][2], strict=False))
    if end > len(data):
        raise _cut_off("TIFF", f"has {len(data)} bytes, its pixels end at {end}")
    orientation = first.get(274, 1)
    if orientation != 1:  # OpenCV would turn TIFFs, and no other kind, itself
        at, form, _ = tags[274]
        data = data[:at] + struct.pack(order + form, 1) + data[at + struct.calcsize(form) :]
    return Encoded("TIFF", first[256], first[257], orientation if orientation in range(1, 9) else 1, data)


def _orientation_from_exif(block: bytes) -> int:
    """The orientation of an EXIF block; 1 (as stored) when it has none or is damaged, as it does not make pixels."""
    try:
        tags, _ = _tags(block, "<" if block[:2] == b"II" else ">")
    except struct.error:
        return 1
    orientation = tags[274][2][0] if 274 in tags and tags[274][2] else 1
    return orientation if orientation in range(1, 9) else 1


def _tags(data: bytes, order: str) -> tuple[dict[int, tuple[int, str, tuple[int, ...]]], int]:
    """The first directory of a TIFF structure, and where the next one is (0: nowhere).

    Each tag of whole numbers: the place of its values, their struct format, the values.
    """
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, entry)
        if kind not in _TIFF_TYPES:
            continue
        form = _TIFF_TYPES[kind]
        if length > len(data):
            raise struct.error("more values than bytes")
        size = struct.calcsize(form) * length
        place = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
        tags[tag] = (place, form, struct.unpack_from(f"{order}{length}{form}", data, place))
    following = struct.unpack_from(order + "I", data, at + 2 + 12 * count)[0]
    return tags, following


_READERS = {
    b"\x89PNG\r\n\x1a\n": _read_png,
    b"\xff\xd8": _read_jpeg,
    b"BM": _read_bmp,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
}
