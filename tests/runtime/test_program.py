"""Before anything else the programs see whether OpenCV can be loaded, and say what to do where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edge_runtime.program import opencv_problem, require_opencv

BUILT_FOR_NUMPY_1 = """
import sys
sys.stderr.write("A module that was compiled using NumPy 1.x cannot be run in NumPy 2 as it may crash.\\n" * 20)
raise ImportError("numpy.core.multiarray failed to import")
"""
NUMPY_2 = '__version__ = "2.2.6"\n'


def started(program: str, folder, **modules: str) -> subprocess.CompletedProcess[str]:
    """One of the programs, with fakes of these modules before the real ones."""
    for name, text in modules.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text)
    code = f"from {program}.entry import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize(
    ("package", "program"),
    [("edge_runtime", "edge-daemon"), ("edge_build", "edge-build"), ("edge_deploy", "edge-deploy")],
)
def test_an_opencv_that_was_built_for_numpy_1_ends_each_program_with_what_to_install(package, program, tmp_path):
    found = started(package, tmp_path, cv2=BUILT_FOR_NUMPY_1, numpy=NUMPY_2)
    assert found.returncode == 78
    assert found.stderr == (
        f"{program}: the OpenCV in {tmp_path}/cv2 cannot be loaded with numpy 2.2.6 (numpy.core.multiarray failed to "
        f"import); JetPack's was built for numpy 1: {sys.prefix}/bin/pip install 'numpy<2'\n"
    )


def test_an_opencv_that_asks_numpy_2_for_what_is_gone_is_the_same_case(tmp_path):
    found = started("edge_runtime", tmp_path, cv2='raise AttributeError("_ARRAY_API not found")', numpy=NUMPY_2)
    assert found.returncode == 78
    assert "cannot be loaded with numpy 2.2.6 (_ARRAY_API not found)" in found.stderr


def test_one_that_misses_a_library_of_the_system_says_which(tmp_path):
    broken = 'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")'
    found = started("edge_runtime", tmp_path, cv2=broken, numpy='__version__ = "1.26.4"\n')
    assert found.returncode == 78
    assert f"the OpenCV in {tmp_path}/cv2 cannot be loaded: libGL.so.1: cannot open" in found.stderr


def test_one_that_is_not_there_says_where_it_comes_from():
    text = opencv_problem(ModuleNotFoundError("No module named 'cv2'", name="cv2"), "1.26.4", "")
    assert text.startswith("OpenCV (cv2) is not installed: pip install opencv-python-headless; on a Jetson install")


def test_one_that_can_be_loaded_is_passed_over_in_silence(capsys):
    require_opencv("edge-daemon")
    assert capsys.readouterr() == ("", "")
