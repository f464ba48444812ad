"""The two compilers of NVIDIA that make engines: the same Python API, so the same classes here serve both.

TensorRT comes with JetPack, and tries out kernels on the device. TensorRT-RTX (`pip install tensorrt-rtx-cu12`, x86-64)
compiles ahead of time, without a GPU if need be, and finishes an engine on the device when it is first loaded.
"""

from __future__ import annotations

from enum import Enum


class Library(str, Enum):
    """Which of the two. The value is also the name of its engine in a station's file."""

    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"

    @property
    def module(self) -> str:
        """What Python imports."""
        return {Library.TENSORRT: "tensorrt", Library.TENSORRT_RTX: "tensorrt_rtx"}[self]

    @property
    def label(self) -> str:
        """For people."""
        return {Library.TENSORRT: "TensorRT", Library.TENSORRT_RTX: "TensorRT-RTX"}[self]

    @property
    def tag(self) -> str:
        """In the names of files, in front of the version."""
        return {Library.TENSORRT: "trt", Library.TENSORRT_RTX: "rtx"}[self]

    @property
    def how_to_compile(self) -> str:
        """The command that makes this device's engine, in the words of an error."""
        option = {Library.TENSORRT: "", Library.TENSORRT_RTX: " --rtx"}[self]
        return f"run `edge-build compile BUNDLE{option}` on this device"

    @property
    def how_to_install(self) -> str:
        """What to do when Python does not find it."""
        return {
            Library.TENSORRT: "On a Jetson: `sudo apt install python3-libnvinfer`, and make the venv with "
            "--system-site-packages; on a workstation: pip install '.[gpu]', or take the engine tensorrt-rtx",
            Library.TENSORRT_RTX: "On an x86-64 machine: pip install '.[rtx]'; a Jetson has TensorRT instead (engine "
            "tensorrt)",
        }[self]
