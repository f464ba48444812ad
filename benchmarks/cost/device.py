"""What a device does with a bundle: latency, pictures a second, power mode, temperature, engine size and memory.

    python -m benchmarks.cost.device BUNDLE [--engine auto] [--precision fp16] [--engines DIR] [--seconds 20]

Batch 1, golden pictures in turns, from a prepared picture in memory to score and map in memory. onnxruntime's CPU takes
its turn in the same run, so that a busy or throttled device shows as one. docs/how-to/jetson.md says what to expect.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.golden import read_golden, replay_golden
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.engines.protocol import ENGINES, Engine, EngineKind
from edge_runtime.engines.selection import choose_engine
from edge_runtime.engines.tensorrt.engine import TensorrtEngine
from edge_runtime.records import Precision

WARM_UP = 50
PERCENTILES = (50, 90, 99, 99.9)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = command_line().parse_args(arguments)
    bundle = open_bundle(options.bundle)
    print(f"device        {device_model()}")
    print(f"power mode    {first_line(['nvpmodel', '-q']) or 'no nvpmodel here'}")
    for precision in [options.precision] if options.precision else bundle.manifest.graphs:
        chosen = choose_engine(options.engine, bundle, precision, options.engines)
        with chosen.engine as engine:
            report(bundle, engine, precision, chosen.why, options.seconds)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--engine", type=EngineKind, default=EngineKind.AUTO, choices=list(EngineKind))
    parser.add_argument("--precision", type=Precision, choices=list(Precision), help="default: all of the bundle")
    parser.add_argument("--engines", type=Path, default=ENGINES)
    parser.add_argument("--seconds", type=float, default=20.0)
    return parser


def report(bundle: Bundle, engine: Engine, precision: Precision, why: str, seconds: float) -> None:
    """One engine's figures."""
    print(f"\n{bundle.label} {precision.value}: {engine.name}, {why}")
    print(f"golden        largest deviation {replay_golden(bundle, engine, precision):.3f} of the tolerance")
    pictures = [read_golden(bundle, golden)[0] for golden in bundle.manifest.golden]
    before = temperatures()
    with watched_by_tegrastats() as load:
        times_ms = latencies(engine.infer, pictures, seconds)
    with OnnxruntimeEngine(bundle.graph(Precision.FP32), threads=1) as reference:
        reference_ms = latencies(reference.infer, pictures, min(seconds, 5.0))
    shown = "  ".join(f"p{p:g} {np.percentile(times_ms, p):.3f}" for p in PERCENTILES)
    print(f"latency       {shown}  largest {times_ms.max():.3f} ms  ({len(times_ms)} pictures)")
    print(f"throughput    {1e3 / times_ms.mean():.1f} FPS at batch 1")
    ratio = np.median(reference_ms) / np.median(times_ms)
    print(f"beside CPU    {ratio:.2f} times as fast as onnxruntime fp32 with one thread "
          f"(median {np.median(reference_ms):.1f} ms)")  # fmt: skip
    for zone, after in temperatures().items():
        print(f"temperature   {zone}: {before.get(zone, float('nan')):.1f} -> {after:.1f} degrees Celsius")
    if load:
        print(f"tegrastats    {load[-1]}")
    if isinstance(engine, TensorrtEngine):
        works_in = engine.device_memory / 1e6
        print(f"engine        {engine.size / 1e6:.1f} MB, works in {works_in:.1f} MB of the GPU's memory")
    print(f"memory        {status_mb('VmRSS'):.0f} MB of this process, {status_mb('VmHWM'):.0f} MB at most")


def latencies(
    infer: Callable[[NDArray[np.uint8]], object], pictures: list[NDArray[np.uint8]], seconds: float
) -> NDArray[np.float64]:
    """Milliseconds of every inference within this time, after a warm-up."""
    for number in range(WARM_UP):
        infer(pictures[number % len(pictures)])
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        infer(pictures[len(times) % len(pictures)])
        times.append(1e3 * (time.perf_counter() - started))
    return np.array(times)


def device_model() -> str:
    """The board's name, as its maker wrote it into the device tree; otherwise the GPU's, or the processor's."""
    tree = Path("/proc/device-tree/model")
    if tree.exists():
        return tree.read_text().rstrip("\0")
    return first_line(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]) or next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown",
    )


def temperatures() -> dict[str, float]:
    """Degrees Celsius of every thermal zone that can be read."""
    found = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        try:
            found[(zone / "type").read_text().strip()] = int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):
            continue  # zones of parts that are switched off cannot be read
    return found


@contextmanager
def watched_by_tegrastats() -> Iterator[list[str]]:
    """What tegrastats prints meanwhile, one line a second; nothing where there is none."""
    lines: list[str] = []
    if shutil.which("tegrastats") is None:
        yield lines
        return
    process = subprocess.Popen(["tegrastats", "--interval", "1000"], stdout=subprocess.PIPE, text=True)
    try:
        yield lines
    finally:
        process.terminate()
        lines += [line.strip() for line in (process.communicate()[0] or "").splitlines()]


def first_line(command: list[str]) -> str:
    """The first line of what a program prints; empty where it is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    found = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return (found.stdout.splitlines() or [""])[0]


def status_mb(field: str) -> float:
    """A size of this process from /proc, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


if __name__ == "__main__":
    main()
