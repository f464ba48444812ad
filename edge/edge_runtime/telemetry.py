"""onnxruntime without its telemetry: a factory's device reports its use to nobody.

From 1.29 on, onnxruntime tells its makers what it does unless a variable is set before its import
(github.com/microsoft/onnxruntime/pull/27379). Every program sets it first of all, for itself and its children; and
whoever needs onnxruntime gets it here, so that our code as a library reports nothing either.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from edge_runtime.errors import EngineError


def forbid_telemetry() -> None:
    """For this process and those that it starts, unless whoever started it says otherwise."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def load_onnxruntime() -> Any:
    """The module `onnxruntime`; imported nowhere else. Raises EngineError where it is not installed."""
    forbid_telemetry()
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise EngineError(f"onnxruntime cannot be imported ({error}): pip install onnxruntime") from error
