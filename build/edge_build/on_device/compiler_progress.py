"""How far NVIDIA's compiler is, in lines for people: an engine may take ten minutes, and silence looks like a fault."""

from __future__ import annotations

import time
from typing import Any

from edge_build.progress import Progress

SAY_EVERY_S = 5.0


def progress_monitor(trt: Any, progress: Progress) -> Any:
    """Says how far the compiler is, at most every few seconds; some phases have thousands of steps."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # a class of a library without types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}
            self._last_said = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            if time.monotonic() - self._last_said >= SAY_EVERY_S:
                self._last_said = time.monotonic()
                progress.say(f"  {phase_name}: {step + 1} of {self._steps.get(phase_name, 0)}")
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()
