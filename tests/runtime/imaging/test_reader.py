"""The reader of picture files. Files are made by hand where OpenCV cannot write them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import list_pictures, name_order, picture_from_bytes, read_picture

EXIF_HEADER = b"II*\0" + struct.pack("<I", 8)


def picture(height=5, width=7):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(suffix, image):
    return cv2.imencode(suffix, image)[1].tobytes()


def exif(orientation):
    return EXIF_HEADER + struct.pack("<HHHIII", 1, 0x112, 3, 1, orientation, 0)


def jpeg_with_exif(image, block):
    plain = encoded(".jpg", image)
    payload = b"Exif\0\0" + block
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + plain[2:]


def jpeg_with_frame(image, frame):
    """A JPEG whose frame header is replaced."""
    plain = encoded(".jpg", image)
    at = plain.index(b"\xff\xc0")
    end = at + 2 + struct.unpack_from(">H", plain, at + 2)[0]
    return plain[:at] + b"\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + plain[end:]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows, width, bits=8, colour=2, extra=b""):
    """rows: the bytes of each row."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_of(image, extra=b""):
    return png([row.tobytes() for row in image[..., ::-1]], image.shape[1], extra=extra)


def tiff(pixels, width, height, channels=1, bits=8, form=1, photometric=1, orientation=1, order="<", following=0):
    """An uncompressed TIFF: the directory, then the pixels."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 274: orientation}
    tags |= {277: channels, 278: height, 279: len(pixels), 339: form}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = start
    entries = b""
    for tag, value in tags.items():
        kind, code = (4, "I") if tag in (273, 279) else (3, "H")
        entries += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + code, value).ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "IH", 8, len(tags))
    return head + entries + struct.pack(order + "I", following) + pixels


def read(tmp_path, data, name="part.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_picture(path)


def refusal(tmp_path, data, name="part.png"):
    with pytest.raises(PictureError) as caught:
        read(tmp_path, data, name)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / name))
    return text.removeprefix(str(tmp_path / name)).strip()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_files_give_the_pixels_that_were_written(tmp_path, suffix):
    image = picture()
    found = read(tmp_path, encoded(suffix, image), f"part{suffix}")
    assert np.array_equal(found, image)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable


def test_a_jpeg_gives_the_pixels_that_opencv_reads(tmp_path):
    data = encoded(".jpg", picture(40, 60))
    assert np.array_equal(read(tmp_path, data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def test_a_progressive_jpeg_is_read(tmp_path):
    data = cv2.imencode(".jpg", picture(40, 60), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert read(tmp_path, data).shape == (40, 60, 3)


def test_a_jpeg_with_restart_markers_is_read(tmp_path):
    data = cv2.imencode(".jpg", picture(40, 60), [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes()
    assert read(tmp_path, data).shape == (40, 60, 3)


def test_what_counts_is_the_content_and_not_the_ending(tmp_path):
    image = picture()
    assert np.array_equal(read(tmp_path, encoded(".png", image), "part.jpg"), image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_grey_becomes_three_equal_channels(tmp_path, suffix):
    grey = np.full((4, 6), 77, dtype=np.uint8)
    assert np.array_equal(read(tmp_path, encoded(suffix, grey)), np.full((4, 6, 3), 77))


def test_one_bit_pictures_become_black_and_white(tmp_path):
    found = read(tmp_path, png([b"\x80", b"\x40"], 2, bits=1, colour=0))
    assert found[..., 0].tolist() == [[255, 0], [0, 255]]


def test_palettes_are_expanded(tmp_path):
    found = read(tmp_path, png([b"\0\1"], 2, colour=3, extra=png_chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6]))))
    assert found.tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_an_opaque_alpha_channel_is_dropped(tmp_path):
    image = picture()
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    assert np.array_equal(read(tmp_path, encoded(".png", opaque)), image)


def test_grey_with_opaque_alpha_is_grey(tmp_path):
    assert read(tmp_path, png([b"\x10\xff\x20\xff"], 2, colour=4)).tolist() == [[[16] * 3, [32] * 3]]


def test_see_through_pixels_are_refused(tmp_path):
    image = np.dstack([picture(), np.full((5, 7), 255, np.uint8)])
    image[0, :2, 3] = 0
    text = refusal(tmp_path, encoded(".png", image))
    assert text == "has 2 see-through pixels in its alpha channel: save it without transparency"


def test_a_transparent_grey_value_is_refused(tmp_path):
    text = refusal(tmp_path, png([b"\x10\x20"], 2, colour=0, extra=png_chunk(b"tRNS", b"\0\x10")))
    assert text == "has a transparent grey value: save it without transparency"


TURNED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("orientation", TURNED)
def test_the_exif_orientation_is_applied(tmp_path, orientation):
    image = picture()
    wanted = TURNED[orientation](image)
    assert np.array_equal(read(tmp_path, png_of(image, png_chunk(b"eXIf", exif(orientation)))), wanted)
    as_tiff = tiff(image[..., ::-1].tobytes(), 7, 5, 3, photometric=2, orientation=orientation)
    assert np.array_equal(read(tmp_path, as_tiff), wanted)
    as_jpeg = jpeg_with_exif(image, exif(orientation))
    assert np.array_equal(read(tmp_path, as_jpeg), TURNED[orientation](read(tmp_path, encoded(".jpg", image))))


@pytest.mark.parametrize("block", [b"", b"II*\0\xff\xff\xff\xff", exif(0), exif(9), exif(6)[:20]])
def test_damaged_exif_leaves_the_picture_as_it_is_stored(tmp_path, block):
    assert read(tmp_path, jpeg_with_exif(picture(), block)).shape == (5, 7, 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_both_byte_orders_are_read(tmp_path, order):
    assert read(tmp_path, tiff(bytes(range(6)), 3, 2, order=order))[..., 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_sixteen_bits_are_refused(tmp_path):
    wide = np.full((4, 4), 40_000, np.uint16)
    wanted = (
        "has 16 bits a channel; the daemon judges 8-bit frames: "
        "convert it to 8 bits a channel in the way that the camera does"
    )
    assert refusal(tmp_path, encoded(".png", wide)) == wanted
    assert refusal(tmp_path, encoded(".tif", wide)) == wanted


def test_a_twelve_bit_jpeg_is_refused(tmp_path):
    frame = struct.pack(">BHHB", 12, 5, 7, 1) + b"\1\x11\0"
    assert refusal(tmp_path, jpeg_with_frame(picture(), frame)).startswith("has 12 bits a channel")


def test_floating_point_and_signed_numbers_are_refused(tmp_path):
    floats = encoded(".tif", np.ones((4, 4), np.float32))
    assert refusal(tmp_path, floats).startswith("holds floating-point numbers; the daemon judges 8-bit frames")
    assert refusal(tmp_path, tiff(bytes(6), 3, 2, form=2)).startswith("holds signed numbers")


def test_cmyk_is_refused(tmp_path):
    frame = struct.pack(">BHHB", 8, 5, 7, 4) + b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3, 4))
    wanted = "is a CMYK picture: convert it to RGB, or take it from the camera without conversion"
    assert refusal(tmp_path, jpeg_with_frame(picture(), frame)) == wanted
    assert refusal(tmp_path, tiff(bytes(24), 3, 2, 4, photometric=5)) == wanted


def test_a_jpeg_of_two_channels_is_refused(tmp_path):
    frame = struct.pack(">BHHB", 8, 5, 7, 2) + b"\1\x11\0\2\x11\0"
    assert refusal(tmp_path, jpeg_with_frame(picture(), frame)).startswith("has 2 channels: convert it to RGB")


def test_several_pages_are_refused(tmp_path):
    text = refusal(tmp_path, tiff(bytes(6), 3, 2, following=8))
    assert text == "has several pages: save each page as a picture of its own"


def test_an_empty_file_is_refused(tmp_path):
    assert refusal(tmp_path, b"") == "is empty (0 bytes): copy it again from where it was made"


def test_what_is_no_picture_is_refused(tmp_path):
    text = refusal(tmp_path, b"<html>hello")
    assert text == "is no PNG, JPEG, BMP or TIFF picture (it starts with 3c 68 74 6d 6c 3e 68 65): convert it"


@pytest.mark.parametrize(
    "data",
    [
        png_of(picture()),
        encoded(".jpg", picture()),
        encoded(".jpg", np.full((90, 90), 200, np.uint8)),
        encoded(".bmp", picture()),
        encoded(".tif", picture()),
        tiff(bytes(range(35)), 7, 5),
    ],
    ids=["png", "jpeg", "grey-jpeg", "bmp", "tiff-directory-last", "tiff-directory-first"],
)
def test_a_file_cut_off_anywhere_is_refused_without_a_word_on_stderr(capfd, data):
    for length in range(2, len(data)):
        with pytest.raises(PictureError, match=r"cut off|damaged|is no PNG"):
            picture_from_bytes(data[:length], Path("part"))
    assert capfd.readouterr().err == ""


def test_how_a_file_was_cut_off_is_said(tmp_path):
    again = "; copy it again from where it was made"
    data = png_of(picture())
    assert refusal(tmp_path, data[:-12]) == f"is cut off: this PNG has no end chunk{again}"
    assert refusal(tmp_path, data[:-20]) == f"is cut off: this PNG ends within a chunk IDAT{again}"
    data = encoded(".jpg", picture())
    assert refusal(tmp_path, data[:-2]) == f"is cut off: this JPEG has no end-of-image marker{again}"
    data = encoded(".bmp", picture())
    assert refusal(tmp_path, data[:-7]) == f"is cut off: this BMP has 167 bytes of 174{again}"
    data = tiff(bytes(6), 3, 2)
    assert refusal(tmp_path, data[:-2]) == f"is cut off: this TIFF has 150 bytes, its pixels end at 152{again}"


def test_a_jpeg_whose_tail_was_never_written_is_refused(tmp_path):
    data = encoded(".jpg", picture(40, 60))
    text = refusal(tmp_path, data[: len(data) // 2] + bytes(len(data) // 2))
    assert text.startswith("is cut off: this JPEG has no end-of-image marker")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_bytes_after_the_end_are_no_fault(tmp_path, suffix):
    data = encoded(suffix, picture())
    assert np.array_equal(read(tmp_path, data + b"\0trailer"), read(tmp_path, data))


def test_no_changed_byte_of_a_png_gives_other_pixels(capfd):
    image = picture(3, 3)
    data = png_of(image)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x10
        with pytest.raises(PictureError):
            picture_from_bytes(bytes(changed), Path("part"))
    assert capfd.readouterr().err == ""


def test_a_wrong_checksum_is_said(tmp_path):
    data = bytearray(png_of(picture()))
    data[-20] ^= 1
    text = refusal(tmp_path, bytes(data))
    assert text == "is damaged: this PNG has a wrong checksum in its chunk IDAT; copy it again from where it was made"


def test_a_jpeg_without_a_marker_where_one_belongs_is_refused(tmp_path):
    data = bytearray(encoded(".jpg", picture()))
    data[20] = 0
    assert refusal(tmp_path, bytes(data)).startswith("is damaged: this JPEG has no marker at byte 20")


def test_what_opencv_cannot_decode_is_refused(tmp_path):
    data = encoded(".jpg", picture())
    at = data.index(b"\xff\xc4")
    text = refusal(tmp_path, data[: at + 5] + b"\xff" * 16 + data[at + 21 :])
    assert text == (
        f"is damaged, or a JPEG of a kind that OpenCV {cv2.__version__} cannot decode: save it again as PNG"
    )


def test_pictures_without_pixels_are_refused(tmp_path):
    frame = struct.pack(">BHHB", 8, 0, 7, 1) + b"\1\x11\0"
    assert refusal(tmp_path, jpeg_with_frame(picture(), frame)).startswith("is damaged: its header says 7 x 0 pixels")


def test_huge_pictures_are_refused_by_their_header_alone(tmp_path):
    wanted = "says that it has 20000 x 10000 pixels, more than 100 megapixels: crop or reduce it"
    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IEND", b"")
    assert refusal(tmp_path, b"\x89PNG\r\n\x1a\n" + chunks) == wanted
    frame = struct.pack(">BHHB", 8, 10_000, 20_000, 1) + b"\1\x11\0"
    assert refusal(tmp_path, jpeg_with_frame(picture(), frame)) == wanted
    bmp = b"BM" + struct.pack("<IHHIIiiHHI", 54, 0, 0, 54, 40, 20_000, -10_000, 1, 24, 0) + bytes(20)
    assert refusal(tmp_path, bmp) == wanted
    assert refusal(tmp_path, tiff(bytes(6), 20_000, 10_000)) == wanted


def test_a_file_that_is_far_too_long_is_not_read(tmp_path):
    with (tmp_path / "part.png").open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse: takes no room
    with pytest.raises(PictureError, match=r"part\.png has 1073741825 bytes, more than a picture of 100 megapixels"):
        read_picture(tmp_path / "part.png")


def test_metadata_that_codecs_complain_about_says_nothing_on_stderr(tmp_path, capfd):
    profile = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"nonsense" * 50))
    image = picture()
    assert np.array_equal(read(tmp_path, png_of(image, profile)), image)
    strange = tiff(bytes(range(6)), 3, 2).replace(struct.pack("<H", 339), struct.pack("<H", 65_000), 1)
    assert read(tmp_path, strange).shape == (2, 3, 3)
    assert capfd.readouterr().err == ""


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(PictureError, match=r"nothing\.png is gone or never existed: check the path"):
        read_picture(tmp_path / "nothing.png")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="is not a file: check the path"):
        read_picture(tmp_path)


def test_names_may_have_any_characters(tmp_path):
    image = picture()
    assert np.array_equal(read(tmp_path, encoded(".png", image), "Prüfstück 零件 №1.png"), image)


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listed(folder, recursive):
    return [path.relative_to(folder).as_posix() for path in list_pictures(folder, recursive)]


def test_pictures_are_listed_in_name_order_with_numbers_by_value(tmp_path):
    make(tmp_path, "part-10.png", "part-2.JPG", "part-1.tiff", "b/1.bmp", "a/9.jpeg", "a/10.tif", "notes.txt", "x.webp")
    assert listed(tmp_path, recursive=False) == ["part-1.tiff", "part-2.JPG", "part-10.png"]
    assert listed(tmp_path, recursive=True) == [
        "a/9.jpeg",
        "a/10.tif",
        "b/1.bmp",
        "part-1.tiff",
        "part-2.JPG",
        "part-10.png",
    ]


def test_hidden_files_and_folders_are_not_listed(tmp_path):
    make(tmp_path, "a.png", "._a.png", ".thumbnails/a.png")
    assert listed(tmp_path, recursive=True) == ["a.png"]


def test_names_that_differ_in_case_or_zeros_have_one_order(tmp_path):
    names = [tmp_path / name for name in ("A1", "a01", "a1")]
    backwards = names[::-1]
    assert sorted(names, key=name_order) == sorted(backwards, key=name_order)


def test_a_folder_that_is_missing_is_said(tmp_path):
    with pytest.raises(PictureError, match="nowhere is not a folder: check the path"):
        list_pictures(tmp_path / "nowhere", recursive=True)
