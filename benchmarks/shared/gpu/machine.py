"""Part 1: the driver, the GPU, and the versions of everything that takes part."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.shared.gpu.missing import MissingError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import find_nvidia
from edge_runtime.errors import EdgeError

if TYPE_CHECKING:
    from benchmarks.gpu import Job

PACKAGES = {
    "tensorrt": "pip install '.[gpu]', or JetPack's",
    "tensorrt-rtx-cu12": "pip install '.[rtx]'",
    "pycuda": "not needed: the driver is called directly without it",
    "torch": "pip install torch (a build with CUDA)",
    "onnxruntime-gpu": "pip install onnxruntime-gpu, last of all",
    "onnxruntime": "pip install '.'",
    "onnx": "pip install '.[host]'",
    "numpy": "pip install '.'",
}
SMI = "name,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit,pstate"


def lines(job: Job) -> Iterator[str]:
    """A list; what is missing is named with what would bring it."""
    yield f"- {platform.platform()}, Python {platform.python_version()}, {platform.machine()}"
    yield f"- nvidia-smi: {smi()}"
    for library in Library:
        try:
            found = find_nvidia(library)
            free, total = found.free_memory()
            calls = "libcuda directly" if type(found.cuda).__name__ == "CudaDriver" else "pycuda"
            yield (
                f"- {found.product} on {found.gpu}, compute capability {found.compute}, CUDA by {calls}, "
                f"{free >> 20} of {total >> 20} MiB free"
            )
        except EdgeError as error:
            yield f"- missing: {library.label}: {error}"
    for package, remedy in PACKAGES.items():
        try:
            yield f"- {package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"- missing: {package} ({remedy})"


def smi() -> str:
    """One line of nvidia-smi. Raises MissingError where it is there and fails."""
    if shutil.which("nvidia-smi") is None:
        return "missing"
    command = ["nvidia-smi", f"--query-gpu={SMI}", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if found.returncode:
        raise MissingError(f"nvidia-smi fails: {(found.stderr or found.stdout).strip()}")
    return found.stdout.strip().replace("\n", "; ")
