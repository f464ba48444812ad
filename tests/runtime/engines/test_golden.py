from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from tests.support.tiny_bundle import SIZE, write_bundle

from edge_runtime.bundle.reader import open_bundle, sha256_of
from edge_runtime.engines.golden import read_golden, replay_golden
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.errors import BundleError, EngineError
from edge_runtime.records import Inspection, Precision


class OffBy:
    """The tiny graph's arithmetic, off by so much; both figures may also be replaced."""

    name = "an engine"

    def __init__(self, score=0.0, anomaly_map=0.0, cut=None):
        self.score, self.anomaly_map, self.cut = score, anomaly_map, cut

    def infer(self, image):
        anomaly_map = image[0].astype(np.float32).mean(axis=2)
        found = anomaly_map.copy()
        found[3, 3] += self.anomaly_map
        return Inspection(float(anomaly_map.max()) + self.score, found[: self.cut])


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "bundle")


def replaced(folder, **keys):
    """The bundle with other values in its manifest, and the hashes of the files as they are now."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | keys
    for name in manifest["files"]:
        file = folder / name
        manifest["files"][name] = {"length": file.stat().st_size, "sha256": sha256_of(file)}
    path.write_text(json.dumps(manifest))
    return open_bundle(folder)


def test_the_engine_that_the_bundle_was_made_with_reproduces_it(folder):
    bundle = open_bundle(folder)
    with OnnxruntimeEngine(bundle.graph(Precision.FP32), threads=1) as engine:
        # sums of three grey values in another order: float32's last digit, of a tolerance of a hundredth
        assert replay_golden(bundle, engine, Precision.FP32) < 1e-4


def test_the_largest_deviation_is_returned_as_a_share_of_the_tolerance(folder):
    bundle = open_bundle(folder)  # 1 % of 128 is allowed
    assert replay_golden(bundle, OffBy(score=0.64), Precision.FP32) == pytest.approx(0.5, rel=1e-3)  # float32 map
    assert replay_golden(bundle, OffBy(anomaly_map=-0.32), Precision.FP32) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        (OffBy(score=1.92), "deviation 1.50 of the tolerance in the score, 0.00 in the map"),
        (OffBy(anomaly_map=-2.56), "deviation 0.00 of the tolerance in the score, 2.00 in the map"),
        (OffBy(score=float("nan")), "deviation nan of the tolerance in the score"),
        (OffBy(anomaly_map=float("nan")), "0.00 of the tolerance in the score, nan in the map"),
    ],
    ids=["score", "map", "score is NaN", "map has NaN"],
)
def test_an_engine_that_is_off_is_not_served(folder, engine, says):
    with pytest.raises(
        EngineError, match=r"self-test failed: an engine gives .* for golden/0\.png where the bundle"
    ) as e:
        replay_golden(open_bundle(folder), engine, Precision.FP32)
    assert says in str(e.value)


@pytest.mark.parametrize("rows", [1, SIZE // 2])
def test_a_map_of_another_shape_is_not_served(folder, rows):
    with pytest.raises(EngineError, match=rf"gives a map \({rows}, 64\) for golden/0.png where .* has \(64, 64\)"):
        replay_golden(open_bundle(folder), OffBy(cut=rows), Precision.FP32)


def test_a_bundle_without_golden_pictures_proves_nothing(folder):
    with pytest.raises(BundleError, match=r"bundle tiny-1\.0 has no golden pictures, so nothing proves the engine"):
        replay_golden(replaced(folder, golden=[]), OffBy(), Precision.FP32)


def test_a_golden_picture_is_read_as_it_was_prepared(folder):
    bundle = open_bundle(folder)
    picture, expected = read_golden(bundle, bundle.manifest.golden[1])
    assert (picture.shape, picture.dtype) == ((1, SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(picture[0], cv2.imread(str(folder / "golden/1.png")))
    assert expected.score == pytest.approx(float(expected.anomaly_map.max()))


def test_a_golden_file_that_is_no_picture_is_refused(folder):
    (folder / "golden/0.png").write_bytes(b"no picture")
    with pytest.raises(BundleError, match=r"golden/0\.png is not a picture; build the bundle again"):
        replay_golden(replaced(folder), OffBy(), Precision.FP32)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"], ids=["empty", "text", "cut"])
def test_a_golden_file_that_is_no_map_is_refused(folder, content):
    (folder / "golden/0.npy").write_bytes(content)
    with pytest.raises(BundleError, match=r"golden/0\.npy is not a map: .*; build the bundle again"):
        replay_golden(replaced(folder), OffBy(), Precision.FP32)


def test_a_golden_map_that_is_a_pickle_is_refused(folder):
    np.save(folder / "golden/0.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BundleError, match=r"golden/0\.npy is not a map: Object arrays cannot be loaded"):
        replay_golden(replaced(folder), OffBy(), Precision.FP32)
