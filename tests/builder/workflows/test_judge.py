"""`edge-build judge` and `evaluate`, as they are typed, on a bundle whose graph measures how bright a picture is."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from tests.support.tiny_bundle import picture, write_bundle, write_pictures
from typer.testing import CliRunner, Result

from edge_build.cli import app
from edge_build.data.pictures import DatasetError
from edge_runtime.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_pictures_are_judged_without_labels(bundle: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "new", "on")

    done = typed("judge", bundle, tmp_path / "new/0001.png", tmp_path / "new")

    assert done.exit_code == 0, done.output
    heading, nok, ok, again = rows(done.stdout)
    assert heading == ["verdict", "score", "threshold", "regions", "picture", "why,", "where"]
    assert nok == [
        *("NOK", "220", "128", "1", f"{tmp_path}/new/0001.png"),
        *("16", "x", "16", "at", "x", "16,", "y", "16"),
    ]
    assert ok[0] == "OK"
    assert ok[2:] == ["128", f"{tmp_path}/new/0000.png"]
    assert again == nok


def test_a_frame_that_a_station_would_not_judge_is_an_error_with_its_reason(bundle: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), 0 * picture(False, 1))

    done = typed("judge", bundle, tmp_path / "dark.png")

    assert done.exit_code == 0, done.output
    assert rows(done.stdout)[1][:4] == ["ERROR", "-", "-", f"{tmp_path}/dark.png"]
    assert "ERROR 104: " in done.stdout


def test_a_file_that_cannot_be_read_is_an_error_and_ends_the_command_with_one(bundle: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "new", "ox")

    done = typed("judge", bundle, tmp_path / "new", tmp_path / "none.png")

    assert [row[0] for row in rows(done.stdout)[1:]] == ["OK", "ERROR", "ERROR"]
    assert done.stdout.count("ERROR 102: ") == 2
    assert isinstance(done.exception, DatasetError)
    assert str(done.exception).startswith("2 of 3 pictures cannot be read:\n")


def test_the_page_shows_frame_view_and_map(bundle: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "new", "onx")
    page = tmp_path / "judged.html"

    typed("judge", bundle, tmp_path / "new", "--html", page)

    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 6  # frame, view and map of two; nothing of what cannot be read
    assert '<span class="badge wrong">NOK</span><span>220 (threshold 128)</span>' in text
    assert "ERROR 102: " in text
    assert "<script" not in text


def test_a_folder_without_pictures_and_a_bundle_that_is_none_are_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    empty, none = typed("judge", bundle, tmp_path / "empty"), typed("judge", tmp_path / "empty", tmp_path)

    assert str(empty.exception) == f"{tmp_path}/empty holds no pictures: give pictures, or folders with some"
    assert isinstance(none.exception, BundleError)


def test_evaluate_measures_folders_that_are_named(bundle: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oon")
    write_pictures(tmp_path / "rejected", "nnno")
    page = tmp_path / "page.html"

    done = typed(*("evaluate", bundle, "--good", tmp_path / "line", "--defects", tmp_path / "rejected", "--html", page))

    assert done.exit_code == 1  # the pictures of one folder are among those of the other
    assert "1 test pictures have two labels" in str(done.exception)
    (tmp_path / "line").rename(tmp_path / "old")
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"old/000{number}.png"), picture(number == 2, 50 + number))
    done = typed(*("evaluate", bundle, "--good", tmp_path / "old", "--defects", tmp_path / "rejected", "--html", page))
    assert done.exit_code == 0, done.output
    assert "good         1 of    3 NOK" in done.stdout
    assert "rejected     3 of    4 NOK" in done.stdout
    assert "It found <strong>3 of 4</strong> pictures of defects." in page.read_text()


@pytest.mark.parametrize("both", [False, True])
def test_evaluate_wants_a_dataset_or_named_folders(bundle: Path, tmp_path: Path, both: bool) -> None:
    done = typed("evaluate", bundle, *([tmp_path, "--good", tmp_path] if both else []))

    assert done.exit_code == 2
    assert "give a dataset, or folders of pictures" in done.output
