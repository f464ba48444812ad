"""`edge-daemon selftest`: whether this device measures what the host measured, in a few lines for a person.

for line in selftest_lines(Path("screw-3"), EngineKind.AUTO, Precision.FP16, Path("/var/lib/edge/engines")):
    print(line)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.golden import median_ms, replay_golden
from edge_runtime.engines.protocol import EngineKind
from edge_runtime.engines.selection import CALIBRATORS, choose_engine
from edge_runtime.imaging.preprocess_check import check_preprocessing
from edge_runtime.imaging.view_check import check_view
from edge_runtime.records import Precision

ROUNDS = 20


def selftest_lines(
    folder: Path, kind: EngineKind, precision: Precision | None, engines: Path, verbose: bool = False
) -> Iterator[str]:
    """The lines for one precision of a bundle, or for each that it has. Raises EdgeError as below."""
    bundle = open_bundle(folder)
    possible = [Precision.INT8] if kind in CALIBRATORS else list(bundle.manifest.graphs)
    for each in possible if precision is None else [precision]:
        yield from selftest(bundle, kind, each, engines, verbose)


def selftest(
    bundle: Bundle, kind: EngineKind, precision: Precision, engines: Path, verbose: bool = False
) -> Iterator[str]:
    """One line for each thing that was verified. Raises EdgeError, of the kind that fits, at the first that is not.

    verbose: why an engine was passed over, in full.
    """
    if kind not in CALIBRATORS:  # these say more about a missing graph
        bundle.graph(precision)  # raises, before anything is said to be right
    yield f"bundle   {bundle.label}, {precision.value}: every file is as it was built"
    check_preprocessing()
    yield "prepare  gives the same pixels as on the host"
    if frames := check_view(bundle.viewer(), bundle.read):
        yield f"view     {frames} golden frames seen as on the host, within one grey value"
    chosen = choose_engine(kind, bundle, precision, engines)
    with chosen.engine as engine:
        yield f"engine   {engine.name}, {chosen.why}"
        if verbose and chosen.detail:
            yield f"         {chosen.detail}"
        worst = replay_golden(bundle, engine, precision)
        pictures = len(bundle.manifest.golden)
        yield f"golden   {pictures} pictures reproduced, largest deviation {worst:.3f} of the tolerance"
        yield f"time     {median_ms(bundle, engine, ROUNDS):.2f} ms a picture in the engine (median of {ROUNDS})"
