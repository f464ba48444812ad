"""The distribution as others get it: built, and installed where nothing else is but what it says that it needs."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NAME = "edge-inspection"


@dataclass(frozen=True)
class Built:
    """What `python -m build` writes."""

    sdist: Path
    wheel: Path


def build(folder: Path, *options: str) -> Built:
    """With the hatchling that is installed: nothing is downloaded."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *options, str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return Built(next(folder.glob("*.tar.gz"), Path()), next(folder.glob("*.whl")))


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it; `folder` is where its programs run."""

    environment: Path
    folder: Path

    def run(self, program: str, *arguments: object) -> str:
        """What a program of the environment prints; it knows no folder of the repository."""
        command = [self.environment / "bin" / program, *map(str, arguments)]
        found = subprocess.run(
            command, cwd=self.folder, env=self.variables(), capture_output=True, text=True, timeout=300, check=False
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    @staticmethod
    def variables() -> dict[str, str]:
        """As a user has them, without what a test's own environment adds."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST", "VIRTUAL"))}
        return kept | {"OMP_NUM_THREADS": "1"}


def install(wheel: Path, extra: str, folder: Path) -> Installed:
    """Install a wheel offline, beside links to the packages that it and the extra ask for, and to no others.

    pip itself looks whether all requirements are met, in these versions. Where the packages of this environment were
    put matters not; what they need of each other is followed.
    """
    environment, packages = folder / "environment", folder / "packages"
    venv.create(environment, with_pip=False)
    packages.mkdir()
    for distribution in needed(wheel, extra):
        for file in distribution.files or ():
            link = packages / file.parts[0]
            if file.parts[0] != ".." and not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(file.parts[0]))))
    version = f"python{sysconfig.get_python_version()}"
    (environment / "lib" / version / "site-packages" / "packages.pth").write_text(f"{packages}\n")
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin/python", "install", "--quiet", "--no-index"]
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    subprocess.run([*pip, wanted], check=True, timeout=300, cwd=folder, env=Installed.variables())
    return Installed(environment, folder)


def needed(wheel: Path, extra: str) -> Iterator[importlib.metadata.Distribution]:
    """Of what is installed here: all that the wheel asks for, and what that asks for in its turn."""
    found = next(importlib.metadata.distributions(name=NAME, path=[str(wheel)]))
    waiting, seen = [(found, {extra})], {NAME}
    while waiting:
        distribution, extras = waiting.pop()
        for text in distribution.requires or ():
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras | {""})
            if wanted and name not in seen:
                seen.add(name)
                there = importlib.metadata.distribution(name)
                waiting.append((there, requirement.extras))
                yield there
