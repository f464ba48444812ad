"""Recipes: what is taken, and the error of all that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_build.recipe.detector_settings import BankSettings
from edge_build.recipe.recipe import Recipe, read_recipe, recipe_json_schema
from edge_runtime.errors import ConfigError

SHORT = "name: screw\nversion: 1\ndataset: pictures\n"


@pytest.fixture
def recipe(tmp_path):
    """Reads a recipe from its text."""

    def read(text: str) -> Recipe:
        path = tmp_path / "r.yaml"
        path.write_text(text, encoding="utf-8")
        return read_recipe(path)

    return read


@pytest.fixture
def problems(recipe, tmp_path):
    """The lines of the error about a recipe's text, without the file's name."""

    def read(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            recipe(text)
        return [line.strip() for line in str(caught.value).replace(str(tmp_path / "r.yaml"), "r.yaml").splitlines()]

    return read


def test_three_keys_are_enough(recipe, tmp_path):
    read = recipe(SHORT)
    assert read.dataset == tmp_path / "pictures"
    assert (read.name, read.version, read.detector, read.size, read.seed) == ("screw", "1", "patchcore", 320, 0)
    assert (read.threshold.false_reject_rate, read.threshold.method, read.threshold.folds) == (0.01, "cross-fitted", 10)
    assert (read.threshold.share, read.calibration.pictures, read.golden.pictures) == (0.2, 16, 4)
    assert (read.patchcore.backbone, read.patchcore.stages, read.patchcore.neighbors) == (
        "efficientnet-lite0",
        (3, 5),
        9,
    )
    assert (read.patchcore.bank.ratio, read.patchcore.bank.entries, read.patchcore.dimensions) == (0.01, None, None)


def test_every_key_can_be_set(recipe):
    read = recipe(
        SHORT
        + """
detector: patchcore
size: [256, 512]
seed: 7
threshold: {false_reject_rate: 5e-3, method: held-out, folds: 3, share: 0.25}
calibration: {pictures: 8, exposure: 0.3, lighting: 0, budget: 0.02}
precisions: [fp32, int8]
patchcore: {backbone: efficientnet-lite2, stages: [2, 4], bank: {entries: 5000}, neighbors: 1, dimensions: 0.95}
golden: {pictures: 2}
"""
    )
    assert read.size == (256, 512)
    assert read.threshold.false_reject_rate == 0.005
    assert read.patchcore.bank == BankSettings(entries=5000)
    assert read.patchcore.dimensions == 0.95
    assert (read.calibration.set_aside, read.calibration.budget, read.precisions) == (16, 0.02, ("fp32", "int8"))


@pytest.mark.parametrize("precisions", ["[int8]", "[]", "[fp32, fp32]", "[fp32, fp8]", "int8"])
def test_precisions_are_beside_fp32(problems, precisions):
    _, *output = problems(SHORT + f"precisions: {precisions}\n")
    assert output
    assert all("allowed: fp32, and fp16 and int8 as wanted" in line for line in output)


@pytest.mark.parametrize("detector", ["combined", "cpr-faster", "cpr-fast", "cpr"])
def test_what_is_trained_holds_pictures_out_for_its_threshold_unless_the_recipe_says_otherwise(recipe, detector):
    usual = recipe(SHORT + f"detector: {detector}\nthreshold: {{share: 0.3}}")
    output = recipe(SHORT + f"detector: {detector}\nthreshold: {{method: cross-fitted}}")
    assert (usual.threshold.method, usual.threshold.share) == ("held-out", 0.3)
    assert recipe(SHORT + f"detector: {detector}").threshold.method == "held-out"
    assert output.threshold.method == "cross-fitted"


def test_the_backbone_is_that_of_the_detector(recipe):
    text = SHORT + "patchcore: {backbone: efficientnet-lite1}\ncpr: {backbone: efficientnet-lite2}\n"
    assert recipe(text).active.backbone == "efficientnet-lite1"
    assert recipe(text + "detector: cpr-faster").active.backbone == "efficientnet-lite2"
    assert recipe(text + "detector: combined").active.backbone == "efficientnet-lite2"


def test_a_recipe_of_before_that_names_no_detector_means_patchcore(recipe):
    assert recipe(SHORT).detector == "patchcore"


def test_paths_are_seen_from_the_recipes_folder(recipe, tmp_path):
    weights = "{backbone: densenet201, backbone_weights: nets/d.pth}"
    assert recipe(SHORT + "cpr: {textures: wood}").cpr.textures == tmp_path / "wood"
    assert recipe(SHORT + f"cpr: {weights}").cpr.backbone_weights == tmp_path / "nets/d.pth"
    assert recipe(SHORT + f"patchcore: {weights}").patchcore.backbone_weights == tmp_path / "nets/d.pth"
    assert recipe(SHORT).cpr.textures is recipe(SHORT).cpr.backbone_weights is None


def test_an_absolute_dataset_stays_where_it_is(recipe, tmp_path):
    assert recipe(f"name: a\nversion: 1\ndataset: {tmp_path / 'x'}\n").dataset == tmp_path / "x"


@pytest.mark.parametrize("version", ["1.10", "007", "2024-01-31", "1_0", "no", "1e3", "'1.10'"])
def test_a_version_is_taken_as_it_is_written(recipe, version):
    assert recipe(f"name: a\nversion: {version}\ndataset: x\n").version == version.strip("'")


def test_a_name_may_be_no(recipe):
    assert recipe("name: no\nversion: 1\ndataset: on\n").name == "no"


def test_a_number_of_dimensions_stays_whole(recipe):
    dimensions = recipe(SHORT + "patchcore: {dimensions: 64}").patchcore.dimensions
    assert (dimensions, type(dimensions)) == (64, int)


def test_the_bank_is_a_share_or_a_number_of_patches():
    assert BankSettings(ratio=0.01).entries_for(100_000) == 1000
    assert BankSettings(ratio=0.001).entries_for(100) == 1
    assert BankSettings(entries=500).entries_for(100_000) == 500
    assert BankSettings(entries=500).entries_for(200) == 200


def test_all_problems_are_reported_at_once_with_their_lines(problems):
    assert problems(
        """name: a b
