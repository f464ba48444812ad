"""Another false-reject rate for a bundle, from the scores that it keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.calibrated_bundle import write_calibrated_bundle
from tests.support.tiny_bundle import THRESHOLD, write_pictures
from tests.support.tiny_line import calibrated, tiny_bundle

from edge_build.bundling.held_out_scores import read_held_out_scores
from edge_build.data.pictures import DatasetError
from edge_build.progress import PlainProgress, SilentProgress
from edge_build.workflows.change_rate import set_rate
from edge_build.workflows.recalibrate import recalibrate
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Calibrated on twenty pictures, at 10 %."""
    write_pictures(tmp_path / "line", "o" * 20)
    return calibrated(tiny_bundle(tmp_path / "tiny-1.0"), tmp_path / "line")[0]


def contents(folder: Path, *left_out: str) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in left_out)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_threshold_is_what_the_pictures_would_have_given(bundle: Bundle, tmp_path: Path) -> None:
    output: list[str] = []
    made = set_rate(bundle.folder, 0.3, "1.2", tmp_path / "out", PlainProgress(output.append))
    again = recalibrate(tmp_path / "tiny-1.0", tmp_path / "line", "again", tmp_path / "out", SilentProgress(), rate=0.3)

    after = open_bundle(Path(made.folder))
    assert after.threshold(Precision.FP32) == open_bundle(Path(again.folder)).threshold(Precision.FP32)
    assert after.threshold(Precision.FP32).score < bundle.threshold(Precision.FP32).score
    assert "false-reject rate 10.00% before, 30.00% now" in "".join(output)
    changed = ("manifest.json", "report.html")
    assert contents(after.folder, *changed) == contents(bundle.folder, *changed)


def test_the_report_tells_the_chain_and_both_rates(bundle: Bundle, tmp_path: Path) -> None:
    made = set_rate(bundle.folder, 0.3, "1.2", tmp_path / "out", SilentProgress())

    report = (Path(made.folder) / "report.html").read_text()
    steps = "built, learned from 1 good pictures of made<br>tiny-1.1: recalibrated on 20 good pictures of line"
    assert f"{steps}<br>tiny-1.2: another false-reject rate" in report
    assert "<strong>30.00\u202f%</strong> instead of 10.00\u202f%, on the same 20 held-out good pictures" in report
    assert "20 good pictures of line: 20 set the threshold" in report


def test_later_pictures_keep_the_rate(bundle: Bundle, tmp_path: Path) -> None:
    made = set_rate(bundle.folder, 0.3, "1.2", tmp_path / "out", SilentProgress())

    again = recalibrate(Path(made.folder), tmp_path / "line", "1.3", tmp_path / "out", SilentProgress())

    assert again.thresholds[Precision.FP32].false_reject_rate == 0.3


def test_where_half_may_be_rejected_a_few_more_do_not_mean_other_parts(bundle: Bundle, tmp_path: Path) -> None:
    made = set_rate(bundle.folder, 0.5, "1.2", tmp_path / "out", SilentProgress())
    by_score = np.argsort(read_held_out_scores(bundle)[Precision.FP32].scores)  # in name order, as the pictures are
    for number in by_score[:6]:
        (tmp_path / "line" / f"{number:04d}.png").unlink()

    again = recalibrate(Path(made.folder), tmp_path / "line", "1.3", tmp_path / "out", SilentProgress())

    assert "by the old one 8 of 14 held-out pictures would be NOK" in again.notes[0]


def test_a_rate_that_changes_nothing_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"--false-reject 0\.11 gives tiny-1\.1 the threshold that it has"):
        set_rate(bundle.folder, 0.11, "1.2", tmp_path / "out", SilentProgress())

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tiny-1.1"]


def test_a_rate_that_passes_the_golden_negative_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "o" * 19 + "n")
    bundle, _ = calibrated(tiny_bundle(tmp_path / "tiny-1.0"), tmp_path / "line")

    with pytest.raises(DatasetError, match=r"--false-reject 0\.01 takes a threshold \(220\) .*golden negative"):
        set_rate(bundle.folder, 0.01, "1.2", tmp_path / "out", SilentProgress())


def test_a_bundle_without_the_scores_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle tiny-1\.0 has no held_out\.json, .* Give good pictures as well"):
        set_rate(tiny_bundle(tmp_path / "tiny-1.0").folder, 0.3, "2", tmp_path / "out", SilentProgress())


