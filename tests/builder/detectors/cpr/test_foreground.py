from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_build.detectors.cpr.foreground import Check, PlacedForeground, find_foreground, reason
from edge_runtime.errors import ConfigError


def part_maps(count: int = 12, side: int = 40) -> tuple[Tensor, Tensor]:
    """Features of a disc before a background, which moves a little, and where the disc is."""
    random = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    centres = side / 2 + 2 * torch.randn(count, 2, 1, 1, generator=random)
    disc = torch.hypot(y - centres[:, 0], x - centres[:, 1]) < side / 3.5
    maps = torch.randn(count, 8, side, side, generator=random)
    maps[:, 0] += 8 * disc
    return maps.half(), disc


def surface_maps(count: int = 12, side: int = 40) -> Tensor:
    return torch.randn(count, 8, side, side, generator=torch.Generator().manual_seed(0)).half()


def test_a_part_before_a_background_is_found_and_the_reason_is_reported() -> None:
    maps, disc = part_maps()

    foreground, why = find_foreground(maps, "auto", 0)

    assert foreground is not None
    assert why.startswith("kind: object, because two halves of the pictures agree about where the part is to ")
    assert "This was close" not in why
    found = foreground(maps.float())
    assert ((found > 0.5) == disc).float().mean() > 0.99
    assert float(found.min()) == 0
    assert float(found.max()) == 1


def test_a_surface_without_a_background_is_a_texture() -> None:
    foreground, why = find_foreground(surface_maps(), "auto", 0)

    assert foreground is None
    assert why.startswith("kind: texture, because ")


def rod_maps(thickness: int, count: int = 12, side: int = 80) -> Tensor:
    """A part that comes in from the left and ends behind the middle."""
    maps = torch.randn(count, 8, side, side, generator=torch.Generator().manual_seed(0))
    maps[:, 0, (side - thickness) // 2 : (side + thickness) // 2, :55] += 8
    return maps.half()


def test_a_part_may_run_through_a_side_but_not_fill_the_border() -> None:
    runs_through, _ = find_foreground(rod_maps(30), "auto", 0)
    fills, why = find_foreground(rod_maps(76), "auto", 0)

    assert runs_through is not None
    assert fills is None
    assert "part before a background: the border is background to " in why
    assert "agree about" not in why  # what is fulfilled is no reason


def grooved_maps(count: int = 12, side: int = 80) -> Tensor:
    """A part that fills the picture, with soft grooves that leave the border alone: no picture has any background."""
    y = torch.arange(side)[:, None].expand(side, side)
    maps = torch.randn(count, 8, side, side, generator=torch.Generator().manual_seed(0))
    maps[:, 0, 4:-4, 4:-4] += 3 * (1 + torch.sin(y / 3))[4:-4, 4:-4]
    return maps.half()


def test_a_part_that_fills_the_picture_is_a_texture_however_alike_its_borders_are() -> None:
    foreground, why = find_foreground(grooved_maps(), "auto", 0)

    assert foreground is None
    assert "cells are clearly one or the other to " in why
    assert "the border is background" not in why


def test_what_is_missing_takes_trust_away_and_no_small_difference_decides() -> None:
    assert [Check("it is so", found, 0.8).trust for found in (0.9, 0.8, 0.66, 0.1)] == [1, 1, 0, 0]
    assert Check("it is so", 0.73, 0.8).trust == pytest.approx(0.5)
    said = reason([Check("it is so", 0.73, 0.8), Check("other", 0.99, 0.8)])
    assert said.startswith("kind: object, but what looks like background counts for 50%, because not all speaks for")


def test_background_counts_for_what_trust_leaves() -> None:
    foreground, _ = find_foreground(part_maps()[0], "object", 0)
    assert foreground is not None
    maps = part_maps()[0][:1].float()
    torch.testing.assert_close(foreground.trusted(0.5)(maps), 0.5 + 0.5 * foreground(maps))


def test_a_view_that_knows_the_part_is_its_foreground_in_every_picture() -> None:
    part = np.zeros((32, 64), np.float32)
    part[:, :32] = 1
    shares = PlacedForeground(part, (8, 16))(torch.zeros(3, 5, 8, 16))
    assert shares.shape == (3, 8, 16)
    assert shares[:, :, :8].eq(1).all()
    assert shares[:, :, 8:].eq(0).all()


def test_the_recipe_may_say_that_a_part_is_a_texture() -> None:
    assert find_foreground(part_maps()[0], "texture", 0) == (
        None,
        "kind: texture: no foreground is separated",
    )


def test_the_recipe_may_say_that_it_is_an_object() -> None:
    foreground, why = find_foreground(part_maps()[0], "object", 0)

    assert foreground is not None
    assert why.startswith("kind: object, as the recipe says")


def test_an_object_without_any_background_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cpr\.kind is object, but the middle .* Set kind to texture or auto"):
        find_foreground(torch.ones(4, 8, 16, 16), "object", 0)
