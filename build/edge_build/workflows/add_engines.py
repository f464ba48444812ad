"""`edge-build compile --rtx --compute 8.6 8.9`: engines compiled ahead of time go into a bundle, on any host.

    added = add_engines(Path("bundles/screw-1"), ("8.6", "8.9", "12.0"), None, progress)

The bundle's manifest lists them with their hashes, so that `edge-deploy pack` signs them with everything else. A bundle
is changed in place, before it is packed: its engines first, then its manifest in one rename. Whatever ends the program
in between leaves the bundle as it was, with files beside it that nobody reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from edge_build.bundling.writer import replace_manifest
from edge_build.on_device.ahead_of_time import AheadOfTime, build_ahead
from edge_build.progress import Progress
from edge_runtime.bundle.manifest import FileEntry
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.bundle.receipt import INDEX, RECEIPT
from edge_runtime.engines.tensorrt.bundled import BundledEngine, BundledEngines, bundled_engines
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.files import Durability, write_file
from edge_runtime.records import Precision


def add_engines(
    folder: Path, computes: Sequence[str], precision: Precision | None, progress: Progress
) -> tuple[BundledEngine, ...]:
    """Compile the bundle's graphs for these compute capabilities. precision: None for all that the bundle has.

    Engines that are there already for the same graph are replaced. Raises BundleError, ConfigError, StorageError, or
    CompilerRefusedError; then the bundle is as it was.
    """
    bundle = open_bundle(folder)
    if (bundle.folder / RECEIPT).exists() or folder.is_symlink():
        raise ConfigError(
            f"{folder} is installed on a device, and its files are those that were signed: put engines into the bundle "
            "that edge-build wrote, and pack and install that one"
        )
    wanted = tuple(bundle.manifest.graphs) if precision is None else (precision,)
    ordered = sorted(set(computes), key=lambda compute: tuple(map(int, compute.split("."))))
    made: dict[Precision, AheadOfTime] = {}
    for each in wanted:
        made[each] = build_ahead(bundle.graph_bytes(each), ordered)
        progress.say(f"{each.value}: compiled for compute capability {', '.join(ordered)}")
    try:
        return _write(bundle, made)
    except OSError as error:
        raise StorageError(
            f"engines cannot be written to {bundle.folder}: {error.strerror or error}; the bundle is as it was. Check "
            "the disk's free space and the rights"
        ) from error


def _write(bundle: Bundle, made: dict[Precision, AheadOfTime]) -> tuple[BundledEngine, ...]:
    files = dict(bundle.manifest.files)
    kept = [one for one in bundled_engines(bundle) if one.precision not in made]
    stale = {one.file for one in bundled_engines(bundle)} - {one.file for one in kept}
    engines = []
    (bundle.folder / INDEX).parent.mkdir(exist_ok=True)
    for precision, ahead in made.items():
        graph = bundle.graph_sha256(precision)
        engine = BundledEngine(
            file=f"engines/{precision.value}-rtx{ahead.version}-{hashlib.sha256(ahead.serialized).hexdigest()[:12]}.engine",
            precision=precision,
            graph=graph,
            version=ahead.version,
            computes=ahead.computes,
        )
        engines.append(engine)
        files[engine.file] = _written(bundle.folder / engine.file, ahead.serialized)
    index = BundledEngines(library="tensorrt-rtx", engines=tuple(kept + engines))
    for name in stale - {engine.file for engine in engines}:
        files.pop(name, None)
    files[INDEX] = _written(bundle.folder / INDEX, (index.model_dump_json(indent=1) + "\n").encode())
    replace_manifest(bundle.folder, bundle.manifest.with_changes(files=files))
    for name in stale - files.keys():
        (bundle.folder / name).unlink(missing_ok=True)
    return tuple(engines)


def _written(path: Path, content: bytes) -> FileEntry:
    """Write a file of the bundle."""
    write_file(path, content, Durability.DURABLE)
    return FileEntry(length=len(content), sha256=hashlib.sha256(content).hexdigest())
