"""The local server of the desk: 127.0.0.1 alone, a secret in every address, nothing from any other host.

A page elsewhere in the browser knows neither the secret nor may it read an answer; a name that somebody points to
127.0.0.1 is refused by its Host; a mark is taken only as JSON, from a page of this server.
"""

import importlib.util
import json
import secrets
import signal
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lazy_course.grading import hand, marking_page
from lazy_course.grading.errors import GradingError
from lazy_course.grading.marking import Desk

_MOST_BYTES = 100_000  # of a mark with its comment
_STATIC = Path(__file__).parent / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".woff": "font/woff"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def mathjax() -> Path:
    """The folder of the MathJax that the book ships; GradingError if it is not installed."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if found is None or not found.submodule_search_locations:
        raise GradingError("MathJax is missing; install sphinx-mathjax-offline, as requirements.lock does")
    return Path(found.submodule_search_locations[0]) / "static" / "mathjax"


class MarkingServer(ThreadingHTTPServer):
    """Serves one desk; `address` is where to open it. Its threads end with the process."""

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        self.desk = desk
        self.token = secrets.token_urlsafe(24)
        self.folders = {"static": _STATIC.resolve(), "mathjax": mathjax().resolve()}
        super().__init__(("127.0.0.1", port), Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.address = f"http://127.0.0.1:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """One request; everything is refused that the pages of this server do not ask for."""

    server: MarkingServer
    timeout = 30
    server_version = "marking"
    sys_version = ""

    def do_GET(self) -> None:
        """A page, a script, a style sheet or a font."""
        rest = self._rest()
        if rest is None:
            return
        folder, _, name = rest.partition("/")
        try:
            if folder in self.server.folders:
                self._file(self.server.folders[folder], name)
            else:
                self._page(rest)
        except (GradingError, OSError) as error:
            self._reply(HTTPStatus.INTERNAL_SERVER_ERROR, marking_page.trouble_page(str(error)).encode())

    def do_POST(self) -> None:
        """Points and a comment for one answer."""
        rest = self._rest()
        if rest is None:
            return
        entry = self.server.desk.by_id.get(rest)
        origin = self.headers.get("Origin")
        length = self.headers.get("Content-Length", "")
        if entry is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif origin is None or origin not in {f"http://{host}" for host in self.server.hosts}:
            self._refuse(HTTPStatus.FORBIDDEN)
        elif self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        elif not length.isascii() or not length.isdigit() or int(length) > _MOST_BYTES:
            self._json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"more than {_MOST_BYTES // 1000} kB of text"})
        else:
            status, content = self._save(rest, self.rfile.read(int(length)))
            self._json(status, content)

    def _save(self, name: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        desk = self.server.desk
        entry = desk.by_id[name]
        try:
            sent = json.loads(body)
            given, seen = (
                {part: str(sent[side][part]).strip() for part in ("points", "comment")} for side in ("given", "seen")
            )
        except (ValueError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST, {"error": "the message is not one of this page"}
        given["points"] = given["points"].replace(",", ".")
        try:
            desk.save(entry, given, seen)
            progress = marking_page.progress_words(desk, entry, desk.rows())
        except hand.Clash as clash:
            return HTTPStatus.CONFLICT, {"row": clash.row}
        except ValueError as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)}
        except (GradingError, OSError) as error:
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)}
        return HTTPStatus.OK, {"saved": given, "progress": progress}

    def _page(self, name: str) -> None:
        desk = self.server.desk
        rows = desk.rows()
        if name == "":
            first = desk.next_open(rows)
            self._reply(HTTPStatus.SEE_OTHER, b"", Location=first.id if first else "list")
        elif name == "list":
            self._reply(HTTPStatus.OK, marking_page.list_page(desk, rows).encode())
        elif name in desk.by_id:
            self._reply(HTTPStatus.OK, marking_page.answer_page(desk, desk.by_id[name], rows).encode())
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _file(self, folder: Path, name: str) -> None:
        path = (folder / name).resolve()
        if path.is_relative_to(folder) and path.is_file() and path.suffix in _KINDS:
            self._reply(HTTPStatus.OK, path.read_bytes(), _KINDS[path.suffix])
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _rest(self) -> str | None:
        """What follows the secret in the address; None after a refusal."""
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        _, _, path = self.path.partition("?")[0].partition("/")
        token, slash, rest = path.partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND)
            return None
        return rest

    def _json(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._reply(status, json.dumps(content).encode(), "application/json")

    def _refuse(self, status: HTTPStatus) -> None:
        self._reply(status, f"{status.value} {status.phrase}\n".encode(), "text/plain")

    def _reply(self, status: HTTPStatus, content: bytes, kind: str = "text/html", **more: str) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in {**_HEADERS, **more}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind != "font/woff" else kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Nothing: addresses hold the secret."""


def serve(server: MarkingServer, tell: Callable[[str], None]) -> None:
    """Say where the page is, and answer until Ctrl-C; every mark is on disk at any time."""
    # A KeyboardInterrupt that comes while Python clears up memory is lost: the signal itself is asked for.
    ended = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: ended.set())
    try:
        tell(f"{server.desk.summary()}\nThe page is {server.address} (Ctrl-C ends it)")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while not ended.wait(1.0):  # without a time it could not be interrupted on Windows
            pass
        server.shutdown()
    finally:
        signal.signal(signal.SIGINT, before)
        server.server_close()
    tell(f"{server.desk.summary()}; `lazy-course grade` takes them over")
