"""From a detector in torch to one ONNX graph that follows the graph contract.

Input `image`: uint8 BGR (1, H, W, 3). Outputs `score` float32 (1,), `anomaly_map` float32 (1, H, W). Opset 17, standard
operators only, no dynamic shape. Torch's tracing exporter writes it: the newer one starts at opset 18, which
TensorRT 8 does not take (docs/decisions/0002).
"""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn

from edge_build.graphs.lint import OPSET, require_compilable


def export_graph(detector: nn.Module, height: int, width: int) -> bytes:
    """The serialised ONNX model of a detector whose forward takes one prepared picture and gives score and map.

    Raises ValueError when the result does not follow the contract: that is a bug in the detector.
    """
    model = onnx.load_from_string(_simplified(_traced(detector, height, width)))
    _merge_pads(model.graph)
    opset = [entry for entry in model.opset_import if entry.domain == ""]
    del model.opset_import[:]  # onnxruntime lists every domain that it knows
    model.opset_import.extend(opset)
    model.producer_name, model.producer_version = "edge-build", ""
    onnx.checker.check_model(model, full_check=True)
    _check_contract(model, height, width)
    graph = bytes(model.SerializeToString())
    require_compilable(graph)
    return graph


def _traced(detector: nn.Module, height: int, width: int) -> bytes:
    image = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter announces its own retirement, and that sizes become constants, which is what we want.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            detector,
            (image,),
            buffer,  # type: ignore[arg-type]  # a file object is taken by the tracing exporter, its annotation forgets it
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["score", "anomaly_map"],
        )
    return buffer.getvalue()


def _simplified(model: bytes) -> bytes:
    """Constants folded and no-ops removed by onnxruntime's basic level, which keeps to standard operators."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simplified.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


def _merge_pads(graph: onnx.GraphProto) -> None:
    """Move zero padding in front of a convolution into the convolution, where it costs no copy of the map."""
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    for conv in [node for node in graph.node if node.op_type == "Conv"]:
        pad = producers.get(conv.input[0])
        if pad is None or pad.op_type != "Pad" or sum(pad.output[0] in n.input for n in graph.node) != 1:
            continue
        zeros = len(pad.input) < 3 or not pad.input[2] or not constants[pad.input[2]].any()
        if not zeros or any(a.name == "mode" and a.s != b"constant" for a in pad.attribute):
            continue
        amounts = constants[pad.input[1]].tolist()  # begins of n, c, h, w, then their ends
        pads = next(a for a in conv.attribute if a.name == "pads")
        if any(pads.ints) or any(amounts[axis] for axis in (0, 1, 4, 5)):
            continue
        pads.ints[:] = [amounts[2], amounts[3], amounts[6], amounts[7]]
        conv.input[0] = pad.input[0]
        graph.node.remove(pad)
    used = {name for node in graph.node for name in node.input}
    for unused in [i for i in graph.initializer if i.name not in used]:
        graph.initializer.remove(unused)


def _check_contract(model: onnx.ModelProto, height: int, width: int) -> None:
    def described(values: list[onnx.ValueInfoProto]) -> dict[str, tuple[int, list[int]]]:
        return {
            v.name: (v.type.tensor_type.elem_type, [d.dim_value for d in v.type.tensor_type.shape.dim]) for v in values
        }

    uint8, float32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    inputs, outputs = described(list(model.graph.input)), described(list(model.graph.output))
    if inputs != {"image": (uint8, [1, height, width, 3])}:
        raise ValueError(f"the graph's inputs are {inputs}")
    if outputs != {"score": (float32, [1]), "anomaly_map": (float32, [1, height, width])}:
        raise ValueError(f"the graph's outputs are {outputs}")
