"""NVIDIA's real Python modules of TensorRT without its libraries: they import against empty ones, made here.

`tensorrt_bindings.py FOLDER OUT.json MAJOR` writes what a version offers to Python, for the fake in fake_nvidia.py.
Version 8.6's module is for Python 3.10 and older: run it with that one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bindings:
    """Where ./check puts a version's module, and the major version of the libraries that it asks for."""

    folder: Path
    major: str


BINDINGS = {
    "10.3": Bindings(Path(sys.prefix) / "tensorrt-bindings/10.3.0", "10"),
    "10.13": Bindings(Path(sys.prefix) / "tensorrt-bindings/10.13.3.9", "10"),
    "11.4": Bindings(Path(sys.prefix) / "tensorrt-bindings/11.4.0.106", "11"),
}
CLASSES = (
    "Builder", "BuilderFlag", "ComputeCapability", "DataType", "EngineInspector", "IBuilderConfig", "ICudaEngine",
    "IExecutionContext", "IHostMemory", "IInt8EntropyCalibrator2", "IInt8MinMaxCalibrator", "ILayer", "ILogger",
    "INetworkDefinition", "IProgressMonitor", "IRuntimeCache", "IRuntimeConfig", "ITensor", "ITimingCache",
    "LayerInformationFormat", "LayerType", "MemoryPoolType", "NetworkDefinitionCreationFlag", "OnnxParser",
    "ParserError", "ProfilingVerbosity", "Runtime", "TensorIOMode",
)  # fmt: skip
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")
EMPTY = """
void *createInferBuilder_INTERNAL(void *logger, int version) { return 0; }
void *createInferRefitter_INTERNAL(void *engine, void *logger, int version) { return 0; }
void *createInferRuntime_INTERNAL(void *logger, int version) { return 0; }
void *createNvOnnxParserRefitter_INTERNAL(void *refitter, void *logger, int version) { return 0; }
void *createNvOnnxParser_INTERNAL(void *network, void *logger, int version) { return 0; }
void *getBuilderPluginRegistry(int capability) { return 0; }
void *getPluginRegistry(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
int initLibNvInferPlugins(void *logger, const char *space) { return 0; }
void *_ZN11nvuffparser15createUffParserEv(void) { return 0; }
void *_ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi(void) { return 0; }
void *_ZN14nvcaffeparser117createCaffeParserEv(void) { return 0; }
void _ZN14nvcaffeparser123shutdownProtobufLibraryEv(void) {}
"""
SURFACE = """
import json, sys
import {module} as trt
present = [name for name in {classes} if hasattr(trt, name)]
classes = {{name: sorted(n for n in dir(getattr(trt, name)) if n[0] != "_") for name in present}}
names = sorted(n for n in dir(trt) if n[0] != "_" or n == "__version__")
print(json.dumps({{"version": trt.__version__, "names": names, "classes": classes}}, indent=1))
"""


def has_compiler() -> bool:
    return shutil.which("gcc") is not None


def write_empty_libraries(folder: Path, major: str) -> Path:
    """The shared libraries that a major version's module asks for, with nothing in them."""
    (folder / "empty.c").write_text(EMPTY)
    for name in LIBRARIES:
        target = f"lib{name}.so.{major}"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-o", folder / target, f"-Wl,-soname,{target}", folder / "empty.c"], check=True
        )
    return folder


def run_with_bindings(program: str, bindings: Path, libraries: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """A program that finds `tensorrt_bindings` and the empty libraries."""
    environment = {"LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": ":".join(map(str, (bindings, *path)))}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)


def surface_of(bindings: Path, libraries: Path) -> str:
    """What a version's module offers, as JSON."""
    found = run_with_bindings(SURFACE.format(classes=CLASSES, module="tensorrt_bindings"), bindings, libraries)
    if found.returncode:
        raise RuntimeError(found.stderr)
    return found.stdout


if __name__ == "__main__":
    import tempfile

    bindings, out = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        text = surface_of(bindings, write_empty_libraries(Path(folder), sys.argv[3]))
    out.write_text(json.dumps(json.loads(text), indent=1) + "\n")
