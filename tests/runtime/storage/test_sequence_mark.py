from __future__ import annotations

import pytest

from edge_runtime.errors import StorageError
from edge_runtime.storage.sequence_mark import BLOCK, FILE, Mark, SeqMark


def test_a_block_is_reserved_before_its_first_seq_is_used(tmp_path):
    mark = SeqMark(tmp_path)
    assert mark.value == Mark(0, 0)
    mark.reserve(1, 1)
    assert SeqMark(tmp_path).value == Mark(BLOCK, 1)
    mark.reserve(BLOCK + 1, 1)
    assert SeqMark(tmp_path).value == Mark(2 * BLOCK, 1)


def test_within_a_block_nothing_is_written(tmp_path):
    mark = SeqMark(tmp_path)
    mark.reserve(1, 1)
    (tmp_path / FILE).unlink()
    mark.reserve(BLOCK, 1)
    assert not (tmp_path / FILE).exists()


def test_the_next_block_can_be_reserved_early(tmp_path):
    mark = SeqMark(tmp_path)
    mark.reserve(1, 1)
    assert not mark.runs_short(BLOCK // 2)
    assert mark.runs_short(BLOCK - 10)
    mark.extend()
    assert SeqMark(tmp_path).value == Mark(2 * BLOCK, 1)


@pytest.mark.parametrize("content", ["", "10000 1", "20000 1 12345", "a b c", "\xff"])
def test_what_does_not_read_as_a_mark_is_damaged(tmp_path, content):
    (tmp_path / FILE).write_text(content, encoding="latin-1")
    mark = SeqMark(tmp_path)
    assert mark.damaged
    mark.reserve(7, 2)
    assert not SeqMark(tmp_path).damaged


def test_a_disk_that_cannot_be_written_is_an_error_that_names_the_file(tmp_path):
    mark = SeqMark(tmp_path / "gone")
    with pytest.raises(StorageError, match=r"gone/seq\.mark cannot be written: No such file"):
        mark.reserve(1, 1)
