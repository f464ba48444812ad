"""What a GenICam camera sends with each frame besides its pixels (chunk data), checked against what was written to it.

reader = ChunkReader(camera, settings)
reader.check(buffer, "EDGE1#41")

An automatic that somebody switched on, or a camera that forgot its settings, changes the pictures and no verdict says
why: a frame that was exposed otherwise than the station's file says is logged, and when one is right again.
"""

from __future__ import annotations

import logging
from typing import Any

from edge_runtime.errors import SourceError
from edge_runtime.sources.aravis_binding import translated
from edge_runtime.sources.settings import CameraSettings

log = logging.getLogger(__name__)

CLOSE_ENOUGH = 0.02  # cameras round exposure and gain to steps of their own
WRITTEN = {"ExposureTime": "exposure_us", "Gain": "gain_db"}  # by chunk: the setting that it must agree with


class ChunkReader:
    """Asks the camera for its chunks, and reads them. Raises SourceError for a camera that sends none of a name."""

    def __init__(self, camera: Any, settings: CameraSettings) -> None:
        self._settings, self._wrong = settings, set[str]()
        with translated(f"the camera refuses camera.chunks {', '.join(settings.chunks)}"):
            if not camera.are_chunks_available():
                raise SourceError("the camera sends no chunk data: leave camera.chunks out")
            camera.set_chunks(",".join(settings.chunks))
            self._parser = camera.create_chunk_parser()

    def values(self, buffer: Any) -> dict[str, float]:
        """By name, what came with a frame. Raises SourceError when a chunk is missing."""
        found: dict[str, float] = {}
        for name in self._settings.chunks:
            with translated(f"the frame has no chunk {name}"):
                found[name] = float(self._parser.get_float_value(buffer, f"Chunk{name}"))
        return found

    def check(self, buffer: Any, frame: str) -> None:
        """Log what differs from what was written. Raises nothing: the picture is there, and is judged."""
        try:
            found = self.values(buffer)
        except SourceError as error:
            if "" not in self._wrong:
                log.warning("%s: %s", frame, error)
            self._wrong.add("")
            return
        self._wrong.discard("")
        for name, value in found.items():
            wanted = getattr(self._settings, WRITTEN[name])
            right = wanted is None or abs(value - wanted) <= CLOSE_ENOUGH * max(wanted, 1.0)
            if not right and name not in self._wrong:
                text = "%s was taken with %s %g, camera.%s is %g: is an automatic on?"
                log.warning(text, frame, name, value, WRITTEN[name], wanted)
                self._wrong.add(name)
            elif right and name in self._wrong:
                log.info("%s was taken with %s %g again", frame, name, value)
                self._wrong.discard(name)
