"""The recipe: one YAML file that says what to build, and from what. Strict, and all that is wrong is listed at once.

    recipe = read_recipe(Path("screw.yaml"))
    label = recipe.label

To add a key, add a field: its description is the comment in new recipes, the text in the JSON Schema, a row in
docs/reference/recipe.md (`python docs/generate.py`) and, from "allowed" on, the help in errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from edge_build.recipe.detector_settings import CombinedSettings, CprSettings, PatchcoreSettings, Settings
from edge_build.recipe.input_size import SIDE_MAX, SIDE_MIN, SIDE_STEP, side_fits
from edge_build.recipe.view_settings import ViewSettings
from edge_runtime.bundle.manifest import NAME, VERSION, label_of
from edge_runtime.strict_yaml.model import model_from_text, model_from_yaml

INIT = "`edge-build init` writes a recipe"
AnySettings = TypeVar("AnySettings", bound=Settings)


def _height_and_width(size: object) -> object:
    sides = size if isinstance(size, tuple) else (size, size)
    if len(sides) != 2 or not all(type(side) is int for side in sides):
        raise ValueError("no side or pair of sides")
    if not all(side_fits(side) for side in sides):
        raise ValueError("a side that does not fit")
    return size


def _with_fp32(precisions: tuple[PrecisionName, ...]) -> tuple[PrecisionName, ...]:
    if "fp32" not in precisions or len(set(precisions)) != len(precisions):
        raise ValueError("fp32 is what the others are compared with")
    return precisions


_SIDE_SCHEMA = {"type": "integer", "minimum": SIDE_MIN, "maximum": SIDE_MAX, "multipleOf": SIDE_STEP}
Size = Annotated[
    int | tuple[int, int],
    BeforeValidator(_height_and_width),
    WithJsonSchema({"anyOf": [_SIDE_SCHEMA, {"type": "array", "items": _SIDE_SCHEMA, "minItems": 2, "maxItems": 2}]}),
]
DetectorName = Literal["combined", "patchcore", "cpr-faster", "cpr-fast", "cpr"]
PrecisionName = Literal["fp32", "fp16", "int8"]


class ThresholdSettings(Settings):
    """Where OK ends, found on good pictures that the detector did not learn from."""

    false_reject_rate: float = Field(
        default=0.01,
        gt=0,
        le=0.5,
        description="share of good parts that may be rejected; allowed: above 0, at most 0.5",
    )
    method: Literal["cross-fitted", "held-out"] = Field(
        default="cross-fitted",
        description="cross-fitted learns from all good pictures, held-out (usual for cpr) keeps a share; "
        "allowed: cross-fitted or held-out",
    )
    folds: int = Field(
        default=10,
        ge=2,
        le=20,
        description="cross-fitted: how many detectors judge for one another; allowed: a whole number, 2 to 20",
    )
    share: float = Field(
        default=0.2,
        gt=0,
        le=0.5,
        description="held-out: share of the good pictures to keep; allowed: above 0, at most 0.5",
    )


class CalibrationSettings(Settings):
    """How INT8 is calibrated, on good pictures that the threshold never uses."""

    pictures: int = Field(
        default=16,
        ge=1,
        description="at most this many, the most different of twice as many that are set aside, a tenth of the good "
        "ones at most; allowed: a whole number, 1 or more",
    )
    exposure: float = Field(
        default=0.15,
        ge=0,
        le=0.5,
        description="they are also seen by this share darker and lighter; allowed: 0 to 0.5",
    )
    lighting: float = Field(
        default=0.15,
        ge=0,
        le=0.5,
        description="and in light that falls off by this share from side to side; allowed: 0 to 0.5",
    )
    budget: float = Field(
        default=0.005,
        gt=0,
        le=0.5,
        description="how far INT8 may move scores and maps, as a share of theirs; the costliest layers stay in FP16 "
        "until it holds, two fifths of the work at most; allowed: above 0, at most 0.5",
    )

    @property
    def set_aside(self) -> int:
        """How many pictures no threshold is set on, if there are enough."""
        return 2 * self.pictures


class GoldenSettings(Settings):
    """Pictures in the bundle whose scores every device must reproduce before it serves."""

    pictures: int = Field(
        default=4, ge=1, le=16, description="how many, besides one negative; allowed: a whole number, 1 to 16"
    )


class Recipe(Settings):
    """All that decides what `edge-build build` makes."""

    name: str = Field(
        pattern=NAME,
        description="name of the bundle; allowed: 1 to 40 letters, digits, _ and -, starting with a letter or digit",
    )
    version: str = Field(
        pattern=VERSION,
        description="its version; allowed: 1 to 20 letters, digits, _ . and -, starting with a letter or digit",
    )
    dataset: Annotated[Path, Field(strict=False)] = Field(
        description="folder of pictures; allowed: a path, a relative one as seen from the recipe's own folder"
    )
    exclude: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="good pictures to leave out; allowed: a list of names or globs, relative to the folder of good "
        "pictures",
    )
    all_good: bool = Field(
        default=False,
        description="whether every picture of a plain folder shows a good part, whatever names and pictures look like; "
        "allowed: true or false",
    )
    detector: DetectorName = Field(
        default="patchcore",
        description="what learns: combined (cpr-faster and patchcore, weighed by good pictures), or one of them; by "
        "how many numbers a cell is compared: cpr-faster 16, cpr-fast 64, cpr 384; "
        "allowed: combined, patchcore, cpr-faster, cpr-fast, cpr",
    )
    size: Size = Field(
        default=320,
        description="of the model's picture: [height, width], or N for as many pixels as N x N in the part's shape "
        "(N x N with view.pose fixed); "
        f"allowed: one or two multiples of {SIDE_STEP} from {SIDE_MIN} to {SIDE_MAX}",
    )
    view: ViewSettings = Field(
        default=ViewSettings(), description="what the model's picture shows of a frame; allowed: its own keys"
    )
    seed: int = Field(
        default=0, ge=0, description="same recipe, pictures and seed: same scores; allowed: a whole number, 0 or more"
    )
    threshold: ThresholdSettings = Field(
        default=ThresholdSettings(), description="where OK ends, found on good pictures alone; allowed: its own keys"
    )
    calibration: CalibrationSettings = Field(
        default=CalibrationSettings(),
        description="how INT8 is calibrated, on good pictures of its own; allowed: its own keys",
    )
    precisions: Annotated[tuple[PrecisionName, ...], AfterValidator(_with_fp32)] = Field(
        default=("fp32", "fp16", "int8"),
        description="what the bundle holds as far as it keeps the verdicts of fp32; "
        "allowed: fp32, and fp16 and int8 as wanted",
    )
    patchcore: PatchcoreSettings = Field(
        default=PatchcoreSettings(), description="settings of patchcore; allowed: its own keys"
    )
    cpr: CprSettings = Field(
        default=CprSettings(),
        description="settings of cpr-faster, cpr-fast and cpr, and of combined's cascade; allowed: its own keys",
    )
    combined: CombinedSettings = Field(
        default=CombinedSettings(), description="settings of combined's memory; allowed: its own keys"
    )
    golden: GoldenSettings = Field(
        default=GoldenSettings(), description="pictures that prove a device's engine; allowed: its own keys"
    )

    @property
    def label(self) -> str:
        """What the bundle is called."""
        return label_of(self.name, self.version)

    @property
    def active(self) -> PatchcoreSettings | CprSettings:
        """The settings of the detector that is built, which name its backbone."""
        return self.patchcore if self.detector == "patchcore" else self.cpr

    @model_validator(mode="before")
    @classmethod
    def _hold_out_for_cpr(cls, values: Any) -> Any:
        """The threshold's method follows from the detector where the recipe does not say it."""
        if not isinstance(values, dict):
            return values
        threshold = values.get("threshold", {})
        if not isinstance(threshold, dict) or "method" in threshold:
            return values
        return {**values, "threshold": {"method": usual_method(values.get("detector")), **threshold}}


