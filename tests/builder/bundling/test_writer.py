from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.rights import without_roots_rights
from tests.support.small_disk import small_disk

from edge_build.bundling.writer import check_place, new_bundle, write_golden, write_manifest
from edge_runtime.bundle.manifest import Dataset, FileEntry, Golden, GraphEntry, Manifest, Threshold, Tolerance
from edge_runtime.bundle.reader import Bundle, open_bundle, sha256_of
from edge_runtime.engines.golden import read_golden
from edge_runtime.errors import BundleError, ConfigError, StorageError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.records import Inspection, Precision

THRESHOLD = Threshold(
    score=100, score_low=90, score_high=None, map=50, false_reject_rate=0.01, false_reject_rate_guaranteed=0.05,
    false_reject_rate_low=0.001, false_reject_rate_high=0.2, pictures=19, method="cross-fitted",
)  # fmt: skip
GRAPH = b"not read by anyone here"


def manifest_for(golden: tuple[Golden, ...]) -> Manifest:
    return Manifest(
        schema_version=1, name="parts", version="1", detector="patchcore", backbone="none", height=32, width=32,
        preprocessing=PREPROCESSING, graphs={Precision.FP32: GraphEntry(file="model.fp32.onnx", threshold=THRESHOLD)},
        golden=golden, tolerance=Tolerance(score=0.01, map=0.02),
        dataset=Dataset(name="x", fingerprint="0" * 64, train=4, calibration=1, threshold=4, test_good=0,
                        test_defect=0),
        figures={}, recipe="name: Prüfteil\n", seed=0, builder="tests", files={},
    )  # fmt: skip


