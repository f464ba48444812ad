from __future__ import annotations

from edge_runtime.daemon.disk_watch import FREE_BYTES, DiskWatch
from edge_runtime.records import ErrorCode
from edge_runtime.storage.retention import Retention


class Spool:
    overfull = False
    used = 0

    def used_bytes(self):
        return self.used


class Noted:
    """Stands for the archive and the status: keeps what it was given last."""

    def __init__(self):
        self.allowed, self.conditions = None, None

    def allow(self, max_bytes):
        self.allowed = max_bytes

    def note(self, **changes):
        self.conditions = changes


def watch(tmp_path, spool, free=FREE_BYTES):
    noted = Noted()
    DiskWatch(tmp_path, Retention(max_bytes=100, borrowed_bytes=60), spool, noted, noted, lambda folder: free).check()
    return noted


def test_pictures_have_their_room_until_verdicts_need_it(tmp_path):
    spool = Spool()
    for used, allowed in ((0, 60), (100, 60), (130, 30), (160, 0), (200, 0)):
        spool.used = used
        assert watch(tmp_path, spool).allowed == allowed


def test_a_full_disk_and_a_full_spool_are_noted_and_taken_back(tmp_path):
    spool = Spool()
    assert watch(tmp_path, spool).conditions == {"storage_short": ErrorCode.NONE}
    assert watch(tmp_path, spool, FREE_BYTES - 1).conditions == {"storage_short": ErrorCode.STORAGE_FAILED}
    spool.overfull = True
    assert watch(tmp_path, spool).conditions == {"storage_short": ErrorCode.SPOOL_OVERFULL}


def test_a_disk_that_is_gone_is_full(tmp_path):
    def gone(folder):
        raise OSError("no such device")

    noted = Noted()
    DiskWatch(tmp_path, Retention(), Spool(), noted, noted, gone).check()
    assert noted.conditions == {"storage_short": ErrorCode.STORAGE_FAILED}
