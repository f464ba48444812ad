"""`edge-build`: from pictures of good parts to a bundle. Only `main()` picks an exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from edge_build.progress import progress_for_stderr
from edge_build.recipe.input_size import Size
from edge_runtime.engines.protocol import ENGINES, EngineKind
from edge_runtime.engines.tensorrt.implicit_int8 import Calibrator
from edge_runtime.errors import EX_CONFIG, ConfigError, EdgeError
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.program import VersionOption, open_standard_streams, report_crashes
from edge_runtime.records import Precision

HOST_PACKAGES = {"torch", "onnx", "sklearn", "scipy", "jinja2"}  # the extra `host`: a device has none of them

app = typer.Typer(help="Learn what good parts look like, and pack it for the line.", no_args_is_help=True)
EnginesFolder = Annotated[
    Path, typer.Option(metavar="DIR", help="Where this device keeps its compiled engines; not inside a bundle.")
]
PageOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page that shows it, too.")]
INTERRUPTED = 130  # what typer makes of Ctrl-C


class DetectorName(str, Enum):
    """What can learn."""

    COMBINED = "combined"
    PATCHCORE = "patchcore"
    CPR_FASTER = "cpr-faster"
    CPR_FAST = "cpr-fast"
    CPR = "cpr"


@app.callback()
def options(version: VersionOption = False) -> None:
    """What every command takes; the help is the app's."""


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to put it; must not exist or be empty.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed: same pictures.")] = 0,
) -> None:
    """Render a sample dataset: machined parts, six kinds of defects, exact masks."""
    from edge_build.sample.dataset import SampleCounts, make_sample

    make_sample(folder, seed, SampleCounts(), progress_for_stderr())


@app.command()
def init(
    dataset: Annotated[Path, typer.Argument(help="A folder of good pictures, or one in MVTec's layout.")],
    detector: Annotated[DetectorName, typer.Option(help="What learns.")] = DetectorName.COMBINED,
    size: Annotated[
        str | None,
        typer.Option(metavar="N|HxW", help="The model's input, height x width; default: from the pictures."),
    ] = None,
    all_good: Annotated[
        bool, typer.Option("--all-good", help="Every picture shows a good part, whatever folders are called.")
    ] = False,
) -> None:
    """Look at a folder of pictures and print a commented recipe."""
    from edge_build.workflows.init import recipe_for

    wanted = None if size is None else _size(size)
    print(recipe_for(dataset, detector.value, wanted, progress_for_stderr(), all_good), end="")


def _size(text: str) -> tuple[int, int]:
    """Height and width. typer's own `parser` would put "Value error" before the reason."""
    try:
        size = Size.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--size'") from error
    return size.height, size.width


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    from edge_build.recipe.recipe import recipe_json_schema

    print(json.dumps(recipe_json_schema(), indent=2))


