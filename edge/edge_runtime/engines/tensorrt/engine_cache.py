"""Compiled engines and timing caches on the disk: how they are named, sealed and verified.

    cache = EngineCache(Path("/var/lib/edge/engines"), machine_id())
    cache.write(key, plan)
    plan = cache.read(key)      # raises the GpuError that says why not

An engine is a program for one GPU and one version of TensorRT, and loading it runs what it says. So none is loaded that
this device did not write: beside each file lies a record with its hash, sealed with a key that is made from the
device's machine id. A file that was copied from another device, truncated or exchanged does not fit its record and is
never given to TensorRT. Whoever may write into the folder could forge both, so it must belong to this user or to root.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import pydantic

from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import (
    COMPILE,
    EngineAbsentError,
    EngineDamagedError,
    WrongGpuError,
    WrongVersionError,
)
from edge_runtime.errors import ConfigError, StorageError

MACHINE_ID = Path("/etc/machine-id")
PURPOSE = b"edge-inspection engine record 1"
ENGINE, TIMING, RANGES, RECORD, ASIDE, UNFINISHED = ".engine", ".timing", ".calibration", ".json", ".aside", ".tmp"


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


def machine_id(path: Path = MACHINE_ID) -> str:
    """What tells this device from all others. Raises ConfigError."""
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}), and without it no engine can be known as this device's own: run "
            f"systemd-machine-id-setup, or give a container its host's with -v {path}:{path}:ro"
        ) from error
    if not re.fullmatch(r"[0-9a-f]{32}", found):
        raise ConfigError(f"{path} holds no machine id (32 hexadecimal digits): run systemd-machine-id-setup")
    return found


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

    def write(self, key: EngineKey, plan: bytes, ranges: str = "") -> Path:
        """Keep an engine, with its record. ranges: SHA-256 of those that its calibration gave. Raises StorageError;
        then what was there before still is."""
        return self._write(self.path(key), plan, {**_facts(key), "ranges": ranges})

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

    def remove_unfinished(self) -> None:
        """Take away what a process was writing when it was ended."""
        for path in self.folder.glob(f".*{UNFINISHED}"):
            with contextlib.suppress(OSError):
                path.unlink()

    def set_aside(self, key: EngineKey) -> Path:
        """Rename an engine that must not be loaded: a new one can take its place, and a person can look at it."""
        return self._set_aside(self.path(key))

    def record(self, path: Path) -> EngineRecord:
        """The record of one of the folder's files, if this device wrote it. Raises EngineDamagedError."""
        place = _record_path(path)
        try:
            record = EngineRecord.model_validate_json(place.read_bytes())
        except (OSError, pydantic.ValidationError) as error:
            raise EngineDamagedError(
                f"{path} has no valid record beside it ({place.name}), so this device did not write it: it is not "
                f"loaded; {COMPILE}"
            ) from error
        if not hmac.compare_digest(record.seal, self._seal(record)):
            raise EngineDamagedError(
                f"{path} was not written by this device (the seal of {place.name} does not fit its machine id): an "
                f"engine from elsewhere is not loaded; {COMPILE}"
            )
        return record

    def read_verified(self, path: Path, facts: dict[str, str]) -> bytes:
        for place in (self.folder, path):
            _require_safe(place)
        record = self.record(path)
        if {name: getattr(record, name) for name in facts} != facts:
            raise EngineDamagedError(f"{path} is another engine than its name says: it is not loaded; {COMPILE}")
        content = path.read_bytes()
        if len(content) != record.length or hashlib.sha256(content).hexdigest() != record.sha256:
            raise EngineDamagedError(
                f"{path} is truncated or was changed ({len(content)} bytes, {record.length} were written): it is not "
                f"loaded; {COMPILE}"
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
        )
        record = unsealed.model_copy(update={"seal": self._seal(unsealed)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _record_path(path).unlink(missing_ok=True)  # between the two renames there is a file without a record
            _write_at_once(path, content)
            _write_at_once(_record_path(path), record.model_dump_json(indent=1).encode() + b"\n")
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written: {error.strerror}; check the disk and the rights, or choose another folder "
                "with --engines"
            ) from error
        return path

    def _seal(self, record: EngineRecord) -> str:
        facts = record.model_dump(exclude={"seal"}, exclude_defaults=True)  # as before there were calibrations
        key = hmac.digest(bytes.fromhex(self.machine_id), PURPOSE, "sha256")
        return hmac.digest(key, json.dumps(facts, sort_keys=True).encode(), "sha256").hex()

    def _set_aside(self, path: Path) -> Path:
        aside = path.with_name(path.name + ASIDE)
        with contextlib.suppress(FileNotFoundError):
            path.replace(aside)
            _record_path(path).replace(_record_path(aside))
        return aside

    def _why_absent(self, key: EngineKey) -> EngineAbsentError | WrongVersionError | WrongGpuError:
        """An engine of the same graph for another version or GPU says more than that there is none."""
        for path in sorted(self.folder.glob(f"{key.graph_stem}-trt*{ENGINE}")):
            with contextlib.suppress(EngineDamagedError):
                record = self.record(path)
                if (record.gpu, record.compute) != (key.gpu, key.compute):
                    return WrongGpuError(
                        f"the engine {path.name} is for {record.gpu} (compute capability {record.compute}), this "
                        f"device has {key.gpu} ({key.compute}): {COMPILE}"
                    )
                if record.tensorrt != key.tensorrt:
                    return WrongVersionError(
                        f"the engine {path.name} is for TensorRT {record.tensorrt}, this device has {key.tensorrt}: "
                        f"{COMPILE}"
                    )
        how = f" with --precision int8 --implicit-calibration {key.calibrator}" if key.calibration else ""
        return EngineAbsentError(f"{self.folder} has no engine {key.stem}{ENGINE}: {COMPILE}{how}")


def _facts(key: EngineKey) -> dict[str, str]:
    return {**asdict(key), "precision": key.precision.value}


def _device_facts(key: EngineKey) -> dict[str, str]:
    return {"tensorrt": key.tensorrt, "gpu": key.gpu, "compute": key.compute, "graph_sha256": "", "precision": ""}


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + RECORD)


def _require_safe(path: Path) -> None:
    """Raises EngineDamagedError when someone else could have written it."""
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise EngineDamagedError(
            f"{path} could have been written by other users (owner {status.st_uid}, mode {status.st_mode & 0o777:o}): "
            f"nothing in it is loaded. Make it root's with mode 755 (folder) or 644 (file), then {COMPILE}"
        )


def _write_at_once(path: Path, content: bytes) -> None:
    """Write under a temporary name, on the disk, and rename."""
    temporary = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
