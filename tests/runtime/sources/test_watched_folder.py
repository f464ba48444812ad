"""Real files and the kernel's real events; what a network share does is made by `poll` and by scripted hindrances."""

from __future__ import annotations

import os
import threading
import time

import cv2
import pytest
from tests.support.tiny_bundle import picture

from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources import folder_follower, watched_folder
from edge_runtime.sources.folder_events import file_system_of, needs_polling
from edge_runtime.sources.protocol import JudgedFiles
from edge_runtime.sources.settings import WatchSettings
from edge_runtime.sources.watched_folder import WatchedFolder

WAIT_S = 10  # for what must come; it comes within milliseconds unless the machine is busy
QUIET_S = 0.4  # for what must not come


def png(seed=0):
    return cv2.imencode(".png", picture(False, seed))[1].tobytes()


def drop(path, data=None, seed=0):
    """As a well-behaved machine does: under another name first."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(png(seed) if data is None else data)
    unfinished.rename(path)


class Memory:
    """What the spool remembers."""

    def __init__(self):
        self.files, self.forgotten = {}, []

    def commit(self, source, frame):
        self.files[frame.file.key] = frame.file.identity
        source.committed(frame.file)

    def resume(self, source):
        source.resume(JudgedFiles(dict(self.files), self.forget))

    def forget(self, files):
        for file in files:
            self.forgotten.append(file.key)
            if self.files.get(file.key) == file.identity:
                del self.files[file.key]


@pytest.fixture
def watch(tmp_path):
    opened = []

    def watch(memory=None, **settings):
        source = WatchedFolder(tmp_path, WatchSettings(**{"settle_ms": 50, "give_up_ms": 300} | settings))
        opened.append(source)
        (memory or Memory()).resume(source)
        return source

    yield watch
    for source in opened:
        source.__exit__(None, None, None)


def until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


both = pytest.mark.parametrize("poll", [False, True])


@both
def test_a_picture_that_is_moved_in_comes_as_it_is(tmp_path, watch, poll):
    source = watch(poll=poll)
    assert isinstance(source.next_frame(0.1), NoFrame)
    drop(tmp_path / "1.png", seed=3)
    frame = source.next_frame(WAIT_S)
    assert isinstance(frame, Frame)
    assert (frame.name, frame.sequence, frame.file.key) == ("1.png", 1, b"1.png")
    assert (frame.image == picture(False, 3)).all()
    assert isinstance(source.next_frame(QUIET_S), NoFrame)
    assert source.problem() is None


@both
def test_what_waits_at_the_start_comes_in_the_order_of_arrival(tmp_path, watch, poll):
    for number in (10, 9, 2):  # not the order of names
        drop(tmp_path / f"{number}.png", seed=number)
        time.sleep(0.02)
    source = watch(poll=poll)
    assert [source.next_frame(WAIT_S).name for _ in range(3)] == ["10.png", "9.png", "2.png"]


@both
def test_a_picture_that_is_written_slowly_comes_once_when_it_is_whole(tmp_path, watch, poll):
    source, data = watch(poll=poll, give_up_ms=5000), png()
    assert isinstance(source.next_frame(0.05), NoFrame)
    with (tmp_path / "1.png").open("wb", buffering=0) as file:
        for piece in (data[:100], data[100:500], data[500:-1]):
            file.write(piece)
            assert isinstance(source.next_frame(0.2), NoFrame)
        file.write(data[-1:])
    assert (source.next_frame(WAIT_S).image == picture(False, 0)).all()
    assert isinstance(source.next_frame(QUIET_S), NoFrame)


def test_a_picture_that_is_written_in_pieces_with_the_file_closed_between_comes_once(tmp_path, watch):
    source, data = watch(give_up_ms=5000), png()
    for piece in (data[:100], data[100:500], data[500:]):
        with (tmp_path / "1.png").open("ab") as file:
            file.write(piece)
        time.sleep(0.1)
    assert isinstance(source.next_frame(WAIT_S), Frame)
    assert isinstance(source.next_frame(QUIET_S), NoFrame)


@pytest.mark.parametrize(("data", "what"), [(b"", "is empty"), (png()[:300], "cut off"), (b"MZ rubbish", "is no PNG")])
def test_a_file_that_does_not_become_a_picture_is_an_error_with_its_name(tmp_path, watch, data, what):
    source = watch()
    drop(tmp_path / "bad.png", data)
    frame = source.next_frame(WAIT_S)
    assert isinstance(frame, FailedFrame)
    assert (frame.name, frame.error, frame.file.key) == ("bad.png", ErrorCode.FRAME_UNREADABLE, b"bad.png")
    assert what in frame.detail
    assert "watch.give_up_ms" in frame.detail
    drop(tmp_path / "good.png")
    assert source.next_frame(WAIT_S).name == "good.png"  # and it did not stand in the way


def test_a_file_that_leaves_before_it_could_be_read_is_an_error_with_its_name(tmp_path, watch):
    source = watch(give_up_ms=60_000)
    assert isinstance(source.next_frame(0.05), NoFrame)
    drop(tmp_path / "1.png", png()[:100])
    time.sleep(0.2)
    (tmp_path / "1.png").unlink()
    frame = source.next_frame(WAIT_S)
    assert (frame.name, frame.error) == ("1.png", ErrorCode.FRAME_MISSING)
    assert "was removed" in frame.detail


def test_a_file_that_waits_and_is_renamed_is_one_picture(tmp_path, watch):
    source, data = watch(give_up_ms=60_000), png()
    assert isinstance(source.next_frame(0.05), NoFrame)
    drop(tmp_path / "upload.png", data[:100])
    time.sleep(0.1)
    with (tmp_path / "upload.png").open("ab") as file:
        file.write(data[100:])
        (tmp_path / "upload.png").rename(tmp_path / "part-7.png")
    assert source.next_frame(WAIT_S).name == "part-7.png"
    assert isinstance(source.next_frame(QUIET_S), NoFrame)


def test_on_a_share_a_name_that_waited_and_left_is_an_error_for_nobody_can_tell_that_it_was_renamed(tmp_path, watch):
    source = watch(poll=True, give_up_ms=60_000)
    assert isinstance(source.next_frame(0.05), NoFrame)
    drop(tmp_path / "upload.png", png()[:100])
    time.sleep(0.8)
    (tmp_path / "upload.png").write_bytes(png())
    (tmp_path / "upload.png").rename(tmp_path / "part-7.png")
    assert [source.next_frame(WAIT_S).name for _ in range(2)] == ["upload.png", "part-7.png"]


@both
def test_a_picture_that_is_replaced_is_another_picture(tmp_path, watch, poll):
    source, memory = watch(poll=poll), Memory()
    for seed in (1, 2):
        drop(tmp_path / "current.png", seed=seed)
        frame = source.next_frame(WAIT_S)
        memory.commit(source, frame)
        assert (frame.image == picture(False, seed)).all()


def test_foreign_hidden_and_unfinished_files_are_passed_over_and_counted(tmp_path, watch):
    for name in (".hidden.png", "1.png.tmp", "1.part", "notes.txt"):
        (tmp_path / name).write_bytes(png())
    (tmp_path / "folder.png").mkdir()
    source = watch()
    assert isinstance(source.next_frame(QUIET_S), NoFrame)
    assert source.left_out() == {"passed_over": 5}


def test_pipes_devices_and_dead_links_are_never_opened(tmp_path, watch):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "dead.png").symlink_to("/nowhere")
    source = watch()
    drop(tmp_path / "good.png")
    assert source.next_frame(WAIT_S).name == "good.png"
    assert isinstance(source.next_frame(QUIET_S), NoFrame)
    assert source.problem() is None


def test_a_name_that_is_no_text_is_a_name(tmp_path, watch):
    source = watch()
    drop(tmp_path / os.fsdecode(b"caf\xe9.png"))
    frame = source.next_frame(WAIT_S)
    assert (frame.name, frame.file.key) == ("caf\\xe9.png", b"caf\xe9.png")


@both
@pytest.mark.parametrize("after", ["leave", "done", "delete"])
def test_pictures_leave_after_their_verdict_and_not_before(tmp_path, watch, after, poll):
    source, memory = watch(after=after, poll=poll), Memory()
    drop(tmp_path / "1.png")
    frame = source.next_frame(WAIT_S)
    time.sleep(0.1)
    assert (tmp_path / "1.png").exists()
    memory.commit(source, frame)
    if after == "leave":
        assert isinstance(source.next_frame(QUIET_S), NoFrame)
    else:
        until(lambda: not (tmp_path / "1.png").exists())
    assert (tmp_path / "1.png").exists() is (after == "leave")
    assert (tmp_path / "done/1.png").exists() is (after == "done")


def test_a_picture_that_is_in_hand_when_the_folder_is_listed_again_stays_until_its_verdict(tmp_path, watch):
    source = watch(after="delete", poll=True)
    drop(tmp_path / "1.png")
    source.next_frame(WAIT_S)
    time.sleep(3 * folder_follower.POLL_S)
    assert (tmp_path / "1.png").exists()


def test_a_listing_that_took_long_does_not_put_off_the_next_one_for_long(tmp_path, watch, monkeypatch):
    monkeypatch.setattr(folder_follower, "LISTING_SHARE", 1_000_000)
    monkeypatch.setattr(folder_follower, "LONGEST_PAUSE_S", 0.2)
    source = watch(poll=True)
    for name in ("1.png", "2.png"):
        drop(tmp_path / name)
        assert source.next_frame(WAIT_S).name == name


def test_nothing_in_done_is_overwritten(tmp_path, watch):
    source, memory = watch(after="done"), Memory()
    for seed in range(3):
        drop(tmp_path / "1.png", seed=seed)
        memory.commit(source, source.next_frame(WAIT_S))
        until(lambda: not (tmp_path / "1.png").exists())
    assert sorted(p.name for p in (tmp_path / "done").iterdir()) == ["1-2.png", "1-3.png", "1.png"]


@both
@pytest.mark.parametrize("after", ["leave", "done"])
def test_a_restart_judges_only_what_was_not_committed(tmp_path, watch, after, poll):
    memory = Memory()
    for number in (1, 2, 3):
        drop(tmp_path / f"{number}.png", seed=number)
        time.sleep(0.02)
    first = watch(memory, after=after, poll=poll)
    judged = first.next_frame(WAIT_S)
    memory.files[judged.file.key] = judged.file.identity  # committed, and killed before the file could leave
    first.next_frame(WAIT_S)  # taken, and killed before its verdict
    first.__exit__(None, None, None)
    second = watch(memory, after=after, poll=poll)
    assert [second.next_frame(WAIT_S).name for _ in range(2)] == ["2.png", "3.png"]
    assert isinstance(second.next_frame(QUIET_S), NoFrame)
    assert (tmp_path / "done/1.png").exists() is (after == "done")


def test_a_picture_that_cannot_be_put_away_is_not_judged_again(tmp_path, watch, caplog):
    (tmp_path / "done").write_text("a file in the way")
    source, memory = watch(after="done"), Memory()
    drop(tmp_path / "1.png")
    memory.commit(source, source.next_frame(WAIT_S))
    drop(tmp_path / "2.png")
    assert source.next_frame(WAIT_S).name == "2.png"
    assert "1.png is judged and cannot be put away" in caplog.text


def test_names_of_files_that_left_are_forgotten_unless_all_are_gone_as_when_a_share_is_not_mounted(tmp_path, watch):
    memory, source = Memory(), watch()
    for name in ("1.png", "2.png"):
        drop(tmp_path / name)
        memory.commit(source, source.next_frame(WAIT_S))
    source.__exit__(None, None, None)
    (tmp_path / "1.png").rename(tmp_path.parent / "1.png")
    assert isinstance(watch(memory).next_frame(QUIET_S), NoFrame)
    assert memory.forgotten == [b"1.png"]
    (tmp_path / "2.png").rename(tmp_path.parent / "2.png")
    assert isinstance(watch(memory).next_frame(QUIET_S), NoFrame)
    assert memory.forgotten == [b"1.png"]


def test_a_folder_that_goes_and_comes_is_reported_and_watched_again(tmp_path, watch):
    folder = tmp_path / "share"
    source = WatchedFolder(folder, WatchSettings())
    with source:
        assert isinstance(source.next_frame(0.2), NoFrame)
        assert source.problem() == f"{folder}: No such file or directory: check the path, the share and the rights"
        folder.mkdir()
        drop(folder / "1.png")
        assert source.next_frame(WAIT_S).name == "1.png"
        assert source.problem() is None
        folder.rename(tmp_path / "away")
        until(lambda: "No such file" in (source.problem() or ""))
        (tmp_path / "away").rename(folder)
        drop(folder / "2.png")
        assert source.next_frame(WAIT_S).name == "2.png"  # and 1.png is not read twice


def test_a_share_that_hangs_blocks_nobody_and_is_reported(tmp_path, watch, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(folder_follower, "HANGS_AFTER_S", 0.1)
    monkeypatch.setattr(watched_folder, "CLOSE_S", 0.1)
    monkeypatch.setattr(folder_follower, "file_system_of", lambda folder: answers.wait(WAIT_S) and "ext4")
    source = watch()
    began_s = time.monotonic()
    assert isinstance(source.next_frame(0.2), NoFrame)
    assert time.monotonic() - began_s < 2
    assert "has not answered for 0 s: check the share" in source.problem()
    answers.set()
    drop(tmp_path / "1.png")
    assert source.next_frame(WAIT_S).name == "1.png"
    assert source.problem() is None


def test_which_file_systems_are_polled(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "23 22 0:40 / /srv/share rw shared:1 - cifs //host/share rw\n"
        "24 22 0:41 / /srv/with\\040space rw - fuse.sshfs x rw\n"
    )
    from pathlib import Path

    for folder, kind, polled in (
        ("/srv/ftp", "ext4", False),
        ("/srv/share/a/b", "cifs", True),
        ("/srv/with space/x", "fuse.sshfs", True),
    ):
        assert file_system_of(Path(folder), mounts) == kind
        assert needs_polling(kind) is polled
    assert file_system_of(Path("/x"), tmp_path / "none") == ""
