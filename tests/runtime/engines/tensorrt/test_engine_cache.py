"""No engine is loaded that this device did not write, for this graph, this TensorRT and this GPU."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import EngineAbsentError, EngineDamagedError, WrongGpuError, WrongVersionError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.errors import StorageError
from edge_runtime.records import Precision

KEY = EngineKey("ab" * 32, Precision.FP16, "10.3.0", "NVIDIA Orin (nvgpu)", "8.7")
PLAN = b"a compiled engine"
HERE, ELSEWHERE = "0123456789abcdef" * 2, "fedcba9876543210" * 2


@pytest.fixture
def files(tmp_path):
    return EngineCache(tmp_path / "engines", HERE)


def test_what_was_written_is_read(files):
    path = files.write(KEY, PLAN)
    assert path.name == "abababababababab-fp16-trt10.3.0-NVIDIA_Orin_nvgpu_-sm87.engine"
    assert files.read(KEY) == PLAN
    assert sorted(p.name for p in files.folder.iterdir()) == [path.name, f"{path.name}.json"]


def test_writing_again_replaces_it(files):
    files.write(KEY, PLAN)
    files.write(KEY, b"another one")
    assert files.read(KEY) == b"another one"


def test_nothing_there_says_what_to_run(files):
    with pytest.raises(
        EngineAbsentError, match=r"has no engine abababababababab-fp16.*: run `edge-build compile"
    ) as refused:
        files.read(KEY)
    assert refused.value.exit_code == 86


def test_an_engine_of_another_tensorrt_is_named(files):
    files.write(replace(KEY, tensorrt="8.6.2"), PLAN)
    with pytest.raises(WrongVersionError, match=r"is for TensorRT 8\.6\.2, this device has 10\.3\.0") as refused:
        files.read(KEY)
    assert refused.value.exit_code == 83


def test_an_engine_of_another_gpu_is_named(files):
    files.write(replace(KEY, gpu="Thor", compute="11.0"), PLAN)
    with pytest.raises(WrongGpuError, match=r"is for Thor \(compute capability 11\.0\), this device has") as refused:
        files.read(KEY)
    assert refused.value.exit_code == 84


@pytest.mark.parametrize("content", [PLAN[:-1], b"", b"b" + PLAN[1:]], ids=["truncated", "empty", "changed"])
def test_an_engine_that_changed_is_not_loaded(files, content):
    files.write(KEY, PLAN).write_bytes(content)
    with pytest.raises(EngineDamagedError, match="is truncated or was changed") as refused:
        files.read(KEY)
    assert refused.value.exit_code == 85


def test_an_engine_from_another_device_is_not_loaded_though_its_record_comes_with_it(files):
    EngineCache(files.folder, ELSEWHERE).write(KEY, PLAN)
    with pytest.raises(EngineDamagedError, match="was not written by this device"):
        files.read(KEY)


def test_an_engine_without_a_record_is_not_loaded(files):
    path = files.write(KEY, PLAN)
    path.with_name(path.name + ".json").unlink()
    with pytest.raises(EngineDamagedError, match="has no valid record beside it"):
        files.read(KEY)


@pytest.mark.parametrize(
    ("old", "new"), [('"length": 17', '"length": 18'), ('"8.7"', '"8.6"'), ("{", "["), ('"seal": "', '"seal": "0')]
)
def test_a_record_that_was_edited_is_not_loaded(files, old, new):
    record = files.write(KEY, PLAN)
    record = record.with_name(record.name + ".json")
    text = record.read_text()
    assert old in text
    record.write_text(text.replace(old, new))
    with pytest.raises(EngineDamagedError, match=r"no valid record|was not written by this device"):
        files.read(KEY)


def test_an_engine_under_another_ones_name_is_not_loaded(files):
    other = replace(KEY, graph_sha256="cd" * 32)
    source, target = files.write(other, PLAN), files.path(KEY)
    source.rename(target)
    source.with_name(source.name + ".json").rename(target.with_name(target.name + ".json"))
    with pytest.raises(EngineDamagedError, match="is another engine than its name says"):
        files.read(KEY)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_others_may_write_is_not_loaded(files, what):
    path = files.write(KEY, PLAN)
    (files.folder if what == "folder" else path).chmod(0o777)
    with pytest.raises(EngineDamagedError, match=r"could have been written by other users .*mode 777"):
        files.read(KEY)


def test_what_was_set_aside_is_not_read_and_not_lost(files):
    path = files.write(KEY, PLAN)
    aside = files.set_aside(KEY)
    assert aside.read_bytes() == PLAN
    assert not path.exists()
    with pytest.raises(EngineAbsentError):
        files.read(KEY)


def test_a_timing_cache_serves_all_graphs_of_a_device(files):
    files.write_timing(KEY, b"timings")
    assert files.read_timing(replace(KEY, graph_sha256="cd" * 32, precision=Precision.INT8)) == b"timings"
    assert files.read_timing(replace(KEY, tensorrt="10.4.0")) == b""


def test_a_timing_cache_that_is_not_loaded_is_set_aside_and_never_an_error(files):
    EngineCache(files.folder, ELSEWHERE).write_timing(KEY, b"timings of another device")
    assert files.read_timing(KEY) == b""
    assert sorted(p.suffix for p in files.folder.iterdir()) == [".aside", ".json"]


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--engines"):
        EngineCache(tmp_path / "file" / "engines", HERE).write(KEY, PLAN)


def test_a_write_that_was_ended_in_the_middle_leaves_nothing_to_load(files, tmp_path):
    """Between the renames of engine and record there is an engine without a record."""
    path = files.write(KEY, PLAN)
    path.with_name(path.name + ".json").unlink()
    path.write_bytes(b"a newer engine")
    with pytest.raises(EngineDamagedError):
        files.read(KEY)
    files.write(KEY, PLAN)
    assert files.read(KEY) == PLAN


def test_the_seal_needs_the_machine_id_and_not_the_user(files):
    files.write(KEY, PLAN)
    assert EngineCache(files.folder, HERE).read(KEY) == PLAN
    assert files.path(KEY).stat().st_mode & 0o777 == 0o644  # the daemon's user may read it


def test_both_compilers_keep_their_engines_side_by_side(files):
    rtx = replace(KEY, library=Library.TENSORRT_RTX, tensorrt="1.7.1.116")
    files.write(KEY, PLAN)
    with pytest.raises(
        EngineAbsentError, match=r"has no engine .*-rtx1\.7\.1\.116-.*compile BUNDLE --rtx` on this device"
    ):
        files.read(rtx)
    files.write(rtx, b"an engine of TensorRT-RTX")
    assert (files.read(KEY), files.read(rtx)) == (PLAN, b"an engine of TensorRT-RTX")
    with pytest.raises(WrongVersionError, match=r"is for TensorRT-RTX 1\.7\.1\.116, this device has 1\.8"):
        files.read(replace(rtx, tensorrt="1.8"))


def test_what_a_device_made_of_an_engine_is_sealed_like_the_engine(files):
    files.write_runtime(KEY, b"finished")
    assert files.read_runtime(KEY) == b"finished"
    assert files.read_runtime(replace(KEY, precision=Precision.INT8)) == b""
    EngineCache(files.folder, ELSEWHERE).write_runtime(KEY, b"finished elsewhere")
    assert files.read_runtime(KEY) == b""


def test_a_record_from_before_there_were_two_compilers_is_still_good(files):
    """Records and seals of TensorRT's engines are what they were, so that no update makes a device compile again."""
    record = files.write(KEY, PLAN).with_suffix(".engine.json").read_text()
    assert "tensorrt" in record
    older = {name: value for name, value in json.loads(record).items() if name != "library"}
    files.path(KEY).with_suffix(".engine.json").write_text(json.dumps(older))
    assert files.read(KEY) == PLAN
