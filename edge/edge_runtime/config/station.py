"""`station.yaml`: what one station inspects with, where its pictures come from and who gets its verdicts.

    station = read_station(Path("station.yaml"))

Strict: unknown keys and wrong types are refused, all problems at once. Relative paths count from the file's folder.
A field's description is the comment in new stations, the text in the JSON Schema, and the meaning of a key in
docs/reference/station.md (`python docs/generate.py`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from edge_runtime.bundle.manifest import NAME, FrameLimits
from edge_runtime.engines.protocol import ENGINES, EngineKind
from edge_runtime.imaging.view import PartLimits
from edge_runtime.records import Precision
from edge_runtime.sources.settings import SourceSettings
from edge_runtime.storage.retention import MB, Retention
from edge_runtime.strict_yaml.model import model_from_yaml
from edge_runtime.wire.topics import CONTRACT, MAX_LENGTH, Topics


def _name_check(longest: int) -> AfterValidator:
    def check(name: str) -> str:
        if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{longest}}}", name):
            raise ValueError(f"found {name!r}: must be 1 to {longest} letters (A-Z, a-z), digits, - or _")
        return name

    return AfterValidator(check)


def _name_schema(longest: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": rf"^[A-Za-z0-9_-]{{1,{longest}}}$"})


def _host(host: str) -> str:
    """What was found is not repeated: it may hold a password."""
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
        raise ValueError(
            "must be a name or an address alone: the port belongs to `port`, a user to `user`, and a password into a "
            "file that `password_file` names"
        )
    return host


def _prefix_check() -> AfterValidator:
    def check(prefix: str) -> str:
        if not re.fullmatch(PREFIX, prefix):
            raise ValueError(f"found {prefix!r}: must be levels of letters, digits, - or _ with a / between them")
        return prefix

    return AfterValidator(check)


def _prefix_schema() -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{PREFIX}$"})


PREFIX = "[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"
Name = Annotated[str, _name_check(20), _name_schema(20)]
AnyPath = Annotated[Path, Field(strict=False)]  # YAML has strings


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TlsSettings(_Part):
    """How the broker proves its identity, and how the station does."""

    ca: AnyPath = Field(description="the authority that signed the broker's certificate (PEM)")
    cert: AnyPath | None = Field(
        default=None, description="the station's certificate (PEM), if the broker asks for one"
    )
    key: AnyPath | None = Field(default=None, description="the private key of that certificate (PEM)")

    @model_validator(mode="after")
    def _both_or_none(self) -> TlsSettings:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together: give both or none")
        return self


class MqttSettings(_Part):
    """The broker."""

    host: Annotated[str, Field(min_length=1), AfterValidator(_host)] = Field(description="the broker's name or address")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=1883, description="1883, or 8883 with TLS")
    protocol: Literal["3.1.1", "5"] = Field(default="3.1.1", description='"3.1.1" or "5"')
    client_id: Annotated[str, _name_check(64), _name_schema(64)] | None = Field(
        default=None, description="null: edge-LINE-CELL; two clients with one id throw each other out"
    )
    user: str | None = Field(default=None, description="the user's name at the broker, if it asks for one")
    password_file: AnyPath | None = Field(default=None, description="a file that holds the password and nothing else")
    tls: TlsSettings | None = Field(
        default=None, description="null: not encrypted; or {ca: FILE, cert: FILE, key: FILE}"
    )
    heartbeat_ms: Annotated[int, Field(ge=50, le=60_000)] = Field(default=500, description="the period of /heartbeat")

    @property
    def address(self) -> str:
        """HOST:PORT, for people."""
        return f"{self.host}:{self.port}"

    @model_validator(mode="after")
    def _user_with_password(self) -> MqttSettings:
        if self.password_file is not None and self.user is None:
            raise ValueError("password_file without user: give both or none")
        return self


class PictureSettings(_Part):
    """Which pictures are kept as evidence, in state_dir/pictures; the oldest leave."""

    max_mb: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000, description="of NOK and ERROR pictures, their maps and overlays; 0: none; verdicts may take it"
    )
    every_ok: Annotated[int, Field(ge=0)] = Field(default=0, description="also every so many OK pictures; 0: none")


class SpoolSettings(_Part):
    """How long verdicts are kept for whoever stores them."""

    keep_until: Literal["acknowledged", "confirmed"] = Field(
        default="acknowledged",
        description="acknowledged: a consumer says on /verdict/ack what it stored; confirmed: the broker is enough",
    )
    max_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=30, description="older ones leave, acknowledged or not"
    )
    max_mb: Annotated[int, Field(ge=8, le=1_000_000)] = Field(
        default=1000, description="5 million verdicts and more; with more that must be kept, the state is FAULT"
    )

    def retention(self, pictures: PictureSettings) -> Retention:
        """The same in the spool's terms. pictures: whose room it may take in need."""
        confirmed = self.keep_until == "confirmed"
        return Retention(self.max_days * 86_400, self.max_mb * MB, pictures.max_mb * MB, confirmed)


