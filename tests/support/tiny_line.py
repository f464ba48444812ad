"""The tiny bundle with a recipe and limits of frames, so that it can be calibrated; and doing so."""

from __future__ import annotations

import json
from pathlib import Path

from edge_build.progress import PlainProgress
from edge_build.workflows.recalibrate import recalibrate
from edge_runtime.bundle.reader import Bundle, open_bundle
from tests.support.tiny_bundle import write_bundle

RECIPE = "name: tiny\nversion: '1.0'\ndataset: pictures\nprecisions: [fp32]\nthreshold: {false_reject_rate: 0.1}\n"
FRAMES = {"pictures": 9, "height": 64, "width": 64, "brightness_low": 20, "saturated_high": 0.5, "sharpness_low": 0}


def tiny_bundle(folder: Path) -> Bundle:
    """Its false-reject rate is 10 %."""
    write_bundle(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"]["fp32"]["threshold"]["false_reject_rate"] = 0.1
    (folder / "manifest.json").write_text(json.dumps(manifest | {"recipe": RECIPE, "frames": FRAMES}))
    return open_bundle(folder)


def calibrated(bundle: Bundle, pictures: Path) -> tuple[Bundle, str]:
    """The new bundle, `out/tiny-1.1` beside the pictures, and what was logged."""
    output: list[str] = []
    made = recalibrate(bundle.folder, pictures, "1.1", pictures.parent / "out", PlainProgress(output.append))
    return open_bundle(Path(made.folder)), "".join(output)
