"""When native code crashes a program, standard error says where; all three programs see to that."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

CRASH = """
import ctypes
from edge_runtime.program import report_crashes
report_crashes()
def in_the_engine():
    ctypes.string_at(0)
in_the_engine()
"""
ENABLED = """
import faulthandler, sys
from {package}.cli import main
sys.argv = ["program", "--version"]
try:
    main()
except SystemExit:
    print("reports crashes" if faulthandler.is_enabled() else "is silent")
"""


def test_a_crash_in_native_code_leaves_the_python_stack():
    found = subprocess.run([sys.executable, "-c", CRASH], capture_output=True, text=True, timeout=60)
    assert found.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in found.stderr
    assert "in in_the_engine" in found.stderr


@pytest.mark.parametrize("package", ["edge_runtime", "edge_deploy", "edge_build"])
def test_each_program_reports_crashes(package):
    program = ENABLED.format(package=package)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "reports crashes" in found.stdout, found.stderr
