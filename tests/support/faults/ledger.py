"""What a consumer saw, and whether it adds up: nothing lost, nothing twice, no part unanswered, no false OK.

The name of a picture's file says what it shows, `0007-defect.png`: only a `good` one may ever be OK.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from edge_runtime.records import Flag, Outcome, Verdict


@dataclass(frozen=True)
class Account:
    """The figures that must all be 0 but the first three."""

    triggers: int
    verdicts: int
    errors: int  # verdicts that are ERROR: a fault was seen and reported
    lost: int  # numbers up to the highest that never came, not even on `/replay`
    conflicting: int  # numbers that came with two contents, and triggers that got two numbers
    false_ok: int  # OK for a picture that is not good
    unanswered: int  # triggers without a verdict

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.lost or self.conflicting or self.false_ok or self.unanswered)


class Ledger:
    """Verdicts by number, and triggers by id. Not for several threads at once."""

    def __init__(self) -> None:
        self._verdicts: dict[int, Verdict] = {}
        self._by_trigger: defaultdict[int, set[int]] = defaultdict(set)
        self._asked: set[int] = set()
        self._conflicting: set[int] = set()
        self._skipped = 0
        self._jumps_after = self._latest_start = 0
        self.unflagged = 0  # verdicts of an earlier start of the station that came without the flag replay
        self.contiguous = 0  # every number up to this one is here, or was never used
        self.highest = 0

    def ask(self, trigger_id: int) -> None:
        """A trigger goes out."""
        self._asked.add(trigger_id)

    def add(self, verdict: Verdict) -> None:
        """A verdict came, perhaps not for the first time."""
        plain = content(verdict)
        self._latest_start = max(self._latest_start, verdict.boot_id)
        if verdict.boot_id < self._latest_start and not verdict.flags & Flag.REPLAY:
            self.unflagged += 1
        if self._verdicts.setdefault(verdict.seq, plain) != plain:
            self._conflicting.add(verdict.seq)
        if verdict.trigger_id:
            self._by_trigger[verdict.trigger_id].add(verdict.seq)
        if self._jumps_after and verdict.seq > self._jumps_after:
            self._skipped += verdict.seq - self._jumps_after - 1
            self.contiguous, self._jumps_after = verdict.seq - 1, 0
        self.highest = max(self.highest, verdict.seq)
        while self.contiguous + 1 in self._verdicts:
            self.contiguous += 1

    def __len__(self) -> int:
        return len(self._verdicts)

    def expect_jump(self) -> None:
        """Everything up to here came, and the numbers go on anywhere: the first one that comes now says where."""
        if self.contiguous == self.highest:
            self._jumps_after = self.highest

    def verdict_of(self, trigger_id: int) -> Verdict | None:
        """The verdict of a trigger."""
        seqs = self._by_trigger.get(trigger_id)
        return self._verdicts[min(seqs)] if seqs else None

    def is_answered(self, trigger_id: int) -> bool:
        """Whether a trigger has a verdict."""
        return trigger_id in self._by_trigger

    def first_gap(self) -> tuple[int, int] | None:
        """The first range of numbers that did not come, both ends included."""
        if self.contiguous >= self.highest:
            return None
        last = self.contiguous + 1
        while last + 1 not in self._verdicts:
            last += 1
        return self.contiguous + 1, last

    def verdicts(self) -> list[Verdict]:
        """All of them, by number."""
        return [self._verdicts[seq] for seq in sorted(self._verdicts)]

    def account(self, released_wrongly: int = 0) -> Account:
        """The sum of it. released_wrongly: parts that a PLC let pass, and that no good picture's OK stands for."""
        twice = sum(len(seqs) > 1 for seqs in self._by_trigger.values())
        outcomes = [v.decision.outcome for v in self._verdicts.values()]
        return Account(
            triggers=len(self._asked),
            verdicts=len(self._verdicts),
            errors=outcomes.count(Outcome.ERROR),
            lost=self.highest - self._skipped - len(self._verdicts),
            conflicting=len(self._conflicting) + twice,
            false_ok=sum(is_false_ok(v) for v in self._verdicts.values()) + released_wrongly,
            unanswered=len(self._asked - self._by_trigger.keys()),
        )


def content(verdict: Verdict) -> Verdict:
    """A verdict without what may differ between its first and its later appearances: flags, and two times."""
    timings = replace(verdict.decision.timings, commit_us=0, publish_us=0)
    return replace(verdict, flags=0, decision=replace(verdict.decision, timings=timings))


def is_false_ok(verdict: Verdict) -> bool:
    """Whether it releases a part whose picture is not good."""
    return verdict.decision.outcome is Outcome.OK and "-good" not in verdict.source
