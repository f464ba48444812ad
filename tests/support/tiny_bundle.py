"""A whole, valid bundle of a few kilobytes, made without the onnx package: its graph measures how bright a picture is.

anomaly_map = mean over the channels; score = the brightest pixel of the map. So a bright spot is a defect.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np

SIZE = 64
THRESHOLD = 128.0
GOOD, BAD = 60, 220  # grey values of a good picture, and of a defect's spot


def picture(spot: bool, seed: int, size: int = SIZE) -> np.ndarray:
    """uint8 BGR (size, size, 3): dark noise, with a bright square when it is defective."""
    image = np.random.default_rng(seed).integers(GOOD - 20, GOOD + 20, (size, size, 3), dtype=np.uint8)
    if spot:
        image[size // 4 : size // 2, size // 4 : size // 2] = BAD
    return image


def write_pictures(folder: Path, outcomes: str, size: int = SIZE) -> None:
    """One PNG for each letter: `o` is good, `n` has a defect, `x` is not a picture at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, letter in enumerate(outcomes):
        path = folder / f"{number:04d}.png"
        if letter == "x":
            path.write_bytes(b"this is no picture")
        else:
            cv2.imwrite(str(path), picture(letter == "n", number, size))


def write_bundle(folder: Path, golden_score: float | None = None, graph: bytes | None = None) -> Path:
    """Write the bundle; a wrong `golden_score` makes its self-test fail. graph: another one in the place of its own."""
    (folder / "golden").mkdir(parents=True)
    (folder / "model.fp32.onnx").write_bytes(tiny_graph() if graph is None else graph)
    golden = []
    for number, spot in enumerate((False, True)):
        image = picture(spot, seed=100 + number)
        anomaly_map = image.astype(np.float32).mean(axis=2)
        cv2.imwrite(str(folder / f"golden/{number}.png"), image)
        np.save(folder / f"golden/{number}.npy", anomaly_map)
        score = float(anomaly_map.max()) if golden_score is None else golden_score
        golden.append({"picture": f"golden/{number}.png", "anomaly_map": f"golden/{number}.npy", "score": score})
    threshold = {
        "score": THRESHOLD, "score_low": 120.0, "score_high": 130.0, "map": THRESHOLD, "false_reject_rate": 0.01,
        "false_reject_rate_guaranteed": 0.01, "false_reject_rate_low": 0.0, "false_reject_rate_high": 0.05,
        "pictures": 100, "method": "held-out",
    }  # fmt: skip
    figures = {
        "image_auroc": None, "pixel_auroc": None, "aupro": None, "pixel_ap": None,
        "false_rejects": 0, "missed_defects": 0, "good": 0, "defect": 0,
    }  # fmt: skip
    manifest = {
        "schema_version": 1, "name": "tiny", "version": "1.0", "detector": "brightness", "backbone": "none",
        "height": SIZE, "width": SIZE, "preprocessing": "bgr8-area-1",
        "graphs": {"fp32": {"file": "model.fp32.onnx", "threshold": threshold}}, "golden": golden,
        "tolerance": {"score": 0.01, "map": 0.01},
        "dataset": {"name": "made", "fingerprint": "0" * 64, "train": 1, "calibration": 1, "threshold": 1,
                    "test_good": 0, "test_defect": 0},
        "figures": {"fp32": figures}, "recipe": "", "seed": 0, "builder": "tests",
        "files": {
            path.relative_to(folder).as_posix(): {
                "length": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()
            }
            for path in sorted(folder.rglob("*")) if path.is_file()
        },
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def tiny_graph() -> bytes:
    """The graph as ONNX, written field by field: onnx.proto's numbers stand beside each."""
    image = _tensor("image", 2, (1, SIZE, SIZE, 3))  # 2: uint8
    score, anomaly_map = _tensor("score", 1, (1,)), _tensor("anomaly_map", 1, (1, SIZE, SIZE))  # 1: float32
    nodes = [
        _node("Cast", "image", "pixels", [_attribute("to", [1])]),
        _node("ReduceMean", "pixels", "anomaly_map", [_attribute("axes", [3], True), _attribute("keepdims", [0])]),
        _node("ReduceMax", "anomaly_map", "score", [_attribute("axes", [1, 2], True), _attribute("keepdims", [0])]),
    ]
    graph = b"".join(_bytes(1, n) for n in nodes) + _bytes(2, b"tiny") + _bytes(11, image)
    graph += _bytes(12, score) + _bytes(12, anomaly_map)
    return _int(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _int(2, 17))  # IR 8, graph, opset 17


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _node(kind: str, given: str, made: str, attributes: list[bytes]) -> bytes:
    body = _bytes(1, given.encode()) + _bytes(2, made.encode()) + _bytes(4, kind.encode())
    return body + b"".join(_bytes(5, a) for a in attributes)


def _attribute(name: str, values: list[int], many: bool = False) -> bytes:
    numbers = b"".join(_int(8 if many else 3, v) for v in values)  # ints, or i
    return _bytes(1, name.encode()) + numbers + _int(20, 7 if many else 2)  # type INTS or INT


def _tensor(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _int(1, size)) for size in shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _int(1, kind) + _bytes(2, dims)))
