"""Reports to look at: a bundle's manifest, an evaluation whose scores are known, and the page read back."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import Picture
from edge_build.evaluation.result import Evaluation
from edge_build.graphs.parity import Parity
from edge_build.report.page import ReportData
from edge_calibration.threshold import threshold_from_good
from edge_runtime.bundle.manifest import Dataset, GraphEntry, Manifest, Threshold, Tolerance
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.records import Outcome, Precision

SIZE = 32
HELD_OUT = np.linspace(10.0, 20.0, 120)
THRESHOLD = threshold_from_good(HELD_OUT, HELD_OUT, 0.01, "cross-fitted")


class Page(HTMLParser):
    """Reads a page and keeps what the tests ask about; fails on tags that do not nest."""

    VOID = frozenset({"meta", "img", "br", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style":
            self.words.append(data)
        if self.stack and self.stack[-1] in ("h2", "h3"):
            self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())  # narrow spaces become plain ones too


def manifest(threshold: Threshold = THRESHOLD, recipe: str = "name: parts\n") -> Manifest:
    return Manifest(
        schema_version=1,
        name="parts",
        version="2.1",
        detector="patchcore",
        backbone="efficientnet-lite0",
        height=SIZE,
        width=SIZE,
        preprocessing=PREPROCESSING,
        graphs={Precision.FP32: GraphEntry(file="model.fp32.onnx", threshold=threshold)},
        golden=(),
        tolerance=Tolerance(score=0.001, map=0.002),
        dataset=Dataset(
            name="parts", fingerprint="ab" * 32, train=90, calibration=10, threshold=120, test_good=3, test_defect=3
        ),
        figures={},
        recipe=recipe,
        seed=7,
        builder="edge-build 9.9",
        files={},
    )


def write_picture(root: Path, label: str, index: int, score: float, mask: bool = True) -> Picture:
    path = root / "test" / label / f"{index}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 96, 3), int(score), np.uint8))
    return Picture(path, label, path if mask and label != "good" else None, "0" * 64)


def evaluation_of(root: Path, scored: list[tuple[str, float]], masked: bool = True) -> Evaluation:
    """Pictures with these labels and scores; the defect is the map's upper left corner."""
    pictures = tuple(write_picture(root, label, i, score) for i, (label, score) in enumerate(scored))
    scores = np.array([score for _, score in scored], np.float64)
    maps = np.full((len(scored), SIZE, SIZE), 9.0, np.float32)
    maps[:, :8, :8] = scores[:, None, None]
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[:8, :8] = True
    masks: list[NDArray[np.bool_] | None] = [
        np.zeros_like(mask) if p.label == "good" else mask if masked else None for p in pictures
    ]
    outcomes = tuple(Outcome.NOK if score > THRESHOLD.score else Outcome.OK for score in scores)
    latencies = np.full(len(scored), 12.5)
    return Evaluation(
        pictures, scores, maps, tuple(masks), latencies, outcomes, (None,) * len(scored), THRESHOLD, "an engine"
    )


def six_pictures(root: Path) -> Evaluation:
    """Three good ones, of which one is rejected, and three defects, of which one is missed."""
    scored = [("good", 12.0), ("good", 14.0), ("good", 23.0), ("dent", 15.0), ("dent", 40.0), ("hole", 30.0)]
    return evaluation_of(root, scored)


def data_of(evaluation: Evaluation | None, root: Path, **changes: object) -> ReportData:
    evaluations = {} if evaluation is None else {Precision.FP32: evaluation}
    data = {"manifest": manifest(), "notes": ("left out 2 exact copies",)} | changes
    return ReportData(
        held_out={Precision.FP32: HELD_OUT}, evaluations=evaluations, parity=Parity(4, 1e-5, 2e-5), root=root, **data
    )  # type: ignore[arg-type]
