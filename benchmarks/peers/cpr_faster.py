"""CPR-Faster beside anomalib 2.7's PatchCore: accuracy, time a picture, and what the build took, in one run.

    python -m benchmarks.peers.cpr_faster --data FOLDER --work FOLDER [--textures FOLDER] [--categories A B]
        [--sizes 320] [--install]

The peer, its environment and its fits are those of `patchcore.py`: same folder of `--work`, same conditions, same
metric code, both graphs in turns on one thread (here its processor time counts, see `shared/turns.py`). Same weights
(EfficientNet-Lite0, ImageNet) and input size; the peer compares its stages 3 and 5 with a bank of 1 % of the patches,
CPR-Faster is built from the recipe that `edge-build init --detector cpr-faster` prints, with `cpr.textures` if a folder
is given. With --keep, what an earlier run has built is measured again. The goal is 7 times as fast, with all four
metrics higher.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml

from benchmarks.cost.graph_cost import floor_graph, taps_looked_at
from benchmarks.peers.patchcore import PEER_PACKAGES, categories_in, fit_peer, inputs_of, peer_environment, run
from benchmarks.shared.comparison import Fitted, Row, markdown, rows_of, write_json
from benchmarks.shared.turns import open_session, time_in_turns
from edge_build.data.dataset import scan_dataset
from edge_build.recipe.input_size import Size
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import read_picture

EDGE_BUILD = Path(sys.executable).with_name("edge-build")  # of the environment that runs this
ROUNDS, PICTURES_APART = 60, 16  # of timing; every so many test pictures is taken


@dataclass(frozen=True)
class Built:
    """What a build took: wall clock, processor time, and the most memory that was in use at once.

    manifest: of the bundle that it made.
    """

    manifest: Manifest
    fitted: Fitted
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Every category at every size, then the table and what the builds took."""
    options = command_line().parse_args(arguments)
    data, work = options.data.resolve(), options.work.resolve()
    python = peer_environment(work / "peer-venv", options.install)
    rows: list[Row] = []
    builds: dict[str, Built] = {}
    for category, size, seed in product(options.categories or categories_in(data), options.sizes, options.seeds):
        label = f"{category}-{size}-{seed}"
        peer = fit_peer(data / category, size, seed, python, work / label / "peer")
        ours = build_cpr(data / category, size, seed, options, work / label / "cpr-faster")
        builds[label] = ours
        rows += measured(data / category, size, seed, [peer, ours.fitted], ours.manifest)
        if options.json:
            write_json(options.json, rows, PEER_PACKAGES)
    print(markdown(rows))
    for label, built in builds.items():
        print(
            f"{label}: built in {built.seconds:.0f} s ({built.cpu_seconds:.0f} s of processor time) on "
            f"{os.cpu_count()} cores, {built.peak_bytes / 2**30:.1f} GiB at most"
        )


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of categories in MVTec's layout")
    parser.add_argument("--work", type=Path, required=True, help="folder for the peer's environment and all results")
    parser.add_argument("--install", action="store_true", help="make the peer's environment there if it is not")
    parser.add_argument("--textures", type=Path, help="folder of pictures of surfaces")
    parser.add_argument("--categories", nargs="+", help="default: all that --data holds")
    parser.add_argument("--sizes", nargs="+", type=Size.parse, default=[Size(320, 320)])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="build so often; the table has the means")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other values of the recipe's cpr")
    parser.add_argument("--keep", action="store_true", help="do not build what is there")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    return parser


def build_cpr(category: Path, size: Size, seed: int, options: argparse.Namespace, folder: Path) -> Built:
    """Build and evaluate by this product's own commands, as a user does."""
    taken, scores = folder / "taken.json", folder / "scores.npz"
    if not (options.keep and taken.is_file()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        recipe = folder / "recipe.yaml"
        recipe.write_text(recipe_of(category, size, seed, options))
        started = time.perf_counter()
        command = [EDGE_BUILD, "build", recipe, "--out", folder / "bundles", "--json", folder / "build.json"]
        spent, peak = cost_of([str(word) for word in command])
        seconds = time.perf_counter() - started
        (bundle,) = (folder / "bundles").iterdir()
        run([EDGE_BUILD, "evaluate", bundle, category, "--json", folder / "evaluate.json", "--save-scores", scores])
        taken.write_text(json.dumps({"seconds": seconds, "cpu_seconds": spent, "peak_bytes": peak}))
    (bundle,) = (folder / "bundles").iterdir()
    summary, cost = json.loads((folder / "build.json").read_text()), json.loads(taken.read_text())
    graph, entries, dimensions = bundle / "model.fp32.onnx", summary["bank_entries"], summary["dimensions"]
    return Built(
        open_bundle(bundle).manifest, Fitted("cpr-faster", graph, scores, entries, dimensions, cost["seconds"]), **cost
    )


def recipe_of(category: Path, size: Size, seed: int, options: argparse.Namespace) -> str:
    """What `init` prints, with the size, the seed and the textures."""
    command = [str(EDGE_BUILD), "init", str(category), "--detector", "cpr-faster", "--size", str(size)]
    recipe = yaml.safe_load(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)
    recipe |= {"name": "cpr-faster", "version": "1", "dataset": str(category), "seed": seed}
    if options.textures:
        recipe["cpr"]["textures"] = str(options.textures.resolve())
    for pair in options.set:
        key, _, value = pair.partition("=")
        recipe["cpr"][key] = yaml.safe_load(value)
    return yaml.safe_dump(recipe, sort_keys=False)


def cost_of(command: list[str]) -> tuple[float, int]:
    """Processor time in seconds and the peak of memory in bytes of a command. Raises CalledProcessError."""
    print(f"[{time.strftime('%H:%M:%S')}] {' '.join(command)}", file=sys.stderr, flush=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime, peak_of(usage)


def peak_of(usage: resource.struct_rusage) -> int:
    """Bytes; Linux counts in KiB."""
    return usage.ru_maxrss * 1024


def measured(category: Path, size: Size, seed: int, fitted: list[Fitted], manifest: Manifest) -> list[Row]:
    """Metrics and times of all, in turns with the backbone alone, cut where the bundle's detector cuts it."""
    pictures = scan_dataset(category).test
    sessions = {each.name: open_session(each.graph) for each in fitted}
    sessions["backbone"] = open_session(
        floor_graph(manifest.backbone, taps_looked_at(manifest), size.height, size.width)
    )
    images = [preprocess(read_picture(picture.path), size.height, size.width) for picture in pictures[::PICTURES_APART]]
    times = time_in_turns(sessions, inputs_of(sessions, images), ROUNDS)
    median_ms = {name: taken.median for name, taken in times.items()}
    peer = times[fitted[0].name]
    for name, taken in times.items():
        ratio = f"{peer.median / taken.median:.2f} and {peer.least / taken.least:.2f} times as fast as the peer"
        print(f"{category.name} {size}, {name}: median {taken.median:.1f} ms, least {taken.least:.1f} ms, {ratio}")
    return rows_of(fitted, median_ms, category, pictures, size, seed)


if __name__ == "__main__":
    main()
