"""The number up to which seqs may have been used, kept in a file of its own, for the day when the spool is damaged.

Seqs are reserved in blocks: the mark is on the disk before the first of a block is used. A new spool
therefore begins behind the mark, and no seq is ever used twice; up to a block of them is then never used at all.

    mark = SeqMark(folder)
    mark.reserve(next_seq, boot_id)      # before next_seq is used; cheap within a block
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import StorageError
from edge_runtime.files import Durability, write_file

FILE = "seq.mark"
BLOCK = 10_000  # a file written every quarter of an hour at ten verdicts a second


@dataclass(frozen=True)
class Mark:
    """No seq above `seq` and no boot_id above `boot_id` was ever used."""

    seq: int = 0
    boot_id: int = 0


class SeqMark:
    """The mark of one state_dir. `damaged` when there is a file that does not read as one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.exists = self._path.exists()
        found = self._read() if self.exists else Mark()
        self.damaged = found is None
        self.value = found or Mark()

    def reserve(self, seq: int, boot_id: int) -> None:
        """Make sure that this seq and boot_id are covered by the mark on the disk. Raises StorageError."""
        if seq > self.value.seq or boot_id > self.value.boot_id:
            self._write(Mark(max(self.value.seq, seq + BLOCK - 1), max(self.value.boot_id, boot_id)))

    def runs_short(self, seq: int) -> bool:
        """Whether most of the block is used, so that the next one should be reserved while there is time."""
        return self.value.seq - seq < BLOCK // 4

    def extend(self) -> None:
        """Reserve one more block. Raises StorageError."""
        self._write(Mark(self.value.seq + BLOCK, self.value.boot_id))

    def _read(self) -> Mark | None:
        try:
            seq, boot_id, check = self._path.read_text(encoding="ascii").split()
            if int(check) == _check(int(seq), int(boot_id)):
                return Mark(int(seq), int(boot_id))
        except (OSError, ValueError):
            pass
        return None

    def _write(self, mark: Mark) -> None:
        line = f"{mark.seq} {mark.boot_id} {_check(mark.seq, mark.boot_id)}\n"
        try:
            write_file(self._path, line.encode("ascii"), Durability.DURABLE, 0o600)
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written: {error.strerror}; no verdict can be numbered: check that the disk is "
                "there, has room and can be written"
            ) from error
        self.value, self.exists, self.damaged = mark, True, False


def _check(seq: int, boot_id: int) -> int:
    return zlib.crc32(f"{seq} {boot_id}".encode("ascii"))
