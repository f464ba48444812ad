"""The pictures of one training: the pool that is learned from, renewed in part after each round if asked for, and the
validation pictures that judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.detectors.cpr.training_pictures import PictureMaker, Source
from edge_build.detectors.cpr.validation import COPIES
from edge_build.progress import Progress

EVERY = 3  # picture comes from a real defect, if there are any
VALIDATION_NUMBERS = 1 << 40  # no picture to learn from has one of these


class SourcePicker:
    """What becomes of which good picture (`train_rows`): made-up defects, and of some, if there are any, real ones.

    A real defect appears in three ways by turns: its own picture as it is; on a good picture that shows the part in the
    same way, where it was found; on any good picture, anywhere.
    """

    def __init__(self, maker: PictureMaker, train_rows: Sequence[int]) -> None:
        self._real, self._train_rows = maker.real, train_rows
        self._alike = [maker.alike(row) for row in maker.real]

    def pick(self, numbers: Iterable[int]) -> list[Source]:
        """One for each number."""
        return [self._source(number) for number in numbers]

    def _source(self, number: int) -> Source:
        row = self._train_rows[number % len(self._train_rows)]
        turn, place = divmod(number, EVERY)
        if not self._real or place:
            return Source(row, number)
        turn, defect = divmod(turn, len(self._real))
        turn, way = divmod(turn, 3)
        if way == 0:
            return Source(self._real[defect], number)
        if way == 1:
            return Source(self._alike[defect][turn % len(self._alike[defect])], number, defect)
        return Source(row, number, defect, anywhere=True)


class TrainingSet:
    """train_rows, validation_rows: good pictures to learn from and to judge with. count: pictures in the pool.

    fresh: how many of them are replaced by new ones after each round. rounds: how many are done already.
    """

    def __init__(
        self,
        maker: PictureMaker,
        train_rows: Sequence[int],
        validation_rows: Sequence[int],
        count: int,
        fresh: int,
        rounds: int,
        scratch: ScratchArrays,
        progress: Progress,
    ) -> None:
        self._maker, self._count, self._fresh = maker, count, fresh
        self._picker = SourcePicker(maker, train_rows)
        self._progress = progress
        pictures = self._picker.pick(numbers_after(rounds, count, fresh))
        self.pool = maker.pool(pictures, scratch, "made-up defects", progress)
        twice = [row for row in validation_rows for _ in range(COPIES)]
        validation = [Source(row, VALIDATION_NUMBERS + number) for number, row in enumerate(twice)]
        self.validation = maker.pool(validation, scratch, "made-up validation", progress)

    def renew(self, rounds: int) -> bool:
        """After a round, of which so many are done now. Says if the pool has changed."""
        made = self._count + rounds * self._fresh
        numbers = range(made - self._fresh, made)
        if numbers:
            places = [number % self._count for number in numbers]
            self._maker.fill(self.pool, places, self._picker.pick(numbers), "fresh made-up defects", self._progress)
        return bool(numbers)


def numbers_after(rounds: int, count: int, fresh: int) -> list[int]:
    """The numbers of the pictures in the pool's places after so many rounds that replaced `fresh` each, in turn."""
    made = count + rounds * fresh
    return [made - 1 - (made - 1 - place) % count for place in range(count)]
