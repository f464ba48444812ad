"""The `.edgebundle` file: a bundle as one signed tar that has exactly one valid form.

Members, in this order: `manifest.sig` (64 bytes, Ed25519 over the bytes of `manifest.json`), `manifest.json`, then
every file that it lists, sorted. All are plain files with mode 0644, owner 0 and time 0; two empty blocks end the file.

So the manifest says what every byte must be, but for the contents, whose hashes it lists. Reading needs no tar parser:
each header is compared with the one that packing would have written. Links, devices, paths that climb out, sizes that
lie and members that nobody signed are all the same thing, a header that differs. Any tar program can read the file.

    pack_bundle(Path("bundles/screw-1"), key, Path("screw-1.edgebundle"))
    with open_archive(Path("screw-1.edgebundle"), trust) as archive:
        archive.unpack(folder)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydantic

from edge_deploy.keys import SigningKey
from edge_deploy.tar_header import BLOCK, LENGTH_FIELD, MAX_LENGTH, MAX_NAME, header_for, padded, what_header_says
from edge_runtime.bundle.manifest import FileEntry, Manifest
from edge_runtime.bundle.reader import MANIFEST, MOST_MANIFEST_BYTES, open_bundle
from edge_runtime.bundle.receipt import RECEIPT
from edge_runtime.bundle.trust import SIGNATURE, Trust
from edge_runtime.bundle.trusted_key import SIGNATURE_BYTES, TrustedKey
from edge_runtime.errors import BundleError
from edge_runtime.files import Durability, make_folder, replaced_file, storage_errors

END = bytes(2 * BLOCK)
COPY_AGAIN = "copy it again from where it was packed"


@dataclass(frozen=True)
class Archive:
    """An open `.edgebundle` whose manifest a trusted key signed; its files are checked as they are unpacked."""

    path: Path
    manifest: Manifest
    manifest_bytes: bytes
    signature: bytes
    signer: TrustedKey
    _file: BinaryIO  # owned by open_archive()

    @property
    def label(self) -> str:
        """Name and version: what the bundle is called in a store."""
        return self.manifest.label

    def unpack(self, folder: Path) -> None:
        """Write the bundle into a new folder, checked, readable for all and synced but for the folders' own names.

        Works once for each opening. Raises BundleError when a file is not what was signed; the caller owns what is
        left in the folder then.
        """
        make_folder(folder)
        self._read_files(lambda name: _new_file(folder / name))
        self.leave_signature(folder)
        with _new_file(folder / MANIFEST) as target:  # last: a folder with a manifest is a whole bundle
            target.write(self.manifest_bytes)

    def leave_signature(self, folder: Path) -> None:
        """Write it beside the manifest, where a station that requires one looks for it."""
        with _new_file(folder / SIGNATURE) as target:
            target.write(self.signature)

    def verify(self) -> None:
        """Read all of it and write nothing. Works once for each opening, and raises BundleError, as `unpack`."""
        with Path(os.devnull).open("wb") as nowhere:
            self._read_files(lambda name: nullcontext(nowhere))

    def _read_files(self, open_target: Callable[[str], AbstractContextManager[BinaryIO]]) -> None:
        for name, entry in sorted(self.manifest.files.items()):
            self._expect_header(name, entry.length)
            with open_target(name) as target:
                _copy_checked(self._file, target, entry, f"{self.path}: {name} inside", COPY_AGAIN)
            self._expect_zeros(padded(entry.length) - entry.length, f"after {name}")
        self._expect_zeros(len(END), "at its end")

    def _expect_header(self, name: str, length: int) -> None:
        found = self._file.read(BLOCK)
        if found != header_for(name, length):
            raise BundleError(
                f"{self.path}: where the signed manifest has the file {name!r} of {length} bytes there is "
                f"{what_header_says(found)}: it was changed after packing; do not use it, {COPY_AGAIN}"
            )

    def _expect_zeros(self, length: int, place: str) -> None:
        if self._file.read(length) != bytes(length):
            raise BundleError(f"{self.path} has other bytes than zeros {place}: it was changed; {COPY_AGAIN}")


def pack_bundle(folder: Path, key: SigningKey, out: Path) -> Manifest:
    """Verify a bundle and write it, signed, to `out`. The same bundle and key give the same bytes.

    Raises BundleError for a bundle that is not whole, StorageError when `out` cannot be written.
    """
    open_bundle(folder)
    with storage_errors(folder):
        manifest_bytes = (folder / MANIFEST).read_bytes()
    manifest = _manifest_from_bytes(manifest_bytes, folder / MANIFEST)
    with storage_errors(out), replaced_file(out, Durability.DURABLE, 0o644) as target:
        for name, content in ((SIGNATURE, key.sign(manifest_bytes)), (MANIFEST, manifest_bytes)):
            target.write(header_for(name, len(content)) + content.ljust(padded(len(content)), b"\0"))
        for name, entry in sorted(manifest.files.items()):
            target.write(header_for(name, entry.length))
            with storage_errors(folder):
                source = (folder / name).open("rb")
            with source:
                _copy_checked(source, target, entry, str(folder / name), "leave the bundle alone while it is packed")
            target.write(bytes(padded(entry.length) - entry.length))
        target.write(END)
    return manifest


@contextmanager
def open_archive(path: Path, trust: Trust) -> Iterator[Archive]:
    """Open an `.edgebundle`; nothing in it is interpreted before the signature was accepted. Raises BundleError."""
    if not path.is_file():
        raise BundleError(f"there is no file {path}: give the .edgebundle file that pack wrote")
    with storage_errors(path):
        file = path.open("rb")
    with file:
        with storage_errors(path):
            signature, manifest_bytes = _read_signed_part(path, file)
            size = os.fstat(file.fileno()).st_size
        signer = trust.verify(manifest_bytes, signature, str(path))
        manifest = _manifest_from_bytes(manifest_bytes, path)
        trust.require_not_revoked(manifest.label, str(path))
        expected = _archive_length(manifest, len(manifest_bytes))
        if size != expected:
            raise BundleError(f"{path} has {size} bytes, its signed manifest asks for {expected}: {COPY_AGAIN}")
        archive = Archive(path, manifest, manifest_bytes, signature, signer, file)
        archive._expect_zeros(padded(len(manifest_bytes)) - len(manifest_bytes), f"after {MANIFEST}")
        yield archive


def _read_signed_part(path: Path, file: BinaryIO) -> tuple[bytes, bytes]:
    start = header_for(SIGNATURE, SIGNATURE_BYTES)
    if file.read(BLOCK) != start:
        raise BundleError(f"{path} is no .edgebundle file: give one that `edge-deploy pack` wrote")
    signature = file.read(BLOCK).rstrip(b"\0").ljust(SIGNATURE_BYTES, b"\0")  # of another length: not accepted
    header = file.read(BLOCK)
    length = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits := header[LENGTH_FIELD]) else -1
    if not 0 <= length <= MOST_MANIFEST_BYTES or header != header_for(MANIFEST, length):
        raise BundleError(
            f"{path}: where {MANIFEST} of at most {MOST_MANIFEST_BYTES} bytes must follow the signature there is "
            f"{what_header_says(header)}: it was cut short or changed; {COPY_AGAIN}"
        )
    manifest_bytes = file.read(length)
    if len(manifest_bytes) < length:
        raise BundleError(f"{path} ends inside {MANIFEST}: it was cut short; {COPY_AGAIN}")
    return signature, manifest_bytes


_FEWER = "build the bundle with fewer or smaller files"


def _manifest_from_bytes(data: bytes, where: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(data)
    except pydantic.ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:5])
        raise BundleError(
            f"{where} is signed, but its manifest is not of schema version 1: {places}; install the same version of "
            f"edge-inspection on host and device"
        ) from error
    for name, entry in manifest.files.items():
        if name in (SIGNATURE, MANIFEST, RECEIPT):
            raise BundleError(f"{where} lists {name!r} as a file, a name that packing needs itself: rename the file")
        if len(name) > MAX_NAME or entry.length > MAX_LENGTH:
            raise BundleError(
                f"{where} lists {name!r} of {entry.length} bytes; a name may have {MAX_NAME} characters and a file "
                f"{MAX_LENGTH} bytes: {_FEWER}"
            )
    return manifest


def _archive_length(manifest: Manifest, manifest_length: int) -> int:
    lengths = [SIGNATURE_BYTES, manifest_length, *(entry.length for entry in manifest.files.values())]
    return sum(BLOCK + padded(length) for length in lengths) + len(END)


def _copy_checked(source: BinaryIO, target: BinaryIO, entry: FileEntry, what: str, advice: str) -> None:
    digest, left = hashlib.sha256(), entry.length
    while left:
        with storage_errors(Path(source.name)):
            block = source.read(min(left, 1 << 20))
        if not block:
            break
        digest.update(block)
        target.write(block)
        left -= len(block)
    if left or digest.hexdigest() != entry.sha256:
        raise BundleError(f"{what} is not what the manifest lists: its SHA-256 or length differs; {advice}")


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    make_folder(path.parent)
    with storage_errors(path), replaced_file(path, Durability.SYNCED, 0o644) as file:
        yield file
