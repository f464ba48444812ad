"""`manifest.json`: what a bundle says of itself. The contract between host and device, schema version 1.

Unknown keys are refused: a manifest that this version does not understand in full is not served.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge_runtime.imaging.view import ViewRecord
from edge_runtime.records import Precision

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]
Changed = TypeVar("Changed", bound="Record")
Share = Annotated[float, Field(ge=0, le=1)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"  # of a bundle
VERSION = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,19}$"


def label_of(name: str, version: str) -> str:
    """What a bundle is called in folders, verdicts and logs."""
    return f"{name}-{version}"


class Record(BaseModel):
    """Frozen, strict, without unknown keys, NaN or infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def with_changes(self: Changed, **changes: object) -> Changed:
        """A copy with other values, checked as any record is. Raises pydantic.ValidationError."""
        return type(self).model_validate({**vars(self), **changes})


class FileEntry(Record):
    """What a file of the bundle must be before it is parsed."""

    length: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Threshold(Record):
    """Where OK ends, in the graph's own units, and how well the good pictures support it.

    A picture is NOK when its raw score is greater than `score`. The interval of the score is the 95 % confidence
    interval of the quantile from order statistics; the interval of the rate is what the share of rejected good parts
    lies in with 95 % (Beta distribution of the conformal coverage; Vovk 2012, "Conditional validity").
    """

    score: Annotated[float, Field(gt=0)]
    score_low: float
    score_high: float | None  # None: so few pictures do not bound it
    map: Annotated[float, Field(gt=0)]  # the same quantile of the maps' maxima: what a region must exceed
    false_reject_rate: Share  # asked for
    false_reject_rate_guaranteed: Share  # what the conformal quantile guarantees on average
    false_reject_rate_low: Share
    false_reject_rate_high: Share
    pictures: Annotated[int, Field(ge=1)]  # held-out good pictures that it rests on
    method: Literal["cross-fitted", "held-out"]


class GoldenValue(Record):
    """What a precision's own graph measured on a golden picture."""

    anomaly_map: FileName  # .npy float32 (height, width)
    score: float


class Golden(Record):
    """A picture (PNG, already prepared) with what the FP32 graph measured on it."""

    picture: FileName
    anomaly_map: FileName  # .npy float32 (height, width)
    score: float


class Tolerance(Record):
    """How far a backend may be from the golden figures, as a share of the threshold's score and map value."""

    score: Annotated[float, Field(gt=0, lt=1)]
    map: Annotated[float, Field(gt=0, lt=1)]


class Gate(Record):
    """What a precision changed on held-out good pictures and made-up defects on them, against FP32.

    Changes of metrics are the precision's value minus that of FP32. Verdicts are each at the threshold that was set on
    the precision's own graph.

    near_ties: pictures whose FP32 score is so near its threshold that the precision may change the verdict.
    changed_share: of verdicts, as estimated from all scores and all deviations. None: built before they were measured.
    """

    pictures: int
    image_auroc_change: float | None
    pixel_ap_change: float | None
    verdicts_changed: int
    near_ties: int | None = None
    changed_share: float | None = None


class GraphEntry(Record):
    """One precision of the detector.

    golden: for each golden picture of the manifest, what this graph measured; empty for FP32, whose values stand with
    the pictures. tolerance: that of this precision; None for the manifest's. gate: None for FP32.
    """

    file: FileName
    threshold: Threshold
    golden: tuple[GoldenValue, ...] = ()
    tolerance: Tolerance | None = None
    gate: Gate | None = None


class Dataset(Record):
    """What the detector learned from. The fingerprint is the SHA-256 over the sorted hashes of all pictures used.

    calibration, threshold: how many pictures had these duties, those of the last recalibration if there was one.
    """

    name: str
    fingerprint: Sha256
    train: int
    calibration: int
    threshold: int
    test_good: int
    test_defect: int


