"""What pictures are like, for Prometheus: scores, brightness, sharpness, and where a view found the part.

A lens that gets dirty, a lamp that ages and a fixture that wears show here for weeks before a part is refused.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram

from edge_runtime.records import Decision, Outcome, PartPlace

SCORES = (0.1, 0.2, 0.3, 0.35, 0.4, 0.425, 0.45, 0.475, 0.5, 0.525, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)  # 0.5: threshold
BRIGHTNESS = (2, 4, 8, 16, 32, 48, 64, 96, 128, 160, 192, 224, 254)  # grey values
SATURATED = (0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 0.99)
SHARPNESS = (0.05, 0.0625, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5)  # 0.0625: fully blurred
LIKENESS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)


class PictureFigures:
    """Fed with each decision, in any thread. What was not measured is not there, rather than 0."""

    def __init__(self, registry: CollectorRegistry, line: str, cell: str) -> None:
        self._values, names = (line, cell), ("line", "cell")

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, names, buckets=buckets, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, names, registry=registry)

        self._score = histogram("edge_score", "Of OK and NOK; the threshold is 0.5", SCORES)
        self._brightness = histogram("edge_frame_brightness", "Grey value that 1 % of the pixels exceed", BRIGHTNESS)
        self._saturated = histogram("edge_frame_saturated_ratio", "Share of a frame that is nearly white", SATURATED)
        self._sharpness = histogram("edge_frame_sharpness", "How sharp frames are; 1/16 is fully blurred", SHARPNESS)
        self._likeness = histogram("edge_part_quality", "Likeness of found parts to good ones", LIKENESS)
        self._x = gauge("edge_part_x_pixels", "Where the last part was found, from the frame's left edge")
        self._y = gauge("edge_part_y_pixels", "Where the last part was found, from the frame's upper edge")
        self._degrees = gauge("edge_part_angle_degrees", "How the last part that was found was turned")

    def observe(self, decision: Decision) -> None:
        """A part was decided on, or refused."""
        if decision.outcome in (Outcome.OK, Outcome.NOK):
            self._score.labels(*self._values).observe(decision.score)
        if (measurement := decision.measurement) is not None:
            self._brightness.labels(*self._values).observe(measurement.brightness)
            self._saturated.labels(*self._values).observe(measurement.saturated)
            if measurement.sharpness is not None:
                self._sharpness.labels(*self._values).observe(measurement.sharpness)
        if decision.place is not None:
            self._observe_place(decision.place)

    def _observe_place(self, place: PartPlace) -> None:
        self._likeness.labels(*self._values).observe(place.quality)
        self._x.labels(*self._values).set(place.x)
        self._y.labels(*self._values).set(place.y)
        self._degrees.labels(*self._values).set(place.degrees)
