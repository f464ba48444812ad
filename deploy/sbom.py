#!/usr/bin/env python3
"""The bill of materials (CycloneDX 1.6, JSON) of an environment that the product is installed in.

    pip install 'cyclonedx-bom>=7'
    python deploy/sbom.py sbom.json                                          # of the Python that runs this
    python deploy/sbom.py sbom.json --python /opt/edge-inspection/bin/python # of another environment

The same environment gives the same file. cyclonedx-py does the work; it cannot know the product's version, which is
dynamic in pyproject.toml, so that is added here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
NAME = "edge-inspection"
VERSION_OF = f"from importlib.metadata import version; print(version({NAME!r}))"


def main() -> None:
    """Exits with 0, or with 1 and what to do."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="the file to write; nothing is written when anything fails")
    parser.add_argument("--python", default=sys.executable, help="the environment's Python; default: this one")
    arguments = parser.parse_args()
    text = json.dumps(bill_of(arguments.python), indent=2, sort_keys=True) + "\n"
    try:
        write(arguments.out, text)
    except OSError as error:
        sys.exit(f"sbom: {arguments.out} cannot be written: {error.strerror}")


def bill_of(python: str) -> dict[str, object]:
    """The bill as JSON has it. Exits with what to do when it cannot be made."""
    version = output([python, "-c", VERSION_OF], f"{NAME} is not installed for {python}: give another --python")
    program = [sys.executable, "-m", "cyclonedx_py"]
    output([*program, "--version"], f"cyclonedx-py does not run: {sys.executable} -m pip install 'cyclonedx-bom>=7'")
    options = ["--pyproject", str(PYPROJECT), "--output-reproducible", "--of", "JSON", "--sv", "1.6", "-o", "-"]
    bill: dict[str, object] = json.loads(output([*program, "environment", *options, python], "cyclonedx-py failed"))
    metadata = bill["metadata"]
    assert isinstance(metadata, dict)
    metadata["component"]["version"] = version.strip()
    return bill


def output(command: list[str], problem: str) -> str:
    """What a command prints. Exits with the problem, and the last line that the command wrote of it."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(f"sbom: {command[0]}: {error.strerror}")
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        sys.exit(f"sbom: {problem}" + (f"\n{said[-1]}" if said else ""))
    return done.stdout


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


if __name__ == "__main__":
    main()
