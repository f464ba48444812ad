"""What the three programs have in common: `--version`, and what is left of one that crashes in native code."""

from __future__ import annotations

import faulthandler
import sys
from typing import Annotated

import typer

from edge_runtime import __version__


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        print(f"{context.info_name} {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def report_crashes() -> None:
    """When an engine, a driver or a codec crashes the process: every thread's Python stack on standard error.

    Without it the journal says "Segmentation fault" and nothing else.
    """
    if sys.__stderr__ is not None:  # a program that was started with it closed
        faulthandler.enable(sys.__stderr__)
