"""The station's memory: every verdict is on disk before anyone hears of it, and stays there until someone stored it.

Rules:
- A seq is used once in the station's life. It is committed with its verdict in one transaction, synced to the disk.
- A verdict leaves when a consumer acknowledged it, or by the configured retention, which says how many it dropped.
- An accepted trigger is here until its verdict is committed: after a crash it is known who still waits.
- "Delivered" means that the broker confirmed it. That is written with the next commit: after a crash a verdict may be
  sent again, with the same seq, and is never missing.

with Spool(Path("/var/lib/edge-daemon/press-1")) as spool:
    spool.commit(replace(verdict, seq=spool.next_seq))
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from edge_runtime.errors import StorageError
from edge_runtime.messages import Trigger
from edge_runtime.records import Verdict
from edge_runtime.verdict_json import decode_json, encode_json

FILE = "spool.sqlite3"
SCHEMA_VERSION = 1
LAST_SEQ = (1 << 32) - 1
RETENTION_EVERY = 100  # commits
LOG_BYTES = 4_200_000  # a little more than the 1000 pages after which SQLite empties its log

_SCHEMA = """
    -- AUTOINCREMENT: SQLite remembers the highest seq in its own table, even when every row is gone.
    CREATE TABLE verdict (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, unix_ms INTEGER NOT NULL, trigger_id INTEGER NOT NULL,
        delivered INTEGER NOT NULL, line TEXT NOT NULL
    ) STRICT;
    CREATE INDEX undelivered ON verdict (seq) WHERE delivered = 0;
    CREATE TABLE station (boot_id INTEGER NOT NULL) STRICT;
    INSERT INTO station VALUES (0);
"""
# Apart from the schema, for files of version 1 may lack it; a daemon that does not know it leaves it alone.
_ACCEPTED = """
    CREATE TABLE IF NOT EXISTS accepted (
        trigger_id INTEGER PRIMARY KEY, recipe INTEGER NOT NULL, part_id TEXT NOT NULL
    ) STRICT