class MetricsSettings(_Part):
    """Figures for Prometheus."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="null: none; for example 9464: http://HOST:9464/metrics"
    )
    host: str = Field(default="127.0.0.1", description="where to listen; 0.0.0.0: everywhere, and anybody may read")


class HealthSettings(_Part):
    """Which frames are judged; all others are ERROR. A limit that is null is the bundle's, from its good pictures."""

    size: bool = Field(
        default=True,
        description="frames must have the size of the good pictures, or one of about theirs; false: not checked",
    )
    frozen: bool = Field(
        default=True, description="a frame may not be the one before once more; false for recorded pictures that repeat"
    )
    max_age_ms: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="from the exposure to having the frame; null: deadline_ms"
    )
    brightness_low: Annotated[float, Field(ge=0, le=255)] | None = Field(
        default=None, description="1 % of the pixels must be at least so bright (0 to 255); 0: not checked"
    )
    saturated_high: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="at most this share may be white (252 and more); 1: not checked"
    )
    sharpness_low: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="1/16 is fully blurred; 0: not checked"
    )
    part_quality_low: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        default=None, description="how much a part must look like good ones where it is found; -1: not checked"
    )
    part_place: bool = Field(
        default=True,
        description="the part must lie where good parts lay, whole and alone; false: anywhere in the frame",
    )

    @property
    def switched_off(self) -> list[str]:
        """KEY VALUE of each limit that no frame can be beyond."""
        never = {"brightness_low": 0, "saturated_high": 1, "sharpness_low": 0, "part_quality_low": -1}
        return [f"{key} {value}" for key, value in never.items() if getattr(self, key) == value]

    def applied_to(self, limits: FrameLimits) -> FrameLimits:
        """The bundle's limits with the station's in their places."""
        names = ("brightness_low", "saturated_high", "sharpness_low")
        changes: dict[str, float | None] = {n: v for n in names if (v := getattr(self, n)) is not None}
        any_size = {"height": None, "width": None, "sizes": None}
        return limits.model_copy(update=changes if self.size else changes | any_size)

    def applied_to_part(self, limits: PartLimits) -> PartLimits:
        """The limits of a bundle's view with the station's in their places."""
        quality = limits.quality_low if self.part_quality_low is None else self.part_quality_low
        if not self.part_place:
            return PartLimits(quality_low=quality)
        return limits.model_copy(update={"quality_low": quality})


class TrustSettings(_Part):
    """Whose bundles may judge here."""

    require_signature: bool = Field(
        default=False, description="true: only bundles that one of `keys` signed, none of them revoked or older"
    )
    keys: Annotated[tuple[AnyPath, ...], Field(strict=False)] = Field(
        default=(), description="public keys, each the public.pem of a keygen; several while one follows another"
    )
    revoked: AnyPath | None = Field(
        default=None,
        description="a file of lines `key FINGERPRINT` and `bundle NAME-VERSION`; null: none is revoked",
    )
    allow_older: str | None = Field(
        default=None,
        description="NAME-VERSION of the one bundle that may judge though a newer one did; logged at every start",
    )

    @model_validator(mode="after")
    def _only_with_signatures(self) -> TrustSettings:
        if self.require_signature and not self.keys:
            raise ValueError("require_signature needs keys: without one, no bundle could be accepted")
        if not self.require_signature and (self.keys or self.revoked or self.allow_older):
            raise ValueError("keys, revoked and allow_older have no meaning without require_signature: true")
        return self

    def below(self, folder: Path) -> TrustSettings:
        """The same with relative paths made absolute."""
        revoked = None if self.revoked is None else folder / self.revoked
        return self.model_copy(update={"keys": tuple(folder / key for key in self.keys), "revoked": revoked})


