"""What a station's file may say of its source. The field descriptions are the comments that `edge-daemon init` writes.

    folder://DIR          recorded pictures, listed once       video://FILE    a recorded video
    folder://DIR?watch    pictures that others drop into DIR, each judged once

settings = SourceSettings(uri="folder:///data/parts?watch", watch=WatchSettings(after="done"))
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

WATCH = "?watch"
SCHEMES = ("folder://", "video://")
RECORDINGS = ("folder://", "video://")  # unless watched: they have no camera's signals, and release no parts
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


class SourceSettings(_Part):
    """Where the pictures come from."""

    uri: str = Field(
        description="folder://DIR (recorded pictures, recursive, in name order; listed once, at the start), "
        "video://FILE, or folder://DIR?watch (pictures that others drop into DIR)"
    )
    fps: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        default=None, description="frames a second in free-running mode; null: as fast as they are judged"
    )
    loop: bool = Field(default=False, description="recordings: begin again after the last picture")
    watch: WatchSettings = WatchSettings()

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
            raise ValueError(f"loop belongs to recordings, and {self.uri} is none: make it false")
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
