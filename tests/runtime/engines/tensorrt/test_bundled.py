"""An engine that came in a bundle is loaded only when the bundle came out of a signed file, and fits the device."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support.bundled_engine import put_engine
from tests.support.fake_nvidia import RTX, FakeDevice
from tests.support.tiny_bundle import picture, write_bundle

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.bundle.receipt import RECEIPT, write_receipt
from edge_runtime.bundle.trusted_key import TrustedKey
from edge_runtime.engines.tensorrt.bundled import read_bundled
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import EngineAbsentError, EngineDamagedError, WrongGpuError, WrongVersionError
from edge_runtime.engines.tensorrt.opening import open_device_engine
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision

HERE, ELSEWHERE = "0123456789abcdef" * 2, "fedcba9876543210" * 2


@pytest.fixture
def device():
    return FakeDevice(RTX, gpu="NVIDIA GeForce RTX 3060", compute=(8, 6), integrated=False)


@pytest.fixture
def folder(tmp_path, device):
    """A bundle with an engine for 8.6 and 8.9 in it, installed on this device from a signed file."""
    folder = put_engine(write_bundle(tmp_path / "bundle"), device)
    write_receipt(folder, TrustedKey.of_bytes(bytes(32), folder), HERE)
    return folder


def key_of(bundle, device):
    return EngineKey.of(device.nvidia(), bundle.graph_sha256(Precision.FP32), Precision.FP32)


def test_the_bundles_engine_serves_on_a_device_that_compiled_nothing(folder, device, tmp_path):
    cache = EngineCache(tmp_path / "engines", HERE)
    with open_device_engine(open_bundle(folder), Precision.FP32, device.nvidia(), cache) as engine:
        assert engine.name == "TensorRT-RTX 1.7.1.116 (NVIDIA GeForce RTX 3060, fp32, CUDA graph)"
        assert engine.infer(picture(True, 1)[None]).score > 200
    assert device.open_contexts == 0


def test_what_the_device_made_of_it_is_kept_and_used_the_next_time(folder, device, tmp_path):
    bundle, cache = open_bundle(folder), EngineCache(tmp_path / "engines", HERE)
    with open_device_engine(bundle, Precision.FP32, device.nvidia(), cache) as engine:
        assert not engine.finished
    assert [path.suffix for path in sorted(cache.folder.iterdir())] == [".runtime", ".json"]
    with open_device_engine(bundle, Precision.FP32, device.nvidia(), cache) as engine:
        assert engine.finished
    assert device.offered_runtime == b"finished on NVIDIA GeForce RTX 3060"


def test_a_runtime_cache_of_another_driver_does_no_harm_and_is_replaced(folder, device, tmp_path):
    bundle, cache = open_bundle(folder), EngineCache(tmp_path / "engines", HERE)
    cache.write_runtime(key_of(bundle, device), b"of an older driver")
    with open_device_engine(bundle, Precision.FP32, device.nvidia(), cache) as engine:
        assert not engine.finished
    assert cache.read_runtime(key_of(bundle, device)) == b"finished on NVIDIA GeForce RTX 3060"


def test_a_folder_that_takes_no_cache_is_no_reason_not_to_serve(folder, device, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    caplog.set_level("INFO")
    with open_device_engine(open_bundle(folder), Precision.FP32, device.nvidia(), EngineCache(tmp_path / "file", HERE)):
        assert "what TensorRT-RTX 1.7.1.116 made of the engine is not kept" in caplog.text


def test_a_bundle_that_was_not_installed_from_a_signed_file_gives_no_engine(folder, device):
    (folder / RECEIPT).unlink()
    bundle = open_bundle(folder)
    with pytest.raises(
        EngineDamagedError, match=r"was not installed from a signed file.*edge-deploy install"
    ) as refused:
        read_bundled(bundle, key_of(bundle, device), HERE)
    assert "compile BUNDLE --rtx` on this device" in str(refused.value)
    assert refused.value.exit_code == 85


def test_a_receipt_of_another_device_is_worth_nothing(folder, device):
    bundle = open_bundle(folder)
    with pytest.raises(EngineDamagedError, match="was not written by this device"):
        read_bundled(bundle, key_of(bundle, device), ELSEWHERE)


def test_a_manifest_that_was_changed_after_the_signature_is_found_though_its_hashes_fit(folder, device):
    """Who may write into the folder can exchange an engine and its hash, and not the seal."""
    (folder / "engines/fp32.engine").write_bytes(b"something evil")
    put_engine(folder, device, b"something evil")
    bundle = open_bundle(folder)
    with pytest.raises(EngineDamagedError, match="is not the one that was signed"):
        read_bundled(bundle, key_of(bundle, device), HERE)


def test_an_engine_that_changes_after_the_bundle_was_opened_is_not_loaded(folder, device):
    bundle = open_bundle(folder)
    (folder / "engines/fp32.engine").write_bytes(b"something evil")
    with pytest.raises(EngineDamagedError, match=r"fp32\.engine has 14 bytes, the manifest says"):
        read_bundled(bundle, key_of(bundle, device), HERE)


@pytest.mark.parametrize("what", [RECEIPT, "manifest.json", "."])
def test_a_bundle_that_others_may_write_to_gives_no_engine(folder, device, what):
    bundle = open_bundle(folder)
    (folder / what).chmod(0o777)
    with pytest.raises(EngineDamagedError, match=r"could have been written by other users .*mode 777"):
        read_bundled(bundle, key_of(bundle, device), HERE)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"manifest": "", "signer": "", "seal": ""}'])
def test_an_odd_receipt_is_none(folder, device, content):
    (folder / RECEIPT).write_bytes(content)
    bundle = open_bundle(folder)
    with pytest.raises(EngineDamagedError, match="no valid receipt"):
        read_bundled(bundle, key_of(bundle, device), HERE)


def test_another_version_gpu_or_graph_is_named(folder, device):
    bundle = open_bundle(folder)
    key = key_of(bundle, device)
    with pytest.raises(WrongVersionError, match=r"is for TensorRT-RTX 1\.7\.1\.116, this device has 1\.8\.0"):
        read_bundled(bundle, replace(key, tensorrt="1.8.0"), HERE)
    with pytest.raises(WrongGpuError, match=r"is for compute capability 8\.6, 8\.9, .* has 12\.0.*--compute 12\.0"):
        read_bundled(bundle, replace(key, compute="12.0"), HERE)
    with pytest.raises(EngineAbsentError):
        read_bundled(bundle, replace(key, graph_sha256="0" * 64), HERE)


def test_a_list_of_engines_that_names_what_is_not_there_is_a_damaged_bundle(folder, device):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["engines/fp32.engine"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    bundle = open_bundle(folder)
    with pytest.raises(BundleError, match=r"names engines/fp32\.engine, which the manifest does not list"):
        read_bundled(bundle, key_of(bundle, device), HERE)


def test_what_the_device_compiled_itself_comes_first(folder, device, tmp_path):
    bundle, cache = open_bundle(folder), EngineCache(tmp_path / "engines", HERE)
    cache.write(key_of(bundle, device), b"a damaged one")
    cache.path(key_of(bundle, device)).write_bytes(b"changed")
    with pytest.raises(EngineDamagedError, match="is truncated or was changed"):
        open_device_engine(bundle, Precision.FP32, device.nvidia(), cache)


def test_without_any_engine_the_message_is_the_devices_own(tmp_path, device):
    bundle = open_bundle(write_bundle(tmp_path / "plain"))
    with pytest.raises(
        EngineAbsentError, match=r"has no engine .*: run `edge-build compile BUNDLE --rtx` on this device"
    ):
        open_device_engine(bundle, Precision.FP32, device.nvidia(), EngineCache(tmp_path / "engines", HERE))
