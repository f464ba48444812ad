"""The station's memory: every verdict is on disk before anyone hears of it, and stays there until someone stored it.

Rules:
- A seq is used once in the station's life. It is committed with its verdict in one transaction, synced to the disk.
- A verdict leaves when a consumer acknowledged it, or by the configured retention, which says how many it dropped.
- A file whose picture was judged is remembered in the same transaction as its verdict, until it leaves its folder.
- An accepted trigger is here until its verdict is committed: after a crash it is known who still waits.
- Ages are measured by clocks that nobody sets (moment.py): UTC may step, and takes no part in any decision here but
  one: whether an answer given before the machine was switched off is recent. One from the future is not.
- "Delivered" means that the broker confirmed it. That is written now and then: after a crash a verdict may be sent
  again, with the same seq, and is never missing.

with open_spool(Path("/var/lib/edge-daemon/press-1"), Retention()) as spool:    # recovery.py
    spool.commit(replace(verdict, seq=spool.next_seq))
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_runtime.errors import RecordError, StorageError
from edge_runtime.records import PictureFile, Verdict
from edge_runtime.storage.database import SpoolDatabase
from edge_runtime.storage.moment import Moment, moment_now
from edge_runtime.storage.retention import Dropped, Retention
from edge_runtime.storage.running_time import RunningTime
from edge_runtime.storage.salvaged import Salvaged
from edge_runtime.storage.schema import continue_after, make_current
from edge_runtime.storage.sequence_mark import SeqMark
from edge_runtime.storage.verdict_blob import pack_verdict, unpack_verdict
from edge_runtime.threads import OwnerThread
from edge_runtime.wire.commands import Trigger

LAST_SEQ = (1 << 32) - 1
MOST_ANSWERED = 10_000  # that a window may hold: a thousand triggers a second for ten seconds
CHUNK = 2000  # verdicts that leave in one transaction: some milliseconds, for which a commit may have to wait

_INSERT = "INSERT INTO verdict VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Answered:
    """A trigger's verdict, and how long ago it was given."""

    verdict: Verdict
    age_ms: int


