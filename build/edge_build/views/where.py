"""Where a view shows the part: from its own templates, so that a bundle knows it as the build did.

mask = where_judged(view)
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.views.template_grid import around_part
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import View


def where_judged(view: View) -> NDArray[np.bool_] | None:
    """What of the model's picture shows the part and is not ignored: bool (H, W).

    None where all of it may: the view does not look for a part, or knows it by its place alone.
    """
    part = _part_in(view)
    if view.ignore is None:
        return part
    return ~view.ignore if part is None else part & ~view.ignore


def _part_in(view: View) -> NDArray[np.bool_] | None:
    record, template = view.record, view.fine
    if record is None or record.locator is None or template is None or record.locator.ground == "none":
        return None
    weights = (template.weights > 0).astype(np.uint8)
    height, width = weights.shape
    part = cv2.erode(weights, around_part(height, width))  # a template counts what is around the part, too
    on_part = FrameViewer(view).part_points()
    x = (on_part[..., 0] * template.scale + (width - 1) / 2).astype(np.float32)
    y = (on_part[..., 1] * template.scale + (height - 1) / 2).astype(np.float32)
    near = cv2.remap(part, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
    outline = record.locator.outline  # a long part's template ends near it, and tells less there
    in_box = np.abs(on_part - [outline.x + outline.width / 2, outline.y + outline.height / 2])
    return np.asarray(near & (in_box <= [outline.width / 2, outline.height / 2]).all(axis=2))
