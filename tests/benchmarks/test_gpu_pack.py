"""What benchmarks/gpu_pack.py writes goes together again, and a damaged part is found before anything of it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.gpu_pack import HOST, cut, gather_files, write_run


def packed(folder: Path, python: str) -> Path:
    (folder / "screw-1").mkdir(parents=True)
    (folder / "screw-1/manifest.json").write_text("{}")
    stage, out = folder / "scratch/stage", folder / "out"
    gather_files(stage, [folder / "screw-1"], None)
    (stage / "wheels").mkdir()
    parts = cut(stage, out, most=50_000)
    write_run(out, python, ["edge-inspection[rtx]", *HOST], ["screw-1"], None, torch=False)
    assert len(parts) > 3
    assert all(part.stat().st_size <= 50_000 for part in parts)
    return out


def run(out: Path, work: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "GPU_PACK_WORK": str(work)}
    return subprocess.run(["bash", str(out / "run.sh")], env=environment, capture_output=True, text=True, timeout=120)


def test_the_parts_are_one_archive_with_benchmark_and_bundles(tmp_path: Path) -> None:
    out = packed(tmp_path, f"{sys.version_info[0]}.{sys.version_info[1]}")
    found = run(out, tmp_path / "work")
    assert found.returncode != 0  # there is no wheel in this pack
    assert "No matching distribution found for edge-inspection" in found.stderr
    assert (tmp_path / "work/screw-1/manifest.json").read_text() == "{}"
    assert (tmp_path / "work/benchmarks/gpu.py").exists()


def test_a_damaged_part_is_found_first(tmp_path: Path) -> None:
    out = packed(tmp_path, f"{sys.version_info[0]}.{sys.version_info[1]}")
    part = out / "gpu-pack.tar.001"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    found = run(out, tmp_path / "work")
    assert found.returncode != 0
    assert "gpu-pack.tar.001" in found.stdout + found.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_another_python_is_refused_by_name(tmp_path: Path) -> None:
    found = run(packed(tmp_path, "3.99"), tmp_path / "work")
    assert found.returncode == 78
    assert "this pack is for Python 3.99; " in found.stderr


def test_two_bundles_of_one_name_are_refused(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "screw-1").mkdir(parents=True)
    with pytest.raises(SystemExit, match="have the same name"):
        gather_files(tmp_path / "stage", [tmp_path / "a/screw-1", tmp_path / "b/screw-1"], None)
