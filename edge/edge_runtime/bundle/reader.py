"""Opening a bundle: every length and hash is checked before anything is parsed or served.

bundle = open_bundle(Path("bundles/screw-1"))
with OnnxruntimeEngine(bundle.graph_bytes(Precision.FP32)) as engine: ...
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pydantic

from edge_runtime.bundle.external_data import has_external_data
from edge_runtime.bundle.manifest import GraphEntry, Manifest, Threshold
from edge_runtime.bundle.manifest_digest import digest_of
from edge_runtime.bundle.trust import Trust, require_signature
from edge_runtime.bundle.trusted_key import TrustedKey
from edge_runtime.bundle.verified_file import REBUILD, read_at_most, read_verified, verify_file
from edge_runtime.errors import BundleError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import view_from_files
from edge_runtime.records import Precision

Parsed = TypeVar("Parsed", bound=pydantic.BaseModel)

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are all there and unchanged. `folder` is where they are. manifest_sha256: of the bytes of
    `manifest.json` that were read. signer: the key that signed these; None: no signature was asked for."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    signer: TrustedKey | None = None

    @property
    def label(self) -> str:
        """Its manifest's."""
        return self.manifest.label

    def graph(self, precision: Precision) -> Path:
        """The ONNX file of a precision. Raises BundleError when the bundle has no such graph."""
        return self.folder / self._entry(precision).file

    def graph_bytes(self, precision: Precision) -> bytes:
        """The content of that file. Raises BundleError likewise, and when it was changed since."""
        return self.read(self._entry(precision).file)

    def graph_sha256(self, precision: Precision) -> str:
        """The hash of that file, as the manifest has it. Raises BundleError likewise."""
        return self.manifest.files[self._entry(precision).file].sha256

    def threshold(self, precision: Precision) -> Threshold:
        """The threshold that was set on that precision's own graph. Raises BundleError when there is no such graph."""
        return self._entry(precision).threshold

    def record(self, file: str, kind: type[Parsed], what: str) -> Parsed:
        """What a JSON file of the bundle says. Raises BundleError when it `is not {what}`."""
        return _parse(self.read(file), kind, self.folder / file, what)

    def viewer(self) -> FrameViewer:
        """What the model sees of a frame. Raises BundleError for a file of the view that is not what it should be."""
        manifest = self.manifest
        return FrameViewer(view_from_files(manifest.view, manifest.height, manifest.width, self.read))

    def read(self, file: str) -> bytes:
        """The content of a file of the bundle, verified as it is read. Raises BundleError when it was changed since the
        bundle was opened, or is not listed in the manifest."""
        entry = self.manifest.files.get(file)
        if entry is None:
            raise BundleError(f"{self.folder / MANIFEST} does not list {file}; {REBUILD}")
        return read_verified(self.folder / file, entry)

    def _entry(self, precision: Precision) -> GraphEntry:
        entry = self.manifest.graphs.get(precision)
        if entry is None:
            found = ", ".join(p.value for p in self.manifest.graphs)
            raise BundleError(f"bundle {self.label} has no {precision.value} graph, only {found}: choose one of these")
        return entry


def open_bundle(folder: Path, trust: Trust | None = None) -> Bundle:
    """Read the manifest and check every file against it. trust: who must have signed it; None: nobody.

    Raises BundleError.
    """
    _require_active(folder)
    folder = folder.resolve()  # `active` of edge-deploy is a link that may point elsewhere while this bundle serves
    manifest, content, signer = _verified_manifest(folder, trust)
    _check_files(folder, manifest)
    return Bundle(folder, manifest, hashlib.sha256(content).hexdigest(), signer)


def read_manifest(folder: Path, trust: Trust | None = None) -> Manifest:
    """Read `manifest.json` alone, without looking at the other files. Raises BundleError."""
    return _verified_manifest(folder, trust)[0]


