"""RELOAD: another model is loaded and verified beside the one that serves, and takes over between two pictures."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
from tests.support.station_stage import WAIT_S, Stage, frame
from tests.support.tiny_bundle import tiny_graph, write_bundle

from edge_runtime.config.edits import Edits
from edge_runtime.daemon.model import model_without_engine
from edge_runtime.engines.tensorrt.errors import EngineAbsentError
from edge_runtime.records import Outcome
from edge_runtime.wire.commands import Command
from edge_runtime.wire.states import State


@pytest.fixture
def stage(tmp_path):
    s = Stage(tmp_path, "free-running", *[frame(seed=n) for n in range(4)])
    s.self_test.conclude_first(once=False)
    yield s
    s.spool.__exit__(None, None, None)


def put_in_place(folder, version="1.0", **settings):
    """Another bundle at the station's path, as edge-deploy switches its link."""
    shutil.rmtree(folder)
    write_bundle(folder, **settings)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version}))


def rename(folder, name):
    """The bundle of another product in its place."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": name}))


def reload_and_wait(s):
    s.commands.execute(Command.RELOAD)
    s.loader._thread.join(WAIT_S)


def test_the_new_model_serves_from_the_next_picture_on_and_the_old_engine_is_freed(stage):
    put_in_place(stage.station.bundle, "2.0")
    old = stage.engine
    assert stage.step().bundle_version == "1.0"
    reload_and_wait(stage)
    assert not old.closed
    verdict = stage.step()
    assert (verdict.bundle_version, verdict.decision.outcome) == ("2.0", Outcome.OK)
    assert old.closed
    assert stage.publisher.replies == [b"RELOAD;DONE;tiny-2.0 serves"]
    assert stage.publisher.states == [State.READY] * 2  # no gap
    assert stage.status.report.payload() == b"READY;000;tiny-2.0"


def test_a_model_that_fails_its_self_test_leaves_the_old_one_serving_and_says_so(stage, caplog):
    caplog.set_level("INFO")
    put_in_place(stage.station.bundle, "2.0", golden_score=10.0)
    reload_and_wait(stage)
    assert stage.step().bundle_version == "1.0"
    (reply,) = stage.publisher.replies
    assert reply.startswith(b"RELOAD;FAILED;tiny-1.0 goes on: self-test failed: scripted gives")
    assert len(reply) == 80
    (logged,) = [record for record in caplog.records if "self-test failed" in record.getMessage()]  # once, and in full
    assert logged.levelname == "ERROR"
    assert logged.getMessage().startswith("command RELOAD: FAILED;tiny-1.0 goes on: self-test failed: scripted gives")
    assert "where the bundle tiny-2.0 says 10" in logged.getMessage()
    assert stage.engine.closed
    assert stage.publisher.states == [State.READY]


def test_a_bundle_that_is_damaged_leaves_the_old_one_serving(stage, caplog):
    (stage.station.bundle / "model.fp32.onnx").write_bytes(b"x")
    reload_and_wait(stage)
    assert stage.step().bundle_version == "1.0"
    reply = f"RELOAD;FAILED;tiny-1.0 goes on: model.fp32.onnx has 1 bytes, the manifest says {len(tiny_graph())}; build"
    assert stage.publisher.replies == [reply.encode()[:80]]  # without its folder there is room for what is wrong
    assert f"command RELOAD: FAILED;tiny-1.0 goes on: {stage.station.bundle}/model.fp32.onnx has 1 bytes" in caplog.text


def test_while_one_model_is_being_loaded_another_reload_is_refused(stage):
    goes_on = threading.Event()
    load = stage.load
    stage.loader._load = lambda: goes_on.wait(WAIT_S) and load()
    stage.commands.execute(Command.RELOAD)
    stage.commands.execute(Command.RELOAD)
    assert stage.publisher.replies == [b"RELOAD;REFUSED;a model is being loaded already"]
    assert stage.step().bundle_version == "1.0"  # it serves meanwhile
    goes_on.set()
    stage.loader._thread.join(WAIT_S)
    stage.step()
    assert stage.publisher.replies[-1] == b"RELOAD;DONE;tiny-1.0 serves"


def test_a_station_without_an_engine_judges_nothing_until_a_reload_finds_one(stage):
    reason = EngineAbsentError("there is no engine: run `edge-build compile BUNDLE` on this device")
    stage.serving.model = model_without_engine(stage.serving.model.bundle, stage.station, reason)
    with pytest.raises(EngineAbsentError):
        stage.self_test.conclude_first(once=True)
    stage.self_test.conclude_first(once=False)
    assert stage.publisher.states[-1] is State.NOTREADY
    shown = stage.status.report.payload()
    assert shown == b"NOTREADY;201;there is no engine: run `edge-build compile BUNDLE` on this device"
    stage.commands.execute(Command.SELFTEST)
    assert stage.publisher.replies[-1].startswith(b"SELFTEST;FAILED")
    assert stage.publisher.states[-1] is State.NOTREADY
    reload_and_wait(stage)
    assert stage.step().decision.outcome is Outcome.OK
    assert stage.publisher.states[-1] is State.READY


def test_after_an_edit_of_the_stations_file_a_reload_says_which_keys_a_restart_would_apply(stage, caplog):
    stage.edits = Edits(("recipe", "mqtt.port"))
    reload_and_wait(stage)
    assert stage.step().decision.outcome is Outcome.OK
    assert stage.publisher.replies == [b"RELOAD;DONE;tiny-1.0 serves, restart to apply recipe, mqtt.port"]
    assert "the station's file was changed: restart to apply recipe, mqtt.port" in caplog.text
    assert stage.status.report.payload() == b"READY;000;tiny-1.0: restart to apply recipe, mqtt.port"
    stage.edits = Edits()  # changed back
    reload_and_wait(stage)
    stage.step()
    assert stage.publisher.replies[1:] == [b"RELOAD;DONE;tiny-1.0 serves"]
    assert stage.status.report.payload() == b"READY;000;tiny-1.0"


def test_a_stations_file_that_would_not_start_again_is_logged_in_full_and_shown(stage, caplog):
    stage.edits = Edits(problem="station.yaml does not describe a station: line 6, recipe: found 'twelve'")
    reload_and_wait(stage)
    stage.step()
    assert stage.publisher.replies == [b"RELOAD;DONE;tiny-1.0 serves, the station's file has errors"]
    assert "a restart would fail, the station goes on with what it started with: station.yaml does not" in caplog.text
    assert stage.status.report.payload() == b"READY;000;tiny-1.0: the station's file has errors"


def test_many_edited_keys_are_counted_in_the_answer_and_a_reload_that_fails_shows_them_in_the_state(stage, caplog):
    stage.edits = Edits(tuple(f"health.limit_{n}" for n in range(7)))
    (stage.station.bundle / "model.fp32.onnx").write_bytes(b"x")
    reload_and_wait(stage)
    stage.step()
    assert stage.publisher.replies[0].startswith(b"RELOAD;FAILED;tiny-1.0 goes on: model.fp32.onnx has 1 bytes")
    assert stage.status.report.payload() == b"READY;000;tiny-1.0: restart to apply 7 changed keys"
    assert "restart to apply health.limit_0, health.limit_1" in caplog.text


def test_the_state_names_the_bundle_that_judges_and_another_products_is_refused(stage):
    stage.commands.execute(Command.PAUSE)
    stage.commands.execute(Command.RESUME)
    assert stage.status.report.payload() == b"READY;000;tiny-1.0"
    rename(stage.station.bundle, "nut")
    reload_and_wait(stage)
    assert stage.step().bundle == "tiny"
    (reply,) = [reply for reply in stage.publisher.replies if reply.startswith(b"RELOAD")]
    assert reply.startswith(b"RELOAD;FAILED;tiny-1.0 goes on: nut-1.0 is not of product 'tiny', which this")
    assert stage.status.report.payload() == b"READY;000;tiny-1.0"
