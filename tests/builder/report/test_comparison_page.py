"""The page of a comparison shows what bundles judge differently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.brightest_pixel import evaluation_of, write_dataset
from tests.support.report_page import Page

from edge_build.evaluation.comparison import compare
from edge_build.report.comparison_page import write_comparison_page
from edge_runtime.errors import PictureError


def test_pictures_that_are_judged_differently_stand_with_the_map_of_each_bundle(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "parts")
    first = evaluation_of(root)
    blind = replace(first, scores=np.where(first.defect, 1.0, first.scores))
    evaluations = {"sees-1": first, "blind-1": blind}
    comparison = compare(evaluations, root, 0.34, 0)
    page = tmp_path / "compared.html"

    write_comparison_page(page, comparison, evaluations, root)

    found = Page(page.read_text())
    assert "Judged differently" in found.headings
    assert len(comparison.differing) == 3
    assert len(found.sources) == 3 * (1 + 2)  # the picture, and the map of each bundle
    words = " ".join(found.words)
    for differing in comparison.differing:
        assert differing.picture in words
    assert f"NOK, {comparison.differing[0].ratios[0]:.2f}" in words


def test_a_picture_that_is_gone_leaves_no_page(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "parts")
    first = evaluation_of(root)
    evaluations = {"sees-1": first, "blind-1": replace(first, scores=np.where(first.defect, 1.0, first.scores))}
    comparison = compare(evaluations, root, 0.34, 0)
    for path in (root / "test").rglob("*.png"):
        path.unlink()

    with pytest.raises(PictureError):
        write_comparison_page(tmp_path / "compared.html", comparison, evaluations, root)

    assert not (tmp_path / "compared.html").exists()