def _verified_manifest(folder: Path, trust: Trust | None) -> tuple[Manifest, bytes, TrustedKey | None]:
    """The manifest, the bytes that it was parsed from, and who signed them: verified first, parsed then."""
    content, signer = _read_manifest(folder), None
    if trust is not None:
        signer = trust.verify(content, require_signature(folder), str(folder))
    manifest = _manifest_from(content, folder / MANIFEST)
    if trust is not None:
        trust.require_not_revoked(manifest.label, str(folder))
    return manifest, content, signer


def _read_manifest(folder: Path) -> bytes:
    path = folder / MANIFEST
    try:
        content = read_at_most(path, MOST_MANIFEST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        _require_active(folder)
        if not folder.is_dir():
            raise BundleError(
                f"{folder}: there is no such folder; correct the path, or copy the bundle there"
            ) from None
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}; {REBUILD}") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; check the disk and the rights") from error
    if len(content) > MOST_MANIFEST_BYTES:
        raise BundleError(f"{path} has more than {MOST_MANIFEST_BYTES} bytes, so it is no manifest; {REBUILD}")
    return content


def _manifest_from(content: bytes, path: Path) -> Manifest:
    manifest = _parse(content, Manifest, path, "a manifest of schema version 1")
    if manifest.digest not in (None, digest_of(content)):
        raise BundleError(f"{path} is not the file that was built: its digest differs; {REBUILD}")
    if manifest.preprocessing != PREPROCESSING:
        raise BundleError(
            f"{path}: the bundle was built with preprocessing {manifest.preprocessing!r}, this device has "
            f"{PREPROCESSING!r}, and scores would differ: install the same version on host and device"
        )
    return manifest


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _parse(text: bytes, kind: type[Parsed], path: Path, what: str) -> Parsed:
    try:
        return kind.model_validate_json(text)
    except pydantic.ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:5])
        raise BundleError(f"{path} is not {what}: {places}; {REBUILD}") from error


def _require_active(folder: Path) -> None:
    """Raises BundleError when this is where a store of edge-deploy has its link, and the link is missing or broken."""
    store, bundles = folder.parent, folder.parent / "bundles"
    try:
        if folder.name != "active" or folder.exists() or not bundles.is_dir():
            return
        what = f"leads to {folder.readlink()}, which is not there" if folder.is_symlink() else "is missing"
        installed = ", ".join(sorted(path.name for path in bundles.iterdir() if path.is_dir())) or "none"
    except OSError:  # reported when the manifest is read
        return
    raise BundleError(
        f"{folder}, the link to the active bundle, {what}: `edge-deploy activate NAME-VERSION --store {store}` makes "
        f"it; installed: {installed}"
    )


def _check_files(folder: Path, manifest: Manifest) -> None:
    needed = {graph.file for graph in manifest.graphs.values()} | {
        file
        for precision in manifest.graphs
        for golden in manifest.golden_of(precision)
        for file in (golden.picture, golden.anomaly_map)
    }
    needed |= set(manifest.view.files) if manifest.view is not None else set()
    if unlisted := sorted(needed - manifest.files.keys()):
        raise BundleError(
            f"{folder / MANIFEST} uses {', '.join(unlisted)} but does not list them in `files`; {REBUILD}"
        )
    graphs = {graph.file for graph in manifest.graphs.values()}
    for name, entry in manifest.files.items():
        if name in graphs:
            _refuse_external_data(folder / name, read_verified(folder / name, entry))
        else:
            verify_file(folder / name, entry)


def _refuse_external_data(path: Path, graph: bytes) -> None:
    """Raises BundleError for a graph with weights in files of their own, which an engine would read unverified."""
    try:
        if not has_external_data(graph):
            return
    except ValueError:  # no ONNX at all: an engine says more about that
        return
    raise BundleError(
        f"{path} keeps weights in other files (ONNX external data), which no hash of the manifest covers: it is not "
        f"loaded; {REBUILD}"
    )
