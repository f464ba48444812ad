"""A first recipe for a folder of pictures: what was found there, and every key with its default and its meaning.

print(recipe_for(Path("screw")))
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel

from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.pictures import GOOD
from edge_build.progress import Progress, SilentProgress
from edge_build.recipe.detector_settings import BankSettings
from edge_build.recipe.recipe import Recipe, recipe_from_yaml, usual_threshold
from edge_build.views.learn import Proposal, propose_view
from edge_build.workflows.recommendation import USUAL_SIDE, WIDEST, recommendation_of, suggested_size
from edge_runtime.strict_yaml.problems import allowed, meaning
from edge_runtime.strict_yaml.unknown_key import settings_of

EDITOR = (
    "An editor checks it as you type once `edge-build schema > recipe.schema.json` has put its schema beside it.",
    "yaml-language-server: $schema=recipe.schema.json",
)
_COMMENTS_AT = 36


def recipe_for(
    root: Path,
    detector: str = "combined",
    size: int | tuple[int, int] | None = None,
    progress: Progress | None = None,
    all_good: bool = False,
) -> str:
    """A recipe in YAML that `read_recipe` takes, for the pictures in `root`; size is N or (height, width).

    `dataset` is absolute: where the recipe will be kept is not known. The name is that of the folder as it was given.
    Raises DatasetError for pictures that cannot be used, ConfigError for a detector or size that is not allowed.
    """
    dataset = scan_dataset(root, progress, all_good=all_good)
    if progress is not None and (problem := _shapes(dataset)):
        progress.say(problem)
    asked = USUAL_SIDE if size is None else _one_side(size)
    proposal = propose_view(dataset.good, asked, progress or SilentProgress())
    proposed = proposal.size or suggested_size(dataset)
    model = Recipe.model_construct(
        name=_name(dataset.name),
        version="1",
        dataset=root.resolve(),
        all_good=all_good,
        detector=detector,  # checked at the end, with all else
        size=_one_side(proposed if size is None else size),
        view=proposal.settings,
        threshold=usual_threshold(detector),
    )
    left_out = {"combined": ("patchcore",), "patchcore": ("cpr", "combined")}.get(detector, ("patchcore", "combined"))
    comments = (f"# {line}".rstrip() for line in [*_found(dataset, model, proposal), "", *EDITOR])
    text = "\n".join([*comments, "", *_keys(model, 0, left_out), ""])
    recipe_from_yaml(text, Path("the new recipe"))
    return text


def _found(dataset: Dataset, recipe: Recipe, proposal: Proposal) -> list[str]:
    """What the pictures are, and what follows from it, for the top of the recipe."""
    labels = Counter(picture.label for picture in dataset.test)
    defects = {label: count for label, count in sorted(labels.items()) if label != GOOD}
    several = len(dataset.sizes) > 1
    sizes = ", ".join(f"{s.width} x {s.height}" + f" ({s.pictures})" * several for s in dataset.sizes[:3])
    more = f" and {len(dataset.sizes) - 3} more sizes" if len(dataset.sizes) > 3 else ""
    lines = [
        f"Found in {dataset.root} ({dataset.layout}):",
        f"  {len(dataset.good)} good pictures to learn from",
        f"  size (width x height): {sizes}{more}; {'grey' if dataset.grey else 'colour'}",
    ]
    if dataset.test:
        kinds = ", ".join(f"{count} {label}" for label, count in defects.items())
        lines.append(f"  {len(dataset.test)} test pictures: {labels[GOOD]} good" + (f", {kinds}" if kinds else ""))
        if defects:
            masks = "all defects have masks" if dataset.has_masks else "no masks, so no pixel metrics"
            lines.append(f"  {masks}")
    else:
        lines.append("  no test pictures: nothing will be measured, but a threshold needs none")
    lines += [f"  {line}" for note in dataset.notes for line in note.splitlines()]
    if problem := _shapes(dataset):
        lines += ["", *problem.splitlines()]
    lines += ["", *textwrap.wrap(f"view: {proposal.why}", WIDEST)]
    return [*lines, "", *recommendation_of(dataset, recipe)]


def _shapes(dataset: Dataset) -> str | None:
    """What is wrong with the shapes of the good pictures, and what a build says to that."""
    if dataset.shapes is None:
        return None
    return f"{'`edge-build build` refuses this' if dataset.shapes.refuse else 'warning'}: {dataset.shapes.text}"


def _keys(settings: BaseModel, depth: int, without: Collection[str] = ()) -> list[str]:
    """The lines of all keys but some, with their comments; those of the other way to say the same are commented out."""
    lines = []
    for name, field in type(settings).model_fields.items():
        if name in without:
            continue
        value = getattr(settings, name)
        comment = f"{meaning(field)} ({allowed(field)})" if settings_of(field) is None else meaning(field)
        if isinstance(value, BaseModel):
            inner = _keys(value, depth + 1)
            lines += [f"{'  ' * depth}{name}:".ljust(_COMMENTS_AT) + f"# {comment}", *inner]
            continue
        left_out = value is None and isinstance(settings, BankSettings)
        key = f"{'  ' * depth}{'# ' if left_out else ''}{name}: {'N' if left_out else _yaml(name, value)}"
        lines.append(f"{key.ljust(_COMMENTS_AT - 1)} # {comment}")
    return lines


def _yaml(name: str, value: object) -> str:
    if isinstance(value, tuple):
        same = name == "size" and value[0] == value[1]
        return str(value[0]) if same else f"[{', '.join(str(item) for item in value)}]"
    if isinstance(value, Path):
        plain = re.fullmatch(r"[\w./][\w./-]*", str(value))
        return str(value) if plain else json.dumps(str(value), ensure_ascii=False)
    if name == "version":
        return json.dumps(value)  # otherwise editors take it for a number
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _one_side(size: int | tuple[int, int]) -> int | tuple[int, int]:
    """N for N x N, as recipes say it."""
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


def _name(folder: str) -> str:
    """The folder's name with what a bundle's name may have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder).strip("-_")[:40] or "inspection"
