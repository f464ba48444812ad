"""What import-linter (.importlinter) cannot see: that every module of the device really comes up on a bare one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
    print(module.name)
"""


def test_every_module_of_the_device_imports_without_the_hosts_libraries():
    program = IMPORT_ALL.format(blocked=set(NOT_ON_A_DEVICE))
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert "edge_runtime.engines.tensorrt.engine" in found.stdout.split()  # rooms within rooms are gone through, too


DO_NO_WORK = """
import importlib, os, pkgutil, sys, threading
import cv2  # it sets variables of its own
before = dict(os.environ)
import edge_runtime
for module in pkgutil.walk_packages(edge_runtime.__path__, "edge_runtime."):
    importlib.import_module(module.name)
print({key: value for key, value in os.environ.items() if before.get(key) != value}, threading.active_count())
print([name for name in ("onnxruntime", "tensorrt", "gi") if name in sys.modules])
"""


def test_no_import_of_the_device_does_work_or_loads_an_engine(tmp_path):
    there = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", DO_NO_WORK], capture_output=True, text=True, timeout=60, env=there, cwd=tmp_path
    )
    assert (found.stdout, found.stderr) == ("{} 1\n[]\n", "")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("package", ["edge_runtime", "edge_calibration", "edge_build", "edge_deploy"])
def test_a_package_itself_imports_nothing(package):
    program = f"import sys; before = set(sys.modules); import {package}; print(sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == f"{[package]}\n"
