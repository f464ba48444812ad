"""Who may trigger: so many in hand at a time, duplicates recognised, everything else turned away with a reason.

The network thread offers triggers; whoever notes a condition opens or closes the gate, and each
accepted trigger is completed exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from edge_runtime.records import Flag, Verdict
from edge_runtime.storage.spool import Answered
from edge_runtime.threads import LockOrder, OrderedLock
from edge_runtime.wire.commands import Reply, Trigger


@dataclass(frozen=True)
class Answer:
    """What to reply. For a duplicate, `verdict` is to be sent again; None while it is still being judged.

    why: of a refusal, for the log.
    """

    reply: Reply
    verdict: Verdict | None = None
    why: str | None = None


@dataclass
class _Known:
    trigger: Trigger
    arrived: float
    verdict: Verdict | None = None


class TriggerGate:
    """Decides on triggers; may be used from any thread.

    The same trigger (id, recipe and part) within `window_s` is a duplicate; the same id for another part is refused,
    for its verdict would be taken for the other's. At most `depth` triggers wait for their verdicts. `remembered` are
    answers given before a restart: each carries the replay flag, for the part may be another one by now.
    """

    def __init__(
        self,
        recipe: int,
        window_s: float,
        clock: Callable[[], float],
        remembered: Iterable[Answered] = (),
        depth: int = 1,
    ) -> None:
        self._recipe, self._window_s, self._clock, self._depth = recipe, window_s, clock, depth
        self._lock = OrderedLock(LockOrder.TRIGGER_GATE)
        self._open = False
        self._why_closed: str | None = "the station is starting"
        self._in_hand: set[int] = set()
        now = clock()
        self._known = {
            answered.verdict.trigger_id: _Known(
                _trigger_of(answered.verdict), now - answered.age_ms / 1000, _replayed(answered.verdict)
            )
            for answered in remembered
        }

    def open(self, accepts: bool, why_not: str | None = None) -> None:
        """Whether new triggers are taken from now on, and if not, why."""
        with self._lock:
            self._open, self._why_closed = accepts, why_not

    @property
    def has_one_in_hand(self) -> bool:
        """Whether an accepted trigger waits for its verdict; its request may not have reached the events yet."""
        with self._lock:
            return bool(self._in_hand)

    @property
    def in_hand(self) -> int:
        """How many accepted triggers wait for their verdicts."""
        with self._lock:
            return len(self._in_hand)

    def offer(self, trigger: Trigger) -> Answer:
        """Take a trigger or turn it away. After ACCEPTED, exactly one `complete` must follow."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            known = self._known.get(trigger.trigger_id)
            if known is not None:
                if known.trigger == trigger:
                    return Answer(Reply.DUPLICATE, known.verdict)
                return Answer(Reply.BADREQUEST, why="its id was used for another part or recipe just now")
            if trigger.recipe != self._recipe:
                return Answer(Reply.BADREQUEST, why=f"recipe {trigger.recipe} is not this station's")
            if not self._open:
                return Answer(Reply.NOTREADY, why=self._why_closed)
            if len(self._in_hand) >= self._depth:
                return Answer(
                    Reply.BUSY, why=f"queue_depth {self._depth} is reached: wait for a verdict, or raise queue_depth"
                )
            self._in_hand.add(trigger.trigger_id)
            self._known[trigger.trigger_id] = _Known(trigger, now)
            return Answer(Reply.ACCEPTED)

    def complete(self, verdict: Verdict) -> None:
        """A trigger in hand has its verdict, on disk."""
        with self._lock:
            if verdict.trigger_id not in self._in_hand:
                raise ValueError(f"trigger {verdict.trigger_id} is completed, but {self._in_hand or 'none'} is in hand")
            self._in_hand.remove(verdict.trigger_id)
            self._known[verdict.trigger_id].verdict = verdict

    def _forget(self, now: float) -> None:
        """Drop what is older than the window; the order of arrival is the dictionary's order."""
        while self._known:
            oldest, known = next(iter(self._known.items()))
            if now - known.arrived <= self._window_s or oldest in self._in_hand:
                return
            del self._known[oldest]


def _replayed(verdict: Verdict) -> Verdict:
    return replace(verdict, flags=verdict.flags | Flag.REPLAY)


def _trigger_of(verdict: Verdict) -> Trigger:
    return Trigger(verdict.trigger_id, verdict.recipe, verdict.part_id)
