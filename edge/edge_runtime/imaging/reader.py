"""The only reader of picture files, of host and device alike, so that a file has the same pixels everywhere.

image = read_picture(Path("part-0001.jpg"))
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import PictureError
from edge_runtime.imaging.formats.encoded import Encoded, UnfitPictureError
from edge_runtime.imaging.header import encoded_from_bytes

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MAX_BYTES = 420_000_000  # 100 megapixels with four channels, and room for what else a file carries


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a PNG, JPEG, BMP or TIFF file as uint8 BGR (height, width, 3), contiguous, owned by the caller.

    - What counts is the content, not the name's ending.
    - A grey picture gets three equal channels; palettes and 1, 2 or 4 bits are expanded.
    - An alpha channel that is opaque everywhere is dropped; see-through pixels are an error, for what would be seen
      through them is not in the file.
    - The EXIF orientation is applied, so pixels stand as the camera was held. Colour profiles are ignored.
    - More than 8 bits a channel, floating-point or signed numbers, CMYK, several pages and more than 100 megapixels are
      errors, found before anything is decoded.
    - A file that is empty, cut off or damaged is an error; bytes after the picture's end are no fault. Damage *within*
      the compressed data of a JPEG or TIFF has no checksum and can show as wrong pixels instead.

    Raises PictureError, which names the file, what was found and what to do.
    """
    return picture_from_bytes(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture file, at most 420 MB. Raises PictureError."""
    try:
        if not path.is_file():  # a pipe or a device is not opened at all: that can wait for ever, or do something
            what = "is not a file" if path.exists() else "is gone or never existed"
            raise PictureError(f"{path} {what}: check the path, and that nothing moves pictures while they are read")
        # It may have become a pipe meanwhile; then this does not wait for its writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise PictureError(f"{path} is not a file: check the path, and that nothing moves pictures meanwhile")
            if found.st_size > MAX_BYTES:
                most = "more than a picture of 100 megapixels"
                raise PictureError(f"{path} has {found.st_size} bytes, {most}: crop or reduce it")
            return file.read()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}; check the disk and the rights") from error


def picture_from_bytes(data: bytes, path: Path) -> NDArray[np.uint8]:
    """`read_picture` for a file that is in memory already; `path` is for messages. Raises PictureError."""
    try:
        encoded = encoded_from_bytes(data)
        return _bgr_from_pixels(_turn(_decode(encoded), encoded.orientation))
    except UnfitPictureError as error:
        raise PictureError(f"{path} {error}") from None
    except MemoryError:
        raise PictureError(f"{path} needs more memory than this machine has free: crop or reduce it") from None


def list_pictures(folder: Path, recursive: bool) -> tuple[Path, ...]:
    """The picture files of a folder, by their endings, in name order: `part-2` before `part-10`.

    Hidden files and folders are left out, and linked folders are not followed. Raises PictureError when there is no
    such folder or a part of it cannot be read.
    """
    if not folder.is_dir():
        raise PictureError(f"{folder} is not a folder: check the path")
    found = (path for path in _files(folder, recursive) if path.suffix.lower() in PICTURE_SUFFIXES)
    return tuple(sorted(found, key=lambda path: name_order(path.relative_to(folder))))


def name_order(path: Path) -> tuple[tuple[tuple[int, str], ...], str]:
    """A key to sort by: numbers within names count by their value; equal names fall back to the exact text."""
    pieces = re.split(r"(\d+)", path.as_posix().replace("/", "\0").casefold())
    key = tuple((int(piece), "") if index % 2 else (-1, piece) for index, piece in enumerate(pieces))
    return key, path.as_posix()


def _files(folder: Path, recursive: bool) -> Iterator[Path]:
    def give_up(error: OSError) -> None:
        raise PictureError(f"{error.filename} cannot be listed: {error.strerror}; check the disk and the rights")

    for place, folders, names in os.walk(folder, onerror=give_up):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _decode(encoded: Encoded) -> NDArray[np.uint8]:
    """Pixels as they are stored: uint8 (height, width) or (height, width, channels)."""
    _silence_opencv()
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded.data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        pixels = None
    if pixels is None:
        raise UnfitPictureError(
            f"is damaged, or a {encoded.kind} of a kind that OpenCV {cv2.__version__} cannot decode: "
            "save it again as PNG"
        )
    if pixels.dtype != np.uint8 or pixels.shape[:2] != (encoded.height, encoded.width):
        raise UnfitPictureError(
            f"is damaged: its header says 8 bits and {encoded.width} x {encoded.height} pixels, "
            f"decoding gave {pixels.dtype} and {pixels.shape[1]} x {pixels.shape[0]}"
        )
    return np.asarray(pixels, dtype=np.uint8)


def _silence_opencv() -> None:
    """OpenCV logs TIFF warnings to stderr; what matters of them is raised here.

    The level is not set back: another thread may be decoding, and nothing of the product listens to that log.
    """
    holder = getattr(cv2.utils, "logging", cv2)  # OpenCV 5 moved it; before 4.5.5 Python has none
    if set_level := getattr(holder, "setLogLevel", None):
        set_level(0)


def _turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation: 5 to 8 swap the axes, then rows or columns are reversed."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _bgr_from_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] in (2, 4):
        see_through = int(np.count_nonzero(pixels[:, :, -1] < 255))
        if see_through:
            raise UnfitPictureError(
                f"has {see_through} see-through pixels in its alpha channel: save it without transparency"
            )
        pixels = pixels[:, :, :-1]
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)
