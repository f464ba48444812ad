from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.records import AnomalyMap, Frame, Outcome
from edge_runtime.storage.image_archive import FOLDER, ImageArchive


def frame(seed=0, size=64):
    image = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    return Frame("cam0", 1, 0, image)


def keep(archive, seq, outcome=Outcome.NOK, taken=None):
    taken = taken or frame(seq)
    digest = archive.digest(outcome, taken)
    if digest:
        anomaly_map = AnomalyMap(np.full((8, 8), 3, np.float32), 3.0)
        archive.keep(replace(sample_verdict(seq=seq, outcome=outcome), picture=digest), taken, anomaly_map)
    return digest


def names(tmp_path):
    return sorted(p.name for p in (tmp_path / FOLDER).iterdir())


def test_the_picture_of_a_nok_and_its_map_are_kept_by_seq_and_the_hash_is_that_of_the_pixels(tmp_path):
    taken = frame()
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0) as archive:
        digest = keep(archive, 41, taken=taken)
    assert names(tmp_path) == ["0000000041-NOK.map.png", "0000000041-NOK.overlay.jpg", "0000000041-NOK.png"]
    kept = cv2.imread(str(tmp_path / FOLDER / "0000000041-NOK.png"))
    assert hashlib.sha256(kept.tobytes()).hexdigest() == digest
    assert np.array_equal(kept, taken.image)
    anomaly_map = cv2.imread(str(tmp_path / FOLDER / "0000000041-NOK.map.png"), cv2.IMREAD_UNCHANGED)
    assert (anomaly_map.dtype, anomaly_map.shape, int(anomaly_map[0, 0])) == (np.uint16, (8, 8), 32768)


def test_of_the_ok_only_every_nth_is_kept(tmp_path):
    with ImageArchive(tmp_path, 1_000_000, 3, free_bytes=0) as archive:
        digests = [bool(keep(archive, seq, Outcome.OK)) for seq in range(1, 8)]
    assert digests == [False, False, True, False, False, True, False]
    assert names(tmp_path)[0] == "0000000003-OK.map.png"


@pytest.mark.parametrize(("max_bytes", "every_ok"), [(0, 1), (1_000_000, 0)])
def test_nothing_is_kept_that_is_not_wanted(tmp_path, max_bytes, every_ok):
    with ImageArchive(tmp_path, max_bytes, every_ok, free_bytes=0) as archive:
        assert keep(archive, 1, Outcome.OK) == ""


def test_when_the_quota_is_used_up_the_oldest_leave_also_those_of_an_earlier_run(tmp_path):
    with ImageArchive(tmp_path, 250_000, 0, free_bytes=0) as archive:
        for seq in (1, 2):
            keep(archive, seq)
    with ImageArchive(tmp_path, 250_000, 0, free_bytes=0) as archive:
        for seq in range(3, 8):
            keep(archive, seq)
    kept = [int(name[:10]) for name in names(tmp_path) if name.endswith("NOK.png")]
    assert kept[-1] == 7
    assert 1 not in kept
    assert {int(name[:10]) for name in names(tmp_path)} == set(kept)  # its map and overlay go with a picture
    assert sum(p.stat().st_size for p in (tmp_path / FOLDER).iterdir()) < 350_000


def test_when_verdicts_need_the_room_pictures_leave_and_none_is_promised(tmp_path):
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0) as archive:
        assert keep(archive, 1)
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0) as archive:
        archive.allow(0)
        assert keep(archive, 2) == ""
        assert archive.left_out == 1


def test_on_a_disk_that_is_nearly_full_pictures_are_left_out_and_it_is_logged_once(tmp_path, caplog):
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=1 << 62) as archive:
        for seq in (1, 2, 3):
            keep(archive, seq)
    assert names(tmp_path) == []
    assert archive.left_out == 3
    assert caplog.text.count("the disk is nearly full: pictures are left out, verdicts go on") == 1


def test_a_folder_that_cannot_be_written_stops_no_verdict(tmp_path, caplog):
    (tmp_path / FOLDER).write_text("in the way")
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0) as archive:
        keep(archive, 1)
    assert "no pictures are kept, verdicts go on" in caplog.text
    assert archive.left_out == 1


def test_what_a_crash_left_half_written_goes(tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / ".0000000001-NOK.png.0a1b2c3d.tmp").write_bytes(b"half")
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0) as archive:
        keep(archive, 2)
    assert names(tmp_path) == ["0000000002-NOK.map.png", "0000000002-NOK.overlay.jpg", "0000000002-NOK.png"]


def test_the_files_of_pictures_from_before_there_were_overlays_leave_like_all_others(tmp_path):
    (tmp_path / FOLDER).mkdir()
    for suffix in (".png", ".map.png"):
        (tmp_path / FOLDER / f"0000000001-NOK{suffix}").write_bytes(bytes(70_000))
    with ImageArchive(tmp_path, 100_000, 0, free_bytes=0) as archive:
        keep(archive, 2)
    assert {name[:10] for name in names(tmp_path)} == {"0000000002"}


def test_only_a_nok_has_an_overlay(tmp_path):
    with ImageArchive(tmp_path, 1_000_000, 1, free_bytes=0) as archive:
        keep(archive, 1, Outcome.ERROR)
        taken = frame()
        digest = archive.digest(Outcome.ERROR, taken)
        archive.keep(replace(sample_verdict(seq=2, outcome=Outcome.ERROR), picture=digest), taken, None)
        keep(archive, 3, Outcome.OK)
    assert [name for name in names(tmp_path) if name < "0000000003"] == [
        "0000000001-ERROR.map.png",
        "0000000001-ERROR.png",
        "0000000002-ERROR.png",
    ]
    assert [name for name in names(tmp_path) if name > "0000000003"] == ["0000000003-OK.map.png", "0000000003-OK.png"]


def test_when_pictures_wait_to_be_written_overlays_are_left_out_before_any_picture(tmp_path):
    archive = ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0)
    for seq in range(1, 9):
        keep(archive, seq)
    with archive:
        pass
    of = {suffix: [int(n[:10]) for n in names(tmp_path) if n.endswith(suffix)] for suffix in ("NOK.png", "overlay.jpg")}
    assert of["NOK.png"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert set(of["overlay.jpg"]) - {6} == {7, 8}  # with the sixth, two pictures waited, and perhaps the end
    assert archive.left_out == 0


def test_a_picture_that_cannot_be_encoded_is_logged_with_its_verdict_and_the_next_is_kept(tmp_path, caplog):
    with ImageArchive(tmp_path, 1_000_000, 0, free_bytes=0) as archive:
        keep(archive, 1, taken=replace(frame(), image=np.zeros((0, 4, 3), np.uint8)))
        keep(archive, 2)
    assert "the picture of verdict 1 cannot be written; verdicts go on" in caplog.text
    assert "0000000002-NOK.overlay.jpg" in names(tmp_path)
    assert archive.left_out == 1