dataset:
dettector: x
size: 250
seed: -1
backbone: x
flurb: 1
golden: 3
threshold:
  false_reject_rate: 1
  method: no
  folds: true
  share: "0.2"
patchcore:
  backbone: resnet
  stages: [5, 3]
  bank: {ratio: 0.1, entries: 3}
  dimensions: 4
  neighbors: 2.5
"""
    ) == [
        "r.yaml does not describe a recipe:",
        "version: missing; allowed: 1 to 20 letters, digits, _ . and -, starting with a letter or digit",
        "line 1, name: found 'a b'; allowed: 1 to 40 letters, digits, _ and -, starting with a letter or digit",
        "line 2, dataset: found nothing; allowed: a path, a relative one as seen from the recipe's own folder",
        "line 3, dettector: unknown key; did you mean detector?",
        "line 4, size: found 250; allowed: one or two multiples of 32 from 64 to 2048",
        "line 5, seed: found -1; allowed: a whole number, 0 or more",
        "line 6, backbone: unknown key here; it belongs under patchcore or under cpr",
        "line 7, flurb: unknown key; allowed: name, version, dataset, exclude, all_good, detector, size, view, seed, "
        "threshold, calibration, precisions, patchcore, cpr, combined, golden",
        "line 8, golden: found 3; allowed: the keys pictures",
        "line 10, threshold.false_reject_rate: found 1; allowed: above 0, at most 0.5",
        "line 11, threshold.method: found 'no'; allowed: cross-fitted or held-out",
        "line 12, threshold.folds: found true; allowed: a whole number, 2 to 20",
        "line 13, threshold.share: found '0.2'; allowed: above 0, at most 0.5",
        "line 15, patchcore.backbone: found 'resnet'; "
        "allowed: efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, and with backbone_weights "
        "efficientnet-b0, densenet201",
        "line 16, patchcore.stages: found [5, 3]; allowed: two of 1 to 7, ascending",
        "line 17, patchcore.bank: found the keys ratio, entries; allowed: ratio or entries, exactly one of them",
        "line 18, patchcore.dimensions: found 4; "
        "allowed: null (all), a number of 8 or more, or a share of variance kept such as 0.95",
        "line 19, patchcore.neighbors: found 2.5; allowed: a whole number, 1 or more",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("detector: cpr-fastest", "'cpr-fastest'; allowed: combined, patchcore, cpr-faster, cpr-fast, cpr"),
        ("cpr: {kind: part}", "'part'; allowed: auto, object, texture"),
        ("cpr: {width: 50}", "50; allowed: a multiple of 12 from 12 to 192"),
        ("cpr: {textures: []}", "[]; allowed: null or a path, a relative one as seen from the recipe's own folder"),
        ("size: [64, 70]", "[64, 70]; allowed: one or two multiples of 32"),
        ("size: [64, 64, 64]", "[64, 64, 64]; allowed: one or two multiples of 32"),
        ("size: 4096", "4096; allowed: one or two multiples of 32 from 64 to 2048"),
        ("size: large", "'large'; allowed: one or two"),
        ("seed: .nan", "nan; allowed: a whole number, 0 or more"),
        ("patchcore: {stages: [1, 9]}", "9; allowed: two of 1 to 7, ascending"),
        ("patchcore: {stages: [3, 5, 7]}", "[3, 5, 7]; allowed: two of 1 to 7, ascending"),
        ("patchcore: {bank: {}}", "no keys; allowed: ratio or entries, exactly one of them"),
        ("patchcore: {bank: {ratio: 0}}", "0; allowed: above 0, at most 1"),
        ("patchcore: {bank: {entries: 0}}", "0; allowed: a whole number, 1 or more"),
        ("patchcore: {dimensions: 1.0}", "1.0; allowed: null (all), a number of 8"),
        ("patchcore: {dimensions: true}", "true; allowed: null (all), a number of 8"),
        ("threshold: {false_reject_rate: .inf}", "inf; allowed: above 0, at most 0.5"),
        ("threshold:", "nothing; allowed: the keys false_reject_rate, method, folds, share"),
    ],
)
def test_an_impossible_value_is_reported_with_what_is_allowed(problems, line, problem):
    found = problems(SHORT + line)
    assert found[0] == "r.yaml does not describe a recipe:"
    assert found[1].startswith("line 4, ")
    assert f"found {problem}" in found[1]


def test_a_missing_item_is_reported_with_the_line_of_its_list(problems):
    assert problems(SHORT + "patchcore: {stages: [3]}")[1] == (
        "line 4, patchcore.stages.1: missing; allowed: two of 1 to 7, ascending"
    )


def test_a_key_in_the_wrong_place_is_reported_with_its_place(problems):
    assert problems(SHORT + "patchcore: {ratio: 0.1}")[1] == (
        "line 4, patchcore.ratio: unknown key here; it belongs under patchcore.bank"
    )
    assert problems(SHORT + "golden: {dataset: x}")[1] == (
        "line 4, golden.dataset: unknown key here; it belongs at the top"
    )


def test_keys_that_stand_twice_are_refused(problems):
    assert problems(SHORT + "seed: 1\ngolden:\n  pictures: 1\n  pictures: 2\nseed: 2\n") == [
        "r.yaml: line 7: golden.pictures stands here again, first in line 6; "
        "line 8: seed stands here again, first in line 4"
    ]


def test_text_that_is_no_yaml_is_refused_with_its_line(problems):
    (line,) = problems("name: [a\nversion: 1\n")
    assert line.startswith("r.yaml: line 2: this is no YAML: ")


def test_aliases_are_refused(problems):
    assert problems("name: x\nversion: *a\n") == [
        "r.yaml: line 2: an alias (*name) is used: write the value again instead, or quote it"
    ]


@pytest.mark.parametrize("text", ["", "- 1\n", "hello", "# only a comment\n"])
def test_a_file_without_keys_is_refused(problems, text):
    assert problems(text) == ["r.yaml holds no keys; `edge-build init` writes a recipe"]


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file or directory; check the path"):
        read_recipe(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes("name: Stück".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"r\.yaml is not UTF-8 text \(line 1, byte 8\): save it as UTF-8"):
        read_recipe(path)


def test_the_schema_knows_every_key_and_refuses_others():
    schema = recipe_json_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "version", "dataset"]
    assert schema["properties"]["size"]["anyOf"][0]["multipleOf"] == 32


def test_every_field_says_what_it_is_and_what_is_allowed():
    def fields(schema):
        yield from schema.get("properties", {}).values()
        for inner in schema.get("$defs", {}).values():
            yield from fields(inner)

    assert all("; allowed: " in field["description"] for field in fields(recipe_json_schema()))


def test_recipes_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Recipe(name="a", version="1", dataset=Path("x")).seed = 2
