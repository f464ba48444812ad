"""How long a station has been running in its life: the one clock that retention by age goes by, since UTC may step.

Now and then a row says what the next seq was when so many milliseconds were over. What was numbered before it is older.
All is called with the spool's lock held.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_runtime.storage.database import SpoolDatabase
from edge_runtime.storage.moment import Moment

WRITE_EVERY_MS = 600_000


class RunningTime:
    """began_ms: when this start was, on the clock of `moment`."""

    def __init__(self, database: SpoolDatabase, moment: Callable[[], Moment]) -> None:
        self._db, self._moment = database, moment
        self._before_ms = database.number("SELECT COALESCE(MAX(running_ms), 0) FROM running")
        self._written_ms = self._before_ms
        self.began_ms = moment().since_ms

    def _now_ms(self) -> int:
        """As far as that was written before this start."""
        return self._before_ms + self._moment().since_ms - self.began_ms

    def write(self, next_seq: int) -> None:
        """Write the time, and that `next_seq` has not been used yet."""
        self._written_ms = self._now_ms()
        with self._db.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO running VALUES (?, ?)", (self._written_ms, next_seq))

    def write_if_due(self, next_seq: int) -> None:
        """As `write`, if it was not written for ten minutes."""
        if self._now_ms() - self._written_ms >= WRITE_EVERY_MS:
            self.write(next_seq)

    def mark_of(self, age_ms: int) -> tuple[int, int] | None:
        """The latest row that is so old: its time, and the first seq that may be younger. None: there is none."""
        rows = self._db.rows(
            "SELECT * FROM running WHERE running_ms <= ? ORDER BY running_ms DESC LIMIT 1", self._now_ms() - age_ms
        )
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def forget_before(self, running_ms: int) -> None:
        """Rows that are older than one that was found."""
        if self._db.number("SELECT COUNT(*) FROM running WHERE running_ms < ?", running_ms):
            with self._db.transaction() as connection:
                connection.execute("DELETE FROM running WHERE running_ms < ?", (running_ms,))
