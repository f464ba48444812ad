from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(program, **environment):
    there = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=there)


def test_the_module_comes_with_its_telemetry_forbidden():
    program = "import os; from edge_runtime.telemetry import load_onnxruntime"
    found = run(f"{program}; print(load_onnxruntime().__name__, os.environ['ORT_DISABLE_TELEMETRY'])")
    assert (found.stdout, found.stderr) == ("onnxruntime 1\n", "")


def test_whoever_starts_a_program_may_decide_otherwise():
    program = "import os; from edge_runtime.telemetry import forbid_telemetry; forbid_telemetry(); print(os.environ"
    found = run(f"{program}['ORT_DISABLE_TELEMETRY'])", ORT_DISABLE_TELEMETRY="0")
    assert found.stdout == "0\n"


def test_a_machine_without_onnxruntime_says_what_to_install():
    program = "import sys; sys.modules['onnxruntime'] = None; from edge_runtime.telemetry import load_onnxruntime\ntry:"
    found = run(f"{program} load_onnxruntime()\nexcept Exception as error: print(type(error).__name__, error)")
    assert found.stdout.startswith("EngineError onnxruntime cannot be imported (")
    assert found.stdout.endswith("): pip install onnxruntime\n")


@pytest.mark.parametrize("program", ["edge_runtime", "edge_build", "edge_deploy"])
def test_every_program_forbids_it_for_itself_and_its_children(program):
    calls = "import os, sys, atexit; atexit.register(lambda: print(os.environ['ORT_DISABLE_TELEMETRY']))"
    found = run(f"{calls}; sys.argv = ['program', '--version']; from {program}.cli import main; main()")
    assert found.stdout.splitlines()[-1] == "1", found.stderr
