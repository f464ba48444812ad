"""The module `tensorrt` of a version, on onnxruntime, for fake_nvidia.py.

What a version offers is read from tensorrt_surfaces/, which tensorrt_bindings.py wrote from NVIDIA's real modules: a
name that a version does not have raises AttributeError here as there. A compiled engine is the graph itself, with what
it was compiled for; running it runs the graph on the memory that the addresses name.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import onnxruntime


def fake_tensorrt(device) -> SimpleNamespace:
    """The module `tensorrt`: only the names that the version has."""
    version, offered = device.surface["version"], device.surface["classes"]

    def limited(cls):
        """The class without what this version does not have; setting such an attribute fails as with pybind11."""
        names = set(offered.get(cls.__name__, ()))

        def set_known(self, name, value):
            if not name.startswith("_") and name not in names:
                raise AttributeError(f"'{cls.__name__}' object has no attribute '{name}'")
            object.__setattr__(self, name, value)

        kept = {n: v for n, v in vars(cls).items() if n.startswith("_") or n in names}
        kept.pop("__dict__", None), kept.pop("__weakref__", None)
        return type(cls.__name__, (), kept | {"__setattr__": set_known})

    def enum(name):
        return SimpleNamespace(**{n: Member(name, n, i) for i, n in enumerate(offered[name]) if n.isupper()})

    class Member(int):
        def __new__(cls, kind, name, number):
            self = int.__new__(cls, number)
            self.kind, self.name = kind, name
            return self

        def __eq__(self, other):
            return isinstance(other, Member) and (self.kind, self.name) == (other.kind, other.name)

        def __hash__(self):
            return hash((self.kind, self.name))

    data, modes, flags = enum("DataType"), enum("TensorIOMode"), enum("BuilderFlag")
    creation = enum("NetworkDefinitionCreationFlag")
    onnx_types = {"tensor(uint8)": "UINT8", "tensor(float)": "FLOAT"}

    class ILogger:
        Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2, INFO=3, VERBOSE=4)

        def __init__(self):
            pass

    class Tensor:
        def __init__(self, name, dtype):
            self.name, self.dtype = name, dtype

    @limited
    class ILayer:
        def __init__(self, name, given, made, kind="CONVOLUTION"):
            self.__dict__.update(name=name, _given=given, _made=made, num_inputs=len(given), num_outputs=len(made))
            self.__dict__["type"] = getattr(enum("LayerType"), kind)

        def get_input(self, number):
            return self._given[number]

        def get_output(self, number):
            return self._made[number]

        precision = property(None, lambda self, kind: device.constrained.__setitem__(self.name, kind.name))

        def set_output_type(self, number, kind):
            assert device.constrained[self.name] == kind.name

    class INetworkDefinition:
        def __init__(self):
            self.graph = b""
            half = [Tensor(f"half {number}", data.HALF) for number in range(5)]
            whole, small = Tensor("whole", data.FLOAT), Tensor("small", data.INT8)
            maps = [Tensor(f"map {number}", data.FLOAT) for number in range(9)]
            rows = Tensor("rows", data.INT32)
            self.layers = {
                b"fp16": [ILayer("conv", half[:1], half[1:2]), ILayer("island", [whole], [whole])],
                b"int8": [
                    ILayer("quantise", half[:1], [small]),
                    ILayer("dequantise", [small], half[1:2]),
                    ILayer("quantised conv", half[1:2], half[2:3]),
                    ILayer("other conv", half[3:4], half[4:5]),
                ],
                b"conv": [
                    ILayer("/stem/Conv", maps[:1], maps[1:2]),
                    ILayer("/a/Conv", maps[1:2], maps[2:3]),
                    ILayer("/a/Clip", maps[2:3], maps[3:4], "ACTIVATION"),
                    ILayer("/b/Conv", maps[3:4], maps[4:5]),
                    ILayer("/b/Add", [maps[3], maps[4]], maps[5:6], "ELEMENTWISE"),
                    ILayer("/norm/Mul", [maps[5], maps[5]], maps[6:7], "ELEMENTWISE"),
                    ILayer("/distance/MatMul", maps[6:7], maps[7:8], "MATRIX_MULTIPLY"),
                    ILayer("/nearest/TopK", maps[7:8], [maps[8], rows], "TOPK"),
                ],
            }

        @property
        def _kind(self):
            return next((layers for mark, layers in self.layers.items() if mark in self.graph), [])

        @property
        def num_layers(self):
            return len(self._kind)

        def get_layer(self, number):
            return self._kind[number]

    @limited
    class ITimingCache:
        def __init__(self, content):
            self.__dict__["content"] = content

        def serialize(self):
            return b"measured by " + version.encode()

    @limited
    class IBuilderConfig:
        progress_monitor = profiling_verbosity = int8_calibrator = None
        num_compute_capabilities = 0

        def set_compute_capability(self, compute, number):
            assert number == len(device.computes) < self.num_compute_capabilities
            device.computes.append(compute.name)
            return True

        def set_memory_pool_limit(self, pool, size):
            assert pool.name == "WORKSPACE"
            device.workspace = size

        def set_flag(self, flag):
            device.flags.append(flag.name)

        def clear_flag(self, flag):
            device.flags.append("no " + flag.name)

        def create_timing_cache(self, content):
            return ITimingCache(content)

        def set_timing_cache(self, cache, ignore_mismatch):
            assert ignore_mismatch is False
            device.offered_cache = cache.content
            return cache.content in (b"", b"measured by " + version.encode())

    class Calibrator:
        """pybind11 refuses a subclass that has not initialised it."""

        def __init__(self):
            self.ready = True

    @limited
    class Builder:
        def __init__(self, logger):
            self.__dict__["_logger"] = logger

        def create_network(self, flags):
            device.network_flags = [n for n, member in vars(creation).items() if flags & (1 << member)]
            return INetworkDefinition()

        def create_builder_config(self):
            return IBuilderConfig()

        def build_serialized_network(self, network, config):
            monitor = config.progress_monitor if "progress_monitor" in offered["IBuilderConfig"] else None
            if monitor is not None:
                monitor.phase_start("Building", None, 2)
                for step in range(2):
                    device.on_step()
                    assert monitor.step_complete("Building", step)
                monitor.phase_finish("Building")
            device.on_build()
            if device.build_fails_with:
                for message in device.build_fails_with:
                    self._logger.log(1, message)
                return None
            if getattr(config, "int8_calibrator", None) is not None:
                assert "INT8" in device.flags
                device.calibrate(config.int8_calibrator)
            made_for = {"tensorrt": version, "gpu": device.gpu}
            return json.dumps(made_for).encode() + b"\0" + network.graph

    @limited
    class OnnxParser:
        def __init__(self, network, logger):
            self.__dict__.update(_network=network, _errors=[])

        def parse(self, graph):
            self._network.graph = graph
            try:
                onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
            except Exception as error:
                self._errors.append(ParserError(str(error)))
            return not self._errors

        @property
        def num_errors(self):
            return len(self._errors)

        def get_error(self, number):
            return self._errors[number]

    @limited
    class ParserError:
        def __init__(self, text):
            self.__dict__["_text"] = text

        def desc(self):
            return self._text

        def node(self):
            return 7

        def node_name(self):
            return "the-node"

    @limited
    class Runtime:
        def __init__(self, logger):
            device.require_context()
            self.__dict__["_logger"] = logger

        def deserialize_cuda_engine(self, plan):
            made_for, _, graph = bytes(plan).partition(b"\0")
            for message in device.loads_with:
                self._logger.log(1, message)
            if device.loads_with:
                return None
            assert json.loads(made_for) == {"tensorrt": version, "gpu": device.gpu}
            return ICudaEngine(onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]))

    @limited
    class ICudaEngine:
        device_memory_size = 4096
        device_memory_size_v2 = 4097

        def __init__(self, session):
            ins, outs = session.get_inputs(), session.get_outputs()
            tensors = {t.name: (mode, t) for mode, found in ((modes.INPUT, ins), (modes.OUTPUT, outs)) for t in found}
            self.__dict__.update(_session=session, _tensors=tensors)

        @property
        def num_io_tensors(self):
            return len(self._tensors)

        def get_tensor_name(self, number):
            return list(self._tensors)[number]

        def get_tensor_mode(self, name):
            return self._tensors[name][0]

        def get_tensor_dtype(self, name):
            return getattr(data, onnx_types[self._tensors[name][1].type])

        def get_tensor_shape(self, name):
            return tuple(self._tensors[name][1].shape)

        def create_engine_inspector(self):
            return EngineInspector()

        def create_runtime_config(self):
            return IRuntimeConfig()

        def create_execution_context(self, config=None):
            assert config is None or config.cache is not None
            return IExecutionContext(self._session)

    @limited
    class IRuntimeConfig:
        def __init__(self):
            self.__dict__["cache"] = None

        def create_runtime_cache(self):
            return IRuntimeCache()

        def set_runtime_cache(self, cache):
            self.__dict__["cache"] = cache
            return True

    @limited
    class IRuntimeCache:
        """As NVIDIA documents it: needs a context, and takes nothing but what this GPU's own made."""

        def serialize(self):
            device.require_context()
            return f"finished on {device.gpu}".encode()

        def deserialize(self, blob):
            device.require_context()
            device.offered_runtime = bytes(blob)
            return bytes(blob) == f"finished on {device.gpu}".encode()

    @limited
    class EngineInspector:
        def get_engine_information(self, format):
            assert format.name == "JSON"
            outputs = [{"Name": "x", "Format/Datatype": "Row major linear FP16 format"}]
            layers = [{"Name": f"conv {n}", "LayerType": "CaskConvolution", "Outputs": outputs} for n in range(3)]
            return json.dumps({"Layers": [*layers, "a layer without details"]})

    @limited
    class IExecutionContext:
        def __init__(self, session):
            self.__dict__.update(_session=session, _addresses={})

        def set_tensor_address(self, name, address):
            self._addresses[name] = address

        def execute_async_v3(self, stream_handle):
            assert stream_handle == 42
            device.enqueue(self._compute)
            return True

        def _compute(self):
            device.runs += 1
            memory = {name: device.memory[address] for name, address in self._addresses.items()}
            graph_input = self._session.get_inputs()[0]
            picture = memory["image"].reshape(-1).view(np.uint8).reshape(graph_input.shape)
            for name, value in zip(
                ("score", "anomaly_map"), self._session.run(["score", "anomaly_map"], {"image": picture}), strict=True
            ):
                memory[name].reshape(-1).view(np.uint8)[...] = value.reshape(-1).view(np.uint8)

    made = {
        "__version__": version, "ILogger": ILogger, "Builder": Builder, "OnnxParser": OnnxParser, "Runtime": Runtime,
        "ICudaEngine": ICudaEngine, "IExecutionContext": IExecutionContext, "IBuilderConfig": IBuilderConfig,
        "IProgressMonitor": type("IProgressMonitor", (), {}), "DataType": data, "TensorIOMode": modes,
        "BuilderFlag": flags, "NetworkDefinitionCreationFlag": creation, "MemoryPoolType": enum("MemoryPoolType"),
        "ProfilingVerbosity": enum("ProfilingVerbosity"), "LayerInformationFormat": enum("LayerInformationFormat"),
        "ComputeCapability": enum("ComputeCapability") if "ComputeCapability" in offered else None,
        "IRuntimeConfig": IRuntimeConfig, "IRuntimeCache": IRuntimeCache,
        "EngineInspector": EngineInspector, "LayerType": enum("LayerType"),
        "IInt8EntropyCalibrator2": type("IInt8EntropyCalibrator2", (Calibrator,), {}),
        "IInt8MinMaxCalibrator": type("IInt8MinMaxCalibrator", (Calibrator,), {}),
    }  # fmt: skip
    return SimpleNamespace(**{name: value for name, value in made.items() if name in device.surface["names"]})
