from __future__ import annotations

import sqlite3

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.errors import SpoolDamagedError, StorageError
from edge_runtime.records import PictureFile
from edge_runtime.storage import sequence_mark as seq_mark
from edge_runtime.storage.database import DAMAGED, FILE
from edge_runtime.storage.recovery import KEPT, SET_ASIDE, open_spool
from edge_runtime.storage.retention import Retention
from edge_runtime.storage.sequence_mark import BLOCK
from edge_runtime.storage.verdict_blob import pack_verdict
from edge_runtime.wire.commands import Trigger

ALL = 1 << 32


def opened(folder):
    return open_spool(folder, Retention())


def fill(folder, count, trigger=None):
    with opened(folder) as spool:
        spool._db.execute("PRAGMA synchronous = OFF")
        for _ in range(count):
            spool.commit(sample_verdict(seq=spool.next_seq))
        if trigger is not None:
            spool.accept(trigger)


def overwrite(path, start, length=4096):
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * length)


def seqs(spool):
    return [v.seq for v in spool.between(1, ALL, 100_000)]


def test_a_whole_spool_is_just_opened(tmp_path):
    fill(tmp_path, 3)
    with opened(tmp_path) as spool:
        assert (spool.next_seq, seqs(spool)) == (4, [1, 2, 3])
    assert not list(tmp_path.glob(f"{SET_ASIDE}*"))


def test_a_spool_that_is_no_database_any_more_is_set_aside_and_no_number_comes_twice(tmp_path, caplog):
    fill(tmp_path, 5)
    overwrite(tmp_path / FILE, 0)
    with opened(tmp_path) as spool:
        assert spool.next_seq == BLOCK + 1
        assert spool.boot_id == 2
        spool.commit(sample_verdict(seq=spool.next_seq))
    (damaged,) = tmp_path.glob(f"{SET_ASIDE}*")
    assert (damaged / FILE).exists()
    assert f"the damaged spool is in {damaged}; 0 verdicts of it could be read and are kept" in caplog.text
    with opened(tmp_path) as spool:
        assert (spool.next_seq, spool.boot_id) == (BLOCK + 2, 3)


def test_what_can_still_be_read_is_kept_on_both_sides_of_the_damage(tmp_path):
    fill(tmp_path, 2000, trigger=Trigger(77, 12, "PART-77"))
    where = (tmp_path / FILE).read_bytes().index(pack_verdict(sample_verdict(seq=1000)))
    overwrite(tmp_path / FILE, where // 4096 * 4096)
    with opened(tmp_path) as spool:
        found = seqs(spool)
        assert 1000 < len(found) < 2000
        assert (found[0], found[-1]) == (1, 2000)
        assert found == sorted(set(found))
        assert all(v == sample_verdict(seq=v.seq) for v in spool.between(1, ALL, 3000))
        assert spool.accepted() == [Trigger(77, 12, "PART-77")]
        assert spool.waiting == len(found)
        assert spool.next_seq == BLOCK + 1


def test_a_verdict_whose_bytes_changed_is_found_when_it_is_read_and_the_next_start_leaves_it_behind(tmp_path):
    fill(tmp_path, 3)
    database = sqlite3.connect(tmp_path / FILE)
    (packed,) = database.execute("SELECT packed FROM verdict WHERE seq = 2").fetchone()
    flipped = bytes([*packed[:40], packed[40] ^ 4, *packed[41:]])
    database.execute("UPDATE verdict SET packed = ? WHERE seq = 2", (flipped,))
    database.commit()
    database.close()
    with opened(tmp_path) as spool, pytest.raises(SpoolDamagedError, match="the next start sets it aside"):
        spool.undelivered(1, 9, 9)
    with opened(tmp_path) as spool:
        assert seqs(spool) == [1, 3]
        assert spool.next_seq == BLOCK + 4  # each start reserves a block from where it is
    assert not (tmp_path / DAMAGED).exists()


def test_a_spool_that_is_gone_begins_behind_all_numbers_that_were_used(tmp_path):
    fill(tmp_path, 3)
    (tmp_path / FILE).unlink()
    with opened(tmp_path) as spool:
        assert (spool.next_seq, spool.boot_id) == (BLOCK + 1, 2)


@pytest.mark.parametrize("mark", [None, "7 7 7"])
def test_when_the_mark_is_lost_too_no_number_is_guessed(tmp_path, mark):
    fill(tmp_path, 3)
    overwrite(tmp_path / FILE, 0)
    (tmp_path / seq_mark.FILE).unlink()
    if mark is not None:
        (tmp_path / seq_mark.FILE).write_text(mark)
    with pytest.raises(StorageError, match=r"seq\.mark.* give the station a new state_dir"):
        opened(tmp_path)
    assert (tmp_path / FILE).exists()


def test_a_damaged_mark_beside_a_whole_spool_is_written_again(tmp_path):
    fill(tmp_path, 3)
    (tmp_path / seq_mark.FILE).write_text("7 7 7")
    with opened(tmp_path) as spool:
        assert spool.next_seq == 4
    assert not seq_mark.SeqMark(tmp_path).damaged


def test_only_the_newest_damaged_spools_are_kept(tmp_path, caplog):
    for _ in range(KEPT + 1):
        fill(tmp_path, 1)
        overwrite(tmp_path / FILE, 0)
    opened(tmp_path).__exit__(None, None, None)
    assert len(list(tmp_path.glob(f"{SET_ASIDE}*"))) == KEPT
    assert "the 2 newest damaged spools are kept" in caplog.text


def test_files_that_were_judged_are_known_in_the_new_spool(tmp_path):
    file = PictureFile(b"one.png", "1-2-3")
    with opened(tmp_path) as spool:
        spool.commit(sample_verdict(seq=1), file)
    (tmp_path / DAMAGED).touch()
    with opened(tmp_path) as spool:
        assert spool.judged() == {b"one.png": "1-2-3"}
