"""The stages of a build, and how long each takes beside the others: what its estimate of the time left rests on.

The weights come from one build of the rendered sample with PatchCore on two cores; CPR's share is an estimate. They
only need to be about right: the times of the stages that are done correct them.
"""

from __future__ import annotations

from edge_build.data.splits import BLOCKS_PER_FOLD
from edge_build.recipe.recipe import Recipe
from edge_build.stages import Stage

PICTURES, LEARNING, INT8, JUDGING, MEASURING, PACKING = (
    "reading the pictures",
    "learning",
    "calibrating INT8",
    "setting the threshold on held-out pictures",
    "measuring",
    "packing",
)


def stages_of(recipe: Recipe) -> list[Stage]:
    """Of a build that follows a recipe; its folds may turn out to be fewer."""
    trained = recipe.detector != "patchcore"
    cross_fitted = recipe.threshold.method == "cross-fitted"
    folds = recipe.threshold.folds if cross_fitted else BLOCKS_PER_FOLD
    learning = 20.0 if trained else 1.0
    again = learning if cross_fitted else 1.0  # a detector that is not learned again is measured alone
    return [
        Stage(PICTURES, 5.0),
        Stage(LEARNING, learning),
        *([Stage(INT8, 4.0)] if "int8" in recipe.precisions else []),
        Stage(JUDGING, again, folds + folds // 2 * cross_fitted),
        Stage(MEASURING, 1.0),
        Stage(PACKING, 0.2),
    ]
