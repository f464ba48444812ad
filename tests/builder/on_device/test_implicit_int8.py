"""INT8 by TensorRT's own calibration, on made-up devices of every version: what is fed, allowed, kept and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.calibrated_bundle import ENTROPY, MINMAX, write_calibrated_bundle
from tests.support.fake_nvidia import VERSIONS, FakeDevice
from tests.support.tiny_bundle import picture, write_bundle

from edge_build.on_device.calibration_pictures import find_pictures
from edge_build.on_device.compile import Compiled, Settings, compile_engine
from edge_build.on_device.implicit_int8 import ImplicitInt8
from edge_build.progress import SilentProgress
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.protocol import EngineKind
from edge_runtime.engines.selection import choose_engine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError, EngineAbsentError, WrongVersionError
from edge_runtime.engines.tensorrt.implicit_int8 import Calibrator
from edge_runtime.errors import BundleError, ConfigError, EngineError
from edge_runtime.records import Precision

HERE = "0123456789abcdef" * 2
WITH_CALIBRATORS = VERSIONS[:3]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


@pytest.fixture
def bundle(tmp_path: Path, pictures: Path) -> Bundle:
    return open_bundle(write_calibrated_bundle(tmp_path / "bundle", pictures))


@pytest.fixture
def files(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines", HERE)


def compiled(
    device: FakeDevice,
    bundle: Bundle,
    files: EngineCache,
    calibrator: Calibrator = Calibrator.ENTROPY,
    folder: Path | None = None,
) -> Compiled:
    found = find_pictures(bundle, folder, SilentProgress()) if folder is not None else []
    implicit = ImplicitInt8(bundle, calibrator, found, device.nvidia(), files)
    return compile_engine(bundle, Precision.INT8, device.nvidia(), files, Settings(), SilentProgress(), implicit)


@pytest.mark.parametrize("version", WITH_CALIBRATORS)
@pytest.mark.parametrize(("calibrator", "cache"), [(Calibrator.ENTROPY, ENTROPY), (Calibrator.MINMAX, MINMAX)])
def test_the_fp32_graph_is_compiled_weakly_typed_with_the_bundles_ranges(
    version: str, calibrator: Calibrator, cache: bytes, bundle: Bundle, files: EngineCache
) -> None:
    device = FakeDevice(version)
    made = compiled(device, bundle, files, calibrator)

    assert device.network_flags == ["EXPLICIT_BATCH"]
    assert device.flags == ["no TF32", "INT8", "OBEY_PRECISION_CONSTRAINTS"]
    assert device.ranges is not None
    assert device.ranges.splitlines()[1:] == cache.splitlines()[1:]
    assert device.fed == []
    graph = bundle.graph_sha256(Precision.FP32)[:16]
    assert made.path.name.startswith(f"{graph}-int8-{calibrator.value}-")
    assert f"int8 by {calibrator.value} calibration" in made.engine
    assert device.open_contexts == 0


def test_only_what_the_plan_has_in_int8_may_be_int8(bundle: Bundle, files: EngineCache) -> None:
    """Convolutions that stay in floats, x * x, distances and top-K are held to FP32; whole numbers are left alone."""
    device = FakeDevice("10.3")
    compiled(device, bundle, files)
    assert device.constrained == dict.fromkeys(
        ("/stem/Conv", "/norm/Mul", "/distance/MatMul", "/nearest/TopK"), "FLOAT"
    )


@pytest.mark.parametrize("version", WITH_CALIBRATORS)
def test_pictures_are_fed_once_and_what_came_of_them_is_kept(
    version: str, bundle: Bundle, files: EngineCache, pictures: Path
) -> None:
    device = FakeDevice(version)
    first = compiled(device, bundle, files, folder=pictures)
    assert len(device.fed) == 2
    for number, fed in enumerate(device.fed):
        np.testing.assert_array_equal(fed.reshape(64, 64, 3), picture(False, seed=200 + number))
    (kept,) = files.folder.glob("*.calibration")
    assert kept.read_bytes() == device.ranges
    assert device.open_contexts == 0

    again = FakeDevice(version)
    again.build_fails_with = ["this compiler must not be asked"]
    assert compiled(again, bundle, files, folder=pictures).seconds == 0.0

    first.path.unlink()
    third = FakeDevice(version)
    assert compiled(third, bundle, files, folder=pictures).seconds > 0
    assert third.fed == []
    assert third.ranges is not None
    assert third.ranges.splitlines()[1:] == kept.read_bytes().splitlines()[1:]


def test_ranges_that_were_changed_are_set_aside_and_measured_again(
    bundle: Bundle, files: EngineCache, pictures: Path
) -> None:
    made = compiled(FakeDevice("10.3"), bundle, files, folder=pictures)
    (kept,) = files.folder.glob("*.calibration")
    measured = kept.read_bytes()
    kept.write_bytes(measured.replace(b"3f", b"4f"))
    made.path.unlink()
    device = FakeDevice("10.3")
    compiled(device, bundle, files, folder=pictures)
    assert len(device.fed) == 2
    assert kept.read_bytes() == measured
    assert kept.with_name(kept.name + ".aside").exists()


def test_other_ranges_take_the_place_of_the_engine_before(bundle: Bundle, files: EngineCache, pictures: Path) -> None:
    first = compiled(FakeDevice("10.3"), bundle, files)
    second = compiled(FakeDevice("10.3"), bundle, files, folder=pictures)
    assert second.seconds > 0
    assert second.path == first.path
    assert first.path.with_name(first.path.name + ".aside").exists()


def test_the_engines_of_the_int8_graph_and_of_each_calibrator_are_never_loaded_for_one_another(
    bundle: Bundle, files: EngineCache
) -> None:
    device = FakeDevice("10.3")

    def chosen(kind: EngineKind) -> str:
        found = choose_engine(kind, bundle, Precision.INT8, files.folder, 1, device.nvidia, lambda: HERE)
        with found.engine as engine:
            return f"{engine.name}; {found.why}"

    explicit = compile_engine(bundle, Precision.INT8, device.nvidia(), files, Settings(), SilentProgress())
    with pytest.raises(EngineAbsentError, match="--precision int8 --implicit-calibration entropy"):
        chosen(EngineKind.TENSORRT_ENTROPY)
    entropy = compiled(device, bundle, files)
    with pytest.raises(EngineAbsentError):
        chosen(EngineKind.TENSORRT_MINMAX)
    explicit.path.unlink()
    with pytest.raises(EngineAbsentError):
        chosen(EngineKind.TENSORRT)
    assert chosen(EngineKind.TENSORRT_ENTROPY).endswith(
        "the precision gate has judged the bundle's INT8 graph, not these ranges"
    )
    assert explicit.path != entropy.path


def test_a_bundle_that_was_calibrated_again_does_not_get_the_engine_before(
    tmp_path: Path, bundle: Bundle, files: EngineCache
) -> None:
    """`edge-build calibrate` leaves the FP32 graph as it is, to the byte."""
    compiled(FakeDevice("10.3"), bundle, files)
    folder = write_calibrated_bundle(tmp_path / "again")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["calibration/pictures.json"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    again = replace(bundle, folder=folder, manifest=type(bundle.manifest).model_validate(manifest))
    with pytest.raises(EngineAbsentError):
        choose_engine(
            *(EngineKind.TENSORRT_ENTROPY, again, Precision.INT8, files.folder, 1, FakeDevice("10.3").nvidia),
            lambda: HERE,
        )


@pytest.mark.parametrize(
    "changed", [{"threshold": {"score": 100.0}}, {"golden": [{"score": 90.0}, {}]}], ids=["threshold", "golden score"]
)
def test_verdicts_that_no_engine_was_held_against_need_an_engine_of_their_own(
    tmp_path: Path, bundle: Bundle, files: EngineCache, changed: dict
) -> None:
    """`edge-build calibrate --false-reject` copies graphs and calibration to the byte."""
    compiled(FakeDevice("10.3"), bundle, files)
    manifest = bundle.manifest.model_dump()
    int8 = manifest["graphs"][Precision.INT8]
    int8["threshold"] |= changed.get("threshold", {})
    int8["golden"] = [one | new for one, new in zip(int8["golden"], changed.get("golden", [{}, {}]), strict=True)]
    other = replace(bundle, manifest=type(bundle.manifest).model_validate(manifest))
    device = FakeDevice("10.3")

    with pytest.raises(EngineAbsentError):
        choose_engine(
            *(EngineKind.TENSORRT_ENTROPY, other, Precision.INT8, files.folder, 1, device.nvidia), lambda: HERE
        )


def test_version_11_cannot_calibrate_and_says_what_to_do(bundle: Bundle, files: EngineCache) -> None:
    with pytest.raises(WrongVersionError, match=r"TensorRT 11.* has no IInt8EntropyCalibrator2 any more.*INT8 graph"):
        compiled(FakeDevice("11.4"), bundle, files)
    assert not files.folder.exists()


def test_it_is_no_way_around_the_gate(tmp_path: Path, files: EngineCache) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    with pytest.raises(BundleError, match="the precision gate has not let INT8 in"):
        compiled(FakeDevice("10.3"), bundle, files)


def test_an_engine_that_changes_a_golden_verdict_is_not_used(tmp_path: Path, files: EngineCache) -> None:
    """The golden good picture is 79 and INT8's own value 129, over the threshold: within the tolerance, and wrong."""
    bundle = open_bundle(write_calibrated_bundle(tmp_path / "bundle", golden_score=129.0))
    with pytest.raises(EngineError, match=r"changes the verdict on golden/0\.png: .* the threshold is 128") as refused:
        compiled(FakeDevice("10.3"), bundle, files)
    assert "try --implicit-calibration minmax, or compile the bundle's INT8 graph" in str(refused.value)
    assert list(files.folder.glob("*.engine")) == []


