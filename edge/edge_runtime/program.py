"""What the three programs have in common: `--version`, an OpenCV that can be loaded, and what is left of one that
crashes in native code."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from edge_runtime import __version__
from edge_runtime.errors import EX_CONFIG


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        print(f"{context.info_name} {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def open_standard_streams() -> None:
    """Give a program that was started with standard streams closed (`2>&-`) ones that lead nowhere.

    Otherwise the next file that it opens, perhaps its spool, gets the number of one, and whatever prints writes there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # as long as the program runs


def report_crashes() -> None:
    """When an engine, a driver or a codec crashes the process: every thread's Python stack on standard error.

    Without it the journal says "Segmentation fault" and nothing else.
    """
    if sys.__stderr__ is not None:  # a program that was started with it closed
        faulthandler.enable(sys.__stderr__)


def require_opencv(program: str, load: Callable[[str], ModuleType] = importlib.import_module) -> None:
    """Exit with 78 and a message where OpenCV cannot be loaded: before any module does, which would end in a traceback.

    JetPack's OpenCV was built for numpy 1, and pip brings numpy 2 wherever nothing forbids it.
    """
    with contextlib.redirect_stderr(io.StringIO()):  # numpy writes a page of its own
        try:
            load("cv2")
            return
        except ImportError as error:
            problem = error
        except AttributeError as error:  # of numpy 2, when OpenCV 4.5 asks for what is gone
            problem = ImportError(str(error))
    print(f"{program}: {opencv_problem(problem, load('numpy').__version__, _where('cv2'))}", file=sys.stderr)
    sys.exit(EX_CONFIG)


def opencv_problem(error: ImportError, numpy_version: str, place: str) -> str:
    """What to do about it. place: the folder that cv2 lies in; empty: nowhere."""
    if isinstance(error, ModuleNotFoundError) and error.name == "cv2":
        return (
            "OpenCV (cv2) is not installed: pip install opencv-python-headless; on a Jetson install JetPack's "
            "(sudo apt install python3-opencv) and make the environment with --system-site-packages"
        )
    if int(numpy_version.partition(".")[0]) >= 2:
        return (
            f"the OpenCV in {place} cannot be loaded with numpy {numpy_version} ({error}); JetPack's was built for "
            f"numpy 1: {sys.prefix}/bin/pip install 'numpy<2'"
        )
    return f"the OpenCV in {place} cannot be loaded: {error}; install what it misses, or another OpenCV"


def _where(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return str(spec.origin).rpartition("/")[0] if spec is not None else ""
