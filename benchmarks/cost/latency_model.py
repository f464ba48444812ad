"""What a bundle's graphs must cost on a device, from what they compute and move, against published peak rates.

    python -m benchmarks.cost.latency_model BUNDLE [BUNDLE...] [--precision fp16] [--kernels]

No device is needed, and none is measured: docs/explanation/latency.md says what the figures mean and what they rest on.
Two are given for each device: the bound, where every kernel runs at the device's peak; and an estimate, where each
takes at least as long as the CPR paper's own figure leaves for one, scaled by the clocks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from edge_build.graphs.cost import Kernel, kernels_of
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.records import Precision


@dataclass(frozen=True)
class Device:
    """Peaks without sparsity. cores: FP32 lanes; tensor: FP16 multiply-adds of all tensor cores per clock, INT8 does
    twice as many. fp16: multiply-adds of the cores in FP16, beside FP32's."""

    name: str
    cores: int
    tensor: int
    fp16: int
    clock_ghz: float
    memory_gb_s: float

    def rate(self, kernel: Kernel) -> float:
        """Multiply-adds per second. FP32 stays on the cores: TF32 is switched off (docs/decisions/0013)."""
        scale = {Precision.FP32: 1, Precision.FP16: self.fp16, Precision.INT8: 4}[kernel.precision]
        if kernel.dense and kernel.precision is not Precision.FP32:
            return self.tensor * (2 if kernel.precision is Precision.INT8 else 1) * self.clock_ghz * 1e9
        return self.cores * scale * self.clock_ghz * 1e9

    def bound_s(self, kernel: Kernel) -> float:
        """The least that a kernel takes: its arithmetic or its memory, whichever is slower."""
        return max(kernel.multiply_adds / self.rate(kernel), kernel.moved / (self.memory_gb_s * 1e9))


# NVIDIA's data sheets: Jetson Orin Nano 8 GB (15 W, and "Super" 25 W), Orin NX 16 GB, AGX Orin 64 GB, Ada whitepaper.
DEVICES = (
    Device("Orin Nano 8 GB, 15 W", 1024, 32 * 256, 2, 0.625, 68.0),
    Device("Orin Nano 8 GB, Super", 1024, 32 * 256, 2, 1.020, 102.0),
    Device("Orin NX 16 GB", 1024, 32 * 256, 2, 0.918, 102.4),
    Device("AGX Orin 64 GB", 2048, 64 * 256, 2, 1.300, 204.8),
    Device("RTX 4090", 16384, 512 * 128, 1, 2.520, 1008.0),
)
PAPER = DEVICES[-1]
PAPER_FPS = 1016  # CPR-Faster, TensorRT on an RTX 4090 (Li et al. 2024)
LEAST_US = 10.0  # of a kernel there: what the paper's figure leaves on CPR-Faster at 320 x 320, as the paper has it


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both figures for every bundle, precision and device."""
    options = command_line().parse_args(arguments)
    for folder in options.bundles:
        bundle = open_bundle(folder)
        for precision in [options.precision] if options.precision else bundle.manifest.graphs:
            kernels = kernels_of(onnx.load(bundle.graph(precision)))
            manifest = bundle.manifest
            print(f"\n{bundle.label} ({manifest.detector}, {manifest.height} x {manifest.width}) {precision.value}: "
                  f"{len(kernels)} kernels, {sum(k.multiply_adds for k in kernels) / 1e6:.0f} M multiply-adds, "
                  f"{sum(k.moved for k in kernels) / 1e6:.1f} MB moved")  # fmt: skip
            if manifest.detector == "cpr-faster":
                bound_fps = 1e3 / bound_ms(PAPER, kernels)
                print(f"  the paper's {PAPER_FPS} FPS are {PAPER_FPS / bound_fps:.1%} of the {PAPER.name}'s bound, and "
                      f"leave {least_us_of_paper(kernels):.1f} us for a kernel")  # fmt: skip
            for device in DEVICES:
                bound, estimate = bound_ms(device, kernels), estimate_ms(device, kernels, options.least_us)
                print(f"  {device.name:<22} bound {bound:7.3f} ms ({1e3 / bound:7.0f} FPS)   "
                      f"estimate {estimate:7.3f} ms ({1e3 / estimate:6.0f} FPS)")  # fmt: skip
            if options.kernels:
                for kernel in sorted(kernels, key=DEVICES[0].bound_s, reverse=True)[:10]:
                    print(f"    {1e6 * DEVICES[0].bound_s(kernel):8.1f} us  {kernel.operator:<10} {kernel.name}  "
                          f"{kernel.multiply_adds / 1e6:.1f} M, {kernel.moved / 1e6:.2f} MB")  # fmt: skip


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--precision", type=Precision, choices=list(Precision))
    parser.add_argument("--least-us", type=float, default=LEAST_US, help=f"of a kernel on the RTX 4090 ({LEAST_US})")
    parser.add_argument("--kernels", action="store_true", help="the ten that bound the time on the first device")
    return parser


def bound_ms(device: Device, kernels: list[Kernel]) -> float:
    """Every kernel at the device's peak, one after the other."""
    return 1e3 * sum(map(device.bound_s, kernels))


def estimate_ms(device: Device, kernels: list[Kernel], least_us: float) -> float:
    """The same, where no kernel is faster than a small one was seen to be, at this device's clock."""
    least_s = least_us * 1e-6 * PAPER.clock_ghz / device.clock_ghz
    return 1e3 * sum(max(device.bound_s(kernel), least_s) for kernel in kernels)


def least_us_of_paper(kernels: list[Kernel]) -> float:
    """The least time of a kernel with which these kernels take what the paper measured."""
    low, high = 0.0, 1e6 / PAPER_FPS
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if estimate_ms(PAPER, kernels, middle) < 1e3 / PAPER_FPS else (low, middle)
    return middle


if __name__ == "__main__":
    main()
