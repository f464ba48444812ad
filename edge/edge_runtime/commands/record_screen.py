"""What a person sees while pictures are recorded: a live counter on a terminal, a line for each picture elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console

from edge_runtime.commands.camera_target import Target, read_target
from edge_runtime.commands.record import Interval, Keyboard, Plc, Progress, Trigger, record
from edge_runtime.commands.recording import Fate
from edge_runtime.commands.variety import LEAST, NEWEST
from edge_runtime.errors import ConfigError

ENOUGH = (
    f"the last {NEWEST} pictures show nothing new: that is enough, unless parts, light or place will vary in other ways"
)


def show_recording(
    events: Iterable[Progress],
    folder: Path,
    count: int,
    how: str,
    console: Console,
    on_event: Callable[[Progress], None] = lambda event: None,
) -> Progress:
    """Show them as they come; returns the last one. how: what takes the next picture, for people. on_event: called with
    each."""
    last, told_enough, camera = Progress(0, 0, 0, 0, False), False, ""
    with console.status("") as status:
        for event in events:
            last = event
            on_event(event)
            if event.offered is None:
                if event.kept:
                    console.print(f"{folder} has {event.kept} pictures already; the recording goes on")
                status.update(f"waiting for the camera ({how})")
                continue
            if event.camera and event.camera != camera:
                camera = event.camera
                console.print(camera, highlight=False)
            for line in _lines(event):
                console.print(line, highlight=False)
            if event.is_enough and not told_enough:
                told_enough = True
                console.print(ENOUGH, highlight=False)
            status.update(_counter(event, count, how))
    return last


def summary(last: Progress, folder: Path, count: int) -> str:
    """The last lines."""
    lines = [f"{folder}: {last.kept} pictures"]
    if last.alike:
        lines.append(f"{last.alike} frames were like one that was kept already, and were passed over")
    if last.unfit:
        lines.append(f"{last.unfit} frames could not be judged, and were passed over")
    if last.doubtful:
        lines.append(f"{last.doubtful} of this run's pictures are doubtful: look at those with warnings in their .json")
    if last.kept < count:
        lines.append(f"run the same command again to go on to {count}")
    elif not last.is_enough:
        text = "they still show new things: more pictures will help" if last.kept >= LEAST else "record more if you can"
        lines.append(f"{text} (edge-build wants 100 and more)")
    return "\n".join(lines)


def _lines(event: Progress) -> list[str]:
    offered = event.offered
    if offered is None or (offered.fate is Fate.KEPT and not offered.warnings):
        return []
    if offered.fate is Fate.ALIKE:
        return []
    what = offered.name or "a frame is not kept"
    return [f"[yellow]{what}:[/yellow] {warning}" for warning in offered.warnings]


def _counter(event: Progress, count: int, how: str) -> str:
    alike = f", {event.alike} alike" if event.alike else ""
    unfit = f", {event.unfit} unfit" if event.unfit else ""
    return f"[bold]{event.kept}[/bold] of {count}{alike}{unfit}  ({how})"


def run_recording(target: str, folder: Path, count: int, by: str, every_s: float) -> None:
    """`edge-daemon record`. by: clock, enter or plc. Raises EdgeError."""
    seen, console = read_target(target), Console(stderr=True)
    trigger, how = _trigger(seen, by, every_s)
    last = Progress(0, 0, 0, 0, False)
    shown: list[Progress] = []
    try:
        last = show_recording(record(seen, folder, count, trigger), folder, count, how, console, shown.append)
    except KeyboardInterrupt:  # how most recordings end
        last = shown[-1] if shown else last
    print(summary(last, folder, count))


def _trigger(target: Target, by: str, every_s: float) -> tuple[Trigger, str]:
    if by == "enter":
        return Keyboard(), "Enter takes one, q ends"
    if by == "plc":
        if target.station is None:
            raise ConfigError("--by plc: the triggers come by the broker of a station: give its station.yaml")
        return Plc(target.station), f"each message on {target.station.topics.trigger} takes one, Ctrl-C ends"
    if target.mode == "hardware":
        return Interval(0.0), "the camera's input takes one, Ctrl-C ends"
    return Interval(every_s), "change or turn the part; Ctrl-C ends"
