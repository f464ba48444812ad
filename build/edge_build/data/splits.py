"""Which good pictures are learned from, which calibrate INT8, and which the threshold is set on.

Neighbouring pictures of a line are alike: frames of a video, views of one part, parts of one batch. If a picture judged
the threshold while its neighbour trained, its score would be too low and the threshold too tight. So pictures move in
blocks of neighbours in name order: about four blocks a fold, dealt in turn (block 1 to fold 1, block 2 to fold 2,
...), so that neighbours stay together and every variant of the part reaches every fold. Copies of a picture, which are
known by their SHA-256, stay together wherever they stand. Of a held-out share every block is a fold.

    splits = split(dataset.good, recipe.threshold, recipe.calibration.set_aside, recipe.seed)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_build.data.dataset import MINIMUM_GOOD
from edge_build.data.pictures import DatasetError, Picture
from edge_build.recipe.recipe import ThresholdSettings

BLOCKS_PER_FOLD = 4
CALIBRATION_SHARE = 0.1

Group = tuple[Picture, ...]  # copies of one picture


@dataclass(frozen=True)
class Splits:
    """The good pictures' duties, each part in name order.

    train: what the detector learns from; cross-fitted, all of them. calibration: a part of train for INT8 ranges, in no
    fold. folds: what the threshold is set on, disjoint; a fold is scored by a detector that learned from
    `train_without(fold)`, and that may compare with `known_without(fold)` if it can do so without learning.
    """

    train: tuple[Picture, ...]
    calibration: tuple[Picture, ...]
    folds: tuple[tuple[Picture, ...], ...]

    @property
    def held_out(self) -> tuple[Picture, ...]:
        """What the threshold is set on and the detector never learns from."""
        learned_from = set(self.train)
        return tuple(picture for fold in self.folds for picture in fold if picture not in learned_from)

    def train_without(self, *folds: int) -> tuple[Picture, ...]:
        """What the detector that scores these folds may learn from."""
        held_out = {picture for fold in folds for picture in self.folds[fold]}
        return tuple(picture for picture in self.train if picture not in held_out)

    def known_without(self, *folds: int) -> tuple[Picture, ...]:
        """The pictures of all other folds that nothing is learned from."""
        learned_from = set(self.train)
        others = [part for number, part in enumerate(self.folds) if number not in folds]
        return tuple(picture for part in others for picture in part if picture not in learned_from)

    def merged(self, groups: Sequence[Sequence[int]]) -> Splits:
        """With the folds of each group as one."""
        together = (tuple(picture for fold in group for picture in self.folds[fold]) for group in groups)
        return replace(self, folds=tuple(together))


def split(good: Sequence[Picture], threshold: ThresholdSettings, calibration: int, seed: int) -> Splits:
    """Deal the good pictures, which are in name order.

    calibration: at most so many pictures, and at most a tenth; at least one. With few pictures there are fewer folds
    than asked for, down to two. Raises DatasetError when less than MINIMUM_GOOD of the pictures differ.
    """
    groups = _groups(good)
    if len(groups) < MINIMUM_GOOD:
        raise DatasetError(
            f"only {len(groups)} different good pictures, at least {MINIMUM_GOOD} are needed to learn, calibrate and "
            "set a threshold: add pictures"
        )
    random = np.random.default_rng(seed)
    if threshold.method == "held-out":
        blocks = _spread(len(groups), threshold.share, random)
        held_out = {index for block in blocks for index in block}
        train = [group for index, group in enumerate(groups) if index not in held_out]
        calibrating = _some(train, calibration, random)
        folds = [[groups[index] for index in block] for block in blocks]
    else:
        train = groups
        calibrating = _some(train, calibration, random)
        folds = _deal([group for index, group in enumerate(groups) if index not in calibrating], threshold.folds)
    return Splits(
        train=_flat(train),
        calibration=_flat([train[index] for index in sorted(calibrating)]),
        folds=tuple(_flat(fold) for fold in folds),
    )


def calibration_count(pictures: int, wanted: int) -> int:
    """How many of so many pictures calibrate: as wanted, but at most a tenth, and at least one."""
    return max(1, min(wanted, int(pictures * CALIBRATION_SHARE)))


def _groups(pictures: Sequence[Picture]) -> list[Group]:
    """Copies together, where the first of them stands."""
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.sha256, []).append(picture)
    return [tuple(group) for group in groups.values()]


def _some(groups: Sequence[Group], wanted: int, random: np.random.Generator) -> set[int]:
    """The places of the calibration pictures: any, as they only need to cover what good pictures look like."""
    count = calibration_count(len(groups), wanted)
    return set(random.choice(len(groups), size=count, replace=False).tolist())


def _deal(groups: Sequence[Group], folds: int) -> list[list[Group]]:
    """Blocks of neighbours, of equal size within one, dealt in turn."""
    folds = min(folds, len(groups))
    blocks = min(folds * BLOCKS_PER_FOLD, len(groups))
    dealt: list[list[Group]] = [[] for _ in range(folds)]
    for block in range(blocks):
        start, end = block * len(groups) // blocks, (block + 1) * len(groups) // blocks
        dealt[block % folds] += groups[start:end]
    return dealt


def _spread(count: int, share: float, random: np.random.Generator) -> list[range]:
    """The places of a held-out share: one block of neighbours, somewhere, in each of four equal stretches."""
    wanted = max(1, round(count * share))
    stretches = min(BLOCKS_PER_FOLD, wanted)
    blocks = []
    for stretch in range(stretches):
        start, end = stretch * count // stretches, (stretch + 1) * count // stretches
        length = (stretch + 1) * wanted // stretches - stretch * wanted // stretches
        first = start + int(random.integers(end - start - length + 1))
        blocks.append(range(first, first + length))
    return blocks


def _flat(groups: Sequence[Group]) -> tuple[Picture, ...]:
    return tuple(picture for group in groups for picture in group)
