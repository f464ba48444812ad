"""What import-linter (.importlinter) cannot see: that every module of the device really comes up on a bare one."""

from __future__ import annotations

import subprocess
import sys

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
