"""The tiny bundle with an INT8 graph and its calibration set, of which TensorRT can make an engine of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2

from tests.support.tiny_bundle import SIZE, THRESHOLD, picture, tiny_graph, write_bundle

# As fake_tensorrt.py's made-up network of a graph called `conv` has them. The stem stays in floats.
LAYERS = {"/stem/Conv": False, "/a/Conv": True, "/b/Conv": True}
RECIPE = "name: tiny\nversion: 1.0\ndataset: pictures\nsize: 64\ncalibration: {exposure: 0.0, lighting: 0.0}\n"
ENTROPY = b"TRT-8601-EntropyCalibration2\na: 3dcccccd\n"
MINMAX = b"TRT-8601-MinMaxCalibration\na: 3f800000\n"


def write_calibrated_bundle(folder: Path, pictures: Path | None = None, golden_score: float | None = None) -> Path:
    """Write the bundle, and below `pictures` the two that it was calibrated on. golden_score: a wrong one of the good
    picture, for INT8."""
    write_bundle(folder, graph=tiny_graph().replace(b"tiny", b"conv"))
    (folder / "model.int8.onnx").write_bytes(tiny_graph().replace(b"tiny", b"int8"))
    listed = []
    for number in range(2):
        content = cv2.imencode(".png", picture(False, seed=200 + number, size=SIZE))[1].tobytes()
        name = f"train/good/{number}.png"
        listed.append({"path": name, "sha256": hashlib.sha256(content).hexdigest()})
        if pictures is not None:
            (pictures / name).parent.mkdir(parents=True, exist_ok=True)
            (pictures / name).write_bytes(content)
    plan = {
        "method": "entropy", "errors_by_method": {"entropy": 0.02}, "budget": 0.01, "error": 0.009,
        "ranges": {"a": 12.7},
        "layers": [{"name": name, "error": 0.001, "int8": int8} for name, int8 in LAYERS.items()], "weights": "",
    }  # fmt: skip
    (folder / "calibration").mkdir()
    (folder / "calibration/pictures.json").write_text(json.dumps({"pictures": listed}))
    (folder / "calibration/int8.json").write_text(json.dumps(plan))
    (folder / "calibration/entropy2.cache").write_bytes(ENTROPY)
    (folder / "calibration/minmax.cache").write_bytes(MINMAX)
    manifest = json.loads((folder / "manifest.json").read_text())
    golden = [{"anomaly_map": one["anomaly_map"], "score": one["score"]} for one in manifest["golden"]]
    golden[0]["score"] = golden_score or golden[0]["score"]
    manifest["graphs"]["int8"] = {
        "file": "model.int8.onnx", "threshold": manifest["graphs"]["fp32"]["threshold"] | {"score": THRESHOLD},
        "golden": golden, "tolerance": {"score": 0.45, "map": 0.45},
        "gate": {"pictures": 1, "image_auroc_change": 0.0, "pixel_ap_change": 0.0, "verdicts_changed": 0},
    }  # fmt: skip
    manifest["recipe"] = RECIPE
    manifest["files"] = {
        path.relative_to(folder).as_posix(): {
            "length": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()
        }
        for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
