"""The folder that a long build goes on from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.small_disk import small_disk

from edge_build.checkpoint import Dependency, InterruptedBuildError, open_unfinished
from edge_build.progress import PlainProgress, SilentProgress
from edge_runtime.errors import ConfigError, StorageError

PROVENANCE = (Dependency("seed", "0"), Dependency("cpr.steps", "600"))
QUIET = SilentProgress()


def ended_by(error: BaseException, folder: Path, output: list[str]) -> None:
    """A build that was ended after its first checkpoint."""
    with open_unfinished(folder, PROVENANCE, resume=False, progress=PlainProgress(output.append)) as work:
        work.save("training", b"half", "training up to step 300 of 600")
        raise error


def interrupted(folder: Path) -> None:
    with contextlib.suppress(InterruptedBuildError):
        ended_by(KeyboardInterrupt(), folder, [])


def test_a_build_that_ends_well_leaves_nothing(tmp_path: Path) -> None:
    with open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET) as work:
        work.save("training", b"all", "all")
        assert work.load("training") == b"all"
        assert work.load("another") is None

    assert list(tmp_path.iterdir()) == []


def arrays() -> list[np.ndarray]:
    return [np.arange(6, dtype=np.int64), np.ones((2, 3), np.bool_), np.full((2, 2), 0.5, np.float16)]


def test_arrays_are_kept_and_filled_again(tmp_path: Path) -> None:
    empty = [np.zeros_like(array) for array in arrays()]
    with open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET) as work:
        assert not work.load_arrays("made", empty)
        work.save_arrays("made", arrays(), "three arrays")
        assert work.has_checkpoints()
        assert work.load_arrays("made", empty)
        for found, wanted in zip(empty, arrays(), strict=True):
            assert np.array_equal(found, wanted)
        work.remove("made")
        work.remove("made")
        assert not work.has_checkpoints()


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"1", lambda data: data[:-1] + b"1"])
def test_arrays_that_are_damaged_are_not_gone_on_with(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    with open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET) as work:
        work.save_arrays("made", arrays(), "three arrays")
        path = tmp_path / "work/made.checkpoint"
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(ConfigError, match=r"made.checkpoint is damaged: remove .*/work to start from"):
            work.load_arrays("made", [np.zeros_like(array) for array in arrays()])
        with pytest.raises(ValueError, match="only contiguous arrays are kept"):
            work.save_arrays("made", [np.zeros((4, 4))[:, ::2]], "a part")


def test_arrays_that_do_not_fit_on_the_disk_are_an_error_that_says_so(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 100) as disk,
        open_unfinished(disk / "work", PROVENANCE, resume=False, progress=QUIET) as work,
    ):
        with pytest.raises(StorageError, match=r"1 MB to go on from do not fit into .*/work \(No space left on device"):
            work.save_arrays("made", [np.ones(1_000_000, np.uint8)], "too much")
        assert not work.has_checkpoints()


def test_a_build_that_ends_before_its_first_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_unfinished(tmp_path / "work", PROVENANCE, False, QUIET):
        raise ZeroDivisionError

    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_keeps_its_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    output: list[str] = []

    with pytest.raises(InterruptedBuildError) as error:
        ended_by(KeyboardInterrupt(), tmp_path / "work", output)

    assert (output, error.value.exit_code) == ([], 130)
    assert str(error.value) == (
        f"interrupted; {tmp_path}/work keeps what is done (training up to step 300 of 600): the same command with "
        "--resume goes on from there"
    )
    with open_unfinished(tmp_path / "work", PROVENANCE, resume=True, progress=QUIET) as work:
        assert work.load("training") == b"half"


def test_a_build_that_fails_keeps_its_checkpoint_and_says_so_before_its_error(tmp_path: Path) -> None:
    output: list[str] = []

    with pytest.raises(StorageError):
        ended_by(StorageError("full"), tmp_path / "work", output)

    assert output == [
        f"{tmp_path}/work keeps what is done (training up to step 300 of 600): the same command with --resume goes on "
        "from there\n"
    ]


def test_an_interrupted_build_is_not_begun_again_by_mistake(tmp_path: Path) -> None:
    interrupted(tmp_path / "work")

    with (
        pytest.raises(ConfigError, match=r"work holds a build that was interrupted: add --resume .* or remove"),
        open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET),
    ):
        pass

    with open_unfinished(tmp_path / "work", PROVENANCE, resume=True, progress=QUIET) as work:
        assert work.load("training") == b"half"


def test_another_build_cannot_go_on_from_it_and_what_differs_is_named(tmp_path: Path) -> None:
    interrupted(tmp_path / "work")
    others = (Dependency("seed", "0"), Dependency("cpr.steps", "800"), Dependency("cpr.taps", "3"))

    with (
        pytest.raises(ConfigError) as error,
        open_unfinished(tmp_path / "work", others, resume=True, progress=QUIET),
    ):
        pass

    assert str(error.value) == (
        f"{tmp_path}/work cannot be resumed, because what it was begun with has changed:\n"
        "  cpr.steps: was 600, is 800\n"
        "  cpr.taps: was not there, is 3\n"
        "put that back, or remove the folder to start from the beginning"
    )
    assert (tmp_path / "work/training.checkpoint").exists()


def test_with_nothing_to_resume_a_build_says_so_and_begins(tmp_path: Path) -> None:
    output: list[str] = []

    with open_unfinished(tmp_path / "work", PROVENANCE, resume=True, progress=PlainProgress(output.append)) as work:
        assert not work.has_checkpoints()

    assert output == [f"nothing to resume in {tmp_path}/work: starting from the beginning\n"]


def test_what_a_killed_build_left_without_a_checkpoint_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/build.json").write_text("{")
    (tmp_path / "work/.training.checkpoint.new").write_bytes(b"torn")

    with open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET) as work:
        assert work.load("training") is None

    assert list(tmp_path.iterdir()) == []


def test_two_builds_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET) as work,
        pytest.raises(ConfigError, match=r"another build is at work in .*work: wait until it is done"),
        open_unfinished(tmp_path / "work", PROVENANCE, resume=False, progress=QUIET),
    ):
        pass

    assert not work.folder.exists()


@pytest.mark.parametrize("damaged", ["build.json", "training.checkpoint"])
def test_a_damaged_file_is_named(tmp_path: Path, damaged: str) -> None:
    interrupted(tmp_path / "work")
    path = tmp_path / "work" / damaged
    path.write_bytes(path.read_bytes()[:-1])

    with (
        pytest.raises(ConfigError, match=f"{path} is damaged: remove {tmp_path}/work to start from the beginning"),
        open_unfinished(tmp_path / "work", PROVENANCE, resume=True, progress=QUIET) as work,
    ):
        work.load("training")


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100) as disk:
        with (
            contextlib.suppress(InterruptedBuildError),
            open_unfinished(disk / "work", PROVENANCE, resume=False, progress=QUIET) as work,
        ):
            work.save("training", b"small", "step 1")
            with pytest.raises(StorageError, match=r"no checkpoint can be written to .*: No space left on device; "):
                work.save("training", bytes(200_000), "step 2")
            raise KeyboardInterrupt
        with open_unfinished(disk / "work", PROVENANCE, resume=True, progress=QUIET) as work:
            assert work.load("training") == b"small"


def test_a_place_that_takes_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StorageError, match=r"file/work cannot be written: Not a directory; choose another --out"),
        open_unfinished(tmp_path / "file/work", PROVENANCE, resume=False, progress=QUIET),
    ):
        pass
