"""Compiled engines on this device's disk, and the caches that help with them: how they are sealed and verified.

    cache = EngineCache(Path("/var/lib/edge/engines"), machine_id())
    cache.write(key, serialized)
    serialized = cache.read(key)      # raises the GpuError that says why not

An engine is a program for one GPU and one version of TensorRT, and loading it runs what it says. So none is loaded from
here that this device did not write: beside each file lies a record with its hash, sealed by the device
(bundle/device_seal.py). A file that was copied from another device, truncated or exchanged does not fit its record and
is never given to TensorRT.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import pydantic

from edge_runtime.bundle.device_seal import same_seal, seal_of, writable_by_others
from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import (
    EngineAbsentError,
    EngineDamagedError,
    WrongGpuError,
    WrongVersionError,
)
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.errors import StorageError
from edge_runtime.files import Durability, remove_unfinished, write_file

PURPOSE = b"edge-inspection engine record 1"
ENGINE, TIMING, RANGES, RUNTIME = ".engine", ".timing", ".calibration", ".runtime"
RECORD, ASIDE = ".json", ".aside"


class EngineRecord(Record):
    """What lies beside a file that this device wrote."""

    graph_sha256: str  # empty for a timing cache
    precision: str  # likewise
    tensorrt: str
    gpu: str
    compute: str
    length: int
    sha256: Sha256
    seal: str
    calibration: str = ""
    ranges: str = ""  # with a calibration: SHA-256 of the ranges that were used
    library: Library = Library.TENSORRT


@dataclass(frozen=True)
class EngineCache:
    """A folder of engines of this device."""

    folder: Path
    machine_id: str

    def path(self, key: EngineKey) -> Path:
        """Where a key's engine is, or would be."""
        return self.folder / f"{key.stem}{ENGINE}"

    def read(self, key: EngineKey) -> bytes:
        """A key's engine, which this device wrote and nobody changed.

        Raises EngineAbsentError, WrongVersionError, WrongGpuError or EngineDamagedError.
        """
        path = self.path(key)
        if not path.exists():
            raise self._why_absent(key)
        return self.read_verified(path, _facts(key))

    def write(self, key: EngineKey, serialized: bytes, ranges: str = "") -> Path:
        """Keep an engine, with its record. ranges: SHA-256 of those that its calibration gave. Raises StorageError;
        then what was there before still is."""
        return self._write(self.path(key), serialized, {**_facts(key), "ranges": ranges})

    def read_timing(self, key: EngineKey) -> bytes:
        """The device's timing cache; empty when there is none or it cannot be verified; that one is set aside."""
        return self._read_or_set_aside(self.folder / f"{key.device_stem}{TIMING}", _device_facts(key))

    def write_timing(self, key: EngineKey, cache: bytes) -> None:
        """Keep the device's timing cache. Raises StorageError."""
        self._write(self.folder / f"{key.device_stem}{TIMING}", cache, _device_facts(key))

    def read_ranges(self, key: EngineKey) -> bytes:
        """What calibrating on this device gave for a key; empty when there is none or it cannot be verified."""
        return self._read_or_set_aside(self.folder / f"{key.stem}{RANGES}", _facts(key))

    def write_ranges(self, key: EngineKey, cache: bytes) -> None:
        """Keep what calibrating gave. Raises StorageError."""
        self._write(self.folder / f"{key.stem}{RANGES}", cache, _facts(key))

    def read_runtime(self, key: EngineKey) -> bytes:
        """What the device made of a key's engine when it loaded it; empty without one that can be verified."""
        return self._read_or_set_aside(self.folder / f"{key.stem}{RUNTIME}", _facts(key))

    def write_runtime(self, key: EngineKey, cache: bytes) -> None:
        """Keep it, so that the engine loads at once the next time. Raises StorageError."""
        self._write(self.folder / f"{key.stem}{RUNTIME}", cache, _facts(key))

    def remove_unfinished(self) -> None:
        """Take away what a process was writing when it was ended."""
        remove_unfinished(self.folder)

    def set_aside(self, key: EngineKey) -> Path:
        """Rename an engine that must not be loaded: a new one can take its place, and a person can look at it."""
        return self._set_aside(self.path(key))

    def record(self, path: Path) -> EngineRecord:
        """The record of one of the folder's files, if this device wrote it. Raises EngineDamagedError."""
        place, how = _record_path(path), _how_to_compile(path)
        try:
            record = EngineRecord.model_validate_json(place.read_bytes())
        except (OSError, pydantic.ValidationError) as error:
            raise EngineDamagedError(
                f"{path} has no valid record beside it ({place.name}), so this device did not write it: it is not "
                f"loaded; {how}"
            ) from error
        if not same_seal(record.seal, self._seal(record)):
            raise EngineDamagedError(
                f"{path} was not written by this device (the seal of {place.name} does not fit its machine id): an "
                f"engine from elsewhere is not loaded; {how}"
            )
        return record

    def read_verified(self, path: Path, facts: dict[str, str]) -> bytes:
        how = _how_to_compile(path)
        for place in (self.folder, path):
            if problem := writable_by_others(place):
                raise EngineDamagedError(f"{problem}, then {how}")
        record = self.record(path)
        if {name: getattr(record, name) for name in facts} != facts:
            raise EngineDamagedError(f"{path} is another engine than its name says: it is not loaded; {how}")
        content = path.read_bytes()
        if len(content) != record.length or hashlib.sha256(content).hexdigest() != record.sha256:
            raise EngineDamagedError(
                f"{path} is truncated or was changed ({len(content)} bytes, {record.length} were written): it is not "
                f"loaded; {how}"
            )
        return content

    def _read_or_set_aside(self, path: Path, facts: dict[str, str]) -> bytes:
        if not path.exists():
            return b""
        try:
            return self.read_verified(path, facts)
        except EngineDamagedError:
            self._set_aside(path)
            return b""

    def _write(self, path: Path, content: bytes, facts: dict[str, str]) -> Path:
        unsealed = EngineRecord(
            graph_sha256=facts.get("graph_sha256", ""),
            precision=facts.get("precision", ""),
            tensorrt=facts["tensorrt"],
            gpu=facts["gpu"],
            compute=facts["compute"],
            length=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            seal="",
            calibration=facts.get("calibration", ""),
            ranges=facts.get("ranges", ""),
            library=Library(facts["library"]),
        )
        record = unsealed.model_copy(update={"seal": self._seal(unsealed)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _record_path(path).unlink(missing_ok=True)  # between the two renames there is a file without a record
            write_file(path, content, Durability.SYNCED, 0o644)
            write_file(_record_path(path), record.model_dump_json(indent=1).encode() + b"\n", Durability.SYNCED, 0o644)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written: {error.strerror}; check the disk and the rights, or choose another folder "
                "with --engines"
            ) from error
        return path

    def _seal(self, record: EngineRecord) -> str:
        facts = record.model_dump(mode="json", exclude={"seal"}, exclude_defaults=True)  # as records were before
        return seal_of(self.machine_id, PURPOSE, facts)

    def _set_aside(self, path: Path) -> Path:
        aside = path.with_name(path.name + ASIDE)
        with contextlib.suppress(FileNotFoundError):
            path.replace(aside)
            _record_path(path).replace(_record_path(aside))
        return aside

    def _why_absent(self, key: EngineKey) -> EngineAbsentError | WrongVersionError | WrongGpuError:
        """An engine of the same graph for another version or GPU says more than that there is none."""
        how = key.library.how_to_compile
        for path in sorted(self.folder.glob(f"{key.graph_stem}-{key.library.tag}*{ENGINE}")):
            with contextlib.suppress(EngineDamagedError):
                record = self.record(path)
                if (record.gpu, record.compute) != (key.gpu, key.compute):
                    return WrongGpuError(
                        f"the engine {path.name} is for {record.gpu} (compute capability {record.compute}), this "
                        f"device has {key.gpu} ({key.compute}): {how}"
                    )
                if record.tensorrt != key.tensorrt:
                    return WrongVersionError(
                        f"the engine {path.name} is for {key.library.label} {record.tensorrt}, this device has "
                        f"{key.tensorrt}: {how}"
                    )
        option = f" with --precision int8 --implicit-calibration {key.calibrator}" if key.calibration else ""
        return EngineAbsentError(f"{self.folder} has no engine {key.stem}{ENGINE}: {how}{option}")


def _facts(key: EngineKey) -> dict[str, str]:
    return {**asdict(key), "precision": key.precision.value, "library": key.library.value}


def _device_facts(key: EngineKey) -> dict[str, str]:
    device = {"tensorrt": key.tensorrt, "gpu": key.gpu, "compute": key.compute, "library": key.library.value}
    return {**device, "graph_sha256": "", "precision": ""}


def _how_to_compile(path: Path) -> str:
    """The command for an engine of that name."""
    rtx = re.search(rf"(^|-){Library.TENSORRT_RTX.tag}\d", path.name)
    return (Library.TENSORRT_RTX if rtx else Library.TENSORRT).how_to_compile


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + RECORD)
