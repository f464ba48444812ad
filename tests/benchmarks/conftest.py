from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.support.tiny_bundle import write_bundle

from edge_build.progress import SilentProgress
from edge_build.recipe.recipe import recipe_from_yaml
from edge_build.sample.dataset import SampleCounts, make_sample
from edge_build.workflows.build import build

RECIPE = """
name: parts
version: 1
dataset: {dataset}
detector: cpr-faster
size: 64
precisions: [fp32, fp16]
cpr: {{kind: object, pool: 4, steps: 8, width: 12}}
"""


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one category, `parts`: eight good parts of the rendered sample, one more and one of each defect."""
    folder = tmp_path_factory.mktemp("data")
    make_sample(folder / "parts", 0, SampleCounts(train=8, test_good=1, per_defect=1), SilentProgress())
    return folder


@pytest.fixture(scope="session")
def category(data: Path) -> Path:
    return data / "parts"


@pytest.fixture(scope="session")
def cpr_bundle(category: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CPR-Faster at 64 x 64, which learned next to nothing."""
    recipe = RECIPE.format(dataset=category)
    out = tmp_path_factory.mktemp("bundles")
    return Path(build(recipe_from_yaml(recipe, Path("recipe.yaml")), recipe, out, SilentProgress()).folder)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    """One without a network: its graph measures how bright a picture is."""
    return write_bundle(tmp_path / "tiny-1.0")
