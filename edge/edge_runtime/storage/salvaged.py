"""What could still be read of a damaged spool, for the new one that takes its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_runtime.records import PictureFile
from edge_runtime.storage.database import SpoolDatabase
from edge_runtime.wire.commands import Trigger

Row = tuple[int, int, int, int, bytes]  # as in the table verdict


@dataclass(frozen=True)
class Salvaged:
    """Verdicts as rows, triggers without a verdict, and the files whose pictures were judged."""

    rows: Iterable[Row] = ()
    accepted: tuple[Trigger, ...] = ()
    judged: tuple[PictureFile, ...] = ()

    def write_to(self, database: SpoolDatabase) -> None:
        """Within a transaction. What is there already stays as it is."""
        database.execute_many("INSERT OR IGNORE INTO verdict VALUES (?, ?, ?, ?, ?)", self.rows)
        accepted = [(t.trigger_id, t.recipe, t.part_id) for t in self.accepted]
        database.execute_many("INSERT OR IGNORE INTO accepted VALUES (?, ?, ?)", accepted)
        judged = [(file.key, file.identity) for file in self.judged]
        database.execute_many("INSERT OR IGNORE INTO judged VALUES (?, ?)", judged)
