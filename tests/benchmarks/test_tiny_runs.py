"""Every benchmark that can, on data so small that its figures mean nothing: it runs, and prints what it promises."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from benchmarks.accuracy import (
    agreement,
    bank_int8,
    cpr_ablation,
    cpr_width,
    frame_health,
    frame_size,
    pose,
    precisions,
)
from benchmarks.cost import cpr_references, daemon, device, graph_cost, large_inputs, latency_model, many_pictures, see
from benchmarks.peers import coreset, cpr_faster, patchcore
from benchmarks.reliability import faults, mutated_pictures

pytestmark = pytest.mark.xdist_group("tiny-benchmarks")  # one worker makes the sample and the bundle for all

TRAINING = ("--size", "64", "--pool", "4", "--steps", "8")

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None, reason="needs mosquitto"
)


def rows_of(text: str) -> list[list[str]]:
    """The cells of a table in Markdown, without its head."""
    lines = [line.strip().strip("|") for line in text.splitlines() if line.lstrip().startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


@needs_mosquitto
def test_agreement(tiny_bundle: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        agreement.main([str(tiny_bundle), str(category), "--json", str(tmp_path / "found.json")])

    assert ended.value.code == 0
    assert rows_of(capsys.readouterr().out)[0][:4] == ["7", "7", "0", "0"]
    assert json.loads((tmp_path / "found.json").read_text())["verdicts"] == 7


def test_bank_int8(cpr_bundle: Path, category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank_int8.main([str(cpr_bundle), str(category)])

    assert [row[:2] for row in rows_of(capsys.readouterr().out)] == [["parts", "FP16"], ["parts", "INT8"]]


def test_large_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    large_inputs.main(["--sizes", "64", "96", "--entries", "20", "--rounds", "1"])

    rows = rows_of(capsys.readouterr().out)
    assert [row[:2] for row in rows] == [["64x64", "64"], ["96x96", "144"]]
    assert all(float(cell) > 0 for row in rows for cell in row[2:])


def test_cpr_ablation(category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cpr_ablation.main([str(category), *TRAINING, "--width", "12", "--without", "training", "weighting", "feb"])

    (row,) = rows_of(capsys.readouterr().out)
    assert row[0] == "without GRB"
    assert all(0 <= float(cell) <= 100 for cell in row[1:])


def test_cpr_width(category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cpr_width.main([str(category), *TRAINING, "--widths", "12", "--branches-at", "0", "--rounds", "1"])

    assert re.search(r"\| width 12 \| [\d.]+ \| \d+ M \| [\d.]+ and [\d.]+ times \|", capsys.readouterr().out)


def test_frame_health(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame_health.main([str(data), "--categories", "parts"])

    refused = {row[2]: row[3] for row in rows_of(capsys.readouterr().out)}
    assert (refused["white"], refused["a quarter of the size"]) == ("100.0%", "100.0%")


def test_frame_health_names_a_category_that_is_not_there(data: Path) -> None:
    with pytest.raises(SystemExit, match="has no train/good for bolts"):
        frame_health.main([str(data), "--categories", "parts", "bolts"])


def test_frame_size(tiny_bundle: Path, category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame_size.main([str(tiny_bundle), str(category / "test/good")])

    rows = rows_of(capsys.readouterr().out)
    assert len(rows) == 2 * len(frame_size.CHANGES)
    assert {row[0] for row in rows} == {"height", "width"}


def test_pose(capsys: pytest.CaptureFixture[str]) -> None:
    pose.main(["--pictures", "2", "--learned", "8", "--parts", "1"])

    assert [row[2] for row in rows_of(capsys.readouterr().out)] == ["2"]


def test_precisions(data: Path, cpr_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precisions.main([str(data), str(cpr_bundle)])

    rows = {row[2]: row[3:] for row in rows_of(capsys.readouterr().out)}
    assert set(rows) == {"fp32", "fp16", "int8"}
    assert set(rows["int8"]) == {"–"}
    assert rows["fp32"][6] == "0 of 7"


def test_cpr_references(category: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cpr_references.main([str(category), "--size", "64", "--references", "5", "6", "--rounds", "1"])

    assert re.findall(r"^\d references: median", capsys.readouterr().out, re.MULTILINE) == [
        "5 references: median",
        "6 references: median",
    ]


@needs_mosquitto
def test_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        daemon.main(["--pictures", "5", "--size", "64"])

    assert ended.value.code == 0
    assert "Verdicts that arrived: 5 of 5." in capsys.readouterr().out


def test_device(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device.main([str(tiny_bundle), "--engine", "onnxruntime", "--seconds", "0.05"])

    assert re.search(r"^throughput +[\d.]+ FPS at batch 1$", capsys.readouterr().out, re.MULTILINE)


def test_graph_cost(cpr_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph_cost.main([str(cpr_bundle), "--rounds", "1"])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("parts-1 (cpr-faster, 64 x 64): median ")


def test_latency_model(cpr_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latency_model.main([str(cpr_bundle), "--precision", "fp32", "--kernels"])

    assert capsys.readouterr().out.count("estimate") == len(latency_model.DEVICES)


def test_pictures_of_many_pictures_all_differ(tmp_path: Path) -> None:
    many_pictures.make_pictures(tmp_path / "pictures", 3, 64)

    assert len({path.read_bytes() for path in (tmp_path / "pictures").iterdir()}) == 3


def test_see(capsys: pytest.CaptureFixture[str]) -> None:
    see.main(["--rounds", "1", "--megapixels", "0.1"])

    assert len(rows_of(capsys.readouterr().out)) == len(see.PARTS)


def test_mutated_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    mutated_pictures.main(["--count", "100", "--processes", "1"])

    (row,) = rows_of(capsys.readouterr().out)
    assert int(row[0]) == int(row[1]) + int(row[2]) + int(row[3]) == 100


def test_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        faults.main(["outage", "--count", "50", "--work", str(tmp_path)])

    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["count"] == 50


@pytest.mark.parametrize("peer", [patchcore, cpr_faster])
def test_a_peer_without_its_environment_is_refused(peer: object, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no environment of the peer \(anomalib==2\.7\.0\): add --install"):
        peer.main(["--data", str(data), "--work", str(tmp_path)])  # type: ignore[attr-defined]

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("python", ["/no/such/python", shutil.which("python3") or "python3"])
def test_a_python_without_the_peer_is_refused(python: str) -> None:
    with pytest.raises(SystemExit, match="is no Python with anomalib"):
        coreset.main(["--peer-python", python])
