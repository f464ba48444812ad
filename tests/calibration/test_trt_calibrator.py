from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from edge_calibration.trt_calibrator import cache_text, implicit_calibrator, ranges_from_cache
from edge_runtime.engines.tensorrt.errors import WrongVersionError
from edge_runtime.engines.tensorrt.implicit_int8 import Calibrator
from edge_runtime.errors import EngineError

RANGES = {"b": 6.0, "a/Conv_output_0": 12.7, "zero": 0.0}
CACHE = b"TRT-8601-EntropyCalibration2\na/Conv_output_0: 3dcccccd\nb: 3d4183"


class Base:
    """What TensorRT's calibrators are to their subclasses: they must be initialised."""

    def __init__(self):
        self.ready = True


class Memory:
    """A device that only remembers what was copied to it."""

    def __init__(self):
        self.copied, self.freed = [], 0

    def mem_alloc(self, size):
        assert size == 4 * 4 * 3
        return self

    def __int__(self):
        return 4096

    def free(self):
        self.freed += 1

    def memcpy_htod(self, pointer, array):
        assert pointer is self
        assert array.flags.c_contiguous
        self.copied.append(array.copy())


def tensorrt(version, *classes):
    return SimpleNamespace(__version__=version, **{name: type(name, (Base,), {}) for name in classes})


OLD = tensorrt("10.3.0", "IInt8EntropyCalibrator2", "IInt8MinMaxCalibrator")


def test_a_cache_is_readable_sorted_and_the_same_for_the_same_ranges():
    text = cache_text(Calibrator.ENTROPY, RANGES)
    assert text.startswith(CACHE)
    assert text == cache_text(Calibrator.ENTROPY, dict(reversed(RANGES.items())))
    found = ranges_from_cache(text)
    assert found["b"] == pytest.approx(6)
    assert found["zero"] > 0  # a scale of zero is no scale


@pytest.mark.parametrize("text", [b"", b"no cache", b"TRT-8601-MinMaxCalibration\nx: zz\n", b"TRT-1-A\nno colon\n"])
def test_what_is_no_cache_is_refused(text):
    with pytest.raises(EngineError, match="no calibration cache of TensorRT"):
        ranges_from_cache(text)


def test_the_bundles_cache_is_given_to_any_version_with_its_own_number():
    cache = cache_text(Calibrator.ENTROPY, RANGES)
    calibrator = implicit_calibrator(OLD, Memory(), Calibrator.ENTROPY, cache)
    found = calibrator.read_calibration_cache()
    assert found.splitlines()[0] == b"TRT-100300-EntropyCalibration2"
    assert found.splitlines()[1:] == cache.splitlines()[1:]
    calibrator.write_calibration_cache(b"what TensorRT makes of it")
    assert calibrator.cache == cache


def test_without_a_cache_pictures_are_fed_one_by_one_and_the_cache_is_kept():
    device = Memory()
    pictures = [np.full((1, 4, 4, 3), value, np.uint8) for value in (1, 2)]
    calibrator = implicit_calibrator(OLD, device, Calibrator.MINMAX, b"", pictures)

    assert calibrator.ready
    assert calibrator.read_calibration_cache() is None
    assert calibrator.get_batch_size() == 1
    assert [calibrator.get_batch(["image"]) for _ in range(3)] == [[4096], [4096], None]
    np.testing.assert_array_equal(np.stack(device.copied), np.stack(pictures))
    calibrator.write_calibration_cache(memoryview(cache_text(Calibrator.MINMAX, RANGES)))
    assert calibrator.cache.startswith(b"TRT-8601-MinMaxCalibration\n")
    assert calibrator.read_calibration_cache().startswith(b"TRT-100300-MinMaxCalibration\n")
    calibrator.free()
    assert device.freed == 1


def test_a_tensorrt_without_calibrators_is_an_error_that_names_the_other_way():
    with pytest.raises(WrongVersionError, match=r"TensorRT 11\.4\.1 has no IInt8EntropyCalibrator2 any more"):
        implicit_calibrator(tensorrt("11.4.1"), Memory(), Calibrator.ENTROPY, b"")