def pictures(count: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def measured(images: np.ndarray) -> list[Inspection]:
    return [Inspection(float(number), image.mean(axis=2, dtype=np.float32)) for number, image in enumerate(images)]


def write_all(folder: Path, size: int = 32) -> None:
    """Everything that a bundle of these tests has."""
    images = pictures(3, size)
    (folder / "model.fp32.onnx").write_bytes(GRAPH)
    (folder / "report.html").write_text("<p>fine</p>")
    write_manifest(folder, manifest_for(write_golden(folder, images, measured(images))))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    with new_bundle(tmp_path / "out", "parts-1") as folder:
        write_all(folder)
    return open_bundle(tmp_path / "out" / "parts-1")


def left_in(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def test_a_finished_bundle_stands_in_its_place_and_nothing_else_does(bundle: Bundle) -> None:
    assert left_in(bundle.folder.parent) == ["parts-1"]
    assert bundle.folder.stat().st_mode & 0o777 == 0o755  # other users, such as the daemon's, may read it
    assert bundle.label == "parts-1"


def test_the_manifest_lists_every_other_file_with_its_length_and_hash(bundle: Bundle) -> None:
    there = {p.relative_to(bundle.folder).as_posix(): p for p in bundle.folder.rglob("*") if p.is_file()}
    there.pop("manifest.json")

    assert bundle.manifest.files == {
        name: FileEntry(length=path.stat().st_size, sha256=sha256_of(path)) for name, path in there.items()
    }
    assert len(there) == 8


def test_text_that_is_not_ascii_is_kept(bundle: Bundle) -> None:
    assert bundle.manifest.recipe == "name: Prüfteil\n"


def test_golden_pictures_and_maps_are_read_back_exactly(bundle: Bundle) -> None:
    images = pictures(3)
    for image, expected, golden in zip(images, measured(images), bundle.manifest.golden, strict=True):
        picture, found = read_golden(bundle, golden)
        np.testing.assert_array_equal(picture[0], image)
        np.testing.assert_array_equal(found.anomaly_map, expected.anomaly_map)
        assert found.score == expected.score


@pytest.mark.parametrize("name", ["model.fp32.onnx", "golden/01.png", "golden/02.npy", "report.html", "manifest.json"])
def test_a_file_that_was_changed_afterwards_is_found(bundle: Bundle, name: str) -> None:
    path = bundle.folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1 if name != "manifest.json" else ord("\n") ^ ord(" ")  # it stays JSON
    path.write_bytes(content)

    with pytest.raises(BundleError, match=rf"{name} is not the file that was built: its (SHA-256|digest) differs"):
        open_bundle(bundle.folder)


def test_when_a_bundle_has_its_name_every_file_every_folder_and_the_name_itself_are_on_the_disk(tmp_path: Path) -> None:
    synced: list[Path] = []

    def note(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        synced.append(path.relative_to(tmp_path))

    with new_bundle(tmp_path, "parts-1", note) as folder:
        (folder / "golden").mkdir()
        (folder / "golden/00.png").write_bytes(b"picture")
        write_manifest(folder, manifest_for(()))

    below = [Path(*path.parts[1:]) for path in synced[:-1]]  # in the temporary folder
    assert sorted(map(str, below)) == [".", "golden", "golden/00.png", "manifest.json"]
    assert synced[-1] == Path()  # the parent, with the new name in it


def test_a_bundle_without_its_manifest_does_not_open(tmp_path: Path) -> None:
    """The manifest is written last: whatever interrupts a copy leaves no bundle that looks whole."""
    with new_bundle(tmp_path, "parts-1") as folder:
        write_all(folder)
        (folder / "manifest.json").unlink()

    with pytest.raises(BundleError, match="is no bundle: it has no manifest"):
        open_bundle(tmp_path / "parts-1")


@pytest.mark.parametrize("interruption", [RuntimeError("a bug"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_what_ends_the_block_early_passes_through_and_leaves_nothing(
    tmp_path: Path, interruption: BaseException
) -> None:
    def end_early() -> None:
        with new_bundle(tmp_path, "parts-1") as folder:
            write_all(folder)
            raise interruption

    with pytest.raises(type(interruption)):
        end_early()

    assert left_in(tmp_path) == []


def test_a_bundle_that_exists_is_refused_and_kept(bundle: Bundle) -> None:
    out = bundle.folder.parent
    message = rf"{bundle.folder} exists: choose another version, or move the old bundle away"

    with pytest.raises(ConfigError, match=rf"{bundle.folder} exists: take another name, or move the old bundle away"):
        check_place(out, "parts-1", "take another name")
    with pytest.raises(ConfigError, match=message), new_bundle(out, "parts-1"):
        pass

    assert left_in(out) == ["parts-1"]
    open_bundle(bundle.folder)


def test_a_bundle_that_came_into_being_meanwhile_is_kept(tmp_path: Path) -> None:
    def be_late() -> None:
        with new_bundle(tmp_path, "parts-1") as folder:
            write_all(folder)
            (tmp_path / "parts-1").mkdir()
            (tmp_path / "parts-1" / "other").write_text("")

    with pytest.raises(StorageError, match=r"cannot be written to .*: Directory not empty; nothing was left there"):
        be_late()

    assert left_in(tmp_path) == ["parts-1"]
    assert left_in(tmp_path / "parts-1") == ["other"]


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = r"file/out: Not a directory; nothing was left there\. Check the disk's free space and the rights"

    with pytest.raises(StorageError, match=message):
        check_place(tmp_path / "file" / "out", "parts-1")
    with pytest.raises(StorageError, match=message), new_bundle(tmp_path / "file" / "out", "parts-1"):
        pass


def test_a_folder_without_the_right_to_write_is_refused_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)

    with without_roots_rights(), pytest.raises(StorageError, match=r"cannot be written to .*: Permission denied"):
        check_place(tmp_path, "parts-1")


def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    check_place(tmp_path / "a" / "b", "parts-1")

    assert left_in(tmp_path / "a" / "b") == []


@pytest.mark.parametrize("kilobytes", [8, 80, 120])  # ends in the first picture, in a map, in a later picture
def test_a_full_disk_is_named_and_nothing_is_left(tmp_path: Path, kilobytes: int) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        with (
            pytest.raises(StorageError, match="disk: No space left on device; nothing was left there") as error,
            new_bundle(disk, "parts-1") as folder,
        ):
            write_all(folder, size=128)
        assert left_in(disk) == []
    assert error.value.exit_code == 74


FILES_END_EARLY = """
import resource, sys
from pathlib import Path
import test_writer as tests

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with tests.new_bundle(Path(sys.argv[1]), "parts-1") as folder:
    tests.write_all(folder, size=128)
"""


def test_a_file_that_cannot_be_finished_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    """Where no disk can be filled: no file may be longer than 20,000 bytes."""
    folders = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])

    found = subprocess.run(
        [sys.executable, "-c", FILES_END_EARLY, tmp_path],
        env=os.environ | {"PYTHONPATH": folders},
        capture_output=True,
        text=True,
    )

    assert "StorageError: the bundle cannot be written to" in found.stderr
    assert ": File too large; nothing was left there" in found.stderr
    assert left_in(tmp_path) == []


def test_golden_pictures_are_png_and_maps_are_plain_arrays(bundle: Bundle) -> None:
    assert cv2.imread(str(bundle.folder / "golden/00.png")).shape == (32, 32, 3)
    assert np.load(bundle.folder / "golden/00.npy", allow_pickle=False).dtype == np.float32
