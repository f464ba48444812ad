"""All that a build's result depends on, as names and values: what binds a checkpoint to its build.

provenance = provenance_of(recipe, thorough=False, dataset=dataset, builder="edge-build 0.1.0 (torch 2.13.0)")
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from edge_build.checkpoint import Dependency
from edge_build.data.dataset import Dataset, fingerprint
from edge_build.recipe.recipe import Recipe


def provenance_of(recipe: Recipe, thorough: bool, dataset: Dataset, builder: str) -> list[Dependency]:
    """Every key of the recipe, the pictures by their hashes, what folders it names hold, and who builds.

    Paths do not count, what is there does: a build may go on after its data was moved.
    """
    return [
        *_keys(recipe, "", {"dataset"}),
        Dependency("--thorough", json.dumps(thorough)),
        Dependency("pictures", fingerprint(dataset)),
        Dependency("built by", builder),
    ]


def _keys(settings: BaseModel, prefix: str, left_out: set[str]) -> Iterator[Dependency]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name in left_out:
            continue
        if isinstance(value, BaseModel):
            yield from _keys(value, f"{prefix}{name}.", set())
        else:
            yield Dependency(prefix + name, _listing(value) if isinstance(value, Path) else json.dumps(value))


def _listing(folder: Path) -> str:
    """A hash of the names and lengths of a folder's files, and how many there are; of a file its length."""
    if folder.is_file():
        return f"{folder.stat().st_size} bytes"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = "".join(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n" for path in files)
    return f"{len(files)} files {hashlib.sha256(lines.encode()).hexdigest()[:16]}"
