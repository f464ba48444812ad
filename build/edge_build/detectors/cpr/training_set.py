"""The pictures of one training: the pool that is learned from, renewed in part after each round if asked for, and the
validation pictures that judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from edge_build.checkpoint import Unfinished
from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.detectors.cpr.training_pictures import PictureMaker, Pool, Source
from edge_build.detectors.cpr.validation import COPIES
from edge_build.progress import Progress
from edge_runtime.errors import StorageError

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

    fresh: how many of them are replaced by new ones after each round. rounds: how many are done already. work: what
    keeps the pictures, under this name, until the training is at its end, so that one that is resumed does not make
    them again.
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
        work: Unfinished | None = None,
        name: str = "",
    ) -> None:
        self._maker, self._count, self._fresh, self._work = maker, count, fresh, work
        self._picker = SourcePicker(maker, train_rows)
        self._progress = progress
        self._kept = [f"made-up-{name}", f"validation-{name}"]
        pictures = self._picker.pick(numbers_after(rounds, count, fresh))
        self.pool = self._pool(pictures, scratch, "made-up defects", self._kept[0])
        twice = [row for row in validation_rows for _ in range(COPIES)]
        validation = [Source(row, VALIDATION_NUMBERS + number) for number, row in enumerate(twice)]
        self.validation = self._pool(validation, scratch, "made-up validation", self._kept[1])

    def _pool(self, sources: Sequence[Source], scratch: ScratchArrays, what: str, kept: str) -> Pool:
        """One picture of each source, as they were kept; what was not kept, or was replaced since, is made."""
        pool, numbers = self._maker.empty_pool(sources, scratch), np.zeros(len(sources), np.int64)
        loaded = self._work is not None and self._work.load_arrays(kept, [numbers, *pool.arrays()])
        places = [place for place, source in enumerate(sources) if not loaded or numbers[place] != source.number]
        if places:
            self._maker.fill(pool, places, [sources[place] for place in places], what, self._progress)
        if loaded:
            self._progress.say(f"{what}: {len(sources) - len(places)} of {len(sources)} are there from before")
        elif self._work is not None:
            numbers[:] = [source.number for source in sources]
            try:
                self._work.save_arrays(kept, [numbers, *pool.arrays()], "made-up pictures, and no step of the training")
            except StorageError as error:  # the training itself needs none of it
                self._progress.say(f"{what}: not kept for --resume: {error}")
        return pool

    def finish(self) -> None:
        """The training is at its end: what was kept of its pictures goes."""
        if self._work is not None:
            for name in self._kept:
                self._work.remove(name)

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
