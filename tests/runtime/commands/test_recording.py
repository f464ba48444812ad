from __future__ import annotations

import io
import json
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rich.console import Console
from tests.support.station_stage import ScriptedEngine

from edge_runtime.bundle.manifest import Threshold
from edge_runtime.commands.camera_target import fresh_frame, read_target
from edge_runtime.commands.record import Interval, Progress, record
from edge_runtime.commands.record_screen import ENOUGH, show_recording, summary
from edge_runtime.commands.recording import Fate, Offered, Recording
from edge_runtime.commands.snap import part_text, snap
from edge_runtime.errors import ConfigError, SourceError, StorageError
from edge_runtime.imaging.geometry import Placement
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import Sight, whole_frame_viewer
from edge_runtime.inspection.frame_checks import FIXED_LIMITS
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.pixel_formats import bgr_from_raw


def part(seed=0, blurred=False, white=0.0):
    """uint8 BGR (120, 160, 3): a part with texture, at a place and with a texture that the seed says."""
    chance = np.random.default_rng(seed)
    image = np.full((120, 160, 3), 40, np.uint8)
    top, left = (int(v) for v in chance.integers(5, 40, 2))
    texture = chance.integers(60, 200, (15, 15, 3), dtype=np.uint8)
    image[top : top + 60, left : left + 60] = cv2.resize(texture, (60, 60), interpolation=cv2.INTER_NEAREST)
    if blurred:
        image = cv2.GaussianBlur(image, (0, 0), 6)
    image[: round(120 * white)] = 255
    return image


def frame(image):
    return Frame("cam", 7, time.monotonic_ns(), image, "EDGE1#7", 123)


@pytest.fixture
def recording(tmp_path):
    return Recording(tmp_path / "good", "aravis://EDGE1", FIXED_LIMITS)


def test_a_kept_picture_has_the_frame_s_pixels_and_says_how_it_was_taken(tmp_path, recording):
    offered = recording.offer(frame(part()), "Basler, exposure 5000 us")
    assert offered == Offered(Fate.KEPT, "0001.png")
    assert (read_picture(tmp_path / "good/0001.png") == part()).all()
    about = json.loads((tmp_path / "good/0001.json").read_text())
    assert (about["camera"], about["frame"], about["source"]) == (
        "Basler, exposure 5000 us",
        "EDGE1#7",
        "aravis://EDGE1",
    )
    assert about["taken"].endswith("+00:00")
    assert (about["width"], about["height"], about["warnings"]) == (160, 120, [])


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono12", "BayerRG8", "BGR8"])
def test_a_recorded_picture_is_judged_like_the_live_frame_to_the_last_bit(tmp_path, recording, pixel_format):
    size = {"Mono8": 1, "Mono12": 2, "BayerRG8": 1, "BGR8": 3}[pixel_format]
    raw = np.random.default_rng(1).integers(0, 256, 64 * 64 * size, dtype=np.uint8)
    if pixel_format == "Mono12":
        raw[1::2] &= 0x0F
    live = frame(bgr_from_raw(raw, 64, 64, pixel_format))
    recording.offer(live, "")
    recorded = replace(live, image=read_picture(tmp_path / "good/0001.png"))
    threshold = Threshold.model_construct(score=128.0, map=128.0)
    judge = Judge(ScriptedEngine(), threshold, whole_frame_viewer(32, 32), limits=FIXED_LIMITS)
    one, other = judge(live), judge(recorded)
    assert one.error is other.error is ErrorCode.NONE
    assert (one.raw_score, one.score) == (other.raw_score, other.score)
    assert (one.anomaly_map.values == other.anomaly_map.values).all()


def test_what_is_kept_already_is_passed_over(tmp_path, recording):
    recording.offer(frame(part(1)), "")
    assert recording.offer(frame(part(1)), "").fate is Fate.ALIKE
    assert recording.offer(frame(part(2)), "").fate is Fate.KEPT
    assert (recording.kept, recording.alike) == (2, 1)


def test_frames_that_could_not_be_judged_are_not_kept(tmp_path, recording):
    lost = FailedFrame("", 0, ErrorCode.FRAME_SHORT, "packets are missing")
    assert recording.offer(lost, "") == Offered(Fate.UNFIT, warnings=("packets are missing",))
    dark = recording.offer(frame(np.zeros((120, 160, 3), np.uint8)), "")
    assert dark.fate is Fate.UNFIT
    assert "check light, lens cap and exposure" in dark.warnings[0]
    assert (recording.unfit, list((tmp_path / "good").iterdir())) == (2, [])


def test_blur_and_clipping_are_warned_of_against_what_is_usual(recording):
    for seed in range(6):
        assert recording.offer(frame(part(seed)), "").warnings == ()
    assert "blurred: sharpness" in recording.offer(frame(part(7, blurred=True)), "").warnings[0]
    assert recording.offer(frame(part(8, white=0.2)), "").warnings[0].startswith("clipped: 2")
    assert recording.doubtful == 2


