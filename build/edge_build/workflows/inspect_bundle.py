"""`edge-build inspect BUNDLE`: what each graph is made of, what it costs, and whether TensorRT would take it.

print(bundle_text(open_bundle(Path("bundles/screw-1")), compile_too=False))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx

from edge_build.graphs.cost import kernels_of, operators_of
from edge_build.graphs.lint import violations
from edge_build.on_device.ahead_of_time import build_ahead
from edge_runtime.bundle.reader import Bundle
from edge_runtime.errors import EngineError
from edge_runtime.records import Precision

WIDTH = 100


def bundle_text(bundle: Bundle, compile_too: bool) -> str:
    """Lines for a terminal. compile_too: put each graph through NVIDIA's compiler as well (extra `rtx`)."""
    manifest = bundle.manifest
    lines = [f"{bundle.label}  {manifest.detector}, {manifest.backbone}, {manifest.height} x {manifest.width}"]
    for precision in manifest.graphs:
        lines += ["", *_graph_lines(bundle, precision, compile_too)]
    return "\n".join(lines)


def _graph_lines(bundle: Bundle, precision: Precision, compile_too: bool) -> Iterator[str]:
    path = bundle.graph(precision)
    graph = path.read_bytes()
    model = onnx.load_from_string(graph)
    kernels = kernels_of(model)
    total, shares = sum(k.multiply_adds for k in kernels), Counter[str]()
    for kernel in kernels:
        shares[kernel.precision.value] += kernel.multiply_adds
    yield f"{precision.value}  {path.name}, {len(graph) / 1e6:.1f} MB, sha256 {bundle.graph_sha256(precision)[:16]}"
    yield (
        f"  {total / 1e6:.0f} M multiply-adds ("
        + ", ".join(f"{share / total:.0%} {name}" for name, share in shares.most_common())
        + f") in {len(kernels)} kernels that move {sum(k.moved for k in kernels) / 1e6:.1f} MB"
    )
    yield f"  constants: {_constants(model)}"
    yield from _wrapped("  operators: ", [f"{n} {kind}" for kind, n in operators_of(model).most_common()])
    found = violations(model)
    yield "  TensorRT's rules, 8.6 and later: " + ("kept" if not found else f"{len(found)} broken")
    yield from (f"    {violation}" for violation in found)
    if compile_too:
        try:
            ahead = build_ahead(graph)
            size = len(ahead.serialized) / 1e6
            yield f"  TensorRT-RTX {ahead.version}: compiles, {ahead.layers} layers, {size:.1f} MB"
        except EngineError as error:
            yield f"  {error}"


def _constants(model: onnx.ModelProto) -> str:
    """Bytes by number type, the largest first."""
    sizes: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        sizes[np.dtype(kind).name] += int(np.prod(tensor.dims)) * np.dtype(kind).itemsize
    return ", ".join(f"{size / 1e6:.1f} MB {kind}" for kind, size in sizes.most_common() if size >= 1e4)


def _wrapped(start: str, words: list[str]) -> Iterator[str]:
    line = start
    for place, word in enumerate(words):
        piece = word + (", " if place < len(words) - 1 else "")
        if len(line) + len(piece) > WIDTH:
            yield line.rstrip()
            line = " " * len(start)
        line += piece
    yield line
