"""A rendered dataset to try everything on: a turned flange on a belt, with good parts, defects and their exact masks.

What varies in good parts: any rotation, position, lamp, exposure, focus, noise, turning marks, oil films, dust, and the
serial number. Defects go from hardly seen to plain. The layout is MVTec's; the same seed gives the same bytes.

    make_sample(Path("sample"), seed=0, counts=SampleCounts(), progress=progress_for_stderr())
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.progress import Progress
from edge_build.sample.camera import photograph, scene_by_chance
from edge_build.sample.defects import DEFECTS
from edge_build.sample.part import SIDE, draw_surface, pose_by_chance
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.files import Durability, new_folder

JPEG_QUALITY = 95
SUBTLE, PLAIN = 0.35, 1.0  # severities of the first and the last picture of a kind
COVERED = 0.25  # a pixel is defect when so much of it is
HARD_EVERY = 5  # so many training pictures bring one from the ends of the ranges


@dataclass(frozen=True)
class SampleCounts:
    """How many pictures to make; every second good test picture is a hard one."""

    train: int = 120
    test_good: int = 20
    per_defect: int = 5


@dataclass(frozen=True)
class _Job:
    """One picture to make. `key` seeds it, so pictures do not depend on one another or on the counts."""

    place: Path
    mask: Path | None
    defect: str | None
    severity: float
    hard: bool
    key: tuple[int, int, int]


def make_sample(folder: Path, seed: int, counts: SampleCounts, progress: Progress) -> None:
    """Write the dataset: complete or not at all. About 4 MB and 10 s at the default counts.

    Raises ConfigError when the folder holds something already, StorageError when the disk does not take it.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} is not empty: give a new folder, so that nothing is mixed or overwritten")
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}; check the disk and the rights") from error
    try:
        with new_folder(folder, Durability.ATOMIC) as partial:
            _make_all(partial, _jobs(seed, counts), progress)
    except OSError as error:
        raise StorageError(
            f"the sample cannot be written to {folder}: {error.strerror}; nothing was left there, "
            "make room on the disk and try again"
        ) from error


def _jobs(seed: int, counts: SampleCounts) -> list[_Job]:
    jobs = []
    for n in range(counts.train):
        hard = n % HARD_EVERY == HARD_EVERY - 1
        jobs.append(_Job(Path("train", "good", f"{n:03}.jpg"), None, None, 0, hard, (seed, 0, n)))
    for n in range(counts.test_good):
        jobs.append(_Job(Path("test", "good", f"{n:03}.jpg"), None, None, 0, n % 2 == 1, (seed, 1, n)))
    for kind, defect in enumerate(sorted(DEFECTS), 2):
        for n, severity in enumerate(np.linspace(PLAIN, SUBTLE, counts.per_defect).tolist()):
            picture, mask = Path("test", defect, f"{n:03}.jpg"), Path("ground_truth", defect, f"{n:03}_mask.png")
            jobs.append(_Job(picture, mask, defect, severity, False, (seed, kind, n)))
    return jobs


def _make_all(root: Path, jobs: Sequence[_Job], progress: Progress) -> None:
    for folder in {root / path.parent for job in jobs for path in (job.place, job.mask) if path}:
        folder.mkdir(parents=True)
    with ThreadPoolExecutor() as pool:  # NumPy and OpenCV let go of Python's lock
        made = [pool.submit(_make, root, job) for job in jobs]
        try:
            for done in progress.track("sample", made):
                done.result()
        except BaseException:  # Ctrl-C too: do not make the rest first
            pool.shutdown(cancel_futures=True)
            raise


def _make(root: Path, job: _Job) -> None:
    random = np.random.default_rng(job.key)
    surface = draw_surface(pose_by_chance(random), random)
    mask = None if job.defect is None else DEFECTS[job.defect](surface, job.severity, random)
    picture = photograph(surface, scene_by_chance(random, job.hard), random)
    _write(root / job.place, picture)
    if mask is not None and job.mask is not None:
        covered = cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) >= COVERED
        _write(root / job.mask, np.where(covered, 255, 0).astype(np.uint8))


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    """By way of Python's own files, which say why a disk takes no more; cv2.imwrite only says False."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    _, encoded = cv2.imencode(path.suffix, image, options)
    path.write_bytes(encoded.tobytes())
