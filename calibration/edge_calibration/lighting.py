"""Pictures in the light of other days: INT8 is calibrated on these, too.

for picture in varied(pictures, exposure=0.15, lighting=0.15): ...
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def varied(pictures: NDArray[np.uint8], exposure: float, lighting: float) -> Iterator[NDArray[np.uint8]]:
    """Each picture (H, W, 3) as (1, H, W, 3), and after it the same in another light: darker, lighter, lit from the
    left or from above, in turn.

    exposure: by what share pictures get darker or lighter. lighting: by what share light falls off from one side to
    the other. Zero leaves a kind out.
    """
    height, width = pictures.shape[1:3]
    across = np.linspace(1 + lighting / 2, 1 - lighting / 2, width)[None, :, None]
    down = np.linspace(1 + lighting / 2, 1 - lighting / 2, height)[:, None, None]
    gains = [gain for gain, wanted in ((1 - exposure, exposure), (1 + exposure, exposure)) if wanted]
    lights = [*(np.full((1, 1, 1), gain) for gain in gains), *((across, down) if lighting else ())]
    for number, picture in enumerate(pictures):
        yield picture[None]
        if lights:
            lit = picture * lights[number % len(lights)]
            yield np.clip(np.rint(lit), 0, 255).astype(np.uint8)[None]
