"""`edge-daemon init`: a station from the options of a command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydantic
from pydantic_core import ErrorDetails

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.reader import read_manifest
from edge_runtime.config.station import MqttSettings, Station
from edge_runtime.errors import ConfigError
from edge_runtime.records import Precision
from edge_runtime.sources.settings import SourceSettings
from edge_runtime.strict_yaml.problems import broken_rule

OPTION_OF_KEY = {"uri": "source", "host": "broker", "port": "broker"}  # where `init` calls a station's key otherwise


@dataclass(frozen=True)
class InitOptions:
    """As `edge-daemon init --help` has them. camera: take the source's settings from the camera itself."""

    bundle: Path | None
    source: str | None
    camera: bool
    broker: str
    line: str
    cell: str
    state_dir: Path | None
    mode: str
    recipe: int
    precision: Precision | None


def station_from_options(options: InitOptions) -> Station:
    """The station that they describe; relative paths count from here. Raises ConfigError, BundleError, SourceError."""
    if options.bundle is None and not options.camera:
        raise ConfigError("BUNDLE is missing: the folder that edge-build made; only with --camera it may come later")
    if options.source is None and not options.camera:
        raise ConfigError("--source is missing: where the pictures come from; or --camera for the camera that is found")
    manifest = None if options.bundle is None else read_manifest(options.bundle)
    precision = _precision_of(manifest, options.precision)
    host, _, port = options.broker.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"--broker {options.broker!r}: must be HOST:PORT, for example 192.168.0.10:1883")
    try:
        return Station(
            line=options.line,
            cell=options.cell,
            bundle=(options.bundle or Path("bundle")).absolute(),
            product=None if manifest is None else manifest.name,
            precision=precision,
            source=_source_of(options).below(Path.cwd()),
            mode=options.mode,  # type: ignore[arg-type]  # Station checks it
            recipe=options.recipe,
            state_dir=(options.state_dir or Path(f"state-{options.line}-{options.cell}")).absolute(),
            mqtt=MqttSettings(host=host.strip("[]"), port=int(port)),
        )
    except pydantic.ValidationError as error:
        raise ConfigError(f"this is no station: {'; '.join(map(_option_problem, error.errors()))}") from error


def _precision_of(manifest: Manifest | None, wanted: Precision | None) -> Precision:
    """The one that is wanted, or the bundle's most exact one. Raises ConfigError."""
    if manifest is None:
        return wanted or Precision.FP32
    if wanted is not None and wanted not in manifest.graphs:
        raise ConfigError(
            f"--precision {wanted.value}: bundle {manifest.label} holds only "
            f"{', '.join(p.value for p in manifest.graphs)}; choose one of these"
        )
    return wanted or (Precision.FP32 if Precision.FP32 in manifest.graphs else min(manifest.graphs))


def _source_of(options: InitOptions) -> SourceSettings:
    if options.camera:
        from edge_runtime.commands.init_camera import source_of_camera  # its libraries are there only for cameras

        return source_of_camera(options.source, options.mode)
    return SourceSettings(uri=options.source or "")


def _option_problem(detail: ErrorDetails) -> str:
    """What is wrong with an option of `init`, from what is wrong with the station's key."""
    key = str(detail["loc"][-1]) if detail["loc"] else ""
    return f"--{OPTION_OF_KEY.get(key, key)}: {broken_rule(detail)}"
