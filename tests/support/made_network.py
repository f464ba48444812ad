"""EfficientNet-Lite0 with made-up weights and numbers that stay of a usable size: no package, no file, one second."""

from __future__ import annotations

import torch
from torch import Tensor

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.backbones.efficientnet import STEM_CHANNELS, stages_of


def made_state(variant: str = "efficientnet-lite0", seed: int = 0) -> dict[str, Tensor]:
    """A state dict as the packages carry it: convolutions and batch norms, by their names."""
    random = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def add(conv: str, norm: str, out: int, into: int, kernel: int) -> None:
        scale = (2 / (into * kernel * kernel)) ** 0.5
        state[f"{conv}.weight"] = scale * torch.randn(out, into, kernel, kernel, generator=random)
        state[f"{norm}.weight"] = 0.5 + torch.rand(out, generator=random)
        state[f"{norm}.bias"] = 0.3 * torch.randn(out, generator=random)
        state[f"{norm}.running_mean"] = 0.3 * torch.randn(out, generator=random)
        state[f"{norm}.running_var"] = 0.5 + torch.rand(out, generator=random)

    add("_conv_stem", "_bn0", STEM_CHANNELS, 3, 3)
    block, channels = 0, STEM_CHANNELS
    for stage in stages_of(variant):
        for _ in range(stage.repeats):
            name, inner = f"_blocks.{block}", channels * stage.expansion
            if stage.expansion > 1:
                add(f"{name}._expand_conv", f"{name}._bn0", inner, channels, 1)
            add(f"{name}._depthwise_conv", f"{name}._bn1", inner, 1, stage.kernel)
            add(f"{name}._project_conv", f"{name}._bn2", stage.channels, inner, 1)
            block, channels = block + 1, stage.channels
    return state


def made_backbone(taps: tuple[int, ...] = (3, 5), seed: int = 0) -> Backbone:
    return Backbone("efficientnet-lite0", taps, made_state(seed=seed))


def made_pictures(count: int, height: int = 64, width: int = 64, seed: int = 0) -> Tensor:
    """uint8 BGR (count, height, width, 3): smooth random blobs."""
    random = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(count, 3, height // 8, width // 8, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth.permute(0, 2, 3, 1).round().to(torch.uint8).contiguous()
