"""`edge-build view`: learn a recipe's view, and write a page that shows it."""

from __future__ import annotations

from pathlib import Path

from edge_build.data.dataset import scan_dataset
from edge_build.progress import Progress
from edge_build.recipe.recipe import Recipe
from edge_build.report.view_page import write_view_page
from edge_build.views.learn import learn_view


def show_view(recipe: Recipe, page: Path, progress: Progress) -> Path:
    """Raises ConfigError and DatasetError as a build would, StorageError when the page cannot be written."""
    dataset = scan_dataset(recipe.dataset, progress, recipe.exclude, recipe.all_good)
    learned = learn_view(dataset.good, recipe.view, recipe.size, progress)
    write_view_page(page, recipe.label, learned, dataset.good, dataset.root)
    return page
