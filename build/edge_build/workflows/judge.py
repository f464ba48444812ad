"""`edge-build judge`: pictures judged as a station would, without broker or labels, and shown.

judged = judge_pictures(Path("bundles/screw-1"), [Path("new/1.png")], wanted, progress, page=Path("judged.html"))
print(judged_text(judged))
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_build.data.pictures import DatasetError, problem_lines
from edge_build.progress import Progress
from edge_build.report.judged_page import JudgedTile, tile_of, write_judged_page
from edge_build.workflows.evaluate import WantedEngine, judge_of, open_wanted
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import list_pictures, read_picture
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Decision, ErrorCode, Frame, Outcome

CAMERA = "file"


@dataclass(frozen=True)
class JudgedPicture:
    """A picture and what a station would answer to it. unreadable: the file could not be read as a picture."""

    path: Path
    decision: Decision
    unreadable: bool = False


def judge_pictures(
    folder: Path, paths: Sequence[Path], wanted: WantedEngine, progress: Progress, page: Path | None = None
) -> tuple[JudgedPicture, ...]:
    """Judge pictures, and all pictures in folders, in the order given; write a page that shows them if asked for.

    A file that cannot be read is an ERROR like any other, as on a line. Raises EdgeError of the kind that fits for a
    bundle or engine that does not work, DatasetError where there is no picture at all.
    """
    bundle = open_bundle(folder)
    bundle.graph(wanted.precision)  # raises before anything is loaded
    pictures = _listed(paths)
    judged, tiles = [], list[JudgedTile]()
    with open_wanted(wanted, progress, bundle) as engine:
        judge = judge_of(bundle, engine, wanted.precision)
        for path in progress.track("judge", pictures):
            one, tile = _judged(path, judge, page is not None)
            judged.append(one)
            tiles += [tile] if tile else []
        name = engine.name
    if page is not None:
        write_judged_page(page, bundle.label, name, judge.threshold.score, tiles)
    return tuple(judged)


def require_readable(judged: Sequence[JudgedPicture]) -> None:
    """Raises DatasetError when a file could not be read: what was asked for is not done."""
    if broken := [f"{one.path}: {one.decision.detail}" for one in judged if one.unreadable]:
        raise DatasetError(f"{len(broken)} of {len(judged)} pictures cannot be read:\n{problem_lines(broken)}")


def judged_text(judged: Sequence[JudgedPicture]) -> str:
    """A table for a terminal: verdict, score and threshold (raw), how many regions, picture, and why or where."""
    names = [str(one.path) for one in judged]
    width = max(map(len, names), default=0)
    lines = [f"{'verdict':<8}{'score':>9}{'threshold':>11}{'regions':>9}  {'picture':<{width}}  why, where".rstrip()]
    for name, one in zip(names, judged, strict=True):
        score, threshold = _figures(one.decision)
        line = f"{one.decision.outcome.name:<8}{score:>9}{threshold:>11}{len(one.decision.regions) or '':>9}"
        lines.append(f"{line}  {name:<{width}}  {_reason(one.decision)}".rstrip())
    return "\n".join(lines)


def _judged(path: Path, judge: Judge, shown: bool) -> tuple[JudgedPicture, JudgedTile | None]:
    image = None
    try:
        image = read_picture(path)
        one = JudgedPicture(path, judge(Frame(CAMERA, 0, time.monotonic_ns(), image, path.name)))
    except PictureError as error:
        one = JudgedPicture(path, Decision(Outcome.ERROR, ErrorCode.FRAME_UNREADABLE, detail=str(error)), True)
    if not shown:
        return one, None
    score, threshold = _figures(one.decision)
    text = f"{score} (threshold {threshold})" if score != "-" else ""
    return one, tile_of(str(path), image, one.decision, judge.viewer, text, _reason(one.decision))


def _listed(paths: Sequence[Path]) -> list[Path]:
    pictures: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = list_pictures(path, recursive=True)
            if not inside:
                raise DatasetError(f"{path} holds no pictures: give pictures, or folders with some")
            pictures += inside
        else:
            pictures.append(path)
    return pictures


def _figures(decision: Decision) -> tuple[str, str]:
    """Score and threshold; dashes where nothing was measured."""
    if decision.outcome is Outcome.ERROR:
        return "-", "-"
    return f"{decision.raw_score:.4g}", f"{decision.raw_threshold:.4g}"


def _reason(decision: Decision) -> str:
    """Why it is an ERROR, or where the NOK is."""
    if decision.outcome is Outcome.ERROR:
        return f"ERROR {decision.error:03d}: {decision.detail}"
    where = [f"{r.width} x {r.height} at x {r.x}, y {r.y}" for r in decision.regions]
    return "; ".join(where)
