"""The station's totals since its start, as `/counters` shows them.

A trigger is counted together with its outcome, when its verdict is on disk; so triggers = ok + nok + error in every
sample, whatever is in hand. A free-running frame counts as a trigger.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.records import Flag, Outcome, Verdict
from edge_runtime.threads import LockOrder, OrderedLock
from edge_runtime.wire.commands import Reply


@dataclass(frozen=True)
class CounterValues:
    """One sample."""

    ok: int = 0
    nok: int = 0
    error: int = 0
    missed: int = 0  # triggers that the station had no time for: BUSY, NOTREADY, and ticks that passed
    late: int = 0  # verdicts after their deadline
    spooled: int = 0  # verdicts that the broker has not confirmed yet
    discarded: int = 0  # results that came after their request had got its ERROR; not in the payload

    @property
    def triggers(self) -> int:
        """How many triggers were answered by a verdict."""
        return self.ok + self.nok + self.error

    def payload(self) -> bytes:
        """`triggers;ok;nok;error;missed;late;spooled`."""
        numbers = (self.triggers, self.ok, self.nok, self.error, self.missed, self.late, self.spooled)
        return ";".join(map(str, numbers)).encode("ascii")


class Counters:
    """Counts; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = OrderedLock(LockOrder.COUNTERS)
        self._outcomes = dict.fromkeys((Outcome.OK, Outcome.NOK, Outcome.ERROR), 0)
        self._missed = self._late = self._discarded = 0
        refusals = (Reply.BUSY, Reply.NOTREADY, Reply.DUPLICATE, Reply.BADREQUEST)
        self._refused: dict[Reply, int] = dict.fromkeys(refusals, 0)

    def count(self, verdict: Verdict) -> None:
        """A verdict is on disk."""
        with self._lock:
            self._outcomes[verdict.decision.outcome] += 1
            self._late += bool(verdict.flags & Flag.LATE)

    def count_missed(self, count: int) -> None:
        """Ticks passed while an earlier one was judged."""
        with self._lock:
            self._missed += count

    def count_refused(self, reply: Reply) -> None:
        """A trigger got this answer, and with it no verdict of its own."""
        with self._lock:
            self._refused[reply] += 1
            self._missed += reply in (Reply.BUSY, Reply.NOTREADY)

    def count_discarded(self) -> None:
        """A result came after its request had been answered."""
        with self._lock:
            self._discarded += 1

    def refused(self) -> dict[Reply, int]:
        """How many triggers got each answer but ACCEPTED."""
        with self._lock:
            return dict(self._refused)

    def sample(self, spooled: int) -> CounterValues:
        """The totals now."""
        with self._lock:
            ok, nok, error = self._outcomes.values()
            return CounterValues(ok, nok, error, self._missed, self._late, spooled, self._discarded)
