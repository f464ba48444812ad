"""Tiny bundles (a manifest with dummy files), a pair of keys, and the command as a user calls it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_deploy.archive import pack_bundle
from edge_deploy.cli import main
from edge_deploy.keys import SigningKey, generate_pair, load_signing_key
from edge_deploy.tar_header import header_for, padded
from edge_runtime.bundle.trust import Trust
from edge_runtime.imaging.preprocess import PREPROCESSING

THRESHOLD = {
    "score": 1.0,
    "score_low": 0.9,
    "score_high": None,
    "map": 1.0,
    "false_reject_rate": 0.01,
    "false_reject_rate_guaranteed": 0.01,
    "false_reject_rate_low": 0.0,
    "false_reject_rate_high": 0.05,
    "pictures": 100,
    "method": "held-out",
}


def manifest_of(version: str, files: dict[str, bytes]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": "screw",
        "version": version,
        "detector": "patchcore",
        "backbone": "none",
        "height": 64,
        "width": 64,
        "preprocessing": PREPROCESSING,
        "graphs": {"fp32": {"file": "model.fp32.onnx", "threshold": THRESHOLD}},
        "golden": [{"picture": "golden/0.png", "anomaly_map": "golden/0.npy", "score": 0.5}],
        "tolerance": {"score": 0.01, "map": 0.01},
        "dataset": {
            "name": "screw",
            "fingerprint": "0" * 64,
            "train": 1,
            "calibration": 1,
            "threshold": 1,
            "test_good": 0,
            "test_defect": 0,
        },
        "figures": {},
        "recipe": "",
        "seed": 0,
        "builder": "tests",
        "files": {
            name: {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
    }


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the machine has one: the same behaviour, and fsync costs nothing."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """make_bundle("2", model=b"...") writes the bundle screw-2; other keywords replace fields of its manifest."""

    def make(version: str = "1", model: bytes = b"", **fields: object) -> Path:
        folder = tmp_path / "built" / f"screw-{version}-{len(list(tmp_path.glob('built/*')))}"
        files = {
            "model.fp32.onnx": model or f"graph {version} ".encode() * 100,
            "golden/0.png": b"png",
            "golden/0.npy": b"",
        }
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        (folder / "manifest.json").write_text(json.dumps(manifest_of(version, files) | fields))
        return folder

    return make


@pytest.fixture
def signing(tmp_path: Path) -> SigningKey:
    generate_pair(tmp_path / "keys")
    return load_signing_key(tmp_path / "keys" / "private.pem")


@pytest.fixture
def trusted(signing: SigningKey) -> Trust:
    return Trust((signing.trusted,))


@pytest.fixture
def pack(tmp_path: Path, make_bundle: Callable[..., Path], signing: SigningKey) -> Callable[..., Path]:
    """pack("2") packs a new bundle screw-2 into a new file."""

    def pack_new(version: str = "1", **fields: Any) -> Path:
        folder = make_bundle(version, **fields)
        out = tmp_path / f"{folder.name}.edgebundle"
        pack_bundle(folder, signing, out)
        return out

    return pack_new


@pytest.fixture
def make_signed(signing: SigningKey) -> Callable[[Path], Path]:
    """make_signed(folder) packs and signs whatever the manifest says, as a signer with bad intentions would."""

    def make(folder: Path) -> Path:
        manifest = (folder / "manifest.json").read_bytes()
        members = [("manifest.sig", signing.sign(manifest)), ("manifest.json", manifest)]
        for name in sorted(json.loads(manifest)["files"]):
            members.append((name, (folder / name).read_bytes() if (folder / name).is_file() else b""))
        out = folder.with_suffix(".edgebundle")
        with out.open("wb") as file:
            for name, data in members:
                file.write(header_for(name[:100], len(data)) + data.ljust(padded(len(data)), b"\0"))
            file.write(bytes(1024))
        return out

    return make


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def edge_deploy(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """edge_deploy("list", "--store", store) runs the command in this process."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run
