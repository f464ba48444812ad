from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.station_stage import ScriptedEngine, Stage
from tests.support.tiny_bundle import picture, write_bundle

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.daemon.model import load_model
from edge_runtime.errors import EngineError
from edge_runtime.records import Precision


def test_a_bundle_whose_golden_pictures_are_not_reproduced_does_not_load_and_frees_its_engine(tmp_path):
    s = Stage(tmp_path, "triggered")
    write_bundle(tmp_path / "other", golden_score=10.0)
    with pytest.raises(EngineError, match=r"self-test failed: scripted gives .* where the bundle tiny-1\.0 says 10"):
        load_model(open_bundle(tmp_path / "other"), s.station, lambda station, bundle: s.engine)
    assert s.engine.closed
    s.spool.__exit__(None, None, None)


def test_a_tiny_bundle_serves_in_onnxruntime_as_in_the_scripted_engine(tmp_path: Path):
    from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine

    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    with OnnxruntimeEngine(bundle.graph(Precision.FP32), threads=1) as engine:
        real, scripted = (e.infer(picture(True, 3)[None]) for e in (engine, ScriptedEngine()))
    assert real.score == pytest.approx(scripted.score, rel=1e-6)  # the mean of three in another order
