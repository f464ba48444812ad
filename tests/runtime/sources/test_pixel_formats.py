from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_runtime.sources.pixel_formats import CODES, PixelFormatError, bgr_from_raw, bytes_of

HEIGHT, WIDTH = 6, 8


def values(bits, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << bits, HEIGHT * WIDTH, dtype=np.uint16)


def packed(numbers, bits, kind):
    """Bit by bit, as the standards draw it: slow, and not how the code does it."""
    if kind == "":
        return numbers.astype("<u2").view(np.uint8)
    if kind == "p":
        stream = "".join(format(int(v), f"0{bits}b")[::-1] for v in numbers)
        stream += "0" * (-len(stream) % 8)
        return np.array([int(stream[i : i + 8][::-1], 2) for i in range(0, len(stream), 8)], np.uint8)
    low, out = bits - 8, []
    for one, two in zip(numbers[::2], numbers[1::2], strict=True):
        out += [int(one) >> low, int(one) % (1 << low) | int(two) % (1 << low) << 4, int(two) >> low]
    return np.array(out, np.uint8)


@pytest.mark.parametrize("kind", ["", "p", "Packed"])
@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_eight_bits_end_as_the_upper_eight_in_every_packing(bits, kind):
    numbers = values(bits)
    raw = packed(numbers, bits, kind)
    assert raw.size == bytes_of(HEIGHT, WIDTH, f"Mono{bits}{kind}")
    found = bgr_from_raw(raw, HEIGHT, WIDTH, f"Mono{bits}{kind}")
    expected = (numbers >> (bits - 8)).reshape(HEIGHT, WIDTH)
    assert all((found[..., channel] == expected).all() for channel in range(3))


def test_a_smaller_shift_shows_the_dark_and_saturates_the_bright():
    raw = np.array([0, 1, 255, 256, 4095, 16, 100, 300], "<u2").view(np.uint8)
    found = bgr_from_raw(raw, 1, 8, "Mono12", shift=0)[0, :, 0]
    assert list(found) == [0, 1, 255, 255, 255, 16, 100, 255]


@pytest.mark.parametrize("pattern", ["RG", "GR", "GB", "BG"])
def test_bayer_patterns_give_back_the_colour_that_was_there(pattern):
    colour = {"R": 200, "G": 120, "B": 40}
    second = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[pattern]
    mosaic = np.array([[colour[c] for c in row] for row in (pattern, second)], np.uint8)
    raw = np.tile(mosaic, (HEIGHT // 2, WIDTH // 2)).reshape(-1)
    found = bgr_from_raw(raw, HEIGHT, WIDTH, f"Bayer{pattern}8")
    assert (found == (40, 120, 200)).all()


def test_bayer_of_twelve_bits_is_the_bayer_of_its_upper_eight():
    numbers = values(12)
    found = bgr_from_raw(packed(numbers, 12, "p"), HEIGHT, WIDTH, "BayerRG12p")
    assert (found == bgr_from_raw((numbers >> 4).astype(np.uint8), HEIGHT, WIDTH, "BayerRG8")).all()


def test_colour_formats_end_as_bgr_and_belong_to_the_caller():
    raw = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8)
    picture = raw.reshape(HEIGHT, WIDTH, 3)
    assert (bgr_from_raw(raw, HEIGHT, WIDTH, "RGB8") == picture[..., ::-1]).all()
    found = bgr_from_raw(raw, HEIGHT, WIDTH, "BGR8")
    assert (found == picture).all()
    raw[:] = 0
    assert found.any()
    grey = bgr_from_raw(raw[: HEIGHT * WIDTH], HEIGHT, WIDTH, "Mono8")
    raw[:] = 7
    assert not grey.any()


def test_yuv_is_opencv_s():
    raw = np.random.default_rng(0).integers(0, 256, HEIGHT * WIDTH * 2, dtype=np.uint8)
    expected = cv2.cvtColor(raw.reshape(HEIGHT, WIDTH, 2), cv2.COLOR_YUV2BGR_UYVY)
    assert (bgr_from_raw(raw, HEIGHT, WIDTH, "YUV422_8_UYVY") == expected).all()


def test_what_is_not_known_or_too_short_is_reported():
    with pytest.raises(PixelFormatError, match=r"Mono7 is not known: choose Mono, Bayer"):
        bgr_from_raw(np.zeros(100, np.uint8), 2, 2, "Mono7")
    with pytest.raises(PixelFormatError, match="8 x 6 Mono8 has 48 bytes, the camera sent 47"):
        bgr_from_raw(np.zeros(47, np.uint8), HEIGHT, WIDTH, "Mono8")


def test_the_codes_are_aravis_own():
    gi = pytest.importorskip("gi")
    try:
        gi.require_version("Aravis", "0.8")
    except ValueError:
        pytest.skip("needs gir1.2-aravis-0.8")
    from gi.repository import Aravis

    checked = 0
    for code, name in CODES.items():
        digits = next(i for i, c in enumerate(name) if c.isdigit())
        words, rest = name[:digits].upper().replace("BAYER", "BAYER_"), name[digits:].upper()
        constant = f"PIXEL_FORMAT_{words}_{rest.replace('PACKED', '_PACKED')}"
        if rest == "8" and not hasattr(Aravis, constant):  # RGB8 and BGR8
            constant += "_PACKED"
        if hasattr(Aravis, constant):
            assert getattr(Aravis, constant) == code, name
            checked += 1
    assert checked > 30
