from __future__ import annotations

import cv2
import numpy as np
import pydantic
import pytest
from tests.support.mutated_pictures import bombs
from tests.support.tiny_bundle import picture, write_pictures

from edge_runtime.errors import SourceError
from edge_runtime.records import ErrorCode, FailedFrame, Frame
from edge_runtime.sources.protocol import open_source
from edge_runtime.sources.settings import SourceSettings, WatchSettings


def opened(uri, loop=False):
    return open_source(SourceSettings(uri=uri, loop=loop))


def take(source, at_most=100):
    frames = []
    while len(frames) < at_most and (frame := source.next_frame(1.0)) is not None:
        frames.append(frame)
    return frames


def write_video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for number in range(frames):
        writer.write(picture(False, number))
    writer.release()
    return path


def test_a_folder_gives_its_pictures_once_in_name_order_with_those_of_subfolders(tmp_path):
    write_pictures(tmp_path / "good", "oo")
    write_pictures(tmp_path / "bad", "n")
    with opened(f"folder://{tmp_path}") as source:
        frames = take(source)
    assert [s.name for s in frames] == ["bad/0000.png", "good/0000.png", "good/0001.png"]
    assert [s.sequence for s in frames] == [1, 2, 3]
    assert (frames[0].image == picture(True, 0)).all()


def test_an_unreadable_picture_is_a_lost_frame_and_the_next_still_comes(tmp_path):
    write_pictures(tmp_path, "oxo")
    with opened(f"folder://{tmp_path}") as source:
        first, second, third = take(source)
    assert isinstance(first, Frame)
    assert isinstance(third, Frame)
    assert isinstance(second, FailedFrame)
    assert (second.name, second.error) == ("0001.png", ErrorCode.FRAME_UNREADABLE)
    assert str(tmp_path / "0001.png") in second.detail


def test_a_picture_that_vanished_is_a_lost_frame(tmp_path):
    write_pictures(tmp_path, "oo")
    with opened(f"folder://{tmp_path}") as source:
        (tmp_path / "0001.png").unlink()
        assert [type(s) for s in take(source)] == [Frame, FailedFrame]


def test_a_looping_folder_begins_again(tmp_path):
    write_pictures(tmp_path, "oo")
    with opened(f"folder://{tmp_path}", loop=True) as source:
        frames = take(source, 5)
    assert [s.name for s in frames] == ["0000.png", "0001.png", "0000.png", "0001.png", "0000.png"]
    assert [s.sequence for s in frames] == [1, 2, 3, 4, 5]


def test_a_folder_that_is_missing_or_empty_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"source folder://.*/none: .*none is not a folder"):
        opened(f"folder://{tmp_path}/none")
    with pytest.raises(SourceError, match="there is no picture in it"):
        opened(f"folder://{tmp_path}")


def test_a_video_gives_every_frame_once(tmp_path):
    path = write_video(tmp_path / "parts.avi", 7)
    with opened(f"video://{path}") as source:
        frames = take(source)
    assert [s.name for s in frames] == [f"parts.avi#{n}" for n in range(1, 8)]
    # MJPEG is lossy: frames are told apart by content, not equal to it.
    assert all(np.abs(s.image.astype(int) - picture(False, n)).mean() < 20 for n, s in enumerate(frames))


def test_a_looping_video_begins_again(tmp_path):
    path = write_video(tmp_path / "parts.avi", 3)
    with opened(f"video://{path}", loop=True) as source:
        frames = take(source, 8)
    assert [s.name[-1] for s in frames] == list("12312312")
    assert [s.sequence for s in frames] == list(range(1, 9))


@pytest.mark.parametrize("loop", [False, True])
def test_a_file_that_is_no_video_is_an_error_and_not_an_endless_loop(tmp_path, loop):
    path = tmp_path / "broken.avi"
    path.write_bytes(write_video(tmp_path / "parts.avi", 3).read_bytes()[:100])
    with pytest.raises(SourceError, match=r"broken\.avi: no frame can be read from it"):
        opened(f"video://{path}", loop)


def test_a_missing_video_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"none\.mp4: there is no such file"):
        opened(f"video://{tmp_path}/none.mp4")


def test_a_video_that_was_cut_off_says_so_once(tmp_path):
    whole = write_video(tmp_path / "parts.avi", 40)
    path = tmp_path / "cut.avi"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with opened(f"video://{path}") as source:
        frames = take(source)
    lost = [s for s in frames if isinstance(s, FailedFrame)]
    assert len(frames) < 40
    assert [s.error for s in lost] == [ErrorCode.FRAME_MISSING]
    assert f"ended after {len(frames) - 1} of 40 frames" in lost[0].detail


def test_recordings_are_simulated_and_a_watched_folder_is_not(tmp_path):
    write_pictures(tmp_path, "o")
    with opened(f"folder://{tmp_path}") as folder, opened(f"folder://{tmp_path}?watch") as watched:
        assert (folder.simulated, watched.simulated) == (True, False)
    with opened(f"video://{write_video(tmp_path / 'parts.avi', 3)}") as video:
        assert video.simulated


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"uri": "ftp://x"}, "found 'ftp://x': must be one of folder://, video://"),
        ({"uri": "folder://?watch"}, "must be one of folder://"),
        ({"uri": "video://x?watch"}, "only a folder:// can be watched"),
        ({"uri": "folder://x", "watch": WatchSettings(after="done")}, "watch belongs to folder://DIR"),
        ({"uri": "folder://x?watch", "loop": True}, "loop belongs to recordings"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        SourceSettings(**settings)


@pytest.mark.parametrize("name", ["tiff: a tag with no value", "png: another chunk before the header"])
def test_a_picture_made_to_harm_its_reader_is_a_failed_frame_and_the_next_one_follows(tmp_path, name):
    (tmp_path / "1.png").write_bytes(bombs()[name])
    write_pictures(tmp_path / "whole", "o")
    with opened(f"folder://{tmp_path}") as source:
        harmful, whole = take(source)
    assert harmful.error is ErrorCode.FRAME_UNREADABLE
    assert whole.name == "whole/0000.png"
