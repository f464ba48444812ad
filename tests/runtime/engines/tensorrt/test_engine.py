"""The runtime engine on a made-up device, with the names of every version of TensorRT that it must run on."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.support.fake_nvidia import VERSIONS, CudaError, CudaMemoryError, FakeDevice
from tests.support.tiny_bundle import SIZE, picture, tiny_graph

from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.engines.tensorrt.engine import TensorrtEngine
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import EngineDamagedError, OutOfMemoryError, WrongVersionError
from edge_runtime.errors import EngineError
from edge_runtime.records import Precision


def plan_for(device, graph=None):
    builder = device.trt.Builder(device.trt.ILogger())
    network = builder.create_network(0)
    device.trt.OnnxParser(network, None).parse(tiny_graph() if graph is None else graph)
    return builder.build_serialized_network(network, builder.create_builder_config())


def opened(device, graph=None):
    nvidia = device.nvidia()
    return TensorrtEngine(nvidia, plan_for(device, graph), EngineKey.of(nvidia, "0" * 64, Precision.FP32))


@pytest.mark.parametrize("integrated", [True, False], ids=["Jetson", "workstation"])
@pytest.mark.parametrize("version", VERSIONS)
def test_it_measures_what_the_reference_does_on_every_version(version, integrated):
    device = FakeDevice(version, integrated=integrated)
    with opened(device) as engine, OnnxruntimeEngine(tiny_graph(), threads=1) as reference:
        for seed in range(3):
            image = picture(seed == 1, seed)[None]
            found, expected = engine.infer(image), reference.infer(image)
            assert found.score == expected.score
            np.testing.assert_array_equal(found.anomaly_map, expected.anomaly_map)
        assert device.contexts == []  # between pictures no context is left current
        assert engine.name == f"TensorRT {device.surface['version']} (Orin, fp32, CUDA graph)"
        assert engine.device_memory == (4096 if version == "8.6" else 4097)
    assert (device.open_contexts, device.driver.graphs) == (0, {})


@pytest.mark.parametrize("integrated", [True, False], ids=["Jetson", "workstation"])
def test_what_one_picture_gave_is_not_changed_by_the_next(integrated):
    with opened(FakeDevice("10.3", integrated=integrated)) as engine:
        first = engine.infer(picture(True, 1)[None])
        kept = first.anomaly_map.copy()
        engine.infer(picture(False, 2)[None])
    np.testing.assert_array_equal(first.anomaly_map, kept)


def test_pictures_run_as_one_recorded_graph_after_a_warm_up():
    device = FakeDevice("10.3")
    with opened(device) as engine:
        assert (device.runs, device.launched_graphs) == (4, 1)  # three plain, then the recording once
        engine.infer(picture(True, 1)[None])
        assert (device.runs, device.launched_graphs) == (5, 2)


def test_without_graph_capture_the_work_is_enqueued_each_time():
    device = FakeDevice("10.3")
    device.refuses_capture = True
    with opened(device) as engine:
        assert engine.name == "TensorRT 10.3.0 (Orin, fp32)"
        assert engine.infer(picture(True, 1)[None]).score > 200
        assert device.launched_graphs == 0


def test_a_driver_older_than_graphs_is_no_obstacle():
    device = FakeDevice("8.6")
    type(device.driver).cuGraphInstantiateWithFlags, kept = property(), type(device.driver).cuGraphInstantiateWithFlags
    try:
        with opened(device) as engine:
            assert "CUDA graph" not in engine.name
    finally:
        type(device.driver).cuGraphInstantiateWithFlags = kept


def test_another_thread_than_the_one_that_opened_it_may_use_and_close_it():
    device, found = FakeDevice("10.3"), []
    engine = opened(device)

    def use():
        with engine:
            found.append(engine.infer(picture(True, 1)[None]).score)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found[0] > 200
    assert device.open_contexts == 0


@pytest.mark.parametrize(
    "image",
    [np.zeros((1, SIZE, SIZE + 1, 3), np.uint8), np.zeros((1, SIZE, SIZE, 3), np.float32), np.zeros(3, np.uint8)],
    ids=["another size", "floats", "no picture"],
)
def test_a_picture_that_the_engine_does_not_take_is_an_engine_error(image):
    with (
        opened(FakeDevice("10.3")) as engine,
        pytest.raises(EngineError, match=r"TensorRT 10\.3\.0 failed on a picture"),
    ):
        engine.infer(image)


def test_an_error_of_the_gpu_is_an_engine_error_and_the_next_picture_is_judged():
    device = FakeDevice("10.3")
    with opened(device) as engine:
        launch = device.driver.cuGraphLaunch
        device.driver.cuGraphLaunch = lambda *_: 700  # CUDA_ERROR_ILLEGAL_ADDRESS
        with pytest.raises(EngineError, match=r"TensorRT 10\.3\.0 failed on a picture: cuGraphLaunch: 700"):
            engine.infer(picture(True, 1)[None])
        device.driver.cuGraphLaunch = launch
        assert engine.infer(picture(True, 1)[None]).score > 200


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Serialization assertion failed. Version tag does not match. Current Version: 239", WrongVersionError),
        ("Magic tag does not match", EngineDamagedError),
    ],
)
def test_what_tensorrt_says_when_it_does_not_load_tells_what_is_wrong(words, kind):
    device = FakeDevice("10.3")
    device.loads_with = [words]
    with pytest.raises(kind, match=r"TensorRT 10\.3\.0 does not load 0000000000000000-fp32-trt10\.3\.0-Orin-sm87: "):
        opened(device)
    assert (device.open_contexts, device.contexts) == (0, [])


def test_an_engine_of_another_contract_is_refused():
    with pytest.raises(EngineDamagedError, match="does not follow the contract"):
        opened(FakeDevice("10.3"), tiny_graph().replace(b"image", b"input"))


def test_too_little_memory_says_so_and_frees_what_it_took():
    device = FakeDevice("10.3", integrated=False)

    def full(size):
        raise CudaMemoryError("cuMemAlloc failed: out of memory")

    device.cuda.mem_alloc = full
    with pytest.raises(OutOfMemoryError, match="does not fit into the GPU's free memory: cuMemAlloc"):
        opened(device)
    assert device.open_contexts == 0


def test_the_fake_fails_without_a_context_as_cuda_does():
    with pytest.raises(CudaError, match="invalid device context"):
        FakeDevice("10.3").cuda.mem_alloc(1)
