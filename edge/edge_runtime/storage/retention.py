"""What may leave the spool, and in which order, when it is too old or takes too much room. Numbers only, no I/O.

1. What a consumer acknowledged leaves first.
2. What is older than `max_age_s` and was confirmed by the broker leaves, and is logged.
3. Above `max_bytes`, with `until_confirmed`, what the broker confirmed leaves, the oldest first.
4. Then the spool grows into `borrowed_bytes`, the room of the pictures, which give way.
5. Only then do others leave, the oldest first, logged, and with FAULT.
"""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True)
class Retention:
    """How long verdicts are kept. until_confirmed: nobody acknowledges, the broker's confirmation is enough."""

    max_age_s: int = 30 * 86_400
    max_bytes: int = 1000 * MB
    borrowed_bytes: int = 0
    until_confirmed: bool = False

    @property
    def limit_bytes(self) -> int:
        """What the spool may take at most, the pictures' room included."""
        return self.max_bytes + self.borrowed_bytes


@dataclass(frozen=True)
class Dropped:
    """Verdicts that the retention made leave although no consumer had acknowledged them."""

    by_age: int = 0
    confirmed: int = 0  # by size, and the broker had them
    unconfirmed: int = 0  # by size, and nobody had them, or nobody had said so: this is a fault

    def __bool__(self) -> bool:
        return bool(self.by_age or self.confirmed or self.unconfirmed)