"""


class Spool:
    """Verdicts on disk, in `folder`/spool.sqlite3. May be used from any thread; one process at a time owns it.

    max_days and max_verdicts: the retention. on_dropped is told how many verdicts it made leave unacknowledged.
    Raises StorageError.
    """

    def __init__(
        self,
        folder: Path,
        max_days: int = 30,
        max_verdicts: int = 1_000_000,
        on_dropped: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._path = folder / FILE
        self._max_days, self._max_verdicts, self._on_dropped = max_days, max_verdicts, on_dropped
        self._lock = threading.Lock()
        self._delivered: set[int] = set()  # confirmed, not yet written
        self._since_retention = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._path, timeout=1, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"state_dir {folder} cannot be used: {error}; check the path and the rights") from error
        try:
            with self._translated():
                self.boot_id = self._begin()
                self._lay_out_log()
                self.next_seq = 1 + int(self._number("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence"))
                self._waiting = int(self._number("SELECT COUNT(*) FROM verdict WHERE delivered = 0"))
        except StorageError:
            self._db.close()
            raise

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._db.close()

    def commit(self, verdict: Verdict) -> None:
        """Write a verdict that carries `next_seq`, and sync. When this returns, it survives a power cut."""
        if verdict.seq != self.next_seq:
            raise ValueError(f"verdict {verdict.seq} is out of turn: the next seq is {self.next_seq}")
        if verdict.seq > LAST_SEQ:
            raise StorageError(f"{self._path} has used all {LAST_SEQ} numbers: begin a new state_dir")
        line = encode_json(verdict).decode("ascii")
        with self._lock, self._transaction():
            self._db.execute(
                "INSERT INTO verdict VALUES (?, ?, ?, 0, ?)", (verdict.seq, verdict.unix_ms, verdict.trigger_id, line)
            )
            if verdict.trigger_id:
                self._db.execute("DELETE FROM accepted WHERE trigger_id = ?", (verdict.trigger_id,))
            self._write_delivered()
            self._waiting += 1
        self.next_seq += 1
        self._since_retention += 1
        if self._since_retention >= RETENTION_EVERY:
            self.apply_retention(verdict.unix_ms)

    def accept(self, trigger: Trigger) -> None:
        """Write a trigger that will be answered, and sync. `commit` of its verdict takes it away."""
        with self._lock, self._transaction():
            row = (trigger.trigger_id, trigger.recipe, trigger.part_id)
            self._db.execute("INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)", row)

    def accepted(self) -> list[Trigger]:
        """Triggers without a verdict; before anything is accepted, those that an earlier run left."""
        with self._lock, self._translated():
            rows = self._db.execute("SELECT trigger_id, recipe, part_id FROM accepted ORDER BY trigger_id").fetchall()
        return [Trigger(*row) for row in rows]

    def mark_delivered(self, seq: int) -> None:
        """The broker confirmed a verdict; written with the next commit."""
        with self._lock:
            self._delivered.add(seq)

    def flush(self) -> None:
        """Write what is marked now, for there may be no next commit soon."""
        with self._lock:
            if self._delivered:
                with self._transaction():
                    self._write_delivered()

    def acknowledge(self, upto: int, keep_triggered_ms: int) -> int:
        """A consumer stored every verdict up to this seq: they leave. Returns how many did.

        Answers to triggers at or after keep_triggered_ms stay until a later acknowledgement: the same trigger may come
        again. Raises ValueError for a seq that has not been given out yet.
        """
        if upto >= self.next_seq:
            raise ValueError(f"seq {upto} has not been given out yet: the last one is {self.next_seq - 1}")
        with self._lock, self._transaction():
            self._write_delivered()
            stored = self._db.execute("UPDATE verdict SET delivered = 1 WHERE delivered = 0 AND seq <= ?", (upto,))
            self._waiting -= stored.rowcount
            return self._db.execute(
                "DELETE FROM verdict WHERE seq <= ? AND (trigger_id = 0 OR unix_ms < ?)", (upto, keep_triggered_ms)
            ).rowcount

    def apply_retention(self, now_ms: int) -> None:
        """Drop what is older or more than configured, oldest first, and say so. Cheap when there is nothing to drop."""
        self._since_retention = 0
        with self._lock, self._translated():
            young = "SELECT seq FROM verdict WHERE unix_ms >= ? ORDER BY seq LIMIT 1"
            first_young = self._number(young, now_ms - self._max_days * 86_400_000, default=self.next_seq)
            keep_from = max(first_young, self.next_seq - self._max_verdicts)
            if self._number("SELECT COALESCE(MIN(seq), ?) FROM verdict", keep_from) >= keep_from:
                return
            with self._transaction():
                self._write_delivered()
                undelivered = self._number("SELECT COUNT(*) FROM verdict WHERE delivered = 0 AND seq < ?", keep_from)
                gone = self._db.execute("DELETE FROM verdict WHERE seq < ?", (keep_from,)).rowcount
                self._waiting -= undelivered
        self._on_dropped(gone)

    @property
    def waiting(self) -> int:
        """How many verdicts the broker has not confirmed."""
        return self._waiting - len(self._delivered)

    def undelivered(self, first: int, last: int, limit: int) -> list[Verdict]:
        """Verdicts that the broker has not confirmed, from first to last, in order, at most `limit`."""
        self.flush()
        return self._verdicts("seq BETWEEN ? AND ? AND delivered = 0 ORDER BY seq LIMIT ?", first, last, limit)

    def between(self, first: int, last: int, limit: int) -> list[Verdict]:
        """Verdicts that are still here, from first to last, in order, at most `limit`."""
        return self._verdicts("seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", first, last, limit)

    def triggered_since(self, unix_ms: int) -> list[Verdict]:
        """Verdicts that answered a trigger since a time, in order."""
        return self._verdicts("unix_ms >= ? AND trigger_id > 0 ORDER BY seq", unix_ms)

    def _begin(self) -> int:
        """Own the file, make or check its schema, and count this start. Returns the new boot_id."""
        # EXCLUSIVE: a second daemon with the same state_dir must fail here and not hand out the same numbers.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # in WAL, less would lose the last commits in a power cut
        with self._transaction():
            version = self._number("PRAGMA user_version")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StorageError(
                    f"{self._path} has schema version {version}, this daemon knows {SCHEMA_VERSION}: "
                    "update the daemon, or give it another state_dir"
                )
            self._db.execute(_ACCEPTED)
            self._db.execute("UPDATE station SET boot_id = boot_id + 1")
            return self._number("SELECT boot_id FROM station")

    def _lay_out_log(self) -> None:
        """Let the write-ahead log reach its full size now. A commit that makes a file grow must sync the file system's
        journal too, and waits for whatever other programs have in it; one that writes over blocks waits for its own.
        """
        (autocheckpoint,) = self._db.execute("PRAGMA wal_autocheckpoint").fetchone()
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        with self._transaction():
            self._db.execute("CREATE TABLE filler (bytes BLOB)")
            self._db.execute("INSERT INTO filler VALUES (zeroblob(?))", (LOG_BYTES,))
            self._db.execute("DROP TABLE filler")
        self._db.execute("PRAGMA wal_checkpoint(RESTART)")  # from now on it is written over from its beginning
        self._db.execute(f"PRAGMA wal_autocheckpoint = {autocheckpoint}")

    def _write_delivered(self) -> None:
        marks = [(seq,) for seq in self._delivered]
        changed = self._db.executemany("UPDATE verdict SET delivered = 1 WHERE seq = ? AND delivered = 0", marks)
        self._waiting -= max(0, changed.rowcount)
        self._delivered.clear()

    def _verdicts(self, where: str, *parameters: int) -> list[Verdict]:
        with self._lock, self._translated():
            rows = self._db.execute(f"SELECT line FROM verdict WHERE {where}", parameters).fetchall()
        return [decode_json(line.encode("ascii")) for (line,) in rows]

    def _number(self, query: str, *parameters: int, default: int | None = None) -> int:
        row = self._db.execute(query, parameters).fetchone()
        if row is None:
            if default is None:
                raise sqlite3.DatabaseError(f"no row for {query}")
            return default
        return int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, synced to the disk at its end."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY" or "locked" in str(error):
                raise StorageError(
                    f"{self._path} is in use by another process: two daemons must not share a state_dir"
                ) from error
            raise StorageError(
                f"{self._path}: {error}; no verdict can be numbered: check that the disk is there, has room and "
                "can be written"
            ) from error
