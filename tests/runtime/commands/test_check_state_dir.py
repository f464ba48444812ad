"""What `edge-daemon check` finds of the state folder: its room, its rights, who uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.checked_station import station
from tests.support.rights import without_roots_rights
from tests.support.small_disk import small_disk

from edge_runtime.commands.check import (
    Finding,
    Rating,
    check_state_dir,
)
from edge_runtime.config.station import PictureSettings
from edge_runtime.daemon.disk_watch import FREE_BYTES, free_bytes_beside
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.storage.database import room_to_open
from edge_runtime.storage.spool import Spool


def test_a_state_dir_is_tried_and_left_as_it_was(tmp_path):
    (finding,) = check_state_dir(station(tmp_path))
    assert (finding.text, finding.rating) == (f"state_dir {tmp_path}/state", Rating.OK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free_mb", "max_mb", "rating", "text"),
    [
        (0, 0, Rating.WRONG, ": its disk has 0.0 MB free, and the spool needs 12.6 MB: make room, or choose another "),
        (12.5, 1000, Rating.WRONG, ": its disk has 12.5 MB free, and the spool needs 12.6 MB: make room, or choose an"),
        (
            12.6,
            1000,
            Rating.DOUBTFUL,
            ": its disk has 12.6 MB free: pictures of NOK and ERROR are left out with less",
        ),
        (
            72.5,
            1000,
            Rating.DOUBTFUL,
            ": its disk has 72.5 MB free: pictures of NOK and ERROR are left out with less",
        ),
        (72.6, 1000, Rating.OK, ""),
        (12.6, 0, Rating.OK, ""),
    ],
)
def test_a_disk_without_room_for_the_spool_is_wrong_and_without_room_for_pictures_doubtful(
    tmp_path, free_mb, max_mb, rating, text
):
    asked = []
    s = station(tmp_path, pictures=PictureSettings(max_mb=max_mb))
    (finding,) = check_state_dir(s, free_bytes=lambda folder: asked.append(folder) or round(free_mb * 1e6))
    assert finding.rating is rating
    assert finding.text.startswith(f"state_dir {s.state_dir}{text}")
    assert asked == [tmp_path]  # the folder itself would be made later


def test_what_check_asks_of_the_disk_is_what_opening_the_spool_takes(tmp_path):
    folder = tmp_path / "state"

    def taken():
        return sum(path.stat().st_size for path in folder.iterdir())

    new = room_to_open(folder)
    with Spool(folder):
        assert 0.95 * new < taken() <= new
        with_log = room_to_open(folder)  # as after a power cut, which leaves the log there
    assert with_log <= new / 2 + 50_000
    before, again = taken(), room_to_open(folder)
    with Spool(folder):
        assert taken() - before <= again


def test_a_full_disk_is_wrong_where_run_would_end_with_74_and_what_is_enough_for_check_is_enough_to_serve(tmp_path):
    with small_disk(tmp_path / "disk", 20_000) as disk:
        s = station(tmp_path, state_dir=disk / "state", pictures=PictureSettings(max_mb=0))
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(free_bytes_beside(disk) - 100_000))
        (finding,) = check_state_dir(s)
        assert finding.rating is Rating.WRONG
        with pytest.raises(StorageError, match="database or disk is full"):
            Spool(s.state_dir)
        shutil.rmtree(s.state_dir)
        ballast.unlink()
        ballast.write_bytes(bytes(free_bytes_beside(disk) - 12_640_000))
        (finding,) = check_state_dir(s)
        assert finding == Finding(f"state_dir {s.state_dir}")
        with Spool(s.state_dir):
            assert free_bytes_beside(disk) >= FREE_BYTES


def refusal(folder, state_dir):
    with pytest.raises((ConfigError, StorageError)) as refused:
        list(check_state_dir(station(folder, state_dir=state_dir)))
    return str(refused.value)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder that not even root may write to")
@pytest.mark.parametrize(("folder", "it"), [("/proc", "it"), ("/proc/foo", "its parent /proc")])
def test_a_state_dir_where_nothing_can_be_written_is_wrong_for_root_too(tmp_path, folder, it):
    assert refusal(tmp_path, Path(folder)) == (
        f"state_dir {folder} cannot be used: {it} takes nothing new (No such file or directory); choose a folder on a "
        "disk that lasts and can be written"
    )


@pytest.mark.parametrize("below", [".", "state", "a/state"])
def test_a_file_in_the_place_of_a_state_dir_is_named(tmp_path, below):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / below
    assert refusal(tmp_path, folder) == (
        f"state_dir {folder} cannot be used: {tmp_path}/file is a file and no folder; correct state_dir"
    )


def test_a_state_dir_without_its_parent_is_not_made(tmp_path):
    assert refusal(tmp_path, tmp_path / "sate/state") == (
        f"state_dir {tmp_path}/sate/state cannot be used: its parent {tmp_path}/sate is missing; make that, or correct "
        "state_dir"
    )


@pytest.mark.parametrize(("mode", "below", "it"), [(0o555, "", "it"), (0o555, "state", "its parent {}"),
                                                   (0o000, "state", "its parent {}")])  # fmt: skip
def test_a_state_dir_that_this_user_may_not_write_says_who_that_is(tmp_path, mode, below, it):
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(mode)
    try:
        with without_roots_rights():
            logged = refusal(tmp_path, place / below)
    finally:
        place.chmod(0o755)
    user = f"user {os.geteuid()}"
    assert logged == (
        f"state_dir {place / below} cannot be used: {user} may not write into {it.format(place)} (Permission denied); "
        f"be the station's user, or give {user} that right"
    )


def test_a_state_dir_that_a_daemon_uses_is_reported_and_free_again_after_it(tmp_path):
    with Spool(tmp_path / "state"):
        pass
    owner = [sys.executable, "-c", "import sys, pathlib, edge_runtime.storage.spool as s; "
             "spool = s.Spool(pathlib.Path(sys.argv[1])); print('owned', flush=True); sys.stdin.read()"]  # fmt: skip

    def found():
        (finding,) = check_state_dir(station(tmp_path))
        return finding.text, finding.rating

    free = (f"state_dir {tmp_path}/state", Rating.OK)
    before = {path.name for path in (tmp_path / "state").iterdir()}
    assert found() == free
    assert {path.name for path in (tmp_path / "state").iterdir()} == before
    with subprocess.Popen([*owner, tmp_path / "state"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout.readline() == b"owned\n"
        text, rating = found()
        assert text.startswith(f"{free[0]}: a daemon uses it now; right if this station runs, but another needs a")
        assert rating is Rating.DOUBTFUL
        daemon.stdin.close()
    assert found() == free


def test_a_state_dir_that_the_systemd_unit_will_make_is_doubtful_and_not_wrong(tmp_path):
    units = tmp_path / "edge-daemon"
    (finding,) = check_state_dir(station(tmp_path, state_dir=units / "press-1"), units)
    assert finding.rating is Rating.DOUBTFUL
    assert "the systemd unit makes both" in finding.text
    assert list(tmp_path.iterdir()) == []
