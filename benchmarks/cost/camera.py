"""From a camera's frame to the picture that the engine gets, beside bare loops on the same driver.

    python -m benchmarks.cost.camera [--turns N]

Three tables. The conversion alone, for two usual sensors. Then, in turns, the age of a frame when it is in hand: from
its first packet (Aravis' simulated GigE camera, free-running) or its time stamp (GStreamer's test pictures, as BGR).
The bare loops take the newest buffer and look at none of its bytes; ours ends with BGR that the caller owns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from tests.support.gige_camera import GigeCamera

from edge_runtime.commands.run import SWITCH_S
from edge_runtime.records import Frame
from edge_runtime.sources.aravis_binding import load_aravis, open_camera
from edge_runtime.sources.aravis_camera import AravisConnection
from edge_runtime.sources.aravis_features import write_features
from edge_runtime.sources.frame_grabber import monotonic_from_unix_ns
from edge_runtime.sources.gst_binding import load_gst, pipeline_of
from edge_runtime.sources.gst_camera import GstConnection, parse
from edge_runtime.sources.pixel_formats import bgr_from_raw, bytes_of
from edge_runtime.sources.settings import CameraSettings, SourceSettings

SENSORS = ((1200, 1920), (2048, 2448))
FORMATS = ("Mono8", "BayerRG8", "BGR8", "Mono12", "Mono12p", "BayerRG12p")
FRAMES = 40
GIGE = CameraSettings(width=1920, height=1200, pixel_format="Mono8", packet_size=9000, exposure_us=5000.0)
GST = "gst://videotestsrc is-live=true pattern=ball ! video/x-raw,format=BGR,width=1920,height=1200,framerate=20/1"


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="of FRAMES frames each")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the three tables."""
    turns = command_line().parse_args(arguments).turns
    sys.setswitchinterval(SWITCH_S)  # as the daemon does
    print("conversion, ms of processor time (median of 20)")
    for pixel_format in FORMATS:
        times = [f"{conversion_ms(height, width, pixel_format):6.1f}" for height, width in SENSORS]
        print(f"  {pixel_format:<12}" + "".join(times))
    with GigeCamera():
        show("GigE, 1920 x 1200 Mono8", bare_aravis_ages, our_aravis_ages, turns)
    show("GStreamer, 1920 x 1200 BGR", bare_appsink_ages, our_gst_ages, turns)


def conversion_ms(height: int, width: int, pixel_format: str) -> float:
    """The median over pictures of noise."""
    raw = np.random.default_rng(0).integers(0, 256, bytes_of(height, width, pixel_format), dtype=np.uint8)
    times: list[float] = []
    for _ in range(20):
        began = time.process_time()
        bgr_from_raw(raw, height, width, pixel_format)
        times.append((time.process_time() - began) * 1000)
    return statistics.median(times)


def show(name: str, bare: Callable[[], list[float]], ours: Callable[[], list[float]], turns: int) -> None:
    """Both in turns, so that a busy machine slows them alike."""
    bare_ms: list[float] = []
    our_ms: list[float] = []
    for _ in range(turns):
        bare_ms += bare()
        our_ms += ours()
    print(f"{name}, age of a frame in hand, ms: median, 95th percentile")
    for who, ages in (("bare loop", bare_ms), ("ours", our_ms)):
        print(f"  {who:<12}{statistics.median(ages):6.1f}{statistics.quantiles(ages, n=20)[-1]:6.1f}")


def bare_aravis_ages() -> list[float]:
    """arv_camera_acquisition's loop: a few buffers, pop, look at the status, push."""
    aravis, camera = load_aravis(), open_camera("127.0.0.1")
    write_features(camera, GIGE, 20.0)
    camera.clear_triggers()
    stream = camera.create_stream(None, None)
    for _ in range(4):
        stream.push_buffer(aravis.Buffer.new_allocate(camera.get_payload()))
    camera.start_acquisition()
    ages: list[float] = []
    while len(ages) < FRAMES:
        buffer = stream.timeout_pop_buffer(1_000_000)
        if buffer is not None and buffer.get_status() == aravis.BufferStatus.SUCCESS:
            ages.append((time.monotonic_ns() - monotonic_from_unix_ns(buffer.get_system_timestamp())) / 1e6)
        if buffer is not None:
            stream.push_buffer(buffer)
    camera.stop_acquisition()
    return ages


def our_aravis_ages() -> list[float]:
    """AravisConnection."""
    connection = AravisConnection(open_camera("127.0.0.1"), GIGE, "free-running", 20.0)
    try:
        return _ages(connection)
    finally:
        connection.close()


def bare_appsink_ages() -> list[float]:
    """pull-sample in a loop."""
    gst, _ = load_gst()
    pipeline = parse(pipeline_of(SourceSettings(uri=GST)))
    sink = pipeline.get_by_name("edge")
    pipeline.set_state(gst.State.PLAYING)
    ages: list[float] = []
    while len(ages) < FRAMES:
        sample = sink.try_pull_sample(1_000_000_000)
        if sample is not None:
            running_ns = sample.get_segment().to_running_time(gst.Format.TIME, sample.get_buffer().pts)
            ages.append((pipeline.get_clock().get_time() - pipeline.get_base_time() - running_ns) / 1e6)
    pipeline.set_state(gst.State.NULL)
    return ages


def our_gst_ages() -> list[float]:
    """GstConnection."""
    connection = GstConnection(pipeline_of(SourceSettings(uri=GST)), "free-running")
    try:
        return _ages(connection)
    finally:
        connection.close()


def _ages(connection: AravisConnection | GstConnection) -> list[float]:
    ages: list[float] = []
    while len(ages) < FRAMES:
        frame = connection.next_frame(1.0)
        if isinstance(frame, Frame):
            ages.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
    return ages


if __name__ == "__main__":
    main()