@pytest.mark.parametrize(("rate", "kept"), [(0.5, True), (0.2, False)])
def test_a_precision_stays_while_it_keeps_the_verdicts_at_the_new_threshold(
    tmp_path: Path, rate: float, kept: bool
) -> None:
    """INT8 is off by a twentieth, to and fro: for 20 % several verdicts lie so near that they change, for 50 % none."""
    folder = write_calibrated_bundle(tmp_path / "bundle")
    change(folder, lambda manifest: manifest["dataset"].update(test_good=7, test_defect=5))
    scores = np.linspace(10, 100, 10)
    trial = np.array([20.0, 20.0, *np.linspace(88, 92, 40)])
    moved = trial * np.where(np.arange(len(trial)) % 2, 0.95, 1.05)
    keep(folder, {"fp32": (scores, scores, trial), "int8": (scores, scores, moved)})

    made = set_rate(folder, rate, "2", tmp_path / "out", SilentProgress())

    after = open_bundle(Path(made.folder))
    assert (Precision.INT8 in after.manifest.graphs) is kept
    assert ("model.int8.onnx" in after.manifest.files) is kept
    dataset = after.manifest.dataset
    assert (dataset.test_good, dataset.test_defect) == (0, 0)  # they belong to another threshold
    if kept:
        entry = after.manifest.graphs[Precision.INT8]
        assert entry.threshold.score == pytest.approx(after.threshold(Precision.FP32).score, rel=0.06)
        assert entry.threshold.score < THRESHOLD
        assert entry.gate.verdicts_changed == 0
    else:
        assert any("INT8 is not in the bundle: an estimated " in note for note in made.notes)


def test_an_engine_may_be_off_as_far_as_int8_is_at_the_new_threshold(tmp_path: Path) -> None:
    """INT8 has 85 for the golden good picture, FP32 79 or so."""
    folder = write_calibrated_bundle(tmp_path / "bundle", golden_score=85.0)
    scores = np.linspace(10, 100, 10)
    keep(folder, {"fp32": (scores, scores, [95.0, 20.0]), "int8": (scores, scores, [95.0, 20.0])})

    after = open_bundle(Path(set_rate(folder, 0.5, "2", tmp_path / "out", SilentProgress()).folder)).manifest

    off = 85 - after.golden[0].score
    assert after.tolerance_of(Precision.INT8).score == pytest.approx(off / after.graphs[Precision.INT8].threshold.score)


def test_a_cross_fitted_threshold_stays_one(tmp_path: Path) -> None:
    folder = write_calibrated_bundle(tmp_path / "bundle")
    scores = np.linspace(10, 100, 10)
    keep(folder, {"fp32": (scores, scores, [95.0, 20.0]), "int8": (scores, scores, [95.0, 20.0])})
    change(folder, lambda manifest: manifest["graphs"]["fp32"]["threshold"].update(method="cross-fitted"))

    after = open_bundle(Path(set_rate(folder, 0.5, "2", tmp_path / "out", SilentProgress()).folder))

    assert after.threshold(Precision.FP32).method == "cross-fitted"
    assert after.threshold(Precision.INT8).method == "cross-fitted"  # its promise is that of FP32


def test_a_bundle_that_passes_its_golden_negative_already_may_go_on_doing_so(tmp_path: Path) -> None:
    folder = write_calibrated_bundle(tmp_path / "bundle")
    scores = np.linspace(205, 250, 10)
    keep(folder, {"fp32": (scores, scores, [255.0, 20.0]), "int8": (scores, scores, [255.0, 20.0])})
    change(folder, lambda manifest: manifest["graphs"]["fp32"]["threshold"].update(score=250.0))

    after = open_bundle(Path(set_rate(folder, 0.3, "2", tmp_path / "out", SilentProgress()).folder))

    assert max(golden.score for golden in after.manifest.golden) < after.threshold(Precision.FP32).score < 250


TEN, NINE = [1.0] * 10, [1.0] * 9


@pytest.mark.parametrize(
    ("scores", "output"),
    [
        (
            {"fp32": (TEN, TEN, TEN)},
            r"held_out\.json has no scores of int8, which tiny-1\.0 has; build the bundle again",
        ),
        ({"fp32": (TEN, NINE, TEN), "int8": (TEN, TEN, TEN)}, "fp32: .*10 scores and 9 maxima are not of the same"),
        ({"fp32": (TEN, TEN, TEN), "int8": (TEN, TEN, NINE)}, "scores of different numbers of pictures; build the"),
        ({"fp32": (["high"], [1.0], []), "int8": (TEN, TEN, TEN)}, r"precisions\.fp32\.scores\.0: Input should be a v"),
        ({"fp32": ([-1.0], [1.0], []), "int8": (TEN, TEN, TEN)}, r"precisions\.fp32\.scores\.0: Input should be great"),
        ({"fp32": ([], [], TEN), "int8": ([], [], TEN)}, r"precisions\.fp32\.scores: Tuple should have at least 1"),
    ],
)
def test_scores_that_do_not_fit_the_bundle_are_reported(tmp_path: Path, scores: dict, output: str) -> None:
    folder = write_calibrated_bundle(tmp_path / "bundle")
    keep(folder, scores)

    with pytest.raises(BundleError, match=output):
        set_rate(folder, 0.3, "2", tmp_path / "out", SilentProgress())


def change(folder: Path, edit: Callable[[dict], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    edit(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def keep(folder: Path, scores: dict) -> None:
    """Write `held_out.json` into a bundle that has none, and two pictures for the gate."""
    names = ("scores", "maxima", "trial_scores")
    kept = {precision: dict(zip(names, map(list, values), strict=True)) for precision, values in scores.items()}
    text = json.dumps({"precisions": kept})
    (folder / "held_out.json").write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["held_out.json"] = {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    manifest["graphs"]["int8"]["gate"]["pictures"] = 2
    (folder / "manifest.json").write_text(Manifest.model_validate(manifest).model_dump_json())
