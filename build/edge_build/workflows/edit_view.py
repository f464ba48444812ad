"""`edge-build view --edit`: serve the page on which a recipe's view is drawn, until it is saved or left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_build.progress import Progress
from edge_build.view_editor.server import EditorServer
from edge_build.view_editor.session import EditSession


def edit_view(recipe: Path, progress: Progress, opened: Callable[[str], None]) -> tuple[str, ...] | None:
    """The keys of `view` that were changed in the recipe, or None where it was left without saving.

    opened: is called with the page's URL. Raises ConfigError and DatasetError as a build would.
    """
    with EditorServer(EditSession(recipe, progress)) as server:
        opened(server.url)
        return server.wait()