def usual_method(detector: object) -> Literal["cross-fitted", "held-out"]:
    """How a detector's threshold is found unless the recipe says otherwise (docs/decisions/0005)."""
    return "held-out" if detector in ("combined", "cpr-faster", "cpr-fast", "cpr") else "cross-fitted"


def usual_threshold(detector: object) -> ThresholdSettings:
    """What a new recipe says of a detector's threshold.

    What combined holds out of its training stays in its memory and among its references: it can afford more.
    """
    share = 0.4 if detector == "combined" else ThresholdSettings().share
    return ThresholdSettings(method=usual_method(detector), share=share)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; its paths are then seen from where the program runs. Raises ConfigError with all problems."""
    recipe = model_from_yaml(path, Recipe, INIT)
    return recipe.model_copy(
        update={
            "dataset": path.parent / recipe.dataset.expanduser(),
            "view": seen_from(recipe.view, path.parent),
            "patchcore": seen_from(recipe.patchcore, path.parent),
            "cpr": seen_from(recipe.cpr, path.parent),
        }
    )


def seen_from(settings: AnySettings, folder: Path) -> AnySettings:
    """The settings with their paths, which are seen from a folder."""
    paths = {name: value for name, value in settings if isinstance(value, Path)}
    return settings.model_copy(update={name: folder / value.expanduser() for name, value in paths.items()})


def recipe_from_yaml(text: str, path: Path) -> Recipe:
    """The recipe that a bundle holds, its paths as they are written; `path` is for messages. Raises ConfigError."""
    return model_from_text(text, path, Recipe, INIT, older=True)


def recipe_json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors that check while one types."""
    return Recipe.model_json_schema()
