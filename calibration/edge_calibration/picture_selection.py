"""Which good pictures INT8 is calibrated on: a few that are as different as possible.

rows = spread(descriptors(model, network, pictures), 16)
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edge_calibration.quantisable_network import Network


def descriptors(model: onnx.ModelProto, network: Network, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the network sees on pictures (n, H, W, 3) as a whole, (n, d).

    It is the mean and the standard deviation of each channel of the maps that leave the network, each scaled to unit
    variance over the pictures.
    """
    taps = sorted(
        {
            tensor
            for node in model.graph.node
            if node.name not in network.nodes
            for tensor in node.input
            if tensor in network.outputs
        }
    )
    session = session_with_outputs(model, taps)
    rows = []
    for picture in pictures:
        maps = session.run(taps, {"image": picture[None]})
        rows.append(np.concatenate([part for m in maps for part in (m.mean((0, 2, 3)), m.std((0, 2, 3)))]))
    found = np.array(rows, np.float64)
    deviation = found.std(0)
    return np.asarray((found - found.mean(0)) / np.where(deviation > 0, deviation, 1))


def spread(points: NDArray[np.float64], count: int) -> list[int]:
    """Row numbers of at most `count` points (n, d), ascending: greedy k-centre, from the most usual point on.

    Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance". A copy of a chosen point is
    never chosen.
    """
    first = int(np.square(points - points.mean(0)).sum(1).argmin())
    chosen, far = [first], np.square(points - points[first]).sum(1)
    while len(chosen) < count and far.max() > 0:
        chosen.append(int(far.argmax()))
        far = np.minimum(far, np.square(points - points[chosen[-1]]).sum(1))
    return sorted(chosen)


def session_with_outputs(model: onnx.ModelProto, tensors: list[str]) -> onnxruntime.InferenceSession:
    """A session of a graph that gives the named tensors instead of the graph's outputs."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
