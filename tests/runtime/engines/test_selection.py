"""`auto` takes TensorRT when it works and onnxruntime otherwise, and says why; a name is taken at its word."""

from __future__ import annotations

import pytest
from tests.support.fake_nvidia import RTX, FakeDevice
from tests.support.tiny_bundle import picture, tiny_graph, write_bundle

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.protocol import EngineKind
from edge_runtime.engines.selection import choose_engine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import (
    DriverMissingError,
    EngineAbsentError,
    EngineDamagedError,
    TensorrtMissingError,
)
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.errors import ConfigError, EngineError
from edge_runtime.records import Precision

HERE = "0123456789abcdef" * 2
MORE = "(edge-daemon selftest BUNDLE --engine tensorrt says more)"


class Place:
    """A bundle, a device, and the engine that was compiled on it, of the graph that is given."""

    def __init__(self, folder, graph=None):
        self.bundle = open_bundle(write_bundle(folder / "bundle"))
        self.device, self.engines = FakeDevice("10.3"), folder / "engines"
        if graph is not None:
            key = EngineKey.of(self.device.nvidia(), self.bundle.graph_sha256(Precision.FP32), Precision.FP32)
            plan = b'{"tensorrt": "10.3.0", "gpu": "Orin"}\0' + graph
            EngineCache(self.engines, HERE).write(key, plan)

    def choose(self, kind, find=None):
        return choose_engine(
            *(kind, self.bundle, Precision.FP32, self.engines, 1, find or self.device.nvidia, lambda: HERE)
        )


def test_auto_takes_tensorrt_when_it_reproduces_the_golden_pictures(tmp_path):
    chosen = Place(tmp_path, tiny_graph()).choose(EngineKind.AUTO)
    with chosen.engine as engine:
        assert engine.name == "TensorRT 10.3.0 (Orin, fp32, CUDA graph)"
        assert engine.infer(picture(True, 1)[None]).score > 200
    assert chosen.why == "auto: TensorRT is here, and reproduces the golden pictures"


def no_driver(library):
    raise DriverMissingError("this machine has no NVIDIA driver")


@pytest.mark.parametrize(
    ("graph", "find", "why", "detail"),
    [
        (None, no_driver, "auto: no NVIDIA driver or GPU", "this machine has no NVIDIA driver"),
        (None, None, f"auto: no TensorRT, no engine is compiled yet {MORE}", "run `edge-build compile BUNDLE`"),
        (b"not a graph", None, f"auto: no TensorRT, the engine is damaged or another device's {MORE}", "Magic tag"),
        (
            *(tiny_graph().replace(b"ReduceMax", b"ReduceMin"), None),
            *(f"auto: no TensorRT, its engine fails the self-test {MORE}", "self-test failed: TensorRT"),
        ),
    ],
    ids=["no driver", "not compiled", "does not load", "measures something else"],
)
def test_auto_takes_onnxruntime_otherwise_and_says_why_in_a_few_words(tmp_path, graph, find, why, detail):
    place = Place(tmp_path, graph)
    if graph == b"not a graph":
        place.device.loads_with = ["Magic tag does not match"]
    chosen = place.choose(EngineKind.AUTO, find)
    with chosen.engine as engine:
        assert engine.name.startswith("onnxruntime ")
        assert engine.name.endswith(" (CPU)")
    assert chosen.why == why
    assert detail in chosen.detail
    assert place.device.open_contexts == 0


def test_tensorrt_by_name_is_not_replaced_by_anything(tmp_path):
    with pytest.raises(EngineAbsentError):
        Place(tmp_path).choose(EngineKind.TENSORRT)
    with pytest.raises(DriverMissingError):
        Place(tmp_path / "2").choose(EngineKind.TENSORRT, no_driver)
    with Place(tmp_path / "3", tiny_graph()).choose(EngineKind.TENSORRT).engine as engine:
        assert engine.name.startswith("TensorRT")


def test_an_engine_that_another_device_wrote_is_not_loaded(tmp_path):
    place = Place(tmp_path, tiny_graph())
    with pytest.raises(EngineDamagedError, match="was not written by this device"):
        choose_engine(
            *(EngineKind.TENSORRT, place.bundle, Precision.FP32, place.engines, 1, place.device.nvidia),
            lambda: HERE[::-1],
        )


def test_without_a_machine_id_auto_goes_on_with_onnxruntime(tmp_path):
    place = Place(tmp_path, tiny_graph())

    def none():
        raise ConfigError("/etc/machine-id cannot be read")

    chosen = choose_engine(EngineKind.AUTO, place.bundle, Precision.FP32, place.engines, 1, place.device.nvidia, none)
    with chosen.engine as engine:
        assert engine.name.endswith("(CPU)")
    assert chosen.why == f"auto: no TensorRT, the machine has no machine id {MORE}"
    assert "/etc/machine-id" in chosen.detail


@pytest.mark.parametrize("kind", [EngineKind.ONNXRUNTIME_CUDA, EngineKind.ONNXRUNTIME_TENSORRT])
def test_a_provider_that_does_not_come_up_is_an_error_and_not_a_slow_cpu(tmp_path, kind):
    with pytest.raises(EngineError, match=r"does not bring up (CUDA|Tensorrt)ExecutionProvider, only .*CPUExecution"):
        Place(tmp_path).choose(kind)


class RtxPlace(Place):
    """The same, with TensorRT-RTX and an engine of it instead."""

    def __init__(self, folder):
        super().__init__(folder)
        self.device = FakeDevice(RTX, "NVIDIA GeForce RTX 4090", (8, 9), integrated=False)
        key = EngineKey.of(self.device.nvidia(), self.bundle.graph_sha256(Precision.FP32), Precision.FP32)
        plan = b'{"tensorrt": "1.7.1.116", "gpu": "NVIDIA GeForce RTX 4090"}\0' + tiny_graph()
        EngineCache(self.engines, HERE).write(key, plan)


@pytest.mark.parametrize("kind", [EngineKind.AUTO, EngineKind.TENSORRT_RTX])
def test_tensorrt_rtx_serves_where_there_is_no_tensorrt(tmp_path, kind):
    chosen = RtxPlace(tmp_path).choose(kind)
    with chosen.engine as engine:
        assert engine.name == "TensorRT-RTX 1.7.1.116 (NVIDIA GeForce RTX 4090, fp32, CUDA graph)"
    assert chosen.why.startswith("auto: TensorRT-RTX is here" if kind is EngineKind.AUTO else "as configured")


def test_auto_names_what_is_installed_and_does_not_serve(tmp_path):
    place = RtxPlace(tmp_path)
    place.device.loads_with = ["Magic tag does not match"]
    chosen = place.choose(EngineKind.AUTO)
    with chosen.engine as engine:
        assert engine.name.endswith("(CPU)")
    assert chosen.why == (
        "auto: no TensorRT-RTX, the engine is damaged or another device's "
        "(edge-daemon selftest BUNDLE --engine tensorrt-rtx says more)"
    )
    assert "TensorRT cannot be imported" in chosen.detail


def test_auto_tries_tensorrt_first_and_tensorrt_rtx_then(tmp_path):
    asked = []

    def find(library):
        asked.append(library)
        raise TensorrtMissingError(f"{library.label} cannot be imported")

    chosen = Place(tmp_path).choose(EngineKind.AUTO, find)
    with chosen.engine:
        assert asked == [Library.TENSORRT, Library.TENSORRT_RTX]
    assert chosen.why == f"auto: no TensorRT, Python does not find it {MORE}"
