from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tests.support.made_network import made_backbone, made_pictures
from tests.support.naive_patchcore import measured
from tests.support.tiny_dataset import part

from edge_build.detectors.cpr.feature_maps import extract_maps
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.detectors.cpr.training_set import EVERY, SourcePicker
from edge_build.detectors.cpr.validation import pick_validation_rows
from edge_build.detectors.defects.real import RealDefects
from edge_build.detectors.defects.textures import OWN_TEXTURES, load_textures
from edge_build.progress import PlainProgress, SilentProgress
from edge_build.recipe.detector_settings import CprSettings
from edge_runtime.errors import ConfigError

QUICK = CprSettings(pool=12, steps=8, width=12)


def parts(count: int) -> np.ndarray:
    return np.stack([part(seed)[0] for seed in range(count)])


@pytest.mark.parametrize("count", [2, 9, 40, 2000])
def test_held_out_pictures_are_a_tenth_at_most_24_spread_over_all(count: int) -> None:
    rows = pick_validation_rows(count)

    assert len(rows) == len(set(rows)) == max(1, min(24, round(count / 10)))
    assert 0 <= min(rows) <= max(rows) < count
    assert np.ptp(np.diff(rows, prepend=rows[0] - count // len(rows))) <= 1


@pytest.fixture(scope="module")
def learner() -> CprLearner:
    """With the published weights."""
    return CprLearner(parts(10), QUICK, 16, 3, SilentProgress())


def test_the_same_pictures_and_seed_give_the_same_scores(learner: CprLearner) -> None:
    image = torch.from_numpy(part(99)[0][None])

    (first, first_map), (again, again_map) = (measured(learner.learn(range(8)), image) for _ in range(2))

    assert first == again
    np.testing.assert_array_equal(first_map, again_map)


def test_the_references_are_the_chosen_pictures(learner: CprLearner) -> None:
    detector = learner.learn([1, 2, 5, 7])

    assert (detector.entries, detector.dimensions) == (4, 16)
    assert [match.bank.dtype for match in detector.matches] == [torch.float16] * 3
    assert [match.bank.shape[0] for match in detector.matches] == [4, 4, 4]
    assert not detector.training


def test_a_detector_may_know_pictures_that_it_did_not_learn_from(learner: CprLearner) -> None:
    plain, more = learner.learn([1, 2, 5, 7]), learner.learn([1, 2, 5, 7], [0, 9])

    assert more.entries == 6
    for ours, theirs in zip(plain.matches.parameters(), more.matches.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    own = torch.from_numpy(part(9)[0][None])
    assert measured(more, own)[0] < 0.01 < measured(plain, own)[0]


def test_features_are_the_same_in_memory_and_on_the_disk(tmp_path: Path) -> None:
    backbone, pictures = made_backbone((2, 3)), made_pictures(6).numpy()

    held, mapped = (
        extract_maps(backbone, pictures, ScratchArrays(tmp_path, memory_bytes=limit), "features", SilentProgress())
        for limit in (1 << 30, 0)
    )

    for ours, theirs in zip((held.fine, held.coarse), (mapped.fine, mapped.coarse), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.stride() == theirs.stride()
        assert ours.is_contiguous(memory_format=torch.channels_last)
    assert list(tmp_path.iterdir()) == []


def test_two_pictures_are_enough_to_go_through_all_steps(learner: CprLearner) -> None:
    assert learner.learn([0, 1]).entries == 2


def test_references_can_be_capped_to_those_that_cover_the_others(learner: CprLearner) -> None:
    settings = QUICK.model_copy(update={"references": 3})
    capped = CprLearner(np.concatenate([parts(4)] * 2), settings, 16, 3, SilentProgress()).learn(range(8))

    assert capped.entries == 3
    assert [match.bank.shape[0] for match in capped.matches] == [3, 3, 3]
    assert capped.notes[-1] == "compares with 3 of 8 good pictures, which cover all best"
    assert "compares with" not in " ".join(learner.learn([0, 1]).notes)
    # the four pictures are there twice: three different ones are kept
    banks = capped.matches[0].bank.float().flatten(1)
    assert torch.pdist(banks).min() > 1


def test_examples_are_pictures_that_were_learned_from(learner: CprLearner) -> None:
    examples = learner.learn([0, 1]).examples

    assert len(examples) == QUICK.pool == 12
    good = [part(seed)[0].astype(int) for seed in (0, 1)]
    for example in examples:
        assert example.picture.shape == (64, 64, 3)
        assert not example.real
        off = ~cv2.dilate(example.mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
        assert min(np.median(np.abs(example.picture - g)[off]) for g in good) < 20  # a little lighter or darker
    assert sum(example.mask.any() for example in examples) >= 6


def test_real_defects_join_the_made_up_ones_in_three_ways() -> None:
    made = [part(seed, scratched=True) for seed in (300, 301)]
    defects = RealDefects((), np.stack([image for image, _ in made]), np.stack([mask > 0 for _, mask in made]))
    settings = QUICK.model_copy(update={"pool": 12 * EVERY})

    detector = CprLearner(parts(10), settings, 16, 3, SilentProgress(), defects=defects).learn(range(10))

    assert detector.entries == 10  # a defect is never a reference
    assert any("2 pictures of real defects (cpr.defects) were learned from" in note for note in detector.notes)
    assert {example.real for example in detector.examples} == {True, False}
    good = [measured(detector, torch.from_numpy(part(seed)[0][None]))[0] for seed in (100, 101, 102)]
    bad = [measured(detector, torch.from_numpy(part(seed, scratched=True)[0][None]))[0] for seed in (200, 201, 202)]
    assert max(good) < min(bad)


class Maker:
    """What `SourcePicker` asks of a `PictureMaker`: two real defects behind ten good pictures."""

    real = range(10, 12)

    def alike(self, row: int) -> list[int]:
        return [row - 10, row - 9]


def test_each_real_defect_appears_as_it_is_where_it_was_found_and_anywhere() -> None:
    sources = SourcePicker(Maker(), (0, 1, 2, 3)).pick(range(12 * EVERY))  # type: ignore[arg-type]

    real = [s for s in sources if s.row >= 10 or s.defect is not None]
    assert len(real) == len(sources) // EVERY == 12
    for defect in (0, 1):
        mine = [s for s in real if s.row == 10 + defect or s.defect == defect]
        itself = [s for s in mine if s.row == 10 + defect]
        found = [s for s in mine if s.defect == defect and not s.anywhere]
        anywhere = [s for s in mine if s.anywhere]
        assert (len(itself), len(found), len(anywhere)) == (2, 2, 2)
        assert {s.row for s in found} <= {defect, defect + 1}
    assert [s.number for s in sources] == list(range(12 * EVERY))


def test_a_scratched_part_scores_above_a_good_one(learner: CprLearner) -> None:
    detector = learner.learn(range(10))

    good = [measured(detector, torch.from_numpy(part(seed)[0][None]))[0] for seed in (100, 101, 102)]
    bad = [measured(detector, torch.from_numpy(part(seed, scratched=True)[0][None]))[0] for seed in (200, 201, 202)]
    assert max(good) < min(bad)


def test_what_was_decided_is_reported_and_noted() -> None:
    output: list[str] = []
    learner = CprLearner(made_pictures(6).numpy(), QUICK, 16, 0, PlainProgress(output.append))

    notes = learner.learn(range(6)).notes

    assert [note.split(":")[0] for note in notes] == ["kind"]
    text = "".join(output)
    for step in ("features: ", "made-up defects: 12/12", "made-up validation: ", "step 1: loss "):
        assert step in text


def test_a_folder_of_textures_comes_on_top_of_those_that_a_program_makes(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "wood").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"wood/{number}.png"), np.full((20, 30, 3), 50 * number, np.uint8))

    found = load_textures(tmp_path, 64, 96, 0, SilentProgress())

    assert {image.shape for image in found} == {(64, 96, 3)}
    assert len(found) == OWN_TEXTURES + 3
    assert [int(image[0, 0, 0]) for image in found[OWN_TEXTURES:]] == [0, 50, 100]
    assert len(load_textures(None, 64, 96, 0, SilentProgress())) == OWN_TEXTURES


def test_a_folder_without_textures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cpr\.textures: .* holds no pictures .*; name a folder that does, or null"):
        load_textures(tmp_path / "none", 64, 64, 0, SilentProgress())


def test_taps_are_the_recipes_choice() -> None:
    learner = CprLearner(parts(3), QUICK.model_copy(update={"taps": (2, 3)}), 16, 0, SilentProgress())

    assert len(learner.learn([0, 1, 2]).matches) == 2


def test_taps_at_other_strides_are_refused_with_those_that_fit() -> None:
    with pytest.raises(ConfigError, match=r"cpr.taps is \[3, 4\], which efficientnet-lite0 has at strides \[8, 16\]"):
        CprLearner(parts(3), QUICK.model_copy(update={"taps": (3, 4)}), 16, 0, SilentProgress())
