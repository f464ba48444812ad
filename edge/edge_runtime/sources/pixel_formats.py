"""A camera's raw pixels become the 8-bit BGR that bundles learn from, in the same way live and recorded.

- Mono: three equal channels. RGB and BGR: the channels in order. Bayer: OpenCV's bilinear demosaicing, after the shift.
- More than 8 bits: `value >> shift`, at most 255. Without a shift the upper eight bits are taken (Mono12: shift 4); a
  smaller shift shows dark scenes in finer steps and lets bright ones saturate. Nothing is scaled by the picture's
  content: the same light gives the same pixel, today and tomorrow.

`edge-daemon record` writes what comes out of here as PNG, so a recorded picture has the pixels of the live frame.
Names and codes are those of the GenICam Pixel Format Naming Convention (PFNC 2.4), packings of GigE Vision included.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

# OpenCV names a Bayer pattern by its second row and column, PFNC by its first.
_DEMOSAIC = {
    "RG": cv2.COLOR_BayerBG2BGR,
    "GR": cv2.COLOR_BayerGB2BGR,
    "GB": cv2.COLOR_BayerGR2BGR,
    "BG": cv2.COLOR_BayerRG2BGR,
}
_DIRECT = {
    "RGB8": cv2.COLOR_RGB2BGR,
    "YUV422_8": cv2.COLOR_YUV2BGR_YUY2,
    "YUV422_8_UYVY": cv2.COLOR_YUV2BGR_UYVY,
}
_NAME = re.compile(r"(Mono|Bayer(RG|GR|GB|BG))(8|10|12|14|16)(p|Packed)?")

CODES = {
    0x01080001: "Mono8", 0x01100003: "Mono10", 0x01100005: "Mono12", 0x01100025: "Mono14", 0x01100007: "Mono16",
    0x010C0004: "Mono10Packed", 0x010C0006: "Mono12Packed", 0x010A0046: "Mono10p", 0x010C0047: "Mono12p",
    0x01080008: "BayerGR8", 0x01080009: "BayerRG8", 0x0108000A: "BayerGB8", 0x0108000B: "BayerBG8",
    0x0110000C: "BayerGR10", 0x0110000D: "BayerRG10", 0x0110000E: "BayerGB10", 0x0110000F: "BayerBG10",
    0x01100010: "BayerGR12", 0x01100011: "BayerRG12", 0x01100012: "BayerGB12", 0x01100013: "BayerBG12",
    0x0110002E: "BayerGR16", 0x0110002F: "BayerRG16", 0x01100030: "BayerGB16", 0x01100031: "BayerBG16",
    0x010C0026: "BayerGR10Packed", 0x010C0027: "BayerRG10Packed", 0x010C0028: "BayerGB10Packed",
    0x010C0029: "BayerBG10Packed", 0x010C002A: "BayerGR12Packed", 0x010C002B: "BayerRG12Packed",
    0x010C002C: "BayerGB12Packed", 0x010C002D: "BayerBG12Packed", 0x010A0056: "BayerGR10p", 0x010A0058: "BayerRG10p",
    0x010A0054: "BayerGB10p", 0x010A0052: "BayerBG10p", 0x010C0057: "BayerGR12p", 0x010C0059: "BayerRG12p",
    0x010C0055: "BayerGB12p", 0x010C0053: "BayerBG12p", 0x02180014: "RGB8", 0x02180015: "BGR8",
    0x0210001F: "YUV422_8_UYVY", 0x02100032: "YUV422_8",
}  # fmt: skip


class PixelFormatError(ValueError):
    """A format that is not known, or pixels that are not what it says; the text is for people."""


def is_known(pixel_format: str) -> bool:
    """Whether `bgr_from_raw` can read it."""
    return pixel_format in CODES.values()


def bytes_of(height: int, width: int, pixel_format: str) -> int:
    """How many bytes a picture of this format has, without padding. Raises PixelFormatError."""
    pixels = height * width
    if pixel_format in ("RGB8", "BGR8"):
        return pixels * 3
    if pixel_format in _DIRECT:
        return pixels * 2
    bits, packing = _mono_or_bayer(pixel_format)
    if packing == "p":
        return (pixels * bits + 7) // 8
    if packing == "Packed":
        return (pixels * 12 + 7) // 8
    return pixels if bits == 8 else pixels * 2


def bgr_from_raw(
    raw: NDArray[np.uint8], height: int, width: int, pixel_format: str, shift: int | None = None
) -> NDArray[np.uint8]:
    """uint8 BGR (height, width, 3), owned by the caller, from `bytes_of` bytes or more. Raises PixelFormatError."""
    needed = bytes_of(height, width, pixel_format)
    if raw.size < needed:
        raise PixelFormatError(f"{width} x {height} {pixel_format} has {needed} bytes, the camera sent {raw.size}")
    raw = raw[:needed]
    if pixel_format == "BGR8":
        return np.array(raw.reshape(height, width, 3))
    if pixel_format in _DIRECT:
        channels = 3 if pixel_format == "RGB8" else 2
        return np.asarray(cv2.cvtColor(raw.reshape(height, width, channels), _DIRECT[pixel_format]), np.uint8)
    grey = _eight_bits(raw, height * width, pixel_format, shift).reshape(height, width)
    bayer = pixel_format.removeprefix("Bayer")[:2]
    code = cv2.COLOR_GRAY2BGR if pixel_format.startswith("Mono") else _DEMOSAIC[bayer]
    return np.asarray(cv2.cvtColor(grey, code), np.uint8)


def _mono_or_bayer(pixel_format: str) -> tuple[int, str]:
    found = _NAME.fullmatch(pixel_format)
    if found is None or not is_known(pixel_format):
        raise PixelFormatError(
            f"pixel format {pixel_format} is not known: choose Mono, Bayer, BGR8 or RGB8 (camera.pixel_format)"
        )
    return int(found[3]), found[4] or ""


def _eight_bits(raw: NDArray[np.uint8], pixels: int, pixel_format: str, shift: int | None) -> NDArray[np.uint8]:
    bits, packing = _mono_or_bayer(pixel_format)
    if bits == 8:
        return raw
    if packing == "p":
        values = _unpack_lsb(raw, pixels, bits)
    elif packing == "Packed":
        values = _unpack_gige(raw, pixels, bits)
    else:
        values = raw.view("<u2").astype(np.uint16, copy=False)
    eight: NDArray[np.uint8] = np.minimum(values >> (bits - 8 if shift is None else shift), 255).astype(np.uint8)
    return eight


def _unpack_lsb(raw: NDArray[np.uint8], pixels: int, bits: int) -> NDArray[np.uint16]:
    """PFNC's `p`: a stream of bits, the lowest first. Four pixels of 10 bits in 5 bytes, two of 12 in 3."""
    group_bytes, group_pixels = (5, 4) if bits == 10 else (3, 2)
    groups = -(-pixels // group_pixels)
    padded = np.zeros(groups * group_bytes, np.uint16)
    padded[: raw.size] = raw
    one = padded.reshape(groups, group_bytes)
    values = np.empty((groups, group_pixels), np.uint16)
    if bits == 12:
        values[:, 0] = one[:, 0] | (one[:, 1] & 0x0F) << 8
        values[:, 1] = one[:, 1] >> 4 | one[:, 2] << 4
    else:
        values[:, 0] = one[:, 0] | (one[:, 1] & 0x03) << 8
        values[:, 1] = one[:, 1] >> 2 | (one[:, 2] & 0x0F) << 6
        values[:, 2] = one[:, 2] >> 4 | (one[:, 3] & 0x3F) << 4
        values[:, 3] = one[:, 3] >> 6 | one[:, 4] << 2
    return values.reshape(-1)[:pixels]


def _unpack_gige(raw: NDArray[np.uint8], pixels: int, bits: int) -> NDArray[np.uint16]:
    """GigE Vision's `Packed`: two pixels in 3 bytes, their upper eight bits in the outer ones."""
    groups = -(-pixels // 2)
    padded = np.zeros(groups * 3, np.uint16)
    padded[: raw.size] = raw
    one, low = padded.reshape(groups, 3), bits - 8
    mask = (1 << low) - 1
    values = np.empty((groups, 2), np.uint16)
    values[:, 0] = one[:, 0] << low | one[:, 1] & mask
    values[:, 1] = one[:, 2] << low | one[:, 1] >> 4 & mask
    return values.reshape(-1)[:pixels]
