"""Training computes on the device that it is given. Without a GPU at hand only this much is shown: that a device may be
named, and that no tensor of the training is created without saying where."""

from __future__ import annotations

import ast
from pathlib import Path

import edge_build.detectors.cpr

CREATORS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randn", "tensor", "zeros", "Generator"}
NOT_TRAINED = {
    "foreground.py",
    "model.py",
    "references.py",
    "retrieval.py",
}  # computed on the host, once, or moved as buffers
DRAWN_ON_THE_HOST = {"multinomial", "randint", "randperm"}  # with the host's generator, which says where


def test_every_tensor_of_the_training_is_created_on_a_named_device() -> None:
    folder = Path(edge_build.detectors.cpr.__file__).parent
    files = sorted(file for file in folder.glob("*.py") if file.name not in NOT_TRAINED)
    calls = {
        f"{file.name}:{node.lineno} torch.{node.func.attr}": {keyword.arg for keyword in node.keywords}
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "torch"
        and node.func.attr in CREATORS | DRAWN_ON_THE_HOST
    }

    assert len(files) >= 8
    assert len(calls) >= 10
    assert [call for call, given in calls.items() if not given & {"device", "generator"}] == []
