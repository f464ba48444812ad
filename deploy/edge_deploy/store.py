"""The bundles on a device. At every instant, whatever is killed or loses power, the store is valid.

A bundle appears under its name only when all of it was checked and is on the disk; it disappears in one rename before
its files are deleted. Half-done work stands in STORE/incoming, which every change empties first.

    store = Store(Path("/var/lib/edge/store"))
    label, what = store.install(Path("screw-2.edgebundle"), trust)
    store.activate(label)
    store.rollback()
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge_deploy import activation
from edge_deploy.archive import Archive, open_archive
from edge_runtime.bundle.device_seal import machine_id
from edge_runtime.bundle.manifest_digest import is_damaged
from edge_runtime.bundle.reader import MANIFEST, open_bundle, sha256_of
from edge_runtime.bundle.receipt import INDEX, signer_at_install, write_receipt
from edge_runtime.bundle.trust import Trust, read_signature
from edge_runtime.errors import BundleError, ConfigError, StorageError
from edge_runtime.files import make_folder, storage_errors, sync_folder

INCOMING = "incoming"


class Installation(Enum):
    """What installing came to."""

    NEW = "installed"
    THERE = "already installed"
    REPAIRED = "was damaged and is repaired"


class Role(Enum):
    """What a bundle in the store is for now."""

    ACTIVE = "active"
    PREVIOUS = "previous"
    SPARE = ""


@dataclass(frozen=True)
class Entry:
    """One bundle of a store. problem: what is wrong with it; None: nothing. signer: the fingerprint of the key that
    signed it; None: nobody did, or an earlier version installed it and kept no signature."""

    label: str
    role: Role
    problem: str | None
    signer: str | None


class Store:
    """A folder with `bundles/`, `history/` and the link `active`. One change at a time, held by a lock."""

    def __init__(self, folder: Path, identify: Callable[[], str] = machine_id, trust: Trust | None = None) -> None:
        """identify: this device's machine id, which seals receipts. trust: who must have signed what is listed or
        activated; None: nobody."""
        self.folder, self._identify, self._trust = folder, identify, trust
        self._bundles = folder / activation.BUNDLES

    def install(self, path: Path, trust: Trust) -> tuple[str, Installation]:
        """Check and unpack an `.edgebundle`, and name it. Installing the same one again repairs what is damaged.

        Raises BundleError for a file that is not to be trusted and for a label that another bundle has, ConfigError on
        a device without a machine id when the bundle has engines in it.
        """
        with open_archive(path, trust) as archive, storage_errors(self.folder):
            make_folder(self._bundles)
            with self._alone() as incoming:
                target = self._bundles / archive.label
                if target.exists():
                    what = self._install_again(archive, target, incoming)
                    self._leave_proof(archive, target)
                    return archive.label, what
                self._unpack(archive, incoming / archive.label)
                self._leave_proof(archive, incoming / archive.label)
                (incoming / archive.label).rename(target)
                sync_folder(self._bundles)
                return archive.label, Installation.NEW

    def activate(self, label: str) -> bool:
        """Make a bundle the active one, after checking it in full. False when it was active already."""
        with self._changing() as incoming:
            self._require_installed(label)
            open_bundle(self._bundles / label, self._trust)
            history = activation.read_history(self.folder)
            if history.active == label:
                return False
            activation.append(self.folder, history, label, incoming)
            return True

    def rollback(self) -> str:
        """Make the bundle active that was so before, after checking it in full. Returns its label."""
        with self._changing() as incoming:
            history = activation.read_history(self.folder)
            number = history.position_before(self._labels())
            if number is None:
                raise StorageError(
                    f"{self.folder}: no installed bundle was active before {history.active or 'now'}: "
                    f"activate one by its name; {self._installed_text()}"
                )
            open_bundle(self._bundles / history.labels[number], self._trust)
            activation.move_to(self.folder, number, incoming)
            return history.labels[number]

    def remove(self, label: str) -> None:
        """Delete a bundle that is neither the active one nor the one that rolling back leads to."""
        with self._changing() as incoming:
            self._require_installed(label)
            history = activation.read_history(self.folder)
            if (role := self._role(label, history)) is not Role.SPARE:
                raise StorageError(f"{label} is the {role.value} bundle of {self.folder}: activate another one first")
            activation.forget(self.folder, history, label)
            (self._bundles / label).rename(incoming / label)
            sync_folder(self._bundles)

    def entries(self) -> list[Entry]:
        """All bundles by label, each checked in full, and the active one also when its folder is gone."""
        self._require_store()
        with storage_errors(self.folder):
            history = activation.read_history(self.folder)
            labels = sorted({*self._labels(), *([history.active] if history.active else [])})
            return [self._entry(label, self._role(label, history)) for label in labels]

    def _install_again(self, archive: Archive, target: Path, incoming: Path) -> Installation:
        if _is_another(target, archive):
            raise BundleError(
                f"{target} is another bundle than {archive.path} under the same name and version, or its {MANIFEST} "
                f"is damaged: give the new one its own version, or activate another bundle and remove this one"
            )
        if not self._problem(archive.label):
            archive.verify()  # nothing of it is needed, but a damaged file would be carried on to other devices
            return Installation.THERE
        # File by file, because it may be the active one: each is swapped in one rename and the good ones stay.
        self._unpack(archive, incoming / archive.label)
        for name, entry in archive.manifest.files.items():
            if not (target / name).is_file() or sha256_of(target / name) != entry.sha256:
                make_folder((target / name).parent)
                (incoming / archive.label / name).replace(target / name)
                sync_folder((target / name).parent)
        (incoming / archive.label / MANIFEST).replace(target / MANIFEST)
        sync_folder(target)
        open_bundle(target)
        return Installation.REPAIRED

    def _leave_proof(self, archive: Archive, folder: Path) -> None:
        """Signature and receipt beside the manifest, if they are not there already; so do bundles get theirs that an
        earlier version installed. Without a machine id only a bundle with engines is refused."""
        try:
            machine = self._identify()
        except ConfigError:
            if INDEX in archive.manifest.files:
                raise
            machine = None
        if _kept_signature(folder) != archive.signature:
            archive.leave_signature(folder)
        write_receipt(folder, archive.signer, machine)
        sync_folder(folder)

    def _unpack(self, archive: Archive, folder: Path) -> None:
        needed = archive.path.stat().st_size
        free = shutil.disk_usage(self.folder).free
        if needed > free:  # refused before it is filled: the daemon's verdicts may be on the same disk
            raise StorageError(
                f"{self.folder} has {free} bytes free, {archive.label} needs {needed}: free some space, for instance "
                f"with `edge-deploy remove`; {self._installed_text()}"
            )
        archive.unpack(folder)
        for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            sync_folder(inner)
        open_bundle(folder)  # what the daemon will check, on what is there now

    def _entry(self, label: str, role: Role) -> Entry:
        try:
            bundle = open_bundle(self._bundles / label, self._trust)
            return Entry(label, role, None, signer_at_install(bundle))
        except BundleError as error:
            return Entry(label, role, str(error), None)

    def _problem(self, label: str) -> str | None:
        return self._entry(label, Role.SPARE).problem

    def _labels(self) -> list[str]:
        return sorted(path.name for path in self._bundles.iterdir() if path.is_dir())

    def _installed_text(self) -> str:
        return f"installed: {', '.join(self._labels()) or 'none'}"

    def _role(self, label: str, history: activation.History) -> Role:
        if label == history.active:
            return Role.ACTIVE
        return Role.PREVIOUS if label == history.previous(self._labels()) else Role.SPARE

    def _require_store(self) -> None:
        if not self._bundles.is_dir():
            raise StorageError(
                f"{self.folder} is no store, it has no folder `{activation.BUNDLES}`: install a bundle there first, "
                f"or correct --store"
            )

    def _require_installed(self, label: str) -> None:
        if label not in self._labels():
            raise StorageError(f"{self.folder} has no bundle {label!r}; {self._installed_text()}: choose one of these")

    @contextmanager
    def _changing(self) -> Iterator[Path]:
        self._require_store()
        with storage_errors(self.folder), self._alone() as incoming:
            yield incoming

    @contextmanager
    def _alone(self) -> Iterator[Path]:
        """Lock the store and yield an empty folder in it for half-done work. The kernel unlocks when we die."""
        incoming = self.folder / INCOMING
        lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(
                    f"{self.folder} is being changed by another edge-deploy: try again when that has ended"
                ) from None
            shutil.rmtree(incoming, ignore_errors=True)
            make_folder(incoming)
            try:
                yield incoming
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        finally:
            os.close(lock)


def _is_another(target: Path, archive: Archive) -> bool:
    """Whether the bundle in the store is another than the archive's, and not the same one with a damaged manifest."""
    if not (target / MANIFEST).is_file():
        return False
    manifest = (target / MANIFEST).read_bytes()
    was_changed = is_damaged(manifest) or _kept_signature(target) == archive.signature  # a signature fits one manifest
    return manifest != archive.manifest_bytes and not was_changed


def _kept_signature(folder: Path) -> bytes | None:
    """None also for what is no signature: it is about to be written again."""
    try:
        return read_signature(folder)
    except BundleError:
        return None
