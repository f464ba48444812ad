"""Which of two versions is the older one: numbers count as numbers, so that 2 comes before 2.1, and 2.9 before 2.10.

>>> is_older("2.9", than="2.10"), is_older("2-line3", than="2")
(True, False)
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\d+)|([A-Za-z]+)")


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another one. Letters come before numbers; a version that goes on comes later."""
    return _parts(version) < _parts(than)


def _parts(version: str) -> list[tuple[int, int, str]]:
    """Comparable; separators do not count."""
    found = _PARTS.findall(version)
    return [(1, int(number), "") if number else (0, 0, letters.lower()) for number, letters in found]
