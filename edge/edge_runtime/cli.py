"""`edge-daemon`: the command line of the device. `main` alone turns errors into exit codes."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from edge_runtime.config.station import station_json_schema
from edge_runtime.config.template import text_from_station
from edge_runtime.engines.protocol import ENGINES, EngineKind
from edge_runtime.errors import EdgeError
from edge_runtime.program import VersionOption, open_standard_streams, report_crashes
from edge_runtime.readable import readable_lines
from edge_runtime.records import Precision

app = typer.Typer(
    help="Judges every part at the line: pictures in, verdicts on MQTT out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
StationFile = Annotated[Path, typer.Argument(metavar="STATION.yaml", help="what `edge-daemon init` wrote")]


class RecordedBy(str, Enum):
    """What takes the next picture of a recording."""

    CLOCK = "clock"
    ENTER = "enter"
    PLC = "plc"


@app.callback()
def options(version: VersionOption = False) -> None:
    """What every command takes; the help is the app's."""


@app.command()
def init(
    *,
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE", help="the folder that edge-build made; may come later with --camera"),
    ] = None,
    source: Annotated[str | None, typer.Option(help="a camera, folder or video, as in `source.uri`")] = None,
    camera: Annotated[
        bool,
        typer.Option("--camera", help="the camera that is found, or that of --source, with its settings of now"),
    ] = False,
    broker: Annotated[str, typer.Option(metavar="HOST:PORT", help="where the MQTT broker listens")],
    line: Annotated[str, typer.Option(help="first part of the topics: letters, digits, - and _")],
    cell: Annotated[str, typer.Option(help="second part of the topics")],
    state_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="where verdicts are kept, of this station alone; may exist, and then goes on counting; default: "
            "state-LINE-CELL",
        ),
    ] = None,
    mode: Annotated[
        str, typer.Option(metavar="free-running|triggered|interval|hardware", help="what starts an inspection")
    ] = ("free-running"),
    recipe: Annotated[int, typer.Option(metavar="N", help="the number that a trigger must name")] = 0,
    precision: Annotated[
        Precision | None, typer.Option(help="which of the bundle's graphs measures; default: fp32")
    ] = None,
) -> None:
    """Write a commented station.yaml to standard output."""
    from edge_runtime.commands.init import InitOptions, station_from_options

    options = InitOptions(bundle, source, camera, broker, line, cell, state_dir, mode, recipe, precision)
    print(text_from_station(station_from_options(options)), end="")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a station's file, for editors."""
    print(json.dumps(station_json_schema(), indent=2))


@app.command()
def run(
    station_file: StationFile,
    once: Annotated[
        bool, typer.Option("--once", help="end when the source is exhausted and the broker has every verdict")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="one line for each verdict, with its times")] = False,
) -> None:
    """Judge every picture and publish the verdicts, until SIGTERM or Ctrl-C."""
    from edge_runtime.commands.run import run_daemon  # the engine takes a while to import, and `init` does not need it

    run_daemon(station_file, once, verbose)


@app.command()
def check(station_file: StationFile) -> None:
    """List everything that is wrong with a configuration, its bundle, its source and its broker; exit 0 or 78."""
    from edge_runtime.commands.check import check_lines

    for found in check_lines(station_file):
        print(found, flush=True)


Seen = Annotated[
    str, typer.Argument(metavar="STATION.yaml|URI", help="a station's file, or a camera alone, such as 'aravis://*'")
]


@app.command()
def cameras() -> None:
    """List the cameras that can be reached, with what to write into a station's file."""
    from edge_runtime.commands.cameras import camera_lines

    for line in camera_lines():
        print(line, flush=True)


@app.command()
def snap(
    target: Seen,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="where the frame is written")] = Path("snap.png"),
) -> None:
    """Take one frame, write it, and say its size, format, exposure, brightness and sharpness."""
    from edge_runtime.commands.camera_target import read_target
    from edge_runtime.commands.snap import snap as take

    for line in take(read_target(target), out):
        print(line, flush=True)


@app.command()
def record(
    target: Seen,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where the pictures go; what is there counts")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="stop at so many pictures in DIR")] = 150,
    by: Annotated[
        RecordedBy, typer.Option(help="what takes a picture: the clock, Enter on the keyboard, or the PLC's /trigger")
    ] = RecordedBy.CLOCK,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.0, help="with --by clock")] = 0.5,
) -> None:
    """Collect pictures of good parts for training: without loss, without repetitions, until there are enough."""
    from edge_runtime.commands.record_screen import run_recording

    run_recording(target, folder, count, by.value, every)


@app.command()
def selftest(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="the folder that edge-build made")],
    engine: Annotated[EngineKind, typer.Option(help="what measures; auto: TensorRT where it works")] = EngineKind.AUTO,
    precision: Annotated[Precision | None, typer.Option(help="default: each one that the bundle has")] = None,
    engines: Annotated[Path, typer.Option(metavar="DIR", help="where `edge-build compile` put the engines")] = ENGINES,
    verbose: Annotated[bool, typer.Option("--verbose", help="why `auto` does not take TensorRT, in full")] = False,
) -> None:
    """Verify that this device measures what the host measured; the exit code says what is missing
    (docs/reference/exit-codes.md)."""
    from edge_runtime.commands.selftest import selftest_lines

    for found in selftest_lines(bundle, engine, precision, engines, verbose):
        print(found, flush=True)


def main() -> None:
    """Run a command. An EdgeError becomes a message on standard error and its exit code."""
    open_standard_streams()
    report_crashes()
    try:
        app()
    except EdgeError as error:
        print(f"edge-daemon: {readable_lines(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
