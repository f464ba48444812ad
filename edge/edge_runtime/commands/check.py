"""`edge-daemon check`: everything that is wrong with a station, found in one go, before the line depends on it."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge_runtime.bundle.reader import open_bundle, read_manifest
from edge_runtime.bundle.receipt import signer_at_install
from edge_runtime.config.station import Station, read_station
from edge_runtime.daemon import disk_watch
from edge_runtime.daemon.admission import admit, trust_of
from edge_runtime.daemon.guarded_source import GuardedSource
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.model import frame_limits, load_model
from edge_runtime.daemon.requests import FASTER
from edge_runtime.engines.golden import median_ms
from edge_runtime.errors import BundleError, ConfigError, EdgeError, SourceError
from edge_runtime.inspection.frame_checks import frame_fault
from edge_runtime.inspection.judge import Judge
from edge_runtime.monitoring.prometheus import probe_port
from edge_runtime.mqtt.delivery_probe import DeliveryProbe
from edge_runtime.mqtt.probe import probe_broker
from edge_runtime.readable import readable
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.settings import SourceSettings
from edge_runtime.storage import image_archive
from edge_runtime.storage.database import is_spool_in_use, probe_spool, room_to_open
from edge_runtime.storage.retention import MB
from edge_runtime.storage.served import FILE, read_served
from edge_runtime.storage.state_dir import SYSTEMD_STATE, make_state_folder, probe_state_folder
from edge_runtime.storage.state_owner import check_owner

ROUNDS = 5
FIRST_FRAME_S = 1.0


class Rating(Enum):
    """How a finding is printed."""

    OK = "ok"
    DOUBTFUL = "WARN"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, in words."""

    text: str
    rating: Rating = Rating.OK


def check_lines(station_file: Path) -> Iterator[str]:
    """A line for each finding. Raises ConfigError after the last one if any was wrong."""
    wrong = 0
    for finding in findings(read_station(station_file)):
        wrong += finding.rating is Rating.WRONG
        yield f"{finding.rating.value:<6} {readable(finding.text)}"
    if wrong:
        are = "is" if wrong == 1 else "are"
        raise ConfigError(f"{station_file}: {wrong} of the things checked {are} wrong, see above")


def findings(station: Station, hardware: Hardware | None = None) -> Iterator[Finding]:
    """Check bundle, deadline, source, settings, state folder, metrics and broker; each whatever the others give."""
    used, wrong = hardware or Hardware(), set[str]()
    for found in (
        check_bundle(station, used),
        check_trust(station),
        check_product(station),
        check_source(station, used),
        check_recording(station),
        check_settings(station),
        check_state_dir(station),
        check_metrics(station),
        check_broker(station, lambda: not wrong),
    ):
        try:
            for finding in found:
                if finding.rating is Rating.WRONG:
                    wrong.add(finding.text)
                yield finding
        except EdgeError as error:
            wrong.add(str(error))
            yield Finding(str(error), Rating.WRONG)


def check_bundle(station: Station, hardware: Hardware) -> Iterator[Finding]:
    """Lengths, hashes, schema, the graph, the golden pictures, and how long judging takes. Raises EdgeError."""
    overrides: list[str] = []
    bundle = admit(station, overrides.append)
    yield from (Finding(f"trust: {text}", Rating.DOUBTFUL) for text in overrides)
    with closing(load_model(bundle, station, hardware.open_engine)) as model:
        yield Finding(
            f"bundle {bundle.label}, {station.precision.value}: {len(model.references)} golden pictures "
            f"reproduced by {model.engine.name}, largest deviation {model.worst:.3f} of the tolerance"
        )
        try:
            first = first_frame(station, hardware)
        except SourceError:  # check_source reports it
            first = None
        if isinstance(first, Frame) and frame_fault(first.image, model.judge.limits) is None:
            yield judging_finding(station.deadline_ms, model.judge, first)
        else:
            engine_ms = median_ms(bundle, model.engine, ROUNDS)
            yield deadline_finding(station.deadline_ms, engine_ms, f"the engine alone takes {engine_ms:.1f} ms")


def check_trust(station: Station) -> Iterator[Finding]:
    """Who signed the bundle, and whether anybody has to. Raises BundleError, ConfigError."""
    try:
        bundle = open_bundle(station.bundle, trust_of(station))
    except BundleError:  # check_bundle reports it
        return
    if bundle.signer is not None:
        yield Finding(f"trust: {bundle.label} is signed by key {bundle.signer.fingerprint} ({bundle.signer.path})")
        return
    signer = signer_at_install(bundle)
    signed = "unsigned" if signer is None else f"signed by key {signer}"
    yield Finding(f"trust: {bundle.label} is {signed}; trust.require_signature is false, so whatever lies there serves")


