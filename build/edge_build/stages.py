"""How far a whole job is: which of its stages is under way, and about how long the rest takes.

    stages = Stages([Stage("learning", 4), Stage("held-out scores", 1, parts=10)], progress)
    stages.begin("learning")
    stages.begin("held-out scores")
    stages.next_part()

Each begins with a line, on a terminal and in a log alike; steps within a stage have progress of their own. The estimate
is what the stages that are done took, times what is left by their weights; where parts of a stage are done, it is by
their own time. It is about right from the second stage on, and better with every part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edge_build.progress import Progress

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Stage:
    """weight: how long one part of it takes beside those of the other stages."""

    name: str
    weight: float
    parts: int = 1

    @property
    def work(self) -> float:
        """Of all of it."""
        return self.weight * self.parts


class Stages:
    """Of one job. Says where it is; `clock` gives seconds."""

    def __init__(self, plan: Sequence[Stage], progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._progress, self._clock = list(plan), progress, clock
        self._started = self._stage_started = clock()
        self._at, self._parts = -1, 0

    def begin(self, name: str, parts: int | None = None) -> None:
        """The next stage begins, which the plan has. parts: how many it has, where that is known only now."""
        at = next(number for number, stage in enumerate(self._plan) if stage.name == name)
        if parts is not None:
            self._plan[at] = replace(self._plan[at], parts=parts)
        self._at, self._parts, self._stage_started = at, 0, self._clock()
        self._say("")

    def next_part(self) -> None:
        """A part of the present stage begins; those before it are done."""
        self._parts += 1
        stage = self._plan[self._at]
        if 1 < self._parts <= stage.parts:  # the first is said with the stage
            self._say(f", part {self._parts} of {stage.parts}")

    def left_s(self) -> float | None:
        """Seconds that are left, about; None as long as nothing is known."""
        if self._at < 0:
            return None
        now, stage, done = self._clock(), self._plan[self._at], max(self._parts - 1, 0)
        before = sum(each.work for each in self._plan[: self._at])
        after = sum(each.work for each in self._plan[self._at + 1 :])
        finished = before + done * stage.weight
        if not finished:
            return None
        pace = (now - self._started) / finished
        present = (now - self._stage_started) / done if done else pace * stage.weight
        return present * max(stage.parts - done, 0) + pace * after

    def _say(self, part: str) -> None:
        left = self.left_s()
        text = "" if left is None else f", {duration_text(left)} left"
        stage = self._plan[self._at]
        self._progress.say(f"stage {self._at + 1} of {len(self._plan)}: {stage.name}{part}{text}")


def duration_text(seconds: float) -> str:
    """As rough as it is known: `less than a minute`, `about 7 min`, `about 2 h 10 min`."""
    if seconds < MINUTE:
        return "less than a minute"
    if seconds < HOUR:
        return f"about {round(seconds / MINUTE)} min"
    hours, minutes = divmod(10 * round(seconds / MINUTE / 10), 60)
    return f"about {hours} h {minutes} min"
