"""What a few pictures of real defects add to CPR: the same recipe without and with them, measured on the same pictures.

    python -m benchmarks.accuracy.supervised --data DATA --category screw --work WORK [--size 320] [--seed 0] [--each 2]
        [--textures DATA/textures] [--set "steps: 600=steps: 300"]

Of each kind of defect a few pictures are drawn by the seed. They leave the test pictures of both builds; the second
build also learns from them (`cpr.defects`). A bundle that is there already is measured as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.pictures import GOOD, Picture
from edge_build.progress import progress_for_stderr
from edge_build.recipe.recipe import read_recipe
from edge_build.workflows.build import build
from edge_build.workflows.init import recipe_for
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.records import Precision

METRICS = ("image_auroc", "pixel_auroc", "aupro", "pixel_ap")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build twice and print."""
    options = command_line().parse_args(arguments)
    dataset = scan_dataset(options.data / options.category)
    drawn = draw(dataset, options.each, options.seed)
    place = options.work / f"{options.category}-{options.size}-{options.seed}"
    lay_out(dataset, drawn, place)
    changes = [tuple(change.split("=", 1)) for change in options.set]
    if options.textures:
        changes.append(("textures: null", f"textures: {json.dumps(str(options.textures.resolve()))}"))
    found = {}
    for name, defects in (("without", "null"), ("with", json.dumps(str((place / "defects").resolve())))):
        text = recipe_for(place / options.category, options.detector, options.size, progress_for_stderr())
        own = (("defects: null", f"defects: {defects}"), (f"name: {options.category}", f"name: {name}"))
        found[name] = figures_of(name, changed(text, [*changes, *own]), place)
    names = ", ".join(map(name_of, drawn))
    print(f"{len(drawn)} real defects of {options.category} at {options.size}, seed {options.seed}: {names}")
    print("| real defects | image AUROC | pixel AUROC | AUPRO | pixel AP |\n|---|---:|---:|---:|---:|")
    for name, four in found.items():
        print(f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in four) + " |")
    difference = [100 * (b - a) for a, b in zip(found["without"], found["with"], strict=True)]
    print("| difference | " + " | ".join(f"{value:+.1f}" for value in difference) + " |")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--category", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--detector", default="cpr-faster")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=2, help="pictures to draw of each kind")
    parser.add_argument("--textures", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="OLD=NEW", help="a change of the recipe's text")
    return parser


def changed(text: str, changes: Iterable[tuple[str, ...]]) -> str:
    """A recipe with other values. Exits when it does not hold an old one."""
    for old, new in changes:
        if old not in text:
            raise SystemExit(f"the recipe has no {old!r}")
        text = text.replace(old, new)
    return text


def draw(dataset: Dataset, each: int, seed: int) -> list[Picture]:
    """So many pictures of each kind of defect, in name order."""
    random, drawn = np.random.default_rng(seed), []
    for kind in sorted({picture.label for picture in dataset.test} - {GOOD}):
        pictures = [picture for picture in dataset.test if picture.label == kind]
        chosen = random.permutation(len(pictures))[:each]
        drawn += [pictures[index] for index in sorted(chosen)]
    return drawn


def lay_out(dataset: Dataset, drawn: list[Picture], place: Path) -> None:
    """Links to all pictures but those drawn in `place/<category>`, and to these in `place/defects`."""
    for picture in (*dataset.good, *dataset.test):
        if picture in drawn:
            link(picture.path, place / "defects/pictures" / picture.label / picture.path.name)
            if picture.mask:
                link(picture.mask, place / "defects/masks" / picture.label / picture.mask.name)
            continue
        link(picture.path, place / dataset.name / picture.path.relative_to(dataset.root))
        if picture.mask:
            link(picture.mask, place / dataset.name / picture.mask.relative_to(dataset.root))


def link(file: Path, place: Path) -> None:
    """A symbolic link, unless it is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(file.resolve())


def figures_of(name: str, text: str, place: Path) -> tuple[float, ...]:
    """The four metrics of a recipe's bundle, which is built unless it is there."""
    if not (place / f"{name}-1").exists():
        path = place / f"{name}.yaml"
        path.write_text(text)
        build(read_recipe(path), text, place, progress_for_stderr())
    figures = open_bundle(place / f"{name}-1").manifest.figures[Precision.FP32]
    return tuple(getattr(figures, metric) or 0.0 for metric in METRICS)


def name_of(picture: Picture) -> str:
    """Kind and number, such as `dent/003`."""
    return f"{picture.label}/{picture.path.stem}"


if __name__ == "__main__":
    main()