def test_a_recording_goes_on_where_it_ended(tmp_path, recording):
    recording.offer(frame(part(1)), "")
    (tmp_path / "good/.0002.png.1234.tmp").write_bytes(b"half of it")
    again = Recording(tmp_path / "good", "aravis://EDGE1", FIXED_LIMITS)
    assert again.kept == 1
    assert again.offer(frame(part(1)), "").fate is Fate.ALIKE
    assert again.offer(frame(part(2)), "").name == "0002.png"
    assert sorted(p.name for p in (tmp_path / "good").iterdir()) == ["0001.json", "0001.png", "0002.json", "0002.png"]


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/good cannot be used: Not a directory"):
        Recording(tmp_path / "file/good", "x", FIXED_LIMITS)


def test_recorded_sources_end_the_recording_and_stop_at_the_count(tmp_path):
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), part(number))
    target = read_target(f"folder://{tmp_path}")
    out = tmp_path.parent / f"{tmp_path.name}-out"
    events = list(record(target, out, 3, Interval(0.0)))
    assert [event.kept for event in events] == [0, 1, 2, 3]
    assert list(record(target, out, 3, Interval(0.0)))[-1].kept == 3
    assert list(record(target, out, 100, Interval(0.0)))[-1].kept == 5


def test_the_screen_says_what_is_doubtful_once_when_it_is_enough_and_how_to_go_on(tmp_path):
    text = io.StringIO()
    console = Console(file=text, width=200)
    kept = [
        Progress(n, 2, 1, 1, n > 1, Offered(Fate.KEPT, f"{n}.png", ("blurred",) * (n == 1)), "cam") for n in (1, 2, 3)
    ]
    last = show_recording([Progress(0, 0, 0, 0, False), *kept], tmp_path, 5, "Enter", console)
    assert text.getvalue().count(ENOUGH) == 1
    assert "1.png: blurred" in text.getvalue()
    assert summary(last, tmp_path, 5).splitlines() == [
        f"{tmp_path}: 3 pictures",
        "2 frames were like one that was kept already, and were passed over",
        "1 frames could not be judged, and were passed over",
        "1 of this run's pictures are doubtful: look at those with warnings in their .json",
        "run the same command again to go on to 5",
    ]


class Camera:
    """Gives frames of before it was asked, then fresh ones."""

    def __init__(self, *frames):
        self.frames = list(frames)

    def next_frame(self, wait_s):
        found = self.frames.pop(0)
        return found() if callable(found) else found

    def problem(self):
        return "the cable is out"


def test_a_fresh_frame_is_one_that_was_taken_after_it_was_asked_for():
    old = Frame("cam", 1, time.monotonic_ns(), part())
    fresh = fresh_frame(Camera(old, NoFrame(), lambda: frame(part(1))), 5.0)
    assert (fresh.image == part(1)).all()
    with pytest.raises(SourceError, match="no frame came within 0 s: the cable is out"):
        fresh_frame(Camera(*[NoFrame()] * 100_000), 0.01)


def test_snap_says_what_a_person_wants_to_know(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), part())
    lines = list(snap(read_target(f"folder://{tmp_path}"), tmp_path / "out.png"))
    assert [line.split()[0] for line in lines] == ["frame", "brightness", "saturated", "sharpness", "judged", "written"]
    assert lines[0] == "frame       160 x 120 1.png"
    assert (read_picture(tmp_path / "out.png") == part()).all()
    with pytest.raises(StorageError, match=r"nowhere/x\.png cannot be written: .*choose another place with --out"):
        list(snap(read_target(f"folder://{tmp_path}"), tmp_path / "nowhere/x.png"))


def test_snap_says_where_the_part_is():
    place = Placement(10.26, 20.0, 0.0, 1.0)
    seen = Sight(part(), np.eye(2, 3), 0.93, place)
    assert part_text(seen) == "found at 10.3, 20.0, turned by 90.0 degrees; likeness to good parts 0.93 of 1"
    assert part_text(replace(seen, quality=-1.0, placement=None)) == "not found"
    assert "not looked for" in part_text(replace(seen, quality=1.0, placement=None))


def test_a_target_is_a_station_or_a_uri(tmp_path):
    with pytest.raises(ConfigError, match="must be one of folder://"):
        read_target("http://x")
    station = tmp_path / "station.yaml"
    station.write_text(
        "line: l\ncell: c\nbundle: not-yet\nmode: triggered\nstate_dir: s\nmqtt: {host: h}\nsource: {uri: 'csi://0'}\n"
    )
    target = read_target(str(station))
    assert (target.mode, target.source.uri, target.limits) == ("triggered", "csi://0", FIXED_LIMITS)