def check_product(station: Station) -> Iterator[Finding]:
    """What stands between this station and another product's bundle when its file names no product."""
    if station.product is not None:
        return
    try:
        add = f"write `product: {read_manifest(station.bundle, trust_of(station)).name}` into station.yaml"
    except BundleError:  # check_bundle reports it
        return
    if read_served(station.state_dir) is None:
        text = f"whatever bundle lies there first judges recipe {station.recipe} from then on; {add}"
    else:
        text = f"only {station.state_dir / FILE} keeps other products' bundles away; {add}"
    yield Finding(f"product: not named: {text}", Rating.DOUBTFUL)


def judging_finding(deadline_ms: int, judge: Judge, frame: Frame) -> Finding:
    """Whether a frame that may be judged gets a verdict, and how long that takes."""
    decisions = [judge(frame) for _ in range(ROUNDS)]
    if failed := next((d for d in decisions if d.error is not ErrorCode.NONE), None):
        return Finding(f"{_would_be_error(frame, failed.error)}: {failed.detail}", Rating.WRONG)
    times = sorted((d.timings for d in decisions), key=lambda t: t.prepare_us + t.infer_us + t.decide_us)
    typical = times[ROUNDS // 2]
    parts_ms = [us / 1000 for us in (typical.prepare_us, typical.infer_us, typical.decide_us)]
    parts = "prepare {:.1f}, engine {:.1f}, decide {:.1f}".format(*parts_ms)
    return deadline_finding(deadline_ms, sum(parts_ms), f"judging {frame.name} takes {sum(parts_ms):.1f} ms ({parts})")


def deadline_finding(deadline_ms: int, taken_ms: float, what: str) -> Finding:
    """Whether the deadline leaves room for the camera, the disk and the network. what: what took so long, in words."""
    text = f"deadline_ms {deadline_ms}: {what}"
    if taken_ms >= deadline_ms:
        return Finding(f"{text}, so no verdict would be in time; {FASTER}", Rating.WRONG)
    if taken_ms > deadline_ms / 2:
        return Finding(f"{text}, which leaves little for all else; {FASTER}", Rating.DOUBTFUL)
    return Finding(text)


def check_source(station: Station, hardware: Hardware) -> Iterator[Finding]:
    """It opens, and its first frame may be judged. Raises SourceError."""
    first, source = first_frame(station, hardware), f"source {station.source.label}"
    if first is None or isinstance(first, NoFrame):
        if station.source.is_watched and station.source.path.is_dir():
            yield check_watched(station.source)
            return
        yield Finding(f"{source}: it gives no frame within {FIRST_FRAME_S:.0f} s", Rating.WRONG)
        return
    if isinstance(first, FailedFrame):
        yield Finding(f"{source}: {_would_be_error(first, first.error)}: {first.detail}", Rating.WRONG)
        return
    try:
        limits = frame_limits(read_manifest(station.bundle, trust_of(station)), station)
    except BundleError:  # check_bundle reports it
        yield Finding(source)
        return
    if (fault := frame_fault(first.image, limits)) is not None:
        yield Finding(f"{source}: {_would_be_error(first, fault.error)}: {fault.detail}", Rating.WRONG)
    else:
        height, width = first.image.shape[:2]
        yield Finding(f"{source}: the first frame, {first.name}, is {width} x {height} and may be judged")


def check_watched(source: SourceSettings) -> Finding:
    """A folder in which nothing waits: whether what will come can be read, and put away."""
    folder, after = source.path, source.watch.after
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(f"source {source.label}: it cannot be read: check its rights", Rating.WRONG)
    if after != "leave" and not os.access(folder, os.W_OK):
        text = f"source {source.label}: watch.after is {after}, and pictures cannot leave it"
        return Finding(f"{text}: give the station's user the right to write there", Rating.WRONG)
    return Finding(f"source {source.label}: no picture waits there now")


def first_frame(station: Station, hardware: Hardware) -> Frame | FailedFrame | NoFrame | None:
    """What the source gives first; a watched folder keeps it. Raises SourceError."""
    with GuardedSource(hardware.open_source(station)) as source:
        return source.next_frame(FIRST_FRAME_S)


def check_recording(station: Station) -> Iterator[Finding]:
    """Whether its verdicts are of parts that are there."""
    if station.source.is_recording:
        text = (
            "its verdicts carry the flag `simulated`, and a PLC that follows docs/how-to/connect-a-plc.md releases no "
            "part by them"
        )
        yield Finding(f"source {station.source.label} is a recording: {text}", Rating.DOUBTFUL)


def check_settings(station: Station) -> Iterator[Finding]:
    """What can be followed, and is hardly meant."""
    if station.mode == "hardware" and station.source.is_recording:
        text = (
            f"source {station.source.label} is a recording and waits for no signal: its pictures are judged one after "
        )
        yield Finding(f"mode hardware: {text}another, no part needed; free-running says so", Rating.DOUBTFUL)
    if off := station.health.switched_off:
        text = "such frames are judged, and may be OK; null takes the bundle's limits"
        yield Finding(f"health: {', '.join(off)} not checked: {text}", Rating.DOUBTFUL)


def _would_be_error(first: Frame | FailedFrame, error: ErrorCode) -> str:
    return f"the first frame, {first.name}, would be ERROR {error:03d} {error.name}"


def check_state_dir(
    station: Station, units: Path = SYSTEMD_STATE, free_bytes: Callable[[Path], int] = disk_watch.free_bytes_beside
) -> Iterator[Finding]:
    """It is there or can be made, can be written, is no other station's, has room, and no daemon uses it. units: where
    systemd makes it. free_bytes: see DiskWatch. Raises ConfigError, StorageError."""
    folder = station.state_dir
    if folder.parent == units and not os.path.lexists(units):  # it leads where only root may look
        text = f"state_dir {folder}: {units} is not there yet; the systemd unit makes both, `run` by hand does not"
        yield Finding(text, Rating.DOUBTFUL)
        return
    probe_state_folder(folder)
    check_owner(folder, station.name)
    in_use = is_spool_in_use(folder)  # by this very station, perhaps
    if not in_use:
        with existing(folder):
            probe_spool(folder)
    if folder.is_dir() and folder.stat().st_mode & 0o077:
        text = f"others may look into it (mode {folder.stat().st_mode & 0o777:o}): chmod 700, verdicts and pictures are"
        yield Finding(f"state_dir {folder}: {text} this station's", Rating.DOUBTFUL)
    if in_use:
        text = "a daemon uses it now; right if this station runs, but another needs a folder of its own"
        yield Finding(f"state_dir {folder}: {text}", Rating.DOUBTFUL)
    free = free_bytes(folder if folder.exists() else folder.parent)
    room = room_finding(station, free, 0 if in_use else room_to_open(folder))
    if room.rating is not Rating.OK or not in_use:
        yield room


@contextmanager
def existing(folder: Path) -> Iterator[None]:
    """The folder is there, and not any more if it was not before."""
    is_new = make_state_folder(folder)
    try:
        yield
    finally:
        if is_new:
            folder.rmdir()


def room_finding(station: Station, free: int, opening: int) -> Finding:
    """Whether the disk of state_dir has room. free, opening: bytes that it has, and that opening the spool takes."""
    name = f"state_dir {station.state_dir}"
    needed, with_pictures = (opening + least for least in (disk_watch.FREE_BYTES, image_archive.FREE_BYTES))
    has = f"{name}: its disk has {free / MB:.1f} MB free"
    if free < needed:
        text = f"{has}, and the spool needs {needed / MB:.1f} MB: make room, or choose another disk"
        return Finding(text, Rating.WRONG)
    if station.pictures.max_mb and free < with_pictures:
        text = f"{has}: pictures of NOK and ERROR are left out with less than {with_pictures / MB:.1f} MB; make room"
        return Finding(text, Rating.DOUBTFUL)
    return Finding(name)


def check_metrics(station: Station) -> Iterator[Finding]:
    """Its port is free, or taken by this very station. Raises ConfigError."""
    host, port = station.metrics.host, station.metrics.port
    if port is None:
        return
    try:
        probe_port(host, port)
    except ConfigError:
        if not _answers_there(station, port):
            raise
        yield Finding(f"metrics {host}:{port}: this station runs, and answers there")
    else:
        yield Finding(f"metrics {host}:{port}")


def check_broker(station: Station, is_right: Callable[[], bool] = lambda: True) -> Iterator[Finding]:
    """It takes the connection, and delivers on each topic what `run` publishes there. is_right: whether all else is;
    nothing is published in the name of a station that cannot run. Raises ConfigError."""
    broker = f"broker {station.mqtt.address}"
    if problem := probe_broker(station):
        raise ConfigError(f"{broker}: {problem}")
    if not is_right():
        yield Finding(f"{broker} takes the connection; what it delivers is tried when all else is right")
        return
    topics: dict[tuple[str, bool], list[str]] = {}
    for found in DeliveryProbe(station).undelivered():
        topics.setdefault((found.why, found.is_rare), []).append(found.topic)
    for (why, is_rare), names in topics.items():
        where = f"{', '.join(filter(None, names))}: " if any(names) else ""
        if is_rare:
            text = f"{broker}: {where}{why}; such records are held back, and the fixed ones go"
            yield Finding(text, Rating.DOUBTFUL)
        else:
            yield Finding(f"{broker}: {where}{why}", Rating.WRONG)
    if not topics:
        yield Finding(f"{broker} delivers on every topic")


def _answers_there(station: Station, port: int) -> bool:
    host = "127.0.0.1" if station.metrics.host in ("0.0.0.0", "") else station.metrics.host
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=2) as answer:
            found = answer.read(1 << 20).decode("utf-8", "replace")
    except (OSError, ValueError):  # a program of another kind
        return False
    return f'edge_state{{cell="{station.cell}",line="{station.line}"' in found
