"""The topics of a station: `ev1/<line>/<cell>/...`, version 1 of the MQTT contract (docs/reference/mqtt.md).

A plant may put its own levels in place of `ev1`.
"""

from __future__ import annotations

from dataclasses import dataclass

CONTRACT = "ev1"
MAX_LENGTH = 64  # what the smallest PLC libraries take; a test holds it for the longest line and cell


@dataclass(frozen=True)
class Topics:
    """Every topic that a station uses, from its line and cell."""

    line: str
    cell: str
    prefix: str = CONTRACT

    def _at(self, name: str) -> str:
        return f"{self.prefix}/{self.line}/{self.cell}/{name}"

    def name_of(self, topic: str) -> str:
        """A topic without the station's part.

        >>> Topics("press", "1").name_of("ev1/press/1/verdict/json")
        'verdict/json'
        """
        return topic.removeprefix(self._at(""))

    @property
    def trigger(self) -> str:
        """A PLC asks for a verdict."""
        return self._at("trigger")

    @property
    def trigger_ack(self) -> str:
        """Whether the station took the trigger."""
        return self._at("trigger/ack")

    @property
    def verdict(self) -> str:
        """The ASCII record."""
        return self._at("verdict")

    @property
    def verdict_bin(self) -> str:
        """The binary record."""
        return self._at("verdict/bin")

    @property
    def verdict_json(self) -> str:
        """The JSON line."""
        return self._at("verdict/json")

    @property
    def verdict_ack(self) -> str:
        """A consumer says up to which seq it has stored everything."""
        return self._at("verdict/ack")

    @property
    def replay(self) -> str:
        """A consumer asks for verdicts again."""
        return self._at("replay")

    @property
    def replay_data(self) -> str:
        """The answer: JSON lines with the replay flag."""
        return self._at("replay/data")

    @property
    def state(self) -> str:
        """Retained; the last will says OFFLINE."""
        return self._at("state")

    @property
    def heartbeat(self) -> str:
        """A counter."""
        return self._at("heartbeat")

    @property
    def counters(self) -> str:
        """Retained totals since the start."""
        return self._at("counters")

    @property
    def command(self) -> str:
        """SELFTEST, PAUSE, RESUME, RELOAD."""
        return self._at("command")

    @property
    def command_ack(self) -> str:
        """What came of a command."""
        return self._at("command/ack")

    def longest(self) -> int:
        """How many characters the longest one has."""
        return len(self.verdict_json)
