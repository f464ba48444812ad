"""Files made to harm whoever reads them: each is refused with a word, in little memory and time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.mutated_pictures import bombs, jpeg, mutated, whole_files

from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import picture_from_bytes, read_picture

HARMLESS = {  # what they carry is passed over, and the picture beside it is whole
    "jpeg: an EXIF block of tags on the same bytes",
    "jpeg: an EXIF block without values",
    "jpeg: many segments",
    "tiff: 60,000 tags on the same bytes",
}
IN_LITTLE_MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (512 << 20,) * 2)
from pathlib import Path
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import picture_from_bytes
from tests.support.mutated_pictures import bombs
for name, data in bombs().items():
    try:
        picture_from_bytes(data, Path(name))
        print("READ", name)
    except PictureError as error:
        print("REFUSED", error)
"""


@pytest.mark.parametrize("name", [name for name in bombs() if name not in HARMLESS])
def test_a_bomb_is_refused_at_once_in_little_memory(name: str) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    with pytest.raises(PictureError, match=r"is damaged|is cut off|more than|channels|not read here|scans"):
        picture_from_bytes(bombs()[name], Path("bomb"))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_a_file_carries_beside_its_pixels_does_not_matter(name: str) -> None:
    assert picture_from_bytes(bombs()[name], Path("part")).shape[2] == 3


def test_every_bomb_fits_into_half_a_gigabyte_of_address_space(tmp_path: Path) -> None:
    limits = {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    run = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY], capture_output=True, text=True, env=os.environ | limits, timeout=60
    )

    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    read = [line.removeprefix("READ ") for line in lines if line.startswith("READ")]
    assert read == [name for name in bombs() if name in HARMLESS]
    assert len(lines) == len(bombs())
    assert "memory" not in run.stdout


def test_changed_files_are_read_or_refused_and_nothing_else() -> None:
    read = refused = 0
    for data in mutated(seed=1, count=3_000):
        try:
            assert picture_from_bytes(data, Path("part")).shape[2] == 3
            read += 1
        except PictureError:
            refused += 1

    assert read > 300
    assert refused > 300


def test_all_files_to_change_are_whole() -> None:
    assert {picture_from_bytes(data, Path("part")).shape for data in whole_files()} <= {(24, 40, 3), (8, 8, 3)}


def test_a_file_longer_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "endless.png"
    path.touch()
    os.truncate(path, 421_000_000)

    with pytest.raises(PictureError, match="421000000 bytes, more than a picture of 100 megapixels: crop or reduce it"):
        read_picture(path)


def test_a_picture_that_memory_does_not_hold_is_an_error_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("edge_runtime.imaging.reader.cv2.imdecode", full)

    with pytest.raises(PictureError, match=r"part\.jpg needs more memory than this machine has free"):
        picture_from_bytes(jpeg(), Path("part.jpg"))
