from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.tiny_dataset import write_dataset

from edge_build.data.dataset import scan_dataset
from edge_build.progress import SilentProgress
from edge_build.recipe.detector_settings import CprSettings
from edge_build.recipe.recipe import Recipe
from edge_build.workflows.build import build
from edge_build.workflows.provenance import provenance_of
from edge_runtime.errors import ConfigError


def test_the_recipe_its_folders_and_the_pictures_count_but_not_where_they_are(tmp_path: Path) -> None:
    dataset = scan_dataset(write_dataset(tmp_path / "parts", test=0))
    textures = tmp_path / "wood"
    textures.mkdir()
    (textures / "1.png").write_bytes(b"1")

    def provenance(recipe: Recipe, thorough: bool = False) -> dict[str, str]:
        return {
            dependency.name: dependency.value for dependency in provenance_of(recipe, thorough, dataset, "edge-build 1")
        }

    plain = Recipe(name="a", version="1", dataset=tmp_path / "parts", cpr=CprSettings(textures=textures))
    first = provenance(plain)

    assert (first["cpr.steps"], first["threshold.share"], first["built by"]) == ("600", "0.2", "edge-build 1")
    assert provenance(plain.model_copy(update={"dataset": tmp_path / "elsewhere"})) == first
    textures = textures.rename(tmp_path / "oak")
    moved = plain.model_copy(update={"cpr": CprSettings(textures=textures)})
    assert provenance(moved) == first
    assert {name for name, value in provenance(moved, thorough=True).items() if value != first[name]} == {"--thorough"}
    (textures / "2.png").write_bytes(b"22")
    assert {name for name, value in provenance(moved).items() if value != first[name]} == {"cpr.textures"}


def test_thorough_is_refused_where_it_changes_nothing(tmp_path: Path) -> None:
    recipe = Recipe(name="a", version="1", dataset=tmp_path / "parts")

    with pytest.raises(ConfigError, match="--thorough is for detectors that are trained; patchcore learns the same"):
        build(recipe, "", tmp_path, SilentProgress(), thorough=True)
