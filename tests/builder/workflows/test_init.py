"""The recipe that is written for a folder of pictures."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.mvtec_dataset import write_mask

from edge_build.data.dataset import Dataset, NativeSize
from edge_build.data.pictures import DatasetError, Picture
from edge_build.progress import PlainProgress
from edge_build.recipe.recipe import Recipe, ThresholdSettings, read_recipe, recipe_from_yaml
from edge_build.recipe.view_settings import ViewSettings
from edge_build.workflows.init import recipe_for
from edge_build.workflows.recommendation import recommendation_of
from edge_runtime.errors import ConfigError


def write(path, seed, height, width, channels=3):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def write_good(folder, count=10, height=340, width=360, channels=3):
    for n in range(count):
        write(folder / f"{n}.png", n, height, width, channels)


def read(text):
    return recipe_from_yaml(text, Path("recipe.yaml"))


def test_the_recipe_has_all_defaults_and_is_accepted(tmp_path):
    write_good(tmp_path / "gear")
    recipe = read(recipe_for(tmp_path / "gear", "patchcore"))
    assert recipe == Recipe(name="gear", version="1", dataset=tmp_path / "gear")


def in_one_line(text: str) -> str:
    return " ".join(text.replace("#", " ").split())


@pytest.mark.parametrize(
    ("detector", "count", "why"),
    [
        (
            "patchcore",
            10,
            "detector: patchcore, which learns in minutes, from few pictures, and needs no part that lies alike. 10 "
            "good pictures are too few for cpr-faster, worth it from 60 on size: 288 x 288. The pictures (340 "
            "high, 300 wide) are reduced to it, so a defect should be 4 of their pixels high or 3 wide; a larger size "
            "finds smaller ones, and takes time with its area threshold: cross-fitted, so every good picture is "
            "learned from and yet judged by a detector that has not seen it; 1% of good parts may be rejected, which "
            "can be changed later without learning again",
        ),
        (
            "cpr-faster",
            10,
            "With 10 good pictures patchcore is the safer choice: it holds none of them out size: 288 x 288.",
        ),
        (
            "cpr-faster",
            62,
            "marks small ones more exactly than patchcore, where parts lie alike. Here they are taken as they lie: "
            "compare it with patchcore",
        ),
        ("cpr-faster", 62, "threshold: 20% of the good pictures are held out for it, as a training for each fold"),
        ("patchcore", 62, "cpr-faster gains most where parts lie alike or the view finds them, which is not so here"),
    ],
)
def test_what_is_recommended_is_said_with_its_reason(tmp_path: Path, detector: str, count: int, why: str) -> None:
    write_good(tmp_path, count, 340 if count == 10 else 32, 300 if count == 10 else 32)
    assert why in in_one_line(recipe_for(tmp_path, detector))


def test_parts_that_the_view_finds_are_worth_a_training(tmp_path: Path) -> None:
    pictures = tuple(Picture(tmp_path / f"{n}.png", "good", None, "") for n in range(80))
    dataset = Dataset("parts", tmp_path, pictures, (), (NativeSize(400, 640, 80),), True)
    recipe = Recipe(name="a", version="1", dataset=tmp_path, size=(160, 512), view=ViewSettings(pose="axis"))

    text = in_one_line("\n".join(recommendation_of(dataset, recipe)))

    assert "The view brings these parts to one place, and there cpr-faster marks small defects more exactly" in text
    assert "size: 160 high, 512 wide, in the part's shape." in text


def in_full(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@pytest.mark.parametrize("detector", ["combined", "cpr-faster", "cpr-fast", "cpr"])
def test_a_recipe_for_what_is_trained_holds_pictures_out(tmp_path, detector):
    write_good(tmp_path / "gear", height=400, width=400)
    recipe = read(recipe_for(tmp_path / "gear", detector))
    held_out = ThresholdSettings(method="held-out", share=0.4 if detector == "combined" else 0.2)
    assert recipe == Recipe(
        name="gear",
        version="1",
        dataset=tmp_path / "gear",
        detector=detector,
        size=320,
        threshold=held_out,
    )


@pytest.mark.parametrize(
    ("detector", "others"),
    [
        ("combined", ("patchcore",)),
        ("patchcore", ("cpr", "combined")),
        ("cpr-faster", ("patchcore", "combined")),
        ("cpr", ("patchcore", "combined")),
    ],
)
def test_every_key_but_those_of_other_detectors_stands_there_with_a_comment(tmp_path, detector, others):
    write_good(tmp_path)
    text = recipe_for(tmp_path, detector)

    def keys(model):
        for name, field in model.model_fields.items():
            if name in others:
                continue
            yield name
            if hasattr(field.annotation, "model_fields"):
                yield from keys(field.annotation)

    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for key in keys(Recipe):
        assert any(line.lstrip(" #").startswith(f"{key}:") and line.count("# ") >= 1 for line in lines)
    assert not any(line.startswith(f"{other}:") for line in lines for other in others)


def test_the_usual_detector_combines_both(tmp_path):
    write_good(tmp_path)

    assert read(recipe_for(tmp_path)).detector == "combined"


def test_yes_and_no_are_written_as_yaml_and_its_comments_have_them(tmp_path):
    write_good(tmp_path)
    text = recipe_for(tmp_path, "patchcore")
    assert "  adapt: true " in text
    assert not re.search(r": (True|False|None)\b", text)


def test_what_was_found_stands_at_the_top(tmp_path):
    write_good(tmp_path / "train" / "good", channels=1)
    write(tmp_path / "test" / "good" / "0.png", 50, 340, 360, 1)
    for n in range(2):
        write(tmp_path / "test" / "dent" / f"{n}.png", 60 + n, 340, 360, 1)
    text = recipe_for(tmp_path)
    assert text.startswith(
        f"# Found in {tmp_path} (train and test folders, as MVTec AD has them):\n#   10 good pictures to learn from\n"
    )
    assert "#   size (width x height): 360 x 340; grey\n" in text
    assert "#   3 test pictures: 1 good, 2 dent\n#   no masks, so no pixel metrics\n" in text


def test_masks_and_notes_are_mentioned(tmp_path):
    write_good(tmp_path / "train" / "good")
    write_good(tmp_path / "train" / "other", 1)
    write(tmp_path / "test" / "dent" / "0.png", 60, 340, 360)
    write_mask(tmp_path / "ground_truth" / "dent" / "0_mask.png", 340, 360)
    text = recipe_for(tmp_path)
    assert "#   all defects have masks\n#   nothing is learned from train/other\n" in text


def test_a_folder_of_good_pictures_needs_no_test_pictures(tmp_path):
    write_good(tmp_path)
    assert "#   no test pictures: nothing will be measured, but a threshold needs none\n" in recipe_for(tmp_path)


def test_the_false_reject_rate_that_so_few_pictures_allow_is_reported(tmp_path):
    write_good(tmp_path)
    assert (
        "# With 9 pictures for the threshold, a false reject rate of 10.0% is the lowest that can be\n"
        "# promised; for 1% there must be 109 good pictures or more.\n"
    ) in recipe_for(tmp_path, "patchcore")
    assert "# With 4 pictures for the threshold, " in recipe_for(tmp_path)  # combined learns from the others


def test_with_enough_pictures_nothing_is_reported_of_the_false_reject_rate(tmp_path):
    write_good(tmp_path, count=109, height=8, width=8)
    assert "promised" not in recipe_for(tmp_path, "patchcore")


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(400, 420, (320, 320)), (300, 320, (288, 288)), (600, 200, (544, 192)), (100, 900, (96, 896)), (10, 12, (64, 64))],
)
def test_a_size_is_suggested_for_the_pictures(tmp_path, height, width, size):
    write_good(tmp_path, 4, height, width)
    text = recipe_for(tmp_path)
    assert in_full(read(text).size) == size
    assert ("not square because the pictures are not" in in_one_line(text)) == (size[0] != size[1])
    squeezed = in_one_line(recipe_for(tmp_path, size=64))
    assert (f"A square squeezes these pictures; size: {list(size)} keeps" in squeezed) == (size[0] != size[1])


def test_several_sizes_are_counted(tmp_path):
    write_good(tmp_path / "a", 5, 40, 40)
    for n in range(4):
        write(tmp_path / "b" / f"{n}.png", 90 + n, 40, 41 + n)
    assert "size (width x height): 40 x 40 (5), 41 x 40 (1), 42 x 40 (1) and 2 more sizes" in recipe_for(tmp_path)


@pytest.mark.parametrize(("asked", "size"), [(320, (320, 320)), ((128, 512), (128, 512))])
def test_a_size_that_is_asked_for_is_taken(tmp_path, asked, size):
    write_good(tmp_path, 4)
    assert in_full(read(recipe_for(tmp_path, "patchcore", asked)).size) == size


def test_a_detector_and_a_size_that_do_not_exist_are_refused(tmp_path):
    write_good(tmp_path, 4)
    with pytest.raises(ConfigError) as caught:
        recipe_for(tmp_path, "cpr-fastest", 250)
    assert "the new recipe does not describe a recipe:" in str(caught.value)
    assert "detector: found 'cpr-fastest'; allowed: combined, patchcore, cpr-faster, cpr-fast, cpr" in str(caught.value)
    assert "size: found 250; allowed: one or two multiples of 32" in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Prüf teil #1: 50%", "Pr-f-teil-1-50"), ("no", "no"), ("---", "inspection"), ("x" * 60, "x" * 40)],
)
def test_any_folders_name_makes_a_recipe(tmp_path, folder, name):
    root = tmp_path / folder
    write_good(root, 4, 8, 8)
    recipe = read(recipe_for(root))
    assert (recipe.name, recipe.dataset) == (name, root)


def test_a_recipe_kept_in_another_folder_still_finds_its_pictures(tmp_path, monkeypatch):
    write_good(tmp_path / "pictures" / "screws", 4, 8, 8)
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("recipes/r.yaml").write_text(recipe_for(Path("pictures/screws")))
    recipe = read_recipe(Path("recipes/r.yaml"))
    assert (recipe.name, recipe.dataset) == ("screws", tmp_path / "pictures" / "screws")
    assert "a relative one as seen from the recipe's own folder" in Path("recipes/r.yaml").read_text()


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="has no good pictures"):
        recipe_for(tmp_path)


def test_a_picture_that_a_build_will_refuse_for_its_shape_is_reported(tmp_path):
    write_good(tmp_path, 8, 30, 60)
    write(tmp_path / "turned.png", 90, 60, 30)
    output = []
    text = recipe_for(tmp_path, progress=PlainProgress(output.append))
    assert "# `edge-build build` refuses this: 1 of 9 good pictures have another shape than the others" in text
    assert f"#   {tmp_path}/turned.png: 30 x 60 pixels, width / height 0.500\n" in text
    assert any(line.startswith("`edge-build build` refuses this: 1 of 9") for line in output)
