"""What it would cost to keep CPR's descriptors in 8 bits: all four metrics, with FP16 and with INT8 banks, in one run.

    python -m benchmarks.accuracy.bank_int8 BUNDLE CATEGORY [BUNDLE CATEGORY...]

Each bank (n, d, h, w) of the bundle's graph is rounded to 255 steps with one scale for each of the d channels; nothing
else changes. Also printed: by how much a cosine differs, and what share of the graph the banks are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import Picture
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.summary import figures
from edge_build.progress import progress_for_stderr
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Precision


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    pairs = command_line().parse_args(arguments).pairs
    print("| category | bank | image AUROC | pixel AUROC | AUPRO | pixel AP | MiB | of the graph |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for folder, category in zip(pairs[::2], pairs[1::2], strict=True):
        bundle = open_bundle(folder)
        test = scan_dataset(category).test
        graph = bundle.graph(Precision.FP32).read_bytes()
        rounded, size, worst = with_int8_banks(graph)
        for name, model, part in (("FP16", graph, size), ("INT8", rounded, size / 2)):
            shown = measured(model, folder, test)
            share = part / (len(graph) - size + part)
            print(f"| {category.name} | {name} | {shown} | {part / 2**20:.1f} | {share:.0%} |", flush=True)
        print(f"\n{category.name}: the cosine of a cell with its own rounded descriptor is at least {worst:.5f}\n")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+", metavar="BUNDLE CATEGORY")
    return parser


def with_int8_banks(graph: bytes) -> tuple[bytes, int, float]:
    """The graph with rounded banks, the bytes of its FP16 banks, the least cosine of a cell and its rounded self."""
    model, size, worst = onnx.load_from_string(graph), 0, 1.0
    for initializer in model.graph.initializer:
        if initializer.data_type != onnx.TensorProto.FLOAT16 or len(initializer.dims) != 4:
            continue
        bank = onnx.numpy_helper.to_array(initializer)
        size += bank.nbytes
        rounded = rounded_to_int8(bank.astype(np.float32))
        product = (rounded * bank).sum(1) / (
            np.linalg.norm(rounded, axis=1) * np.linalg.norm(bank.astype(float), axis=1)
        )
        worst = min(worst, float(product.min()))
        initializer.CopyFrom(onnx.numpy_helper.from_array(rounded, initializer.name))
    if not size:
        raise SystemExit("the graph holds no FP16 banks: give a bundle of cpr, cpr-fast or cpr-faster")
    del model.graph.value_info[:]
    return model.SerializeToString(), size, worst


def rounded_to_int8(bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d, h, w) as 8 bits and one scale for each of the d channels would give it back."""
    scale = np.abs(bank).max((0, 2, 3), keepdims=True) / 127
    return np.asarray(np.rint(bank / scale) * scale, np.float32)


def measured(graph: bytes, folder: Path, test: tuple[Picture, ...]) -> str:
    """The four metrics on test pictures, as cells of a table, in percent."""
    bundle = open_bundle(folder)
    with OnnxruntimeEngine(graph, threads=1) as engine:
        judge = Judge(engine, bundle.threshold(Precision.FP32), bundle.viewer())
        found = figures(evaluate(judge, test, progress_for_stderr()))
    four = (found.image_auroc, found.pixel_auroc, found.aupro, found.pixel_ap)
    return " | ".join("–" if value is None else f"{100 * value:.2f}" for value in four)


if __name__ == "__main__":
    main()
