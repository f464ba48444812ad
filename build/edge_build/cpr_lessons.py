"""The pictures of one training: the pool that is learned from, renewed in part after each round if asked for, and the
hold-out that judges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_build.cpr_hold_out import COPIES
from edge_build.cpr_pool import PictureMaker, Source
from edge_build.progress import Progress
from edge_build.room import Rooms

HOLD_OUT_NUMBERS = 1 << 40  # no picture to learn from has one of these


class Lessons:
    """taught, aside: rows of good pictures to learn from and to judge with. count: pictures in the pool.

    fresh: how many of them are replaced by new ones after each round. rounds: how many are done already.
    """

    def __init__(
        self,
        maker: PictureMaker,
        taught: Sequence[int],
        aside: Sequence[int],
        count: int,
        fresh: int,
        rounds: int,
        rooms: Rooms,
        progress: Progress,
    ) -> None:
        self._maker, self._taught, self._count, self._fresh = maker, taught, count, fresh
        self._progress = progress
        pictures = self._sources(numbers_after(rounds, count, fresh))
        self.pool = maker.pool(pictures, rooms, "made-up defects", progress)
        twice = [row for row in aside for _ in range(COPIES)]
        held_out = [Source(row, HOLD_OUT_NUMBERS + number) for number, row in enumerate(twice)]
        self.check = maker.pool(held_out, rooms, "made-up hold-out", progress)

    def renew(self, rounds: int) -> bool:
        """After a round, of which so many are done now. Says if the pool has changed."""
        made = self._count + rounds * self._fresh
        numbers = range(made - self._fresh, made)
        if numbers:
            places = [number % self._count for number in numbers]
            self._maker.fill(self.pool, places, self._sources(numbers), "fresh made-up defects", self._progress)
        return bool(numbers)

    def _sources(self, numbers: Iterable[int]) -> list[Source]:
        return [Source(self._taught[number % len(self._taught)], number) for number in numbers]


def numbers_after(rounds: int, count: int, fresh: int) -> list[int]:
    """The numbers of the pictures in the pool's places after so many rounds that replaced `fresh` each, in turn."""
    made = count + rounds * fresh
    return [made - 1 - (made - 1 - place) % count for place in range(count)]