@app.command()
def view(
    recipe: Annotated[Path, typer.Argument(help="The recipe, as `edge-build init` prints one.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("view.html"),
    edit: Annotated[
        bool, typer.Option("--edit", help="Draw region and ignored areas in the browser, and save them in the recipe.")
    ] = False,
) -> None:
    """Show what the detector will see of the good pictures, in seconds and without training."""
    if edit:
        _edit_view(recipe)
        return
    from edge_build.recipe.recipe import read_recipe

    followed = read_recipe(recipe)

    from edge_build.workflows.show_view import show_view

    print(show_view(followed, out, progress_for_stderr()))


def _edit_view(recipe: Path) -> None:
    from edge_build.workflows.edit_view import edit_view

    def opened(url: str) -> None:
        print(f"Open {url} in a browser on this machine; Ctrl-C ends without saving", flush=True)
        if sys.stderr.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            typer.launch(url)

    changed = edit_view(recipe, progress_for_stderr(), opened)
    what = ", ".join(f"view.{key}" for key in changed or ())
    print(f"{recipe}: {what} changed" if what else f"{recipe} stays as it is")


@app.command()
def build(
    recipe: Annotated[Path, typer.Argument(help="The recipe, as `edge-build init` prints one.")],
    out: Annotated[Path, typer.Option(help="Folder of bundles; the new one is OUT/<name>-<version>.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a build that was interrupted.")] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Train up to six times as long, with fresh made-up pictures.")
    ] = False,
    exclude_suspects: Annotated[
        bool, typer.Option("--exclude-suspects", help="Leave out good pictures that do not look like the others.")
    ] = False,
) -> None:
    """Learn from the recipe's pictures and write a bundle, with its report."""
    from edge_build.recipe.recipe import read_recipe

    followed = read_recipe(recipe)  # refused before the slow imports

    from edge_build.evaluation.summary_text import outcome_text
    from edge_build.workflows.build import build as build_bundle

    text, progress = recipe.read_text(encoding="utf-8"), progress_for_stderr()
    built = build_bundle(
        followed, text, out, progress, resume=resume, thorough=thorough, exclude_suspects=exclude_suspects
    )
    _write_json(json_file, built)
    if built.figures is not None:
        progress.say(outcome_text(built.figures, built.not_judged))
    print(built.folder)


@app.command()
def calibrate(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder; it stays as it is.")],
    version: Annotated[str, typer.Option(help="Version of the new bundle.")],
    out: Annotated[Path, typer.Option(help="Folder of bundles; the new one is OUT/<name>-<version>.")],
    pictures: Annotated[
        Path | None,
        typer.Argument(help="Good pictures from the line, not learned from; without them only the rate changes."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--false-reject", min=1e-4, max=0.5, help="Share of good parts that may be rejected; default: the bundle's."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
) -> None:
    """Without learning: calibrate INT8, set thresholds and limits of frames on new pictures, or another rate."""
    from edge_build.workflows.change_rate import set_rate
    from edge_build.workflows.recalibrate import recalibrate

    progress = progress_for_stderr()
    if pictures is not None:
        made = recalibrate(bundle, pictures, version, out, progress, rate)
    elif rate is not None:
        made = set_rate(bundle, rate, version, out, progress)
    else:
        raise typer.BadParameter("give pictures, another rate (--false-reject), or both", param_hint="'PICTURES'")
    _write_json(json_file, made)
    print(made.folder)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    dataset: Annotated[
        Path | None, typer.Argument(help="A dataset with test pictures; or name the folders with --good and --defects.")
    ] = None,
    good: Annotated[Path | None, typer.Option(metavar="DIR", help="Pictures of good parts to measure.")] = None,
    defects: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Pictures of defects to measure; may be given again.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(metavar="DIR", help="The defects' masks, by the same names.")] = None,
    engine: Annotated[EngineKind, typer.Option(help="What measures; auto: TensorRT where it works.")] = (
        EngineKind.ONNXRUNTIME
    ),
    engines: EnginesFolder = ENGINES,
    precision: Annotated[Precision, typer.Option(help="Which graph of the bundle.")] = Precision.FP32,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the engine; 0: one per core.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
    save_scores: Annotated[Path | None, typer.Option(help="Write scores and maps to this .npz.")] = None,
    page: PageOption = None,
) -> None:
    """Measure a bundle on test pictures: metrics, misses, false rejects, latency."""
    from edge_build.data.layouts.named import NamedFolders
    from edge_build.evaluation.summary_text import summary_text
    from edge_build.workflows.evaluate import WantedEngine, WantedFiles, evaluate_bundle, require_judged

    named = NamedFolders(good, tuple(defects or ()), masks)
    if (dataset is None) is not bool(named):
        raise typer.BadParameter(
            "give a dataset, or folders of pictures (--good, --defects), and not both", param_hint="'DATASET'"
        )
    pictures = named if dataset is None else dataset
    wanted = WantedEngine(engine, precision, engines, threads)
    files = WantedFiles(save_scores, page)
    summary = evaluate_bundle(bundle, pictures, wanted, progress_for_stderr(), files)
    _write_json(json_file, summary)
    print(summary_text(summary))
    require_judged(summary, bundle, pictures)


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="The bundles' folders, two or more.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset with test pictures, good ones and defects.")],
    rate: Annotated[
        float, typer.Option("--false-reject", min=0, max=0.5, help="Share of good pictures that each may reject.")
    ] = 0.05,
    engine: Annotated[EngineKind, typer.Option(help="What measures; auto: TensorRT where it works.")] = (
        EngineKind.ONNXRUNTIME
    ),
    engines: EnginesFolder = ENGINES,
    precision: Annotated[Precision, typer.Option(help="Which graph of the bundles.")] = Precision.FP32,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the engine; 0: one per core.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws that intervals come from.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the comparison to this file.")] = None,
    page: PageOption = None,
) -> None:
    """Measure bundles side by side: paired intervals, kinds of defects, at equal false rejects."""
    from edge_build.evaluation.comparison_text import comparison_text
    from edge_build.workflows.compare import compare_bundles
    from edge_build.workflows.evaluate import WantedEngine

    wanted = WantedEngine(engine, precision, engines, threads)
    comparison = compare_bundles(bundles, dataset, wanted, rate, seed, progress_for_stderr(), page)
    _write_json(json_file, comparison)
    print(comparison_text(comparison))


@app.command()
def judge(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    engine: Annotated[EngineKind, typer.Option(help="What measures; auto: TensorRT where it works.")] = (
        EngineKind.ONNXRUNTIME
    ),
    engines: EnginesFolder = ENGINES,
    precision: Annotated[Precision, typer.Option(help="Which graph of the bundle.")] = Precision.FP32,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the engine; 0: one per core.")] = 0,
    page: PageOption = None,
) -> None:
    """Judge pictures as a station would, without labels: verdict, score, regions, reason."""
    from edge_build.workflows.evaluate import WantedEngine
    from edge_build.workflows.judge import judge_pictures, judged_text, require_readable

    wanted = WantedEngine(engine, precision, engines, threads)
    judged = judge_pictures(bundle, pictures, wanted, progress_for_stderr(), page)
    print(judged_text(judged))
    require_readable(judged)


