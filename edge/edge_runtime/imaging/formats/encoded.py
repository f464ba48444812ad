"""What every walk through a picture file gives, and the refusals that all of them share."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PIXELS = 100_000_000

CONVERT_DEPTH = "the daemon judges 8-bit frames: convert it to 8 bits a channel in the way that the camera does"
COPY_AGAIN = "copy it again from where it was made"
SAVE_AS_PNG = "save it again as PNG"
CMYK = "is a CMYK picture: convert it to RGB, or take it from the camera without conversion"


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


def check_size(width: int, height: int) -> None:
    """Raises UnfitPictureError for a picture without pixels, and for one of more than 100 megapixels."""
    size = f"{width} x {height} pixels"
    if width < 1 or height < 1:
        raise UnfitPictureError(f"is damaged: its header says {size}; {COPY_AGAIN}")
    if width * height > MAX_PIXELS:
        most = MAX_PIXELS // 1_000_000
        raise UnfitPictureError(f"says that it has {size}, more than {most} megapixels: crop or reduce it")


def check_depth(bits: int, usual: tuple[int, ...] = (8,)) -> None:
    """Raises UnfitPictureError for other numbers of bits a channel."""
    if bits not in usual:
        raise UnfitPictureError(f"has {bits} bits a channel; {CONVERT_DEPTH}")


def check_enough(kind: str, width: int, height: int, found: int, least: int) -> None:
    """A header that promises more pixels than its bytes can hold is refused before a decoder makes room for them.

    found, least: bytes of compressed pixels that there are, and that the best compression of this format needs.
    Raises UnfitPictureError.
    """
    if found < least:
        raise UnfitPictureError(
            f"is cut off or damaged: this {kind} says {width} x {height} pixels, "
            f"which take at least {least} bytes, and has {found}; {COPY_AGAIN}"
        )


def cut_off(kind: str, what: str) -> UnfitPictureError:
    """The error for a file that ends too early."""
    return UnfitPictureError(f"is cut off: this {kind} {what}; {COPY_AGAIN}")


def damaged(kind: str, what: str) -> UnfitPictureError:
    """The error for a file that contradicts its format."""
    return UnfitPictureError(f"is damaged: this {kind} {what}; {COPY_AGAIN}")
