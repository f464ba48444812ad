"""One word for one thing: names that were given up for the field's own stay away (docs/glossary.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GIVEN_UP = {
    "VerdictIssuer": ["class Answers"],
    "InspectionRequest": ["InspectionOrder", "Shot"],
    "TriggerMode": ["FreePace", "PlcPace"],
    "TriggerGate": ["TriggerDesk", "trigger_desk"],
    "MessageRouter": ["Reception"],
    "EventQueue": ["Inbox"],
    "Counters": ["Tally"],
    "LogThrottle": ["Seldom"],
    "InFlight": ["Outbox"],
    "ClientIdConflict": ["TakeoverWatch"],
    "FailedFrame": ["LostFrame"],
    "UnavailableEngine": ["AbsentEngine"],
    "check_preprocessing": ["prove_prepare", "prepare_proof"],
    "FrameMeasurement": ["look_at"],
    "read_verified": ["_believed"],
    "PreparedPictures": ["Shelf"],
    "TrainingSet": ["Lessons"],
    "TrainingExample": ["Taught"],
    "fp16_emulation": ["exact_graph"],
    "engine_cache": ["engine_files"],
}


def texts() -> list[Path]:
    """Code, tests and pages; not the changelog, which names what there was."""
    folders = ("edge", "calibration", "build", "deploy", "benchmarks", "tests", "docs")
    found = [path for folder in folders for kind in ("py", "md") for path in (ROOT / folder).rglob(f"*.{kind}")]
    return [*found, *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md")]


@pytest.mark.parametrize(("now", "before"), GIVEN_UP.items(), ids=GIVEN_UP)
def test_a_name_that_was_given_up_is_nowhere(now: str, before: list[str]) -> None:
    pattern = re.compile(rf"\b({'|'.join(before)})\b")
    found = [path for path in texts() if path != Path(__file__) and pattern.search(path.read_text(encoding="utf-8"))]

    assert found == [], f"call it {now}"