class Spool:
    """Verdicts on disk, in `folder`/spool.sqlite3. One process at a time owns it.

    Who may write: the VerdictIssuer alone commits and accepts, under its lock (before it is there, crash_recovery); the
    publisher's thread alone marks, acknowledges, flushes and tidies. Any thread may read.

    Raises StorageError, and SpoolDamagedError when the file is not what was written.
    """

    def __init__(
        self,
        folder: Path,
        retention: Retention | None = None,
        salvaged: Salvaged | None = None,
        moment: Callable[[], Moment] = moment_now,
    ) -> None:
        self._retention, self._moment = retention or Retention(), moment
        self._triggered: deque[tuple[int, int]] = deque()  # seq and since_ms of answers given by this process
        self._leaving: list[PictureFile] = []  # judged, and not in their folder any more
        self._delivered: set[int] = set()  # confirmed, not yet written; only the publisher's thread uses it
        self.overfull = False  # others than those that need not be kept had to leave
        self._db = SpoolDatabase(folder)
        self._lock = self._db.lock
        self._bookkeeper = OwnerThread("the spool's bookkeeping")
        try:
            self._mark = SeqMark(folder)
            self._begin(salvaged or Salvaged())
            self._db.lay_out_log()
            self.boot_id = self._db.number("SELECT boot_id FROM station")
            self.next_seq = 1 + self._db.number("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence")
            self._acknowledged = self._db.number("SELECT acknowledged FROM station")
            waiting = "SELECT COUNT(*) FROM verdict WHERE delivered = 0 AND seq > ?"
            self._waiting = self._db.number(waiting, self._acknowledged)
            self._mark.reserve(self.next_seq, self.boot_id)
            self._running = RunningTime(self._db, moment)
            self._running.write(self.next_seq)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()  # the publisher's thread has ended
                with self._lock:
                    self._running.write(self.next_seq)
        finally:
            self._db.close()

    def commit(self, verdict: Verdict, judged: PictureFile | None = None) -> None:
        """Write a verdict that carries `next_seq`, and sync. When this returns, it survives a power cut.

        judged: the file whose picture it is of, which must not be judged again. Raises RecordError for a verdict that
        cannot be read back: then nothing was written.
        """
        if verdict.seq != self.next_seq:
            raise ValueError(f"verdict {verdict.seq} is out of turn: the next seq is {self.next_seq}")
        if verdict.seq > LAST_SEQ:
            raise StorageError(f"{self._db.path} has used all {LAST_SEQ} numbers: begin a new state_dir")
        row = (verdict.seq, verdict.unix_ms, verdict.trigger_id, 0, pack_verdict(verdict))
        now = self._moment()
        with self._lock:
            self._mark.reserve(verdict.seq, self.boot_id)  # nearly always done already, by `tidy`
            with self._db.transaction() as connection:
                connection.execute(_INSERT, row)
                if verdict.trigger_id:
                    connection.execute("DELETE FROM accepted WHERE trigger_id = ?", (verdict.trigger_id,))
                    answered = (verdict.seq, now.machine_start, now.since_ms)
                    connection.execute("INSERT INTO answered VALUES (?, ?, ?)", answered)
                leaving = len(self._leaving)
                rows = [(file.key, file.identity) for file in self._leaving[:leaving]]
                if rows:
                    connection.executemany("DELETE FROM judged WHERE name = ? AND identity = ?", rows)
                if judged is not None:
                    connection.execute("INSERT OR REPLACE INTO judged VALUES (?, ?)", (judged.key, judged.identity))
            del self._leaving[:leaving]
            self._waiting += 1
            if verdict.trigger_id:
                self._triggered.append((verdict.seq, now.since_ms))
        self.next_seq += 1

    def accept(self, trigger: Trigger) -> None:
        """Write a trigger that will be answered, and sync. `commit` of its verdict takes it away."""
        with self._lock, self._db.transaction() as connection:
            row = (trigger.trigger_id, trigger.recipe, trigger.part_id)
            connection.execute("INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)", row)

    def judged(self) -> dict[bytes, str]:
        """The files whose pictures were judged: identities by name."""
        with self._lock:
            return {bytes(name): str(identity) for name, identity in self._db.rows("SELECT * FROM judged")}

    def forget_judged(self, files: Iterable[PictureFile]) -> None:
        """These have left their folder. Written with the next verdict: until then a crash only remembers them longer.
        Never waits for the disk."""
        self._leaving.extend(files)

    def accepted(self) -> list[Trigger]:
        """Triggers without a verdict; before anything is accepted, those that an earlier run left."""
        with self._lock:
            rows = self._db.rows("SELECT trigger_id, recipe, part_id FROM accepted ORDER BY trigger_id")
        return [Trigger(*row) for row in rows]

    def mark_delivered(self, seq: int) -> None:
        """The broker confirmed a verdict; written by the next `flush`. Never waits for the disk."""
        self._bookkeeper.check()
        if seq > self._acknowledged:  # otherwise it waits for nobody any more
            self._delivered.add(seq)

    def flush(self) -> None:
        """Write which verdicts were delivered."""
        self._bookkeeper.check()
        self._flush()

    def acknowledge(self, upto: int, keep_triggered_ms: int) -> None:
        """A consumer stored every verdict up to this seq: they leave, many of them a few at a time with `tidy`.

        Answers to triggers stay for so many milliseconds, until a later `tidy`: the same trigger may come again.
        Raises ValueError for a seq that has not been given out yet.
        """
        self._bookkeeper.check()
        if upto >= self.next_seq:
            raise ValueError(f"seq {upto} has not been given out yet: the last one is {self.next_seq - 1}")
        if upto <= self._acknowledged:
            return
        with self._lock:
            self._write_delivered()
            newly = "SELECT COUNT(*) FROM verdict WHERE delivered = 0 AND seq > ? AND seq <= ?"
            waited = self._db.number(newly, self._acknowledged, upto)
            with self._db.transaction() as connection:
                connection.execute("UPDATE station SET acknowledged = ?", (upto,))
            self._waiting -= waited
            self._acknowledged = upto
            self._drop_acknowledged(keep_triggered_ms)

    def tidy(self, keep_triggered_ms: int) -> Dropped:
        """What has to be done now and then: write the marks, reserve seqs, and let go what may leave, a few at a time.

        Returns what left although nobody had acknowledged it; `overfull` says whether that is a fault.
        """
        self._bookkeeper.check()
        with self._lock:
            self._write_delivered()
            if self._mark.runs_short(self.next_seq):
                self._mark.extend()
            acknowledged = self._drop_acknowledged(keep_triggered_ms)
            self._running.write_if_due(self.next_seq)
            by_age = self._drop_old()
            confirmed = self._drop_confirmed() if self._retention.until_confirmed else 0
            if acknowledged or by_age or confirmed:  # perhaps more of these can leave: others wait for the next time
                return Dropped(by_age, confirmed)
            return Dropped(unconfirmed=self._drop_oldest())

    @property
    def waiting(self) -> int:
        """How many verdicts the broker has not confirmed."""
        return self._waiting - len(self._delivered)

    def used_bytes(self) -> int:
        """What the verdicts take."""
        with self._lock:
            return self._db.used_bytes()

    def undelivered(self, first: int, last: int, limit: int) -> list[Verdict]:
        """Verdicts that nobody confirmed or acknowledged, from first to last, in order, at most `limit`."""
        with self._lock:
            if any(first <= seq <= last for seq in self._delivered):
                self._write_delivered()
        first = max(first, self._acknowledged + 1)
        return self._verdicts("seq BETWEEN ? AND ? AND delivered = 0 ORDER BY seq LIMIT ?", first, last, limit)

    def between(self, first: int, last: int, limit: int) -> list[Verdict]:
        """Verdicts that are still here, from first to last, in order, at most `limit`."""
        return self._verdicts("seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", first, last, limit)

    def answered_within(self, window_ms: int, unix_ms: int) -> list[Answered]:
        """The answers to triggers of so many milliseconds before now, in order.

        unix_ms: UTC now. It counts only for answers given before the machine was last switched on.
        """
        now = self._moment()
        with self._lock:
            rows = self._db.rows("SELECT seq, machine_start, since_ms FROM answered")
        given = {int(seq): Moment(str(start), int(since_ms)) for seq, start, since_ms in rows}
        found = []
        for verdict in self._verdicts("trigger_id > 0 ORDER BY seq DESC LIMIT ?", MOST_ANSWERED):
            then = given.get(verdict.seq)
            if then is not None and then.machine_start == now.machine_start:
                age_ms = now.age_ms(then)
            else:
                age_ms = unix_ms - verdict.unix_ms
            if age_ms is not None and 0 <= age_ms <= window_ms:
                found.append(Answered(verdict, age_ms))
        return found[::-1]

    def _begin(self, salvaged: Salvaged) -> None:
        """Make or check the tables, go on after what may have been used before, and count this start."""
        if self._db.is_new and self._mark.damaged:
            raise StorageError(
                f"{self._db.path} is gone, and seq.mark, which says what numbers were used, is damaged: "
                "give the station a new state_dir, and set the last seq that PLC and database know to 0"
            )
        with self._db.transaction() as connection:
            make_current(connection, str(self._db.path))
            if self._db.is_new:
                salvaged.write_to(self._db)
                continue_after(connection, self._mark.value.seq)
                connection.execute("UPDATE station SET boot_id = ?", (self._mark.value.boot_id,))
            connection.execute("UPDATE station SET boot_id = boot_id + 1")

    def _flush(self) -> None:
        with self._lock:
            self._write_delivered()

    # All below here are called with the lock held, but `_verdicts`.

    def _write_delivered(self) -> None:
        if not self._delivered:
            return
        marks = [(seq,) for seq in self._delivered]
        with self._db.transaction() as connection:
            changed = connection.executemany("UPDATE verdict SET delivered = 1 WHERE seq = ? AND delivered = 0", marks)
        self._waiting -= max(0, changed.rowcount)
        self._delivered.clear()

    def _drop_acknowledged(self, keep_triggered_ms: int) -> int:
        """What was given before this start is kept as long as this start is young: nobody knows how old it is."""
        since_ms = self._moment().since_ms
        while self._triggered and since_ms - self._triggered[0][1] >= keep_triggered_ms:
            self._triggered.popleft()
        if since_ms - self._running.began_ms < keep_triggered_ms:
            first_kept = 0
        else:
            first_kept = self._triggered[0][0] if self._triggered else self.next_seq
        return self._drop("seq <= ? AND (trigger_id = 0 OR seq < ?)", self._acknowledged, first_kept)

    def _drop_old(self) -> int:
        """By the time that the station was running, so what is old may stay longer, and never leaves too soon."""
        mark = self._running.mark_of(self._retention.max_age_s * 1000)
        if mark is None:
            return 0
        running_ms, first_kept = mark
        # Only what the broker has: nobody has heard of the others.
        dropped = self._drop("seq < ? AND delivered = 1", first_kept)
        self._running.forget_before(running_ms)
        return dropped

    def _drop_confirmed(self) -> int:
        return self._drop("delivered = 1") if self._db.used_bytes() > self._retention.max_bytes else 0

    def _drop_oldest(self) -> int:
        used = self._db.used_bytes()
        if used > self._retention.limit_bytes:
            self.overfull = True
            return self._drop("seq > 0")
        if used < 0.95 * self._retention.limit_bytes:
            self.overfull = False
        return 0

    def _drop(self, where: str, *parameters: int) -> int:
        """Let the oldest of some verdicts leave, CHUNK at most. Returns how many; if none, nothing is written."""
        query = f"SELECT seq, delivered FROM verdict WHERE {where} ORDER BY seq LIMIT {CHUNK}"
        chosen = self._db.rows(query, *parameters)
        if not chosen:
            return 0
        with self._db.transaction() as connection:
            leaving = [(seq,) for seq, _ in chosen]
            connection.executemany("DELETE FROM verdict WHERE seq = ?", leaving)
            connection.executemany("DELETE FROM answered WHERE seq = ?", leaving)
        self._waiting -= sum(not delivered and seq > self._acknowledged for seq, delivered in chosen)
        self._delivered.difference_update(seq for seq, _ in chosen)
        return len(chosen)

    def _verdicts(self, where: str, *parameters: int) -> list[Verdict]:
        with self._lock:
            rows = self._db.rows(f"SELECT packed FROM verdict WHERE {where}", *parameters)
        try:
            return [unpack_verdict(packed) for (packed,) in rows]
        except RecordError as error:
            raise self._db.damaged(str(error)) from error