class OutputSettings(_Part):
    """A line that is energised for a moment when a part is OK."""

    chip: AnyPath = Field(description="for example /dev/gpiochip0; `gpiodetect` lists them")
    line: Annotated[int, Field(ge=0)] | str = Field(description="its number on the chip, or its name; see `gpioinfo`")
    pulse_ms: Annotated[int, Field(ge=1, le=60_000)] = Field(default=100, description="how long it is energised")
    active_low: bool = Field(default=False, description="true: energised is the lower level")


class Station(_Part):
    """One camera, one detector, one cell of a line."""

    line: Name = Field(description="the first part of every topic: ev1/LINE/CELL/...")
    cell: Name = Field(description="the second part")
    bundle: AnyPath = Field(description="the folder that edge-build made")
    product: Annotated[str, Field(pattern=NAME)] | None = Field(
        default=None,
        description="the name of the bundles that may judge here; null: of the first one that did, kept in state_dir",
    )
    trust: TrustSettings = Field(default=TrustSettings(), description="whose bundles may judge here")
    precision: Annotated[Precision, Field(strict=False)] = Field(
        default=Precision.FP32, description="fp32, fp16 or int8, as far as the bundle has it"
    )
    engine: Annotated[EngineKind, Field(strict=False)] = Field(
        default=EngineKind.AUTO,
        description="auto (TensorRT where it works, otherwise onnxruntime), tensorrt, onnxruntime (CPU), "
        "onnxruntime-cuda, onnxruntime-tensorrt; int8 calibrated by TensorRT: tensorrt-entropy or tensorrt-minmax",
    )
    engines: AnyPath = Field(default=ENGINES, description="where `edge-build compile` put this device's engines")
    threads: Annotated[int, Field(ge=0, le=256)] = Field(default=0, description="of the engine; 0: one for each core")
    source: SourceSettings = Field(description="where the pictures come from")
    mode: Literal["free-running", "triggered", "interval", "hardware"] = Field(
        default="free-running",
        description="free-running: every frame is judged; triggered: one for each /trigger; interval: one every "
        "interval_ms; hardware: the camera decides, by a signal at its input",
    )
    interval_ms: Annotated[int, Field(ge=10, le=3_600_000)] = Field(
        default=1000, description="from tick to tick in interval mode"
    )
    queue_depth: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="triggers that may wait for their verdicts; one more is answered BUSY"
    )
    recipe: Annotated[int, Field(ge=0, le=9999)] = Field(
        default=0, description="the number that a trigger must name, and that every verdict carries"
    )
    deadline_ms: Annotated[int, Field(ge=1, le=600_000)] = Field(
        default=1000,
        description="what is not judged by then is ERROR; in free-running mode a late verdict is only flagged late, "
        "and ERROR after 10 s more, when the engine hangs",
    )
    duplicate_window_s: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=10, description="the same trigger again within this time gets the same verdict again"
    )
    self_test_hours: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=24.0, description="the golden pictures are replayed so often, between parts; 0: only at the start"
    )
    topic_prefix: Annotated[str, _prefix_check(), _prefix_schema()] = Field(
        default=CONTRACT, description="what every topic begins with: topic_prefix/LINE/CELL/..., for example plant/ev1"
    )
    commands: bool = Field(default=True, description="false: /command is not listened to")
    acknowledge: bool = Field(default=True, description="false: /verdict/ack is not listened to")
    state_dir: AnyPath = Field(description="where verdicts are kept; one station, one folder, on a disk that lasts")
    mqtt: MqttSettings = Field(description="the broker, and how the station speaks to it")
    health: HealthSettings = Field(default=HealthSettings(), description="which frames are judged")
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="figures for Prometheus")
    spool: SpoolSettings = Field(default=SpoolSettings(), description="how long verdicts are kept")
    pictures: PictureSettings = Field(default=PictureSettings(), description="which pictures are kept")
    outputs: Annotated[tuple[OutputSettings, ...], Field(strict=False)] = Field(
        default=(), description="lines near the camera, each {chip: /dev/gpiochip0, line: 7, pulse_ms: 100}"
    )

    @model_validator(mode="after")
    def _topics_that_plcs_take(self) -> Station:
        if (found := self.topics.longest()) > MAX_LENGTH:
            raise ValueError(
                f"topic_prefix, line and cell make topics of {found} characters, {self.topics.verdict_json}: "
                f"small PLCs take {MAX_LENGTH}; shorten them"
            )
        return self

    @model_validator(mode="after")
    def _somebody_lets_verdicts_go(self) -> Station:
        if not self.acknowledge and self.spool.keep_until == "acknowledged":
            raise ValueError(
                "acknowledge: false needs spool: {keep_until: confirmed}, for otherwise verdicts are kept until "
                "somebody acknowledges them"
            )
        return self

    @model_validator(mode="after")
    def _fps_only_when_free_running(self) -> Station:
        if self.mode != "free-running" and self.source.fps is not None:
            raise ValueError(f"source.fps has no meaning in {self.mode} mode: make it null")
        return self

    @model_validator(mode="after")
    def _input_of_a_triggered_camera(self) -> Station:
        source, trigger = self.source, self.source.camera.trigger_source
        if self.mode == "hardware" and source.uri.startswith("aravis://") and trigger in (None, "none", "Software"):
            raise ValueError("mode hardware needs source.camera.trigger_source: the camera's input, for example Line1")
        if trigger is not None and self.mode == "free-running":
            raise ValueError("source.camera.trigger_source has no meaning in mode free-running: make it null")
        return self

    @model_validator(mode="after")
    def _mode_of_a_watched_folder(self) -> Station:
        if self.source.is_watched and self.mode != "free-running":
            raise ValueError(
                f"mode {self.mode} cannot be kept with {self.source.label}: when a file arrives does not say which "
                "trigger it belongs to; each picture is judged once in mode free-running"
            )
        return self

    @property
    def name(self) -> str:
        """LINE/CELL, for people, and for `state_owner`."""
        return f"{self.line}/{self.cell}"

    @property
    def topics(self) -> Topics:
        """The station's MQTT topics."""
        return Topics(self.line, self.cell, self.topic_prefix)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topics that the station listens to."""
        topics = self.topics
        commands = (topics.command,) if self.commands else ()
        acknowledgements = (topics.verdict_ack,) if self.acknowledge else ()
        return (topics.trigger, topics.replay, *commands, *acknowledgements)

    @property
    def client_id(self) -> str:
        """The name at the broker."""
        return self.mqtt.client_id or f"edge-{self.line}-{self.cell}"


def station_json_schema() -> dict[str, Any]:
    """The JSON Schema of a station's file, for editors that check while one types."""
    return Station.model_json_schema()


def read_station(path: Path) -> Station:
    """Read a station's file; relative paths in it count from its folder. Raises ConfigError."""
    station = model_from_yaml(path, Station, "`edge-daemon init` writes a station's file")
    folder = path.absolute().parent
    mqtt, tls = station.mqtt, station.mqtt.tls
    if tls is not None:
        files = {name: folder / file for name in ("ca", "cert", "key") if (file := getattr(tls, name)) is not None}
        mqtt = mqtt.model_copy(update={"tls": tls.model_copy(update=files)})
    if mqtt.password_file is not None:
        mqtt = mqtt.model_copy(update={"password_file": folder / mqtt.password_file})
    return station.model_copy(
        update={
            "bundle": folder / station.bundle,
            "trust": station.trust.below(folder),
            "engines": folder / station.engines,
            "state_dir": folder / station.state_dir,
            "source": station.source.below(folder),
            "mqtt": mqtt,
        }
    )