def test_a_network_without_the_plans_names_is_refused(tmp_path: Path, bundle: Bundle, files: EngineCache) -> None:
    device = FakeDevice("10.3")
    implicit = ImplicitInt8(bundle, Calibrator.ENTROPY, [], device.nvidia(), files)
    implicit._chosen = frozenset({"/renamed/Conv"})
    with pytest.raises(CompilerRefusedError, match=r"names the convolutions .* otherwise than calibration/int8\.json"):
        compile_engine(bundle, Precision.INT8, device.nvidia(), files, Settings(), SilentProgress(), implicit)
    assert device.open_contexts == 0


def test_pictures_that_are_missing_or_others_are_named_all_at_once(bundle: Bundle, pictures: Path) -> None:
    (pictures / "train/good/0.png").unlink()
    (pictures / "train/good/1.png").write_bytes(b"another")
    with pytest.raises(ConfigError) as refused:
        find_pictures(bundle, pictures, SilentProgress())
    message = str(refused.value)
    assert message.startswith("2 of the 2 calibration pictures of bundle tiny-1.0 are not in ")
    assert "0.png: No such file or directory" in message
    assert "1.png: it is not the picture that the bundle was calibrated on" in message
    assert refused.value.exit_code == 78


def test_the_calibrated_engine_is_for_int8_alone(bundle: Bundle, files: EngineCache) -> None:
    with pytest.raises(ConfigError, match="tensorrt-minmax computes in INT8, and fp32 is asked for"):
        choose_engine(EngineKind.TENSORRT_MINMAX, bundle, Precision.FP32, files.folder, identify=lambda: HERE)
