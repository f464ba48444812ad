"""The page's server: one recipe, one user on this machine, until the view is saved or the page is left.

    with EditorServer(session) as server:
        print(server.url)
        changed = server.wait()

It listens on 127.0.0.1 alone, at a port that is free. Who does not have the token of the URL gets nothing, nor does a
page of another site: requests must name this host, and those that change something must come from this page itself.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any

from pydantic import BaseModel, ValidationError

from edge_build.recipe.view_settings import ViewSettings
from edge_build.view_editor.session import EditSession, StaleProposalError
from edge_runtime.errors import EdgeError
from edge_runtime.strict_yaml.problems import allowed, broken_rule
from edge_runtime.strict_yaml.values import as_written

PAGE = Path(__file__).parent / "page"
PAGE_FILES = {
    "": ("editor.html", "text/html; charset=utf-8"),
    "editor.js": ("editor.js", "text/javascript; charset=utf-8"),
    "areas.js": ("areas.js", "text/javascript; charset=utf-8"),
    "editor.css": ("editor.css", "text/css; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_BYTES = 64_000  # of what a page sends
SILENT_S = 20  # a connection that says nothing for so long is closed

Answer = tuple[HTTPStatus, str, bytes]


class EditorServer:
    """Serves a session from entering to leaving the `with` block."""

    def __init__(self, session: EditSession) -> None:
        self._session = session
        self._token = secrets.token_urlsafe(24)
        self._ended = Event()
        self._changed: tuple[str, ...] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="view editor", daemon=True)

    @property
    def url(self) -> str:
        """With the token."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._token}/"

    def wait(self) -> tuple[str, ...] | None:
        """Until the page ends it: the keys that changed, or None when nothing was to be saved."""
        while not self._ended.wait(0.5):  # with a bound, so that Ctrl-C is heard
            pass
        return self._changed

    def __enter__(self) -> EditorServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _get(self, path: str) -> Answer:
        if path in PAGE_FILES:
            name, kind = PAGE_FILES[path]
            return HTTPStatus.OK, kind, (PAGE / name).read_bytes()
        what, *numbers = path.split("/")
        if path == "state":
            return _json(self._session.state())
        if what in ("frame", "seen") and all(number.isascii() and number.isdigit() for number in numbers):
            wanted = [int(number[:9]) for number in numbers]
            if what == "frame" and len(wanted) == 1:
                return HTTPStatus.OK, "image/jpeg", self._session.frame(wanted[0])
            if what == "seen" and len(wanted) == 2:
                return HTTPStatus.OK, "image/jpeg", self._session.seen(wanted[0], wanted[1])
        return _problem(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, path: str, content: bytes) -> tuple[Answer, bool]:
        """And whether this was the last request."""
        if path == "propose":
            return _json(self._session.propose(ViewSettings.model_validate_json(content))), False
        if path == "save":
            self._changed = self._session.save(ViewSettings.model_validate_json(content))
            return _answer(HTTPStatus.OK, {"changed": self._changed}), True
        if path == "close":
            return _answer(HTTPStatus.OK, {}), True
        return _problem(HTTPStatus.NOT_FOUND, "there is nothing here"), False

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        editor = self

        class Handler(BaseHTTPRequestHandler):
            """What may be asked, by whom, and errors as answers."""

            server_version, sys_version = "edge-build", ""
            timeout = SILENT_S

            def do_GET(self) -> None:
                if (path := self._allowed_path()) is not None:
                    self._send(_answered(lambda: editor._get(path)))

            def do_POST(self) -> None:
                path = self._allowed_path()
                if path is None or (content := self._content()) is None:
                    return
                last = False

                def post() -> Answer:
                    nonlocal last
                    answer, last = editor._post(path, content)
                    return answer

                self._send(_answered(post))
                if last:
                    editor._ended.set()

            def _allowed_path(self) -> str | None:
                """What follows the token; None when this was answered with a refusal."""
                port = editor._server.server_port
                hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
                _, token, *rest = (self.path.split("?")[0] + "/").split("/", 2)
                if self.headers.get("Host") not in hosts:
                    self._send(_problem(HTTPStatus.FORBIDDEN, "this host is served at 127.0.0.1 alone"))
                elif not secrets.compare_digest(token.encode(), editor._token.encode()):
                    self._send(_problem(HTTPStatus.NOT_FOUND, "open the URL that edge-build printed"))
                elif self.command == "POST" and self.headers.get("Origin") not in [f"http://{host}" for host in hosts]:
                    self._send(_problem(HTTPStatus.FORBIDDEN, "only the page itself may send this"))
                else:
                    return "".join(rest).removesuffix("/")
                return None

            def _content(self) -> bytes | None:
                length = self.headers.get("Content-Length", "")
                if not (length.isascii() and length.isdigit()) or int(length[:9]) > MOST_BYTES:
                    self._send(_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes are taken"))
                    return None
                return self.rfile.read(int(length))

            def _send(self, answer: Answer) -> None:
                status, kind, content = answer
                self.send_response(status)
                for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """Requests are the user's own: nothing to log."""

        return Handler


def _answered(work: Callable[[], Answer]) -> Answer:
    """What work answers, or in words why it does not."""
    try:
        return work()
    except ValidationError as error:
        return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"problems": problems_of(error)})
    except StaleProposalError as error:
        return _problem(HTTPStatus.GONE, str(error))
    except IndexError:
        return _problem(HTTPStatus.NOT_FOUND, "there is no such picture")
    except EdgeError as error:
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def problems_of(error: ValidationError) -> list[str]:
    """One text for each key of a view that is not allowed, as a build would say it."""
    found: dict[str, str] = {}
    for detail in error.errors():
        key = str(detail["loc"][0]) if detail["loc"] else ""
        field = ViewSettings.model_fields.get(key)
        takes = allowed(field) if field is not None else ""
        what = f"found {as_written(detail['input'])}; allowed: {takes}" if takes else broken_rule(detail)
        found.setdefault(key, f"view.{key}: {what}" if key else what)
    return list(found.values())


def _json(record: BaseModel) -> Answer:
    return HTTPStatus.OK, "application/json", record.model_dump_json().encode()


def _answer(status: HTTPStatus, content: dict[str, object]) -> Answer:
    return status, "application/json", json.dumps(content).encode()


def _problem(status: HTTPStatus, what: str) -> Answer:
    return _answer(status, {"problems": [what]})