class Recalibration(Record):
    """Thresholds were set again by `edge-build calibrate`, on pictures from the line or for another false-reject rate.

    bundle: the label of the one that it started from. manifest: the SHA-256 of that one's manifest. pictures: how many
    of the folder `dataset` there were. fingerprint: theirs, as in Dataset. None and 0 when only the rate is another, on
    the same held-out scores. parent: likewise of the bundle that it started from, if that one was not built itself.
    """

    bundle: str
    manifest: Sha256
    dataset: str | None = None
    pictures: int = 0
    fingerprint: Sha256 | None = None
    parent: Recalibration | None = None


class Figures(Record):
    """Measured on test pictures that no choice was made on. None where the test set cannot tell."""

    image_auroc: Share | None
    pixel_auroc: Share | None
    aupro: Share | None
    pixel_ap: Share | None
    false_rejects: int
    missed_defects: int
    good: int
    defect: int


class SizeRange(Record):
    """Which sizes frames may have, in pixels, where the good pictures had several. All bounds are included."""

    height_low: Annotated[int, Field(ge=1)]
    height_high: Annotated[int, Field(ge=1)]
    width_low: Annotated[int, Field(ge=1)]
    width_high: Annotated[int, Field(ge=1)]
    ratio_low: Annotated[float, Field(gt=0)]  # width / height
    ratio_high: Annotated[float, Field(gt=0)]


class FrameLimits(Record):
    """Which frames are judged: inspection.frame_checks measures them. 0 (and 1 for the share) checks nothing.

    The defaults are for bundles that have no limits of their own: no light at all, or nothing but light.
    """

    pictures: Annotated[int, Field(ge=0)] = 0  # good pictures that they rest on
    height: Annotated[int, Field(ge=1)] | None = None  # None: the good pictures had several sizes
    width: Annotated[int, Field(ge=1)] | None = None
    sizes: SizeRange | None = None  # None: they had one, or the bundle was built before several were checked
    brightness_low: Annotated[float, Field(ge=0, le=255)] = 4.0
    saturated_high: Share = 0.99
    sharpness_low: Annotated[float, Field(ge=0)] = 0.0


class Manifest(Record):
    """The whole of `manifest.json`.

    files: every other file of the bundle. digest: the manifest's own, see manifest_digest.py; None: built before that.
    """

    schema_version: Literal[1]
    name: Annotated[str, Field(pattern=NAME)]
    version: Annotated[str, Field(pattern=VERSION)]
    detector: str
    backbone: str
    height: Annotated[int, Field(ge=32)]
    width: Annotated[int, Field(ge=32)]
    preprocessing: str
    graphs: dict[Precision, GraphEntry]
    golden: tuple[Golden, ...]
    tolerance: Tolerance
    dataset: Dataset
    figures: dict[Precision, Figures]
    recipe: str  # the YAML text, as built
    seed: int
    builder: str  # edge-build's version and those of the libraries that shape the result
    frames: FrameLimits | None = None  # None: built before there were any
    view: ViewRecord | None = None  # None: the model sees the whole frame
    recalibration: Recalibration | None = None
    files: dict[FileName, FileEntry]
    digest: Sha256 | None = None

    @model_validator(mode="after")
    def _golden_values_for_all(self) -> Manifest:
        for precision, graph in self.graphs.items():
            if graph.golden and len(graph.golden) != len(self.golden):
                raise ValueError(
                    f"{precision.value} has {len(graph.golden)} golden values for {len(self.golden)} pictures"
                )
        return self

    @property
    def label(self) -> str:
        """Name and version, as folders, verdicts and logs show them."""
        return label_of(self.name, self.version)

    def golden_of(self, precision: Precision) -> tuple[Golden, ...]:
        """The golden pictures with the values of a precision's own graph."""
        values = self.graphs[precision].golden
        if not values:
            return self.golden
        return tuple(
            Golden(picture=golden.picture, anomaly_map=value.anomaly_map, score=value.score)
            for golden, value in zip(self.golden, values, strict=True)
        )

    def tolerance_of(self, precision: Precision) -> Tolerance:
        """How far an engine of that precision may be from its golden values."""
        return self.graphs[precision].tolerance or self.tolerance
