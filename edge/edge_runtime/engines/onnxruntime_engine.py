"""The reference engine: onnxruntime on the CPU. It runs on every machine, and its scores are the ones to reproduce.

With an onnxruntime that was built for GPUs it also runs on one, through CUDA or through its own use of TensorRT.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edge_runtime.errors import EngineError
from edge_runtime.records import Inspection

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


class OnnxruntimeEngine:
    """Runs a bundle's graph (input `image`, outputs `score` and `anomaly_map`) on the CPU, or as the provider says.

    threads: how many the graph may use; 0 lets onnxruntime take one per physical core. provider: onnxruntime's name of
    what computes. spinning: whether threads wait for work awake, which is faster for one engine on a machine of its
    own, and much slower beside other work. Raises EngineError when the graph does not load, does not follow the graph
    contract, or when the provider does not come up: onnxruntime would then quietly compute on the CPU.
    """

    def __init__(self, graph: Path | bytes, threads: int = 0, provider: str = CPU, spinning: bool = True) -> None:
        require_provider(provider, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        options.log_severity_level = 3  # errors only: the rest is about the graph's internals
        if provider == CPU:
            # Q/DQ pairs are computed in float, as exact as a device. The fused INT8 kernels saturate in 16 bits on CPUs
            # without VNNI and give wrong scores there, without a word (docs/decisions/0012).
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph) if isinstance(graph, Path) else graph, options, providers=[provider]
            )
        except Exception as error:  # onnxruntime's own exceptions share no base class
            where = graph if isinstance(graph, Path) else f"{len(graph)} bytes"
            raise EngineError(f"onnxruntime does not load the graph {where}: {error}") from error
        self._session.disable_fallback()  # to another provider, which nobody asked for
        self._session._model_bytes = None  # only the fallback would need them; a bank of features has hundreds of MB
        self._provider = provider
        require_provider(provider, self._session.get_providers())
        self._check_contract()

    @property
    def name(self) -> str:
        """The backend, its version and where it runs."""
        return f"onnxruntime {onnxruntime.__version__} ({self._provider.removesuffix('ExecutionProvider')})"

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        """Measure one prepared picture, uint8 BGR (1, height, width, 3). The caller owns what is returned."""
        try:
            score, anomaly_map = self._session.run(["score", "anomaly_map"], {"image": image})
        except Exception as error:  # likewise
            raise EngineError(f"onnxruntime failed on a picture {image.dtype} {image.shape}: {error}") from error
        return Inspection(float(score[0]), anomaly_map[0])

    def __enter__(self) -> OnnxruntimeEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._session

    def _check_contract(self) -> None:
        inputs = {i.name: i.type for i in self._session.get_inputs()}
        outputs = {o.name: o.type for o in self._session.get_outputs()}
        wanted = {"score": "tensor(float)", "anomaly_map": "tensor(float)"}
        if inputs != {"image": "tensor(uint8)"} or outputs != wanted:
            raise EngineError(
                f"the graph does not follow the contract (uint8 `image` in; float32 `score` and `anomaly_map` out): "
                f"it has inputs {inputs} and outputs {outputs}; build the bundle again with this version"
            )


def require_provider(wanted: str, found: Sequence[str]) -> None:
    """Raises EngineError when a provider is not there. found: what onnxruntime was built with, or, once a session is
    open, what came up in it: a build for GPUs lists providers that work on no GPU, and then quietly takes the CPU."""
    if wanted not in found:
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} does not bring up {wanted}, only {', '.join(found)}: install "
            "onnxruntime-gpu and the CUDA and cuDNN that it asks for (docs/how-to/jetson.md), or choose another engine"
        )
