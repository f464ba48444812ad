"""What a recipe says of each detector: PatchCore, CPR in its three sizes, and both combined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator


class Settings(BaseModel):
    """Frozen, without conversions, unknown keys, NaN or infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _two_stages(stages: tuple[int, int]) -> tuple[int, int]:
    if stages[0] >= stages[1]:
        raise ValueError("not ascending")
    return stages


def _ascending_taps(taps: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if taps is not None and (not 2 <= len(taps) <= 4 or list(taps) != sorted(set(taps))):
        raise ValueError("too few, too many or not ascending")
    return taps


def _dimensions(dimensions: object) -> object:
    whole = type(dimensions) is int and dimensions >= 8
    share = type(dimensions) is float and 0 < dimensions < 1
    if not (dimensions is None or whole or share):
        raise ValueError("neither")
    return dimensions


BackboneName = Literal[
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "efficientnet-b0", "densenet201"
]
BACKBONE = (
    "network that sees; allowed: efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, and with backbone_weights "
    "efficientnet-b0, densenet201"
)
WEIGHTS = (
    "checkpoint of the backbone in torchvision's naming, null for the weights of its package; "
    "allowed: null or a path, a relative one as seen from the recipe's own folder"
)
FilePath = Annotated[Path | None, Field(strict=False)]
Stage = Annotated[int, Field(ge=1, le=7)]
Dimensions = Annotated[
    int | float | None,
    BeforeValidator(_dimensions),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 8},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "null"},
            ]
        }
    ),
]


class BankSettings(Settings):
    """How many patches the detector remembers: a share of all, or a number."""

    ratio: float | None = Field(
        default=None, gt=0, le=1, description="share of all patches; allowed: above 0, at most 1"
    )
    entries: int | None = Field(
        default=None, ge=1, description="number of patches, instead of ratio; allowed: a whole number, 1 or more"
    )

    @model_validator(mode="after")
    def _check_one(self) -> BankSettings:
        if (self.ratio is None) == (self.entries is None):
            raise ValueError("exactly one")
        return self

    def entries_for(self, patches: int) -> int:
        """The bank's size when there are so many patches to choose from: at least 1, at most all."""
        wanted = self.entries if self.ratio is None else round(self.ratio * patches)
        return min(max(wanted or 1, 1), patches)


class PatchcoreSettings(Settings):
    """PatchCore: distance of every patch to the nearest one that good pictures have."""

    backbone: BackboneName = Field(default="efficientnet-lite0", description=BACKBONE)
    backbone_weights: FilePath = Field(default=None, description=WEIGHTS)
    stages: Annotated[tuple[Stage, Stage], AfterValidator(_two_stages)] = Field(
        default=(3, 5),
        description="its two stages that are compared, fine and coarse; allowed: two of 1 to 7, ascending",
    )
    bank: BankSettings = Field(
        default=BankSettings(ratio=0.01),
        description="what is remembered; allowed: ratio or entries, exactly one of them",
    )
    neighbors: int = Field(
        default=9,
        ge=1,
        description="bank neighbours that weight a picture's score, 1 for no weighting; "
        "allowed: a whole number, 1 or more",
    )
    adapt: bool = Field(
        default=True,
        description="equal stages, a settled bank, distances less where good parts vary more, smooth score; "
        "allowed: true, or false for the paper's plain distances",
    )
    dimensions: Dimensions = Field(
        default=None,
        description="reduce features by PCA before the bank; "
        "allowed: null (all), a number of 8 or more, or a share of variance kept such as 0.95",
    )


class CprSettings(Settings):
    """CPR, CPR-Fast and CPR-Faster: every cell against the same place in the ten good pictures that are most alike."""

    backbone: BackboneName = Field(default="efficientnet-lite0", description=BACKBONE)
    backbone_weights: FilePath = Field(default=None, description=WEIGHTS)
    taps: Annotated[tuple[Stage, ...] | None, AfterValidator(_ascending_taps)] = Field(
        default=None,
        description="its stages that are compared, at strides 4 and 8 and coarser ones, which see more and cost more; "
        "allowed: null (2, 3 and 4 of an EfficientNet), or two to four stages, ascending",
    )
    kind: Literal["auto", "object", "texture"] = Field(
        default="auto",
        description="object has a background that counts for nothing, auto finds out; allowed: auto, object, texture",
    )
    textures: FilePath = Field(
        default=None,
        description="pictures of surfaces to make up defects from, besides those that a program makes; "
        "allowed: null or a path, a relative one as seen from the recipe's own folder",
    )
    defects: FilePath = Field(
        default=None,
        description="a few pictures of real defects to learn from as well, in folders `pictures` and `masks`, null for "
        "none; allowed: null or a path, a relative one as seen from the recipe's own folder",
    )
    references: int | None = Field(
        default=None,
        ge=1,
        description="good pictures to compare with, null for all that fit into a graph; "
        "allowed: null or a whole number, 1 or more",
    )
    pool: int = Field(
        default=1600,
        ge=1,
        description="pictures with made-up defects to learn from, as far as memory holds; "
        "allowed: a whole number, 1 or more",
    )
    steps: int = Field(default=600, ge=8, le=100_000, description="of training; allowed: a whole number, 8 to 100000")
    width: int = Field(
        default=48,
        ge=12,
        le=192,
        multiple_of=12,
        description="channels of what learns, 192 in the paper; allowed: a multiple of 12 from 12 to 192",
    )


class CombinedSettings(Settings):
    """CPR-Faster's cascade, as `cpr` has it, and a small memory of patches beside it."""

    entries: int = Field(
        default=3000,
        ge=1,
        description="patches that the memory holds, a tenth of all at most; allowed: a whole number, 1 or more",
    )
