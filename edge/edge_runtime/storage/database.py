"""The SQLite file below the spool: one owner, full sync, transactions, and its errors as StorageError.

Every method but `transaction` may be called from any thread that holds `lock`; `transaction` takes no lock either.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_runtime.errors import SpoolDamagedError, StorageError
from edge_runtime.storage.state_dir import make_state_folder, probe_state_folder
from edge_runtime.threads import LockOrder, OrderedLock

FILE = "spool.sqlite3"
DAMAGED = "spool.damaged"  # a file that says: set this spool aside at the next start
LOG_BYTES = 4_200_000  # a little more than the 1000 pages after which SQLite empties its log
FULL_LOG_BYTES = 4_300_000  # these in whole pages, each with its frame in the log
# Length and first of the bytes that SQLite's readers lock (sqlite.org/fileformat2.html).
SHARED_LOCK = (510, 0x40000002)


def is_spool_in_use(folder: Path) -> bool:
    """Whether a daemon owns the spool of this folder now; leaves no trace. Not for the process that owns it: closing
    the file would take its locks away. Raises StorageError when that cannot be seen."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, *SHARED_LOCK)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}; be the station's user") from error
    return False


def room_to_open(folder: Path) -> int:
    """Bytes that opening the spool of this folder may add to its files, at most: `lay_out_log` fills the log, and as
    much of the database where that has no room left over."""
    log = folder / f"{FILE}-wal"
    return 2 * FULL_LOG_BYTES - (log.stat().st_size if log.exists() else 0)


def waiting_at_rest(folder: Path) -> int | None:
    """How many verdicts wait for the broker in a spool that nobody owns; leaves no trace. None: it cannot be known, for
    it is in use, or was not closed, or is no spool of this version."""
    path = folder / FILE
    if not path.is_file() or path.with_name(f"{FILE}-wal").exists():
        return None
    query = "SELECT COUNT(*) FROM verdict WHERE delivered = 0 AND seq > (SELECT acknowledged FROM station)"
    try:
        # Immutable: any other way of reading would leave a log, perhaps another user's, which the owner could not open.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            return int(database.execute(query).fetchone()[0])
    except sqlite3.Error:
        return None


class SpoolDatabase:
    """`folder`/spool.sqlite3, open and owned by this process alone. Raises StorageError, SpoolDamagedError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.lock = OrderedLock(LockOrder.SPOOL)
        make_state_folder(folder)
        try:
            _make_private(self.path)
            self._connection = sqlite3.connect(self.path, timeout=1, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            probe_state_folder(folder)  # raises where the folder is at fault
            raise StorageError(
                f"{self.path} cannot be opened ({error}): it must be a file that the station's user may read and write"
            ) from error
        try:
            with self.translated():
                # EXCLUSIVE: a second daemon with the same state_dir must fail here and not hand out the same numbers.
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                # Not in a file: a device with a read-only root has no folder for temporary ones.
                self._connection.execute("PRAGMA temp_store = MEMORY")
                self._connection.execute("PRAGMA journal_mode = WAL")
                # In WAL, less would lose the last commits in a power cut.
                self._connection.execute("PRAGMA synchronous = FULL")
                self.is_new = self.number("PRAGMA user_version") == 0
                if not self.is_new and (found := self.rows("PRAGMA quick_check(1)")[0][0]) != "ok":
                    raise sqlite3.DatabaseError(f"malformed: {found}")
        except StorageError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Give the file free."""
        self._connection.close()

    def lay_out_log(self) -> None:
        """Let the write-ahead log reach its full size now. A commit that makes a file grow must sync the file system's
        journal too, and waits for whatever other programs have in it; one that writes over blocks waits for its own.
        """
        autocheckpoint = self.number("PRAGMA wal_autocheckpoint")
        self.execute("PRAGMA wal_autocheckpoint = 0")
        with self.transaction() as connection:
            connection.execute("CREATE TABLE filler (bytes BLOB)")
            connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (LOG_BYTES,))
            connection.execute("DROP TABLE filler")
        self.execute("PRAGMA wal_checkpoint(RESTART)")  # from now on it is written over from its beginning
        self.execute(f"PRAGMA wal_autocheckpoint = {autocheckpoint}")

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run a statement. Returns how many rows it changed."""
        with self.translated():
            return self._connection.execute(statement, parameters).rowcount

    def execute_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run a statement once for each row. Returns how many rows it changed."""
        with self.translated():
            return max(0, self._connection.executemany(statement, rows).rowcount)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self.translated():
            return self._connection.execute(query, parameters).fetchall()

    def number(self, query: str, *parameters: Any, default: int | None = None) -> int:
        """The one number that a query gives."""
        rows = self.rows(query, *parameters)
        if rows:
            return int(rows[0][0])
        if default is None:
            raise self.damaged(f"no row for {query}")
        return default

    def used_bytes(self) -> int:
        """What the content takes. The file may be larger: SQLite keeps the room of what left for what will come."""
        pages = self.number("PRAGMA page_count") - self.number("PRAGMA freelist_count")
        return pages * self.number("PRAGMA page_size")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, synced to the disk at its end."""
        with self.translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """SQLite's errors become ours."""
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise StorageError(
                    f"{self.path} is in use by another process: two daemons must not share a state_dir"
                ) from error
            if "malformed" in str(error) or "not a database" in str(error):
                raise self.damaged(str(error)) from error
            raise StorageError(
                f"{self.path}: {error}; no verdict can be numbered: check that the disk is there, has room and "
                "can be written"
            ) from error

    def damaged(self, reason: str) -> SpoolDamagedError:
        """The error to raise; the next start will know, even if it would not come upon the same place."""
        with suppress(OSError):  # then the disk is gone, too: the next start sees for itself
            (self.path.parent / DAMAGED).touch(0o600)
        return SpoolDamagedError(f"{self.path} is damaged: {reason}; the next start sets it aside and begins a new one")


def probe_spool(folder: Path) -> None:
    """Do with a database of its own what a spool will do, and leave no trace: not every file system that takes a file
    has the locks and the shared memory that SQLite needs. The folder must be there. Raises StorageError."""
    try:
        with tempfile.TemporaryDirectory(prefix=".probe-", dir=folder) as place:
            database = SpoolDatabase(Path(place))
            try:
                with database.transaction() as connection:
                    connection.execute("CREATE TABLE probe (number INTEGER PRIMARY KEY, text TEXT UNIQUE)")
                    connection.executemany("INSERT INTO probe VALUES (?, ?)", [(n, str(n)) for n in range(10)])
                database.execute("UPDATE probe SET text = text || text WHERE number > 3")
            finally:
                database.close()
    except OSError as error:
        raise StorageError(f"{folder} takes no new folder ({error.strerror}): be the station's user") from error


def _make_private(path: Path) -> None:
    """Make the file for this user alone, whatever the umask; SQLite gives the same rights to what it puts beside it."""
    with suppress(FileExistsError):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(number, 0o600)
        os.close(number)