@app.command("compile")
def compile_bundle(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    precision: Annotated[Precision | None, typer.Option(help="Which graph; default: every one of the bundle.")] = None,
    workspace: Annotated[
        int, typer.Option(metavar="MB", min=16, help="What the compiler may use to try out kernels.")
    ] = 1024,
    timing_cache: Annotated[bool, typer.Option(help="Remember what was tried, for the next graph.")] = True,
    implicit_calibration: Annotated[
        Calibrator | None,
        typer.Option(help="With --precision int8, on TensorRT 8 and 10: calibrate the FP32 graph, without Q/DQ pairs."),
    ] = None,
    calibration_pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Feed TensorRT the bundle's calibration set from here; default: use its ranges."
        ),
    ] = None,
    rtx: Annotated[bool, typer.Option("--rtx", help="By TensorRT-RTX, which pip installs on a PC.")] = False,
    compute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N.N...",
            help="With --rtx, on any host: compile ahead of time for these compute capabilities, into the bundle.",
        ),
    ] = None,
    engines: EnginesFolder = ENGINES,
) -> None:
    """On the device: compile a bundle's graphs for its GPU, and prove the engines on the golden pictures."""
    if compute:
        _compile_ahead(bundle, precision, compute, rtx)
        return
    from edge_build.on_device.child_process import ChildFailedError
    from edge_build.on_device.compile import Settings
    from edge_build.on_device.compile_bundle import WantedEngines
    from edge_build.on_device.compile_bundle import compile_bundle as compile_on_device
    from edge_runtime.engines.tensorrt.library import Library

    wanted = WantedEngines(
        bundle,
        engines,
        precision,
        Library.TENSORRT_RTX if rtx else Library.TENSORRT,
        Settings(workspace, timing_cache),
        implicit_calibration,
        calibration_pictures,
    )
    try:
        compile_on_device(wanted, progress_for_stderr(), print)
    except ChildFailedError as failed:  # it printed why
        raise typer.Exit(failed.exit_code) from None


def _compile_ahead(bundle: Path, precision: Precision | None, computes: list[str], rtx: bool) -> None:
    from edge_build.workflows.add_engines import add_engines

    if not rtx:
        raise ConfigError("--compute is for --rtx: TensorRT itself compiles on the device alone, without --compute")
    for engine in add_engines(bundle, computes, precision, progress_for_stderr()):
        print(f"{bundle / engine.file}: for compute capability {', '.join(engine.computes)}, "
              f"TensorRT-RTX {engine.version}")  # fmt: skip
    print("A device loads them once it has the bundle from `edge-deploy pack` and `edge-deploy install`")


@app.command("inspect")
def inspect_file(
    what: Annotated[Path, typer.Argument(metavar="BUNDLE|ENGINE", help="A bundle's folder, or a compiled engine.")],
    compile_too: Annotated[
        bool, typer.Option("--compile", help="Put a bundle's graphs through NVIDIA's compiler, which needs no GPU.")
    ] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Every layer of an engine.")] = False,
) -> None:
    """Say what graphs or an engine are made of: layers, precisions, sizes, and what TensorRT would refuse."""
    if what.is_file():
        from edge_build.on_device.inspect_engine import engine_text
        from edge_runtime.bundle.device_seal import machine_id
        from edge_runtime.engines.tensorrt.stack import find_nvidia

        print(engine_text(what, find_nvidia, machine_id(), layers))
    else:
        from edge_build.workflows.inspect_bundle import bundle_text
        from edge_runtime.bundle.reader import open_bundle

        print(bundle_text(open_bundle(what), compile_too))


def _write_json(path: Path | None, record: BaseModel) -> None:
    """What `--json` asks for."""
    if path is not None:
        with storage_errors(path):
            write_file(path, (record.model_dump_json(indent=2) + "\n").encode(), Durability.ATOMIC)


def repeat_option(option: str, arguments: Sequence[str]) -> list[str]:
    """Lets an option take several numbers: `--compute 8.6 8.9` becomes `--compute 8.6 --compute 8.9`."""
    repeated: list[str] = []
    for argument in arguments:
        another = re.fullmatch(r"\d+\.\d+", argument) and len(repeated) > 1 and repeated[-2] == option
        repeated += [option, argument] if another else [argument]
    return repeated


def main() -> None:
    """Run the command line; errors of the world outside become one message and an exit code."""
    open_standard_streams()
    report_crashes()
    # Read when torch is imported: its threads wait asleep instead of spinning, seven times as fast on a busy host.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: what is half-written is removed
    try:
        app(repeat_option("--compute", sys.argv[1:]))
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("edge-build: interrupted; what was half-written is removed", file=sys.stderr)
        raise
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in HOST_PACKAGES:
            raise
        print(f"edge-build: {error.name} is not installed: pip install '.[host]' on the workstation", file=sys.stderr)
        sys.exit(EX_CONFIG)
    except EdgeError as error:
        print(f"edge-build: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
