"""Engines compiled ahead of time by NVIDIA's own compiler: into the bundle, signed, and loadable once installed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.tiny_bundle import write_bundle

from edge_build.cli import repeat_option
from edge_build.progress import SilentProgress
from edge_build.workflows.add_engines import add_engines
from edge_deploy.archive import pack_bundle
from edge_deploy.keys import generate_pair, load_signing_key
from edge_deploy.store import Store
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.bundle.trust import Trust
from edge_runtime.engines.tensorrt.bundled import bundled_engines, read_bundled
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError, EngineDamagedError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.errors import BundleError, ConfigError
from edge_runtime.records import Precision

HERE, ELSEWHERE = "0123456789abcdef" * 2, "fedcba9876543210" * 2
pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="needs pip install '.[rtx]'")


def key_of(bundle, compute="8.9"):
    version = bundled_engines(bundle)[0].version
    return EngineKey(
        *(bundle.graph_sha256(Precision.FP32), Precision.FP32, version, "NVIDIA GeForce RTX 4090", compute, ""),
        Library.TENSORRT_RTX,
    )


def test_one_engine_for_all_gpus_is_listed_with_its_hash(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    before = open_bundle(folder).manifest
    (engine,) = add_engines(folder, ("12.0", "8.6", "8.9", "8.6"), None, SilentProgress())
    bundle = open_bundle(folder)  # which checks every length and hash
    assert engine.computes == ("8.6", "8.9", "12.0")
    assert engine.graph == bundle.graph_sha256(Precision.FP32)
    content = (folder / engine.file).read_bytes()
    assert bundle.manifest.files[engine.file].sha256 == hashlib.sha256(content).hexdigest()
    assert len(content) > 1000
    assert before.files.items() < bundle.manifest.files.items()
    assert bundle.manifest.model_copy(update={"files": before.files, "digest": before.digest}) == before
    assert json.loads((folder / "engines/engines.json").read_text())["library"] == "tensorrt-rtx"


def test_compiling_again_replaces_the_engine(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    add_engines(folder, ("8.6",), None, SilentProgress())
    (engine,) = add_engines(folder, ("8.9",), Precision.FP32, SilentProgress())
    assert bundled_engines(open_bundle(folder)) == (engine,)
    assert sorted(path.name for path in (folder / "engines").iterdir()) == sorted(
        ["engines.json", Path(engine.file).name]
    )


def test_only_a_device_that_installed_the_signed_file_is_given_the_engine(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    (engine,) = add_engines(folder, ("8.6", "8.9"), None, SilentProgress())
    built = open_bundle(folder)
    with pytest.raises(EngineDamagedError, match="was not installed from a signed file"):
        read_bundled(built, key_of(built), HERE)
    trusted = Trust((generate_pair(tmp_path / "keys"),))
    pack_bundle(folder, load_signing_key(tmp_path / "keys/private.pem"), tmp_path / "tiny.edgebundle")
    store = Store(tmp_path / "store", lambda: HERE)
    label, _ = store.install(tmp_path / "tiny.edgebundle", trusted)
    installed = open_bundle(tmp_path / "store/bundles" / label)
    assert read_bundled(installed, key_of(installed), HERE) == (folder / engine.file).read_bytes()
    with pytest.raises(EngineDamagedError, match="was not written by this device"):
        read_bundled(installed, key_of(installed), ELSEWHERE)
    assert store.entries()[0].problem is None


def test_installing_again_leaves_the_receipt_that_is_missing(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    add_engines(folder, ("8.6",), None, SilentProgress())
    trusted = Trust((generate_pair(tmp_path / "keys"),))
    pack_bundle(folder, load_signing_key(tmp_path / "keys/private.pem"), tmp_path / "tiny.edgebundle")
    store = Store(tmp_path / "store", lambda: HERE)
    label, _ = store.install(tmp_path / "tiny.edgebundle", trusted)
    receipt = tmp_path / "store/bundles" / label / "installed.json"
    receipt.unlink()
    store.install(tmp_path / "tiny.edgebundle", trusted)
    assert receipt.exists()


def test_a_device_without_a_machine_id_does_not_install_engines(tmp_path: Path) -> None:
    def none() -> str:
        raise ConfigError("/etc/machine-id cannot be read")

    folder = write_bundle(tmp_path / "bundle")
    add_engines(folder, ("8.6",), None, SilentProgress())
    trusted = Trust((generate_pair(tmp_path / "keys"),))
    pack_bundle(folder, load_signing_key(tmp_path / "keys/private.pem"), tmp_path / "tiny.edgebundle")
    with pytest.raises(ConfigError, match="machine-id"):
        Store(tmp_path / "store", none).install(tmp_path / "tiny.edgebundle", trusted)
    assert list((tmp_path / "store/bundles").iterdir()) == []


def test_an_installed_bundle_is_not_changed(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    (folder / "installed.json").write_text("{}")
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(ConfigError, match="is installed on a device, and its files are those that were signed"):
        add_engines(folder, ("8.6",), None, SilentProgress())
    assert (folder / "manifest.json").read_bytes() == before


def test_what_cannot_be_compiled_leaves_the_bundle_as_it_was(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(
        ConfigError, match=r"does not compile for compute capability 8\.7: it knows 7\.5, 8\.0, 8\.6, 8\.9, 12"
    ):
        add_engines(folder, ("8.6", "8.7"), None, SilentProgress())
    with pytest.raises(BundleError, match="has no int8 graph"):
        add_engines(folder, ("8.6",), Precision.INT8, SilentProgress())
    broken = write_bundle(
        tmp_path / "broken", graph=(folder / "model.fp32.onnx").read_bytes().replace(b"ReduceMax", b"ReduceMxx")
    )
    with pytest.raises(CompilerRefusedError, match=r"does not take the graph: .*Plugin not found"):
        add_engines(broken, ("8.6",), None, SilentProgress())
    assert (folder / "manifest.json").read_bytes() == before
    assert not (folder / "engines").exists()


def test_the_command_takes_several_numbers_after_one_option(tmp_path: Path) -> None:
    assert repeat_option("--compute", ["compile", "--rtx", "--compute", "8.6", "8.9", "12.0", "BUNDLE"]) == [
        *("compile", "--rtx", "--compute", "8.6", "--compute", "8.9", "--compute", "12.0", "BUNDLE"),
    ]
    folder = write_bundle(tmp_path / "bundle")
    program = "from edge_build.cli import main; main()"
    command = [sys.executable, "-c", program, "compile", str(folder), "--compute", "8.6", "8.9"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (refused.returncode, "--compute is for --rtx" in refused.stderr) == (78, True), refused.stderr
    found = subprocess.run([*command, "--rtx"], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "for compute capability 8.6, 8.9, TensorRT-RTX 1." in found.stdout
