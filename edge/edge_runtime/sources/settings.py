"""What a station's file may say of its source. The field descriptions are the comments that `edge-daemon init` writes.

    folder://DIR          recorded pictures, listed once       video://FILE    a recorded video
    folder://DIR?watch    pictures that others drop into DIR, each judged once
    aravis://*  aravis://SERIAL  aravis://ADDRESS      GigE Vision and USB3 Vision
    rtsp://HOST/PATH  csi://0  v4l2:///dev/video0      by GStreamer; gst://PIPELINE for anything else

settings = SourceSettings(uri="folder:///data/parts?watch", watch=WatchSettings(after="done"))
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edge_runtime.readable import redacted

WATCH = "?watch"
SCHEMES = ("folder://", "video://", "aravis://", "gst://", "rtsp://", "rtsps://", "csi://", "v4l2://")
RECORDINGS = ("folder://", "video://")  # unless watched: they have no camera's signals, and release no parts
OF_ARAVIS = (
    "offset_x",
    "offset_y",
    "pixel_format",
    "shift",
    "exposure_us",
    "gain_db",
    "chunks",
    "packet_size",
    "features",
)
FILES = ("folder://", "video://")  # what follows is a path


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class WatchSettings(_Part):
    """Of folder://DIR?watch."""

    after: Literal["leave", "done", "delete"] = Field(
        default="leave", description="a judged picture is left where it is, moved to DIR/done, or deleted"
    )
    settle_ms: Annotated[int, Field(ge=10, le=60_000)] = Field(
        default=500, description="on network shares: a picture is whole when it has not changed for so long"
    )
    give_up_ms: Annotated[int, Field(ge=100, le=3_600_000)] = Field(
        default=10_000, description="a picture that is still not whole when it has not changed for so long is ERROR"
    )
    poll: bool | None = Field(
        default=None, description="null: list the folder again and again only where the kernel cannot tell of changes"
    )


class CameraSettings(_Part):
    """Of a camera. null: as the camera has it."""

    width: Annotated[int, Field(ge=1)] | None = Field(default=None, description="pixels that the camera delivers")
    height: Annotated[int, Field(ge=1)] | None = Field(default=None, description="likewise")
    offset_x: Annotated[int, Field(ge=0)] = Field(default=0, description="of the region on the sensor, with width")
    offset_y: Annotated[int, Field(ge=0)] = Field(default=0, description="likewise, with height")
    rotate: Literal[0, 90, 180, 270] = Field(
        default=0, description="degrees clockwise; 180 by the camera itself where it can"
    )
    pixel_format: str | None = Field(
        default=None, description="GenICam's name: Mono8, BGR8, BayerRG8, Mono12 and others; all end as 8-bit BGR"
    )
    shift: Annotated[int, Field(ge=0, le=8)] | None = Field(
        default=None, description="of more than 8 bits: value >> shift, at most 255; null: the upper eight bits"
    )
    exposure_us: Annotated[float, Field(gt=0)] | None = Field(default=None, description="microseconds")
    gain_db: Annotated[float, Field(ge=0)] | None = Field(default=None, description="in the camera's unit, mostly dB")
    trigger_source: str | None = Field(
        default=None,
        description="in mode hardware the input, for example Line1; in mode triggered null: Software, or none: the "
        "camera runs freely and the first frame that begins after the trigger is taken",
    )
    chunks: Annotated[tuple[Literal["ExposureTime", "Gain"], ...], Field(strict=False)] = Field(
        default=(),
        description="what the camera sends with each frame (chunk data), of ExposureTime and Gain; it is compared with "
        "exposure_us and gain_db, and a difference is logged",
    )
    packet_size: Annotated[int, Field(ge=220, le=65_535)] | None = Field(
        default=None, description="GigE: bytes of a packet; null: the largest that gets through"
    )
    latency_ms: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0,
        description="GStreamer: how long a frame is under way, from its exposure to its arrival here",
    )
    features: dict[str, str | int | float | bool] = Field(
        default={}, description="other GenICam features by name, for example {BalanceWhiteAuto: 'Off'}"
    )

    @model_validator(mode="after")
    def _region_is_whole(self) -> CameraSettings:
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height go together: give both or none")
        if self.width is None and (self.offset_x or self.offset_y):
            raise ValueError("offset_x and offset_y need width and height")
        return self


class SourceSettings(_Part):
    """Where the pictures come from."""

    uri: str = Field(
        description="aravis://* (the first GigE or USB3 Vision camera; or its serial or address), rtsp://HOST/PATH, "
        "csi://0, v4l2:///dev/video0, gst://PIPELINE, folder://DIR?watch (pictures that others drop into DIR), "
        "folder://DIR (recorded pictures, recursive, in name order; listed once, at the start) or video://FILE"
    )
    fps: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        default=None, description="frames a second in free-running mode; null: as fast as they are judged"
    )
    loop: bool = Field(default=False, description="recordings: begin again after the last picture")
    watch: WatchSettings = WatchSettings()
    camera: CameraSettings = CameraSettings()

    @field_validator("uri")
    @classmethod
    def _known_scheme(cls, uri: str) -> str:
        if not any(uri.startswith(scheme) and len(uri.removesuffix(WATCH)) > len(scheme) for scheme in SCHEMES):
            raise ValueError(f"found {uri!r}: must be one of {', '.join(SCHEMES)} followed by a path")
        if uri.endswith(WATCH) and not uri.startswith("folder://"):
            raise ValueError(f"found {uri!r}: only a folder:// can be watched")
        return uri

    @model_validator(mode="after")
    def _options_that_apply(self) -> SourceSettings:
        if self.watch != WatchSettings() and not self.is_watched:
            raise ValueError(f"watch belongs to folder://DIR{WATCH}: add {WATCH} to the uri, or leave watch out")
        if self.loop and not self.is_recording:
            raise ValueError(f"loop belongs to recordings, and {self.label} is none: make it false")
        if self.camera != CameraSettings() and not self.is_camera:
            raise ValueError(f"camera belongs to cameras, and {self.label} is none: leave it out")
        if self.uri.startswith("aravis://") and self.camera.latency_ms:
            raise ValueError("camera.latency_ms has no meaning with aravis://, whose frames are bound by number")
        if self.is_camera and not self.uri.startswith("aravis://"):
            given = [name for name in OF_ARAVIS if getattr(self.camera, name) != getattr(CameraSettings(), name)]
            if given:
                raise ValueError(f"camera.{given[0]} belongs to aravis://: GStreamer's pipeline says it otherwise")
        return self

    @property
    def is_watched(self) -> bool:
        """Whether it is a folder that grows."""
        return self.uri.endswith(WATCH)

    @property
    def is_recording(self) -> bool:
        """Whether its pictures were taken before, of parts that may be anywhere now."""
        return self.uri.startswith(RECORDINGS) and not self.is_watched

    @property
    def is_camera(self) -> bool:
        """Whether frames are taken when the station runs."""
        return not self.uri.startswith(FILES)

    @property
    def label(self) -> str:
        """The URI for people and logs: without a password."""
        return redacted(self.uri)

    @property
    def location(self) -> str:
        """What follows the scheme, without options."""
        return self.uri.partition("://")[2].removesuffix(WATCH)

    @property
    def path(self) -> Path:
        """The folder or file of a source that is one."""
        return Path(self.location)

    def below(self, folder: Path) -> SourceSettings:
        """The same with a relative path made absolute."""
        if not self.uri.startswith(FILES):
            return self
        scheme, _, path = self.uri.partition("://")
        return self.model_copy(update={"uri": f"{scheme}://{folder / path}"})
