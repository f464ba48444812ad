"""What is synced to the disk and when, what an error leaves, and what people are told."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from edge_runtime.errors import StorageError
from edge_runtime.files import (
    Durability,
    make_folder,
    new_folder,
    remove_unfinished,
    replace_link,
    replaced_file,
    storage_errors,
    sync_folder,
    write_file,
)

EVERY = list(Durability)


class Disk:
    """Stands for os.fsync: notes what was synced, and whether `place` had its name and content by then."""

    def __init__(self, place, fails_at=None, error=errno.EIO):
        self.place, self.fails_at, self.error = place, fails_at, error
        self.synced = []

    def __call__(self, number):
        name = str(Path(f"/proc/self/fd/{number}").readlink())
        what = "folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file"
        self.synced.append((what, self.place.exists()))
        if self.fails_at == len(self.synced):
            raise OSError(self.error, os.strerror(self.error), name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("durability", "synced"),
    [
        (Durability.ATOMIC, []),
        (Durability.SYNCED, [("file", False)]),  # the content, before it has its name
        (Durability.DURABLE, [("file", False), ("folder", True)]),  # and then the name
    ],
)
def test_a_file_is_synced_as_its_durability_says(tmp_path, durability, synced):
    place = tmp_path / "mark"
    disk = Disk(place)
    write_file(place, b"17\n", durability, sync=disk)
    assert disk.synced == synced
    assert (place.read_bytes(), names(tmp_path)) == (b"17\n", ["mark"])


@pytest.mark.parametrize("durability", EVERY)
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path, durability):
    place = tmp_path / "mark"
    place.write_bytes(b"old")

    def interrupted():
        with replaced_file(place, durability) as file:
            file.write(b"half of the ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (place.read_bytes(), names(tmp_path)) == (b"old", ["mark"])


def test_while_a_file_is_written_the_old_one_is_read(tmp_path):
    place = tmp_path / "mark"
    place.write_bytes(b"old")
    with replaced_file(place, Durability.ATOMIC) as file:
        file.write(b"new")
        file.flush()
        assert place.read_bytes() == b"old"
    assert place.read_bytes() == b"new"


def test_content_that_cannot_be_synced_leaves_the_old_file(tmp_path):
    place = tmp_path / "mark"
    place.write_bytes(b"old")
    with pytest.raises(OSError, match="Input/output error"):
        write_file(place, b"new", Durability.SYNCED, sync=Disk(place, fails_at=1))
    assert (place.read_bytes(), names(tmp_path)) == (b"old", ["mark"])


def test_a_name_that_cannot_be_synced_is_an_error(tmp_path):
    place = tmp_path / "mark"
    with pytest.raises(OSError, match="Input/output error"):
        write_file(place, b"new", Durability.DURABLE, sync=Disk(place, fails_at=2))


def test_a_file_system_that_syncs_no_folders_is_taken_as_it_is(tmp_path):
    place = tmp_path / "mark"
    write_file(place, b"new", Durability.DURABLE, sync=Disk(place, fails_at=2, error=errno.EINVAL))
    assert place.read_bytes() == b"new"


def test_two_writers_at_once_do_not_mix_their_files(tmp_path):
    place = tmp_path / "report"
    with replaced_file(place, Durability.ATOMIC) as one:
        one.write(b"one")
        with replaced_file(place, Durability.ATOMIC) as other:
            other.write(b"the other")
        assert place.read_bytes() == b"the other"
    assert (place.read_bytes(), names(tmp_path)) == (b"one", ["report"])


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_mode_holds_from_the_first_byte_on_whatever_the_umask(tmp_path, mode):
    before = os.umask(0o077)
    try:
        with replaced_file(tmp_path / "key", Durability.ATOMIC, mode) as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == mode


def test_without_a_mode_the_umask_decides(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "mark", b"", Durability.ATOMIC)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mark").stat().st_mode) == 0o640


@pytest.mark.parametrize("what", ["folder", "fifo"])
def test_what_is_no_file_is_left_alone(tmp_path, what):
    place = tmp_path / what
    place.mkdir() if what == "folder" else os.mkfifo(place)
    with pytest.raises(OSError, match=f"It is no regular file: '{place}'"):
        write_file(place, b"text", Durability.ATOMIC)
    assert names(tmp_path) == [what]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"new", Durability.ATOMIC)
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_a_long_name_is_no_problem(tmp_path):
    place = tmp_path / ("ü" * 127)
    write_file(place, b"text", Durability.ATOMIC)
    assert place.read_bytes() == b"text"


def test_an_error_names_the_file_and_not_its_temporary_name(tmp_path):
    place = tmp_path / "missing" / "mark"
    with pytest.raises(FileNotFoundError) as found:
        write_file(place, b"", Durability.ATOMIC)
    assert found.value.filename == str(place)


def test_what_a_killed_process_left_can_be_removed(tmp_path):
    for name in (".report.0a1b2c3d.tmp", "report", ".hidden", "kept.tmp"):
        (tmp_path / name).write_bytes(b"")
    remove_unfinished(tmp_path)
    assert names(tmp_path) == [".hidden", "kept.tmp", "report"]


@pytest.mark.parametrize(
    ("durability", "synced"),
    [
        (Durability.ATOMIC, []),
        (Durability.SYNCED, [("file", False), ("file", False), ("folder", False), ("folder", False)]),
        (
            Durability.DURABLE,
            [("file", False), ("file", False), ("folder", False), ("folder", False), ("folder", True)],
        ),
    ],
)
def test_a_new_folder_is_synced_as_its_durability_says(tmp_path, durability, synced):
    place = tmp_path / "screw-1"
    disk = Disk(place)
    with new_folder(place, durability, sync=disk) as folder:
        (folder / "golden").mkdir()
        (folder / "golden/0.png").write_bytes(b"picture")
        (folder / "manifest.json").write_bytes(b"{}")
        assert not place.exists()
    assert sorted(disk.synced) == synced
    assert (names(tmp_path), names(place)) == (["screw-1"], ["golden", "manifest.json"])
    assert stat.S_IMODE(place.stat().st_mode) == 0o755


@pytest.mark.parametrize("durability", EVERY)
def test_after_an_error_a_new_folder_is_not_there(tmp_path, durability):
    def fails():
        with new_folder(tmp_path / "screw-1", durability) as folder:
            (folder / "manifest.json").write_bytes(b"{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert names(tmp_path) == []


@pytest.mark.parametrize("fails_at", [1, 2, 3])  # the file, the folder, its parent
def test_a_new_folder_that_cannot_be_synced_is_not_there(tmp_path, fails_at):
    disk = Disk(tmp_path / "screw-1", fails_at)
    with (
        pytest.raises(OSError, match="Input/output error"),
        new_folder(tmp_path / "screw-1", Durability.DURABLE, sync=disk) as folder,
    ):
        (folder / "manifest.json").write_bytes(b"{}")
    assert (len(disk.synced), names(tmp_path)) == (fails_at, [])


def test_a_folder_that_is_in_use_is_not_replaced(tmp_path):
    def late():
        with new_folder(tmp_path / "screw-1", Durability.ATOMIC) as folder:
            (folder / "mine").write_bytes(b"")
            (tmp_path / "screw-1").mkdir()
            (tmp_path / "screw-1/theirs").write_bytes(b"")

    with pytest.raises(OSError, match="not empty"):
        late()
    assert (names(tmp_path), names(tmp_path / "screw-1")) == (["screw-1"], ["theirs"])


def test_folders_are_made_with_their_names_on_the_disk_and_once(tmp_path):
    place = tmp_path / "store" / "bundles"
    disk = Disk(place)
    make_folder(place, sync=disk)
    make_folder(place, sync=disk)
    assert disk.synced == [("folder", False), ("folder", True)]
    assert stat.S_IMODE(place.stat().st_mode) == 0o755


def test_a_link_leads_to_the_old_place_or_the_new_one(tmp_path):
    link, scratch = tmp_path / "active", tmp_path / "scratch"
    scratch.mkdir()
    link.symlink_to("one")
    disk = Disk(scratch)
    replace_link(link, "two", scratch, sync=disk)
    assert (str(link.readlink()), names(scratch), disk.synced) == ("two", [], [("folder", True)])


def test_a_folder_that_is_not_there_cannot_be_synced(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "No space left on device; free some space there and try again"),
        (errno.EROFS, "Read-only file system; mount it writable and try again"),
        (errno.EACCES, "Permission denied; run this as the user that owns it"),
        (errno.EIO, "Input/output error; check the path and the disk"),
    ],
)
def test_what_the_disk_refuses_is_said_with_what_to_do(tmp_path, code, advice):
    with pytest.raises(StorageError, match=f"^{re.escape(f'{tmp_path}: {advice}')}$"), storage_errors(tmp_path):
        raise OSError(code, os.strerror(code))


def test_the_exact_file_is_named_where_it_is_another(tmp_path):
    said = f"^{tmp_path}: Permission denied \\(at {tmp_path}/model.onnx\\); run this"
    with pytest.raises(StorageError, match=said), storage_errors(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "model.onnx"))
