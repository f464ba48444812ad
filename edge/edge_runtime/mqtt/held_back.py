"""Records of verdicts that the broker does not take, and what that means for the station. Pure bookkeeping, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 10_000  # verdicts that are remembered; of further ones all records are sent again on the next connection


@dataclass(frozen=True)
class DeliveryProblem:
    """Why verdicts do not reach their consumers; both texts are for people, and empty when nothing is wrong.

    stops: nothing of a kind gets through, so no part may be judged. held: single records wait in the spool.
    """

    stops: str = ""
    held: str = ""


class HeldBack:
    """See the module. To be used by one thread."""

    def __init__(self) -> None:
        self.total = 0  # records held back since the start
        self._topics: dict[int, set[str]] = {}  # by the verdict's seq

    def __bool__(self) -> bool:
        return bool(self._topics)

    def add(self, seq: int, topic: str) -> None:
        """This record of a verdict is held back."""
        self.total += topic not in self._topics.get(seq, ())
        if seq in self._topics or len(self._topics) < MOST:
            self._topics.setdefault(seq, set()).add(topic)

    def add_lost(self, seq: int, topic: str) -> None:
        """This record was lost on its way. It counts only beside held ones: otherwise all of its verdict go again."""
        if seq in self._topics:
            self._topics[seq].add(topic)

    def topics(self, seq: int) -> frozenset[str]:
        """Which records of a verdict are held back."""
        return frozenset(self._topics.get(seq, ()))

    def release(self, seq: int, topic: str) -> None:
        """The broker took it after all."""
        topics = self._topics.get(seq, set())
        topics.discard(topic)
        if not topics:
            self._topics.pop(seq, None)

    def forget(self, upto: int) -> None:
        """Nobody waits for the verdicts up to a seq any more."""
        for seq in [seq for seq in self._topics if seq <= upto]:
            del self._topics[seq]

    def has_on(self, topics: tuple[str, ...]) -> bool:
        """Whether a record on one of these topics is held back."""
        return any(held.intersection(topics) for held in self._topics.values())
