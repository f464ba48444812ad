"""Everything that benchmarks/gpu.py needs on a bare machine without a network, in parts of at most 60 MB.

    python -m benchmarks.gpu_pack BUNDLE [BUNDLE...] --out DIR --python 3.12 [--data CATEGORY] [--torch]

Machines with a GPU for rent, and PCs at a line, often take files only one by one and of a limited size. This packs the
package as a wheel, the benchmark, the bundles, and wheels of all that they need for a named Python on x86-64 Linux into
one archive, cut into parts, with `run.sh`, which puts the parts together, checks them, makes a venv there and runs the
benchmark offline:

    bash DIR/run.sh            # on the machine; its Python must be the named one

pip is asked for wheels only on this machine. --torch: torch with CUDA, too (3 GB), unless the machine has it. --data:
a category for parts 6 and 7. --requirement: one more wheel, e.g. onnxruntime-gpu.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, not as a module
    sys.path.insert(0, str(ROOT))

PART = 60_000_000  # bytes
ARCHIVE = "gpu-pack.tar"
META = "tensorrt-rtx-cu12==1.7.1.116"  # as in pyproject.toml
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# Without torch: parts 1, 2, 3, 5 and 7 need none
HOST = ("onnx>=1.16", "scikit-learn>=1.4", "scipy>=1.11", "jinja2>=3.1")
RUN = """#!/usr/bin/env bash
# Puts the parts together, installs from them alone, and runs the benchmark: bash run.sh [MINUTES]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); work=${{GPU_PACK_WORK:-$here/work}}; minutes=${{1:-8}}
python=$(command -v python{python} || command -v python3)
"$python" -c 'import sys; assert "%d.%d" % sys.version_info[:2] == "{python}", sys.version' || {{
    echo "this pack is for Python {python}; $python is another: pack again with --python" >&2; exit 78; }}
mkdir -p "$work"
(cd "$here" && sha256sum --quiet -c parts.sha256)
cat "$here"/{archive}.* | tar -x -C "$work"
"$python" -m venv {system} "$work/venv"
"$work/venv/bin/pip" install --quiet --no-index --find-links "$work/wheels" {requirements}
cd "$work"
"$work/venv/bin/python" benchmarks/gpu.py {bundles} {data} --minutes "$minutes" --out "$here/gpu.md"
echo "written: $here/gpu.md"
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack."""
    given = command_line().parse_args(arguments)
    requirements = ["edge-inspection[rtx]", *HOST, *(["torch>=2.6"] if given.torch else []), *given.requirement]
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch) / "stage"
        gather_wheels(stage / "wheels", given.python, requirements, given.wheels)
        gather_files(stage, given.bundles, given.data)
        parts = cut(stage, given.out)
    write_run(given.out, given.python, requirements, [path.name for path in given.bundles], given.data, given.torch)
    total = sum(part.stat().st_size for part in parts)
    print(f"{len(parts)} parts, {total / 1e6:.0f} MB, in {given.out}; copy the folder there and run: bash run.sh")


def command_line() -> argparse.ArgumentParser:
    """What the program takes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_pack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--python", default=f"{sys.version_info[0]}.{sys.version_info[1]}", metavar="3.N")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--requirement", action="append", default=[])
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to take instead of asking pip")
    return parser


def gather_wheels(folder: Path, python: str, requirements: Sequence[str], instead: Path | None) -> None:
    """Our own wheel, built here, and all others by pip, for that Python. instead: a folder to copy them from."""
    folder.mkdir(parents=True)
    if importlib.util.find_spec("pip") is None:
        sys.exit(f"{sys.executable} has no pip: run this with a Python that has one")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    if instead is not None:
        for wheel in instead.glob("*.whl"):
            shutil.copyfile(wheel, folder / wheel.name)
        return
    # a package that is only a list of others has no wheel of its own: it is made here
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), META], check=True)
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    command = [*pip, "download", "--quiet", "--only-binary", ":all:", "--python-version", python, *platforms]
    command += ["--implementation", "cp", "--find-links", str(folder), "--dest", str(folder), *requirements]
    subprocess.run(command, check=True)


def gather_files(stage: Path, bundles: Sequence[Path], data: Path | None) -> None:
    """The benchmark, the bundles and the category, each under its own name."""
    names = [path.name for path in (*bundles, *([data] if data else []))]
    if len(set(names)) < len(names):
        sys.exit(f"two of {', '.join(names)} have the same name: rename one folder")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "benchmarks", stage / "benchmarks", ignore=ignore)
    for path in (*bundles, *([data] if data else [])):
        if not path.is_dir():
            sys.exit(f"{path}: there is no such folder")
        shutil.copytree(path.resolve(), stage / path.name, ignore=ignore)


def cut(stage: Path, out: Path, most: int = PART) -> list[Path]:
    """One archive of the folder, in parts of at most so many bytes, with a list of their hashes. Parts of an earlier
    pack are removed."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(f"{ARCHIVE}.*"):
        old.unlink()
    archive = stage.parent / ARCHIVE
    with tarfile.open(archive, "w") as tar:
        for path in sorted(stage.iterdir()):
            tar.add(path, path.name)
    parts: list[Path] = []
    with archive.open("rb") as file:
        while block := file.read(most):
            parts.append(out / f"{ARCHIVE}.{len(parts):03}")
            parts[-1].write_bytes(block)
    hashes = [f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n" for part in parts]
    (out / "parts.sha256").write_text("".join(hashes))
    return parts


def write_run(
    out: Path, python: str, requirements: Sequence[str], bundles: Sequence[str], data: Path | None, torch: bool
) -> None:
    """The one command. A machine that has torch lends it to the venv, where none is packed."""
    text = RUN.format(
        python=python,
        archive=ARCHIVE,
        system="" if torch else "--system-site-packages",
        requirements=" ".join(f"'{requirement}'" for requirement in requirements),
        bundles=" ".join(bundles),
        data=f"--data {data.name}" if data else "",
    )
    (out / "run.sh").write_text(text)


if __name__ == "__main__":
    main()
