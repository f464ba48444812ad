"""The network against the paper's table and against plain, unfolded formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.made_network import made_pictures, made_state
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone, load_backbone, strides_of
from edge_build.detectors.backbones.efficientnet import LITE, STAGES, Block, stages_of
from edge_build.detectors.backbones.layers import Conv, same_padding
from edge_build.detectors.backbones.weights import find_weights, read_weights

# Table 1 of the paper times the multipliers of section 3.3, as the published checkpoints have them.
CHANNELS = {
    "efficientnet-lite0": [16, 24, 40, 80, 112, 192, 320],
    "efficientnet-lite1": [16, 24, 40, 80, 112, 192, 320],
    "efficientnet-lite2": [16, 24, 48, 88, 120, 208, 352],
}
REPEATS = {
    "efficientnet-lite0": [1, 2, 2, 3, 3, 4, 1],
    "efficientnet-lite1": [1, 3, 3, 4, 4, 5, 1],
    "efficientnet-lite2": [1, 3, 3, 4, 4, 5, 1],
}
STRIDES = [2, 4, 8, 16, 16, 32, 32]
ALL = (1, 2, 3, 4, 5, 6, 7)
# float32 sums in another order, over a few hundred terms of size one
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def same_padded_conv(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """TensorFlow's SAME, from its documentation: out = ceil(in / stride), the odd pixel after."""
    pads: list[int] = []
    for size, kernel in ((x.shape[3], weight.shape[3]), (x.shape[2], weight.shape[2])):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, None, stride, groups=groups)


def batch_norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)


def plain_block(x: Tensor, state: dict[str, Tensor], name: str, stride: int) -> Tensor:
    """An inverted residual with its batch norms apart."""
    y = x
    if f"{name}._expand_conv.weight" in state:
        y = same_padded_conv(y, state[f"{name}._expand_conv.weight"], 1, 1)
        y = F.relu6(batch_norm(y, state, f"{name}._bn0"))
    y = same_padded_conv(y, state[f"{name}._depthwise_conv.weight"], stride, y.shape[1])
    y = F.relu6(batch_norm(y, state, f"{name}._bn1"))
    y = same_padded_conv(y, state[f"{name}._project_conv.weight"], 1, 1)
    y = batch_norm(y, state, f"{name}._bn2")
    return x + y if stride == 1 and x.shape[1] == y.shape[1] else y


def plain_network(images: Tensor, state: dict[str, Tensor], variant: str, taps: tuple[int, ...]) -> list[Tensor]:
    """Normalised RGB in, as the weights were trained; every stage in turn."""
    rgb = torch.from_numpy(np.ascontiguousarray(images.numpy()[..., ::-1]))
    x = (rgb.permute(0, 3, 1, 2).float() - 127) / 128
    x = F.relu6(batch_norm(same_padded_conv(x, state["_conv_stem.weight"], 2, 1), state, "_bn0"))
    maps, block = [], 0
    for number, stage in enumerate(stages_of(variant), 1):
        for repeat in range(stage.repeats):
            x = plain_block(x, state, f"_blocks.{block}", stage.stride if repeat == 0 else 1)
            block += 1
        if number in taps:
            maps.append(x)
    return maps


@pytest.mark.parametrize("variant", CHANNELS)
def test_stages_are_those_of_the_papers_table(variant: str) -> None:
    stages = stages_of(variant)

    assert [s.channels for s in stages] == CHANNELS[variant]
    assert [s.repeats for s in stages] == REPEATS[variant]
    assert [s.kernel for s in stages] == [3, 3, 5, 3, 5, 5, 3]
    assert [s.expansion for s in stages] == [1, 6, 6, 6, 6, 6, 6]
    assert list(strides_of(variant)) == STRIDES


@pytest.mark.parametrize("variant", CHANNELS)
def test_every_map_has_the_channels_and_the_stride_of_its_stage(variant: str) -> None:
    backbone = Backbone(variant, ALL, made_state(variant))

    with torch.inference_mode():
        maps = backbone(made_pictures(2, 64, 96))

    expected = [(2, c, 64 // s, 96 // s) for c, s in zip(CHANNELS[variant], STRIDES, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


def test_only_the_stages_up_to_the_last_tap_are_there_and_nothing_learns() -> None:
    backbone = Backbone("efficientnet-lite0", (1, 2), made_state())

    assert len(backbone.stages) == 2
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("depthwise", [True, False])
def test_padding_is_tensorflows_same(kernel: int, stride: int, depthwise: bool) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 8, 12, generator=random)
    weight = torch.randn(6, 1 if depthwise else 6, kernel, kernel, generator=random)
    bias = torch.randn(6, generator=random)

    found = Conv(weight, bias, stride, same_padding(kernel, stride), None)(x)

    expected = same_padded_conv(x, weight, stride, 6 if depthwise else 1) + bias[:, None, None]
    torch.testing.assert_close(found, expected, **CLOSE)


def test_a_depthwise_kernel_of_an_even_stride_reaches_one_pixel_further_to_the_right_and_below() -> None:
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 0, 0] = 1  # takes the first pixel under the kernel

    conv = Conv(weight, torch.zeros(1), 2, same_padding(3, 2), None)
    found = conv(torch.arange(16.0).view(1, 1, 4, 4))

    assert found.flatten().tolist() == [0, 2, 8, 10]  # no padding before; PyTorch's own would give 0, 0, 0, 5


@pytest.mark.parametrize(
    ("block", "stage", "stride", "channels"), [(0, 1, 1, 32), (1, 2, 2, 16), (2, 2, 1, 24), (3, 3, 2, 24)]
)
def test_a_block_with_folded_batch_norms_equals_one_without(block: int, stage: int, stride: int, channels: int) -> None:
    state, name = made_state(), f"_blocks.{block}"
    x = torch.randn(2, channels, 16, 16, generator=torch.Generator().manual_seed(1))

    found = Block(state, LITE, LITE.block(stage, 0, block, stage > 1), STAGES[stage - 1], channels, stride)(x)

    torch.testing.assert_close(found, plain_block(x, state, name, stride), **CLOSE)


def test_bgr_bytes_give_what_normalised_rgb_gives_in_the_plain_network() -> None:
    state, images = made_state(), made_pictures(2, 64, 96)

    with torch.inference_mode():
        found = Backbone("efficientnet-lite0", (2, 3, 5), state)(images)

    for ours, plain in zip(found, plain_network(images, state, "efficientnet-lite0", (2, 3, 5)), strict=True):
        # thirteen blocks, each with float32 sums in another order
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


def test_the_published_weights_fit_and_give_what_the_plain_network_gives() -> None:
    state = read_weights(find_weights("efficientnet-lite0", None).path)
    images = made_pictures(1, 64, 64)

    with torch.inference_mode():
        fine, coarse = load_backbone("efficientnet-lite0", (3, 5))(images)

    plain = plain_network(images, state, "efficientnet-lite0", (3, 5))
    assert (fine.shape, coarse.shape) == ((1, 40, 8, 8), (1, 112, 4, 4))
    for ours, reference in zip((fine, coarse), plain, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-3, atol=1e-3 * float(reference.abs().max()))
