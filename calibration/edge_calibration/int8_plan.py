"""What was decided about a detector's INT8, as a record that a device can read, too: it needs no onnx.

plan = Int8Plan.model_validate_json((bundle / "calibration/int8.json").read_bytes())
plan.quantised  # the names of the convolutions that become INT8
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_runtime.bundle.manifest import Record

Method = Literal["minmax", "percentile", "entropy"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy")
LEVELS = 127  # symmetric: -128 is not used
TINY_RANGE = 1e-6  # a tensor that is always zero still needs a scale


class Layer(Record):
    """A convolution of the network. error: what making it INT8 alone costs. multiply_adds: its share of the work; 0 in
    plans of earlier versions."""

    name: str
    error: float
    int8: bool
    multiply_adds: int = 0


class Int8Plan(Record):
    """`calibration/int8.json`: what is INT8 and why. Errors are those of `Deviation.error`, shares of FP32's values.

    ranges: for each tensor that goes into a convolution, the largest magnitude that is represented. biases: what is
    added to the bias of each convolution, by output channel, so that rounding its weights moves no mean.
    """

    method: Method
    errors_by_method: dict[Method, float]  # with every convolution in INT8
    budget: float
    error: float  # as planned
    layers: tuple[Layer, ...]
    ranges: dict[str, float]
    weights: str  # SHA-256 of the network's weights that the ranges belong to
    biases: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # empty in plans of earlier versions

    @property
    def quantised(self) -> frozenset[str]:
        """The names of the convolutions that become INT8."""
        return frozenset(layer.name for layer in self.layers if layer.int8)

    @property
    def share(self) -> float:
        """Of the convolutions' multiply-adds, how many are INT8."""
        work = sum(layer.multiply_adds for layer in self.layers)
        return sum(layer.multiply_adds for layer in self.layers if layer.int8) / work if work else 0.0

    @property
    def in_fp16(self) -> tuple[Layer, ...]:
        """The layers that stay in FP16, the costliest first."""
        return tuple(sorted((one for one in self.layers if not one.int8), key=lambda one: -one.error))
