"""A bundle with an engine in it, as a made-up device's compiler would have made it ahead of time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.support.fake_nvidia import FakeDevice


def put_engine(folder: Path, device: FakeDevice, plan: bytes | None = None) -> Path:
    """Write it into the bundle, and its manifest. plan: other bytes than those of an engine that works."""
    graph = (folder / "model.fp32.onnx").read_bytes()
    made_for = json.dumps({"tensorrt": device.surface["version"], "gpu": device.gpu}).encode()
    engine = {
        "file": "engines/fp32.engine",
        "precision": "fp32",
        "graph": hashlib.sha256(graph).hexdigest(),
        "version": device.surface["version"],
        "computes": ["8.6", "8.9"],
    }
    files = {
        "engines/fp32.engine": made_for + b"\0" + graph if plan is None else plan,
        "engines/engines.json": json.dumps({"library": "tensorrt-rtx", "engines": [engine]}).encode(),
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "engines").mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        manifest["files"][name] = {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
