"""What a command on `/command` does, and what is replied to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.config.edits import Edits
from edge_runtime.daemon.events import EventQueue, Loaded, NotLoaded
from edge_runtime.daemon.model import Loader, Model, ServingModel
from edge_runtime.daemon.self_test import SelfTest
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.verdict_issuer import VerdictIssuer
from edge_runtime.errors import EdgeError
from edge_runtime.readable import readable
from edge_runtime.wire.commands import Command, without_folders
from edge_runtime.wire.states import STATE_TEXT_LENGTH

log = logging.getLogger(__name__)

REPLY_LENGTH = 80


@dataclass(frozen=True)
class CommandHandler:
    """See the module. Only the serving thread calls it. reply: sends bytes on `/command/ack`.

    edits: what was changed in the station's file; the loader's thread asks, for a disk that hangs must not hold up the
    line.
    """

    serving: ServingModel
    self_test: SelfTest
    loader: Loader
    issuer: VerdictIssuer
    events: EventQueue
    status: Status
    reply: Callable[[bytes], None]
    edits: Callable[[], Edits] = Edits

    def execute(self, command: Command) -> None:
        """Do what a command asks, and reply. RELOAD gets its reply when the other model is loaded, or is not."""
        if command is Command.SELFTEST:
            self._log_and_reply(command, self.self_test.run())
        elif command is Command.PAUSE:
            self.status.note(paused=True)
            self._log_and_reply(command, "DONE")
        elif command is Command.RESUME:
            self.status.note(paused=False)
            self._log_and_reply(command, "DONE")
        elif not self.loader.start(self._loading_done, self._loading_failed):
            self._log_and_reply(command, "REFUSED;a model is being loaded already")

    def refuse(self, command: Command, why: str) -> None:
        """Do nothing, and say so."""
        self._log_and_reply(command, f"REFUSED;{why}")

    def loaded(self, model: Model, edits: Edits) -> None:
        """RELOAD has another model, and it passed its self-test: from now on it judges, between two parts."""
        self.issuer.serve_with(model.bundle.manifest)
        self.serving.replace(model)
        self.self_test.start_over()
        log.info("%s", model.description)
        self.status.note(self_test_passed=True, no_engine=False, bundle=model.bundle.label)
        self._warn_of(edits)
        done = f"DONE;{model.bundle.label} serves"
        left = edits.text(REPLY_LENGTH - len(f"{Command.RELOAD.value};{done}, "))
        self._log_and_reply(Command.RELOAD, f"{done}, {left}" if left else done)

    def not_loaded(self, reason: str, edits: Edits) -> None:
        """RELOAD has no other model. The loader's thread has logged it; the reply has less room."""
        self._warn_of(edits)
        self._reply(Command.RELOAD, self._goes_on(without_folders(reason)))

    def _warn_of(self, edits: Edits) -> None:
        """RELOAD loads the bundle again, not the station's file: say what of that waits for a restart."""
        if edits.problem:
            log.warning("a restart would fail, the station goes on with what it started with: %s", edits.problem)
        elif edits.keys:
            log.warning("the station's file was changed: restart to apply %s", ", ".join(edits.keys))
        room = STATE_TEXT_LENGTH - len(f"{self.serving.model.bundle.label}: ")
        self.status.note(edits=edits.text(room))

    def _loading_done(self, model: Model) -> None:
        """In the loader's thread."""
        self.events.put(Loaded(model, self.edits()))

    def _loading_failed(self, error: Exception) -> None:
        """In the loader's thread: log it in full, with the traceback of a bug."""
        result = self._goes_on(str(error))
        log.error("command RELOAD: %s", result, exc_info=None if isinstance(error, EdgeError) else error)
        self.events.put(NotLoaded(str(error), self.edits()))

    def _goes_on(self, reason: str) -> str:
        return f"FAILED;{self.serving.model.bundle.label} goes on: {reason}"

    def _log_and_reply(self, command: Command, result: str) -> None:
        log.info("command %s: %s", command.value, result)
        self._reply(command, result)

    def _reply(self, command: Command, result: str) -> None:
        self.reply(f"{command.value};{readable(result)}".encode("ascii", "replace")[:REPLY_LENGTH])
