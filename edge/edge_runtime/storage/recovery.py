"""Opens the spool, and when it is damaged sets it aside, logs that, and begins a new one with what can still be read.

The new one's numbers begin behind every one that could have been used (see sequence_mark.py). The damaged files stay in
a folder of their own for whoever wants to look; the two newest of these are kept.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from edge_runtime.errors import RecordError, SpoolDamagedError, StorageError
from edge_runtime.records import PictureFile
from edge_runtime.storage.database import DAMAGED, FILE
from edge_runtime.storage.retention import Retention
from edge_runtime.storage.salvaged import Row, Salvaged
from edge_runtime.storage.sequence_mark import SeqMark
from edge_runtime.storage.spool import Spool
from edge_runtime.storage.verdict_blob import unpack_verdict
from edge_runtime.wire.commands import Trigger

log = logging.getLogger(__name__)

SET_ASIDE = "spool.damaged-"
KEPT = 2


def open_spool(folder: Path, retention: Retention) -> Spool:
    """The station's spool. Raises StorageError."""
    if not (folder / DAMAGED).exists():
        try:
            return Spool(folder, retention)
        except SpoolDamagedError as error:
            log.error("%s", error)
    return _start_over(folder, retention)


def _start_over(folder: Path, retention: Retention) -> Spool:
    mark = SeqMark(folder)
    if mark.damaged or not mark.exists:
        raise StorageError(
            f"{folder / FILE} is damaged, and seq.mark, which says what numbers were used, is missing or damaged, too: "
            "give the station a new state_dir, and set the last seq that PLC and database know to 0"
        )
    damaged = _set_aside(folder)
    counted = _Counted(read_rows(damaged / FILE))
    spool = Spool(folder, retention, Salvaged(counted, read_accepted(damaged / FILE), read_judged(damaged / FILE)))
    (folder / DAMAGED).unlink(missing_ok=True)
    log.error(
        "the damaged spool is in %s; %d verdicts of it could be read and are kept; numbers go on from %d",
        *(damaged, counted.count, spool.next_seq),
    )
    return spool


def _set_aside(folder: Path) -> Path:
    """Move the files of the spool into a new folder beside it. The oldest of such folders leave."""
    damaged = folder / f"{SET_ASIDE}{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.monotonic_ns() % 1000:03d}"
    try:
        damaged.mkdir(0o700)
        # The database first: it must never stand without its log, for then it would look whole and be too old.
        for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
            if (folder / name).exists():
                (folder / name).rename(damaged / name)
        for old in sorted(folder.glob(f"{SET_ASIDE}*"))[:-KEPT]:
            log.warning("%s leaves: the %d newest damaged spools are kept", old, KEPT)
            shutil.rmtree(old)
    except OSError as error:
        raise StorageError(f"{folder}: the damaged spool cannot be set aside: {error}; check the rights") from error
    return damaged


class _Counted:
    """Rows, and how many there were."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def read_rows(path: Path) -> Iterator[Row]:
    """The verdicts of a damaged spool that are whole: from its beginning to the damage, and from its end back to it."""
    seen = 0
    for direction, beyond in (("ASC", "seq > ?"), ("DESC", "seq > ?")):
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                query = f"SELECT * FROM verdict WHERE {beyond} ORDER BY seq {direction}"
                for row in database.execute(query, (seen,)):
                    if _is_whole(row):
                        yield row
                    if direction == "ASC":
                        seen = row[0]
                return  # no page was damaged, only single verdicts
        except sqlite3.Error:
            continue


def read_accepted(path: Path) -> tuple[Trigger, ...]:
    """The triggers that wait for their verdict, as far as they can be read."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            found = database.execute("SELECT trigger_id, recipe, part_id FROM accepted").fetchall()
    except sqlite3.Error:
        return ()
    return tuple(Trigger(*row) for row in found)


def read_judged(path: Path) -> tuple[PictureFile, ...]:
    """The files whose pictures were judged, as far as they can be read."""
    found = []
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for row in database.execute("SELECT name, identity FROM judged"):
                found.append(PictureFile(*row))
    except sqlite3.Error:  # what was read until then is worth having
        pass
    return tuple(found)


def _is_whole(row: Row) -> bool:
    try:
        verdict = unpack_verdict(row[4])
    except (RecordError, TypeError):
        return False
    return (verdict.seq, verdict.unix_ms, verdict.trigger_id) == row[:3]
