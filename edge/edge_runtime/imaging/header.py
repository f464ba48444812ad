"""What a picture file says of itself before anything is decoded: size, depth, orientation, and whether it is whole.

OpenCV decodes a JPEG that was cut off into a grey area without a word, believes headers that promise gigabytes, and its
codecs write warnings about metadata to stderr. So the file is walked here first: what is incomplete, contradicts itself
or promises more pixels than its bytes can hold is refused, and the decoder gets nothing but the parts that make pixels.

    encoded = encoded_from_bytes(path.read_bytes())
    pixels = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_UNCHANGED)
"""

from __future__ import annotations

import struct

from edge_runtime.imaging.formats.bmp import read_bmp
from edge_runtime.imaging.formats.encoded import COPY_AGAIN, Encoded, UnfitPictureError
from edge_runtime.imaging.formats.jpeg import read_jpeg
from edge_runtime.imaging.formats.png import read_png
from edge_runtime.imaging.formats.tiff import read_tiff

READERS = {
    b"\x89PNG\r\n\x1a\n": read_png,
    b"\xff\xd8": read_jpeg,
    b"BM": read_bmp,
    b"II*\0": read_tiff,
    b"MM\0*": read_tiff,
}


def encoded_from_bytes(data: bytes) -> Encoded:
    """Walk a PNG, JPEG, BMP or TIFF file. Memory: at most the file's own length again. Raises UnfitPictureError."""
    if not data:
        raise UnfitPictureError(f"is empty (0 bytes): {COPY_AGAIN}")
    read = next((reader for magic, reader in READERS.items() if data.startswith(magic)), None)
    if read is None:
        raise UnfitPictureError(
            f"is no PNG, JPEG, BMP or TIFF picture (it starts with {data[:8].hex(' ')}): convert it"
        )
    try:
        return read(data)
    except (struct.error, IndexError):
        raise UnfitPictureError(f"is damaged or cut off in its header: {COPY_AGAIN}") from None
