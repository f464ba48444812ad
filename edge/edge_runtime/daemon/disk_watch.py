"""Looks after the room on the disk: pictures give way first, and the state is FAULT before verdicts cannot be written.

Called with each heartbeat, by the publisher's thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from edge_runtime.daemon.status import Status
from edge_runtime.records import ErrorCode
from edge_runtime.storage.image_archive import ImageArchive
from edge_runtime.storage.retention import Retention
from edge_runtime.storage.spool import Spool

FREE_BYTES = 4_000_000  # with less, no trigger is taken: what was accepted can still be answered


def free_bytes_beside(folder: Path) -> int:
    """What is free on the disk that holds a folder. Raises OSError."""
    return shutil.disk_usage(folder).free


class DiskWatch:
    """See the module."""

    def __init__(
        self,
        state_dir: Path,
        retention: Retention,
        spool: Spool,
        archive: ImageArchive,
        status: Status,
        free_bytes: Callable[[Path], int] = free_bytes_beside,
    ) -> None:
        self._state_dir, self._retention, self._spool = state_dir, retention, spool
        self._archive, self._status, self._free_bytes = archive, status, free_bytes

    def check(self) -> None:
        """Give the pictures their room, and note what is wrong."""
        borrowed = max(0, self._spool.used_bytes() - self._retention.max_bytes)
        self._archive.allow(max(0, self._retention.borrowed_bytes - borrowed))
        try:
            disk_full = self._free_bytes(self._state_dir) < FREE_BYTES
        except OSError:
            disk_full = True
        overfull = ErrorCode.SPOOL_OVERFULL if self._spool.overfull else ErrorCode.NONE
        self._status.note(storage_short=ErrorCode.STORAGE_FAILED if disk_full else overfull)
