"""The import rule of docs/explanation/architecture.md.

The device needs nothing of the host, and the packages look one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "edge_runtime": ROOT / "edge/edge_runtime",
    "edge_calibration": ROOT / "calibration/edge_calibration",
    "edge_build": ROOT / "build/edge_build",
    "edge_deploy": ROOT / "deploy/edge_deploy",
}
MAY_IMPORT = {
    "edge_runtime": set(),
    "edge_calibration": {"edge_runtime"},
    "edge_build": {"edge_runtime", "edge_calibration"},
    "edge_deploy": {"edge_runtime"},
}
NOT_ON_A_DEVICE = ("torch", "sklearn", "onnx", "tensorrt", "pycuda", "scipy", "jinja2", "cryptography")

IMPORT_ALL = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is not on a device")
        return None

sys.meta_path.insert(0, Blocker())
import edge_runtime
for module in pkgutil.walk_packages(edge_runtime.__path__, "edge_runtime."):
    importlib.import_module(module.name)
print("imported all")
"""


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", SOURCES)
def test_a_package_imports_only_those_before_it(package):
    files = list(SOURCES[package].rglob("*.py"))
    assert files
    forbidden = SOURCES.keys() - MAY_IMPORT[package] - {package}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in sorted(forbidden.intersection(imported_packages(path)))
    ]
    assert wrong == []


def test_every_module_of_the_device_imports_without_the_hosts_libraries():
    program = IMPORT_ALL.format(blocked=set(NOT_ON_A_DEVICE))
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "imported all\n"
