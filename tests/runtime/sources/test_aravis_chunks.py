"""Chunk data by a scripted camera: no simulated one sends any."""

from __future__ import annotations

import pytest
from tests.support.gige_camera import NEEDS, GigeCamera, has_aravis

from edge_runtime.errors import SourceError
from edge_runtime.sources.aravis_chunks import ChunkReader
from edge_runtime.sources.settings import CameraSettings, SourceSettings

pytestmark = pytest.mark.skipif(not has_aravis(), reason=NEEDS)  # GLib's errors are translated

BOTH = CameraSettings(chunks=("ExposureTime", "Gain"), exposure_us=900.0, gain_db=3.0)


class ScriptedCamera:
    """Sends what it is told to; `written` is what was asked for. It is its own parser."""

    def __init__(self, **values: float) -> None:
        self.values, self.written = values, ""

    def are_chunks_available(self):
        return True

    def set_chunks(self, names):
        self.written = names

    def create_chunk_parser(self):
        return self

    def get_float_value(self, buffer, name):
        from gi.repository import GLib

        if name not in self.values:
            raise GLib.Error.new_literal(GLib.quark_from_string("arv-gc-error-quark"), f"no {name}", 0)
        return self.values[name]


def test_the_chunks_that_are_named_are_asked_for_and_read():
    camera = ScriptedCamera(ChunkExposureTime=905.0, ChunkGain=3.0)
    reader = ChunkReader(camera, BOTH)
    assert camera.written == "ExposureTime,Gain"
    assert reader.values(object()) == {"ExposureTime": 905.0, "Gain": 3.0}


def test_a_frame_that_was_taken_otherwise_than_the_file_says_is_logged_once_and_when_it_is_right_again(caplog):
    caplog.set_level("INFO")
    camera = ScriptedCamera(ChunkExposureTime=905.0, ChunkGain=3.0)
    reader = ChunkReader(camera, BOTH)
    for exposure in (905.0, 4000.0, 4100.0, 900.0):
        camera.values["ChunkExposureTime"] = exposure
        reader.check(object(), f"EDGE1#{exposure:g}")
    assert [record.getMessage() for record in caplog.records] == [
        "EDGE1#4000 was taken with ExposureTime 4000, camera.exposure_us is 900: is an automatic on?",
        "EDGE1#900 was taken with ExposureTime 900 again",
    ]


def test_what_was_not_written_is_read_and_not_compared(caplog):
    settings = CameraSettings(chunks=("Gain",), exposure_us=900.0)
    ChunkReader(ScriptedCamera(ChunkGain=17.0), settings).check(object(), "EDGE1#1")
    assert caplog.text == ""


def test_a_frame_without_its_chunk_is_logged_once_and_is_still_a_picture(caplog):
    reader = ChunkReader(ScriptedCamera(), CameraSettings(chunks=("Gain",)))
    for number in (1, 2):
        reader.check(object(), f"EDGE1#{number}")
    assert caplog.text.count("the frame has no chunk Gain: no ChunkGain") == 1


def test_a_camera_that_sends_no_chunks_is_refused_with_what_to_leave_out():
    from edge_runtime.sources.aravis_binding import open_camera

    with GigeCamera(), pytest.raises(SourceError, match=r"the camera sends no chunk data: leave camera\.chunks out"):
        ChunkReader(open_camera("127.0.0.1"), BOTH)


def test_chunks_belong_to_aravis_and_only_known_ones_can_be_named():
    with pytest.raises(ValueError, match="chunks belongs to aravis://"):
        SourceSettings(uri="rtsp://x/y", camera=CameraSettings(chunks=("Gain",)))
    with pytest.raises(ValueError, match="chunks"):
        CameraSettings(chunks=("Timestamp",))
