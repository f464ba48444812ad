"""One recipe's view being edited: what is shown of its good pictures, what a view makes of them, and what is saved.

session = EditSession(Path("screw.yaml"), progress)
proposal = session.propose(ViewSettings(pose="axis"))
changed = session.save(ViewSettings(pose="axis"))
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from pydantic import BaseModel, ConfigDict

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import Picture
from edge_build.evaluation.result import name_in
from edge_build.progress import Progress, SilentProgress
from edge_build.recipe.input_size import size_text
from edge_build.recipe.recipe import INIT, Recipe, read_recipe, seen_from
from edge_build.recipe.view_edit import with_view
from edge_build.recipe.view_settings import ViewSettings
from edge_build.report.jpeg import jpeg_from_picture
from edge_build.report.seen import outline_in_frame, pose_text
from edge_build.views.learn import LearnedView, learn_view
from edge_build.views.samples import evenly
from edge_build.views.shape import size_for
from edge_runtime.errors import ConfigError
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.imaging.overlay import fit
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.strict_yaml.model import model_from_text

SHOWN = 20  # pictures
LONGEST = 1400  # pixels of a shown frame's longer side
MOST_BYTES = 400_000  # of a shown picture
SQUEEZED = 1.25  # one scale against the other: from here on it is said


class _Json(BaseModel):
    model_config = ConfigDict(frozen=True)


class ShownPicture(_Json):
    """A good picture, its own size in pixels."""

    name: str
    width: int
    height: int


class EditorState(_Json):
    """What the page begins with. view: as the recipe says."""

    recipe: str
    name: str
    view: ViewSettings
    pictures: tuple[ShownPicture, ...]


class SeenPicture(_Json):
    """outline: what the model's picture shows, as x, y in the picture's pixels. text: where the part was found."""

    outline: tuple[tuple[float, float], ...]
    text: str


class Proposal(_Json):
    """What a view makes of the pictures. number: of this proposal. advice: on the size; empty for none."""

    number: int
    why: str
    width: int
    height: int
    advice: str
    pictures: tuple[SeenPicture, ...]


class StaleProposalError(ValueError):
    """Another view was proposed since."""


class EditSession:
    """May be used by several threads; one view is learned at a time."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Raises ConfigError for a recipe, DatasetError for pictures that a build would refuse."""
        self._path = path
        self._recipe = read_recipe(path)
        self._text = _read(path)
        self._dataset = scan_dataset(self._recipe.dataset, progress, self._recipe.exclude, self._recipe.all_good)
        self._shown: list[Picture] = evenly(self._dataset.good, SHOWN)
        self._lock = Lock()
        self._proposed = 0
        self._viewer: FrameViewer | None = None

    def state(self) -> EditorState:
        """Raises PictureError for a picture that went away."""
        as_written = model_from_text(self._text, self._path, Recipe, INIT).view
        pictures = tuple(self._shown_picture(picture) for picture in self._shown)
        return EditorState(recipe=str(self._path), name=self._recipe.label, view=as_written, pictures=pictures)

    def frame(self, row: int) -> bytes:
        """A shown picture as JPEG. Raises IndexError, PictureError."""
        return jpeg_from_picture(fit(read_picture(self._shown[row].path), LONGEST), MOST_BYTES)

    def seen(self, number: int, row: int) -> bytes:
        """What a proposal shows of it, as JPEG. Raises StaleProposalError, IndexError, PictureError."""
        with self._lock:
            viewer = self._viewer
            if viewer is None or number != self._proposed:
                raise StaleProposalError(f"view {number} was replaced by {self._proposed}")
        return jpeg_from_picture(viewer.see(read_picture(self._shown[row].path)).picture, MOST_BYTES)

    def propose(self, view: ViewSettings) -> Proposal:
        """Learn a view, as a build would. Raises ConfigError, DatasetError, PictureError."""
        with self._lock:
            placed = seen_from(view, self._path.parent)
            learned = learn_view(self._dataset.good, placed, self._recipe.size, SilentProgress())
            self._viewer = FrameViewer(learned.view)
            self._proposed += 1
            return self._proposal(learned, self._viewer)

    def save(self, view: ViewSettings) -> tuple[str, ...]:
        """Write the recipe, and tell the keys of the view that changed; none: nothing was written.

        Raises ConfigError for a view that no build would take, and when the recipe was changed by others; StorageError.
        """
        self.propose(view)
        with self._lock:
            if _read(self._path) != self._text:
                raise ConfigError(
                    f"{self._path} was changed by another program since this page was opened: nothing is saved; end "
                    "without saving, and run the command again"
                )
            edited = with_view(self._text, view, self._path)
            before = model_from_text(self._text, self._path, Recipe, INIT).view
            changed = tuple(name for name, value in view if value != getattr(before, name))
            if changed:
                with storage_errors(self._path):
                    mode = self._path.stat().st_mode & 0o777
                    write_file(self._path, edited.encode(), Durability.ATOMIC, mode)
                self._text = edited
            return changed

    def _proposal(self, learned: LearnedView, viewer: FrameViewer) -> Proposal:
        pictures = []
        for picture in self._shown:
            sight = viewer.see(read_picture(picture.path))
            points = [(float(x), float(y)) for x, y in outline_in_frame(sight).tolist()]
            pictures.append(SeenPicture(outline=tuple(points), text=pose_text(sight)))
        return Proposal(
            number=self._proposed,
            why=learned.why,
            width=viewer.width,
            height=viewer.height,
            advice=self._advice(learned, viewer),
            pictures=tuple(pictures),
        )

    def _advice(self, learned: LearnedView, viewer: FrameViewer) -> str:
        """On a region that the model's picture does not show in its shape; other poses choose the shape themselves."""
        record = learned.view.record
        if record is not None and record.pose != "fixed":
            return ""
        shown = read_picture(self._shown[0].path).shape
        width, height = (shown[1], shown[0]) if record is None or record.region is None else record.region[2:]
        across, down = viewer.width / width, viewer.height / height
        better = list(size_for(width, height, viewer.width * viewer.height))
        if max(across / down, down / across) < SQUEEZED or better == list(viewer.size):
            return ""
        return f"{size_text(viewer.height, viewer.width)} squeezes what it shows: `size: {better}` keeps its shape"

    def _shown_picture(self, picture: Picture) -> ShownPicture:
        height, width = read_picture(picture.path).shape[:2]
        return ShownPicture(name=name_in(self._dataset.root, picture), width=width, height=height)


def _read(path: Path) -> str:
    with storage_errors(path):
        return path.read_bytes().decode("utf-8")
