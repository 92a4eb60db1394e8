"""GitHub's REST API for the comments of issues, on this machine: https with its own CA.

What it was asked is in `requests`; `script` answers instead of it, request by request, with an
`Answer` or by holding back or dripping what it says.
"""

from __future__ import annotations

import http.server
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.git_server import certificate

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
LIMIT = 65_536
_ROUTE = re.compile(
    r"/api/v3/repos/(?P<repo>[^/]+/[^/]+)/issues/(?:(?P<number>\d+)/comments|comments/(?P<id>\d+))"
)


@dataclass(frozen=True)
class Answer:
    """An answer in place of the real one. `hold`: after it was given effect, if `effect`."""

    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: bool = False  # do what was asked, then answer this
    body: bytes | None = None
    drip: threading.Event | None = None  # one byte at a time until it is set
    silent: threading.Event | None = None  # no answer until it is set


def rate_limited(after_s: int = 1) -> Answer:
    return Answer(429, "API rate limit exceeded for user ID 1.", {"Retry-After": str(after_s)})


def primary_limit(reset: float) -> Answer:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(reset))}
    return Answer(403, "API rate limit exceeded for user ID 1.", headers)


def secondary_limit(after_s: int = 1) -> Answer:
    text = "You have exceeded a secondary rate limit. Please wait a few minutes."
    return Answer(403, text, {"Retry-After": str(after_s)})


@dataclass
class Comment:
    id: int
    number: int
    body: str
    updated_at: datetime
    edits: list[str] = field(default_factory=list)


@dataclass
class GitHubServer:
    """One repository with any number of issues and pull requests."""

    repo: str = "acme/infra"
    port: int = 0
    certificate: Path = Path()
    comments: dict[int, Comment] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)  # method, path with query
    bodies: list[str] = field(default_factory=list)  # of comments, as sent
    script: list[Answer] = field(default_factory=list)  # taken from the front
    always: Answer | None = None
    before: Callable[[str, str], None] = lambda _method, _path: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lock: threading.RLock = field(default_factory=threading.RLock)
    next_id: int = 100

    @property
    def url(self) -> str:
        """The repository as a job names it."""
        return f"https://127.0.0.1:{self.port}/{self.repo}.git"

    @property
    def api(self) -> str:
        return f"https://127.0.0.1:{self.port}/api/v3"

    def add(self, number: int, body: str, **fields: Any) -> Comment:
        with self.lock:
            self.next_id += 1
            comment = Comment(self.next_id, number, body, **{"updated_at": self.now(), **fields})
            self.comments[comment.id] = comment
            return comment

    def on(self, number: int) -> list[Comment]:
        with self.lock:
            return [c for _, c in sorted(self.comments.items()) if c.number == number]

    def methods(self) -> list[str]:
        return [method for method, _ in self.requests]

    def writes(self) -> list[str]:
        return [method for method in self.methods() if method != "GET"]

    def answer(
        self, method: str, path: str, token: str | None, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        """Do what is asked; return status, JSON and headers."""
        parts = urlsplit(path)
        found = _ROUTE.fullmatch(parts.path)
        if token not in {f"token {TOKEN}", f"Bearer {TOKEN}"}:
            return 401, {"message": "Bad credentials"}, {}
        if found is None or found["repo"] != self.repo:
            return 404, {"message": "Not Found"}, {}
        text = json.loads(body)["body"] if body else ""
        if len(text) > LIMIT or len(text.encode()) > 4 * LIMIT:
            return 422, {"message": "Validation Failed"}, {}
        if body:
            self.bodies.append(text)
        if found["number"] is not None:
            number = int(found["number"])
            if method == "POST":
                return 201, self._json(self.add(number, text)), {}
            return self._page(number, parts.path, parse_qs(parts.query))
        comment = self.comments.get(int(found["id"]))
        if comment is None:
            return 404, {"message": "Not Found"}, {}
        if method == "DELETE":
            del self.comments[comment.id]
            return 204, None, {}
        comment.edits.append(comment.body)
        comment.body, comment.updated_at = text, self.now()
        return 200, self._json(comment), {}

    def _page(
        self, number: int, path: str, query: dict[str, list[str]]
    ) -> tuple[int, Any, dict[str, str]]:
        size, page = (
            int(query.get(name, [default])[0])
            for name, default in (("per_page", "30"), ("page", "1"))
        )
        since = datetime.fromisoformat(query["since"][0]) if "since" in query else None
        found = [c for c in self.on(number) if since is None or c.updated_at >= since]
        chosen = found[(page - 1) * size : page * size]
        more = len(found) > page * size
        link = f'<https://127.0.0.1:{self.port}{path}?per_page={size}&page={page + 1}>; rel="next"'
        return 200, [self._json(c) for c in chosen], {"Link": link} if more else {}

    def _json(self, comment: Comment) -> dict[str, Any]:
        url = f"{self.api}/repos/{self.repo}/issues/comments/{comment.id}"
        html = f"https://127.0.0.1:{self.port}/{self.repo}/pull/{comment.number}#issuecomment-{comment.id}"
        return {"id": comment.id, "url": url, "html_url": html, "body": comment.body}


@contextmanager
def serving(server: GitHubServer, folder: Path) -> Iterator[GitHubServer]:
    """Run the server until the block ends; `folder` is for its certificate."""
    server.certificate, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, key)
    listening = _Server(("127.0.0.1", 0), _handler(server))
    # The handshake is the handler's, in its own thread.
    listening.socket = context.wrap_socket(
        listening.socket, server_side=True, do_handshake_on_connect=False
    )
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments: Any) -> None:
        pass  # a client that leaves in the middle of its handshake is no news


def _handler(server: GitHubServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with server.lock:
                server.requests.append((self.command, self.path))
                scripted = server.script.pop(0) if server.script else server.always
            server.before(self.command, self.path)
            token = self.headers.get("Authorization")
            answer = (0, None, {})
            if scripted is None or scripted.effect:
                with server.lock:
                    answer = server.answer(self.command, self.path, token, body)
            if scripted is not None and scripted.silent is not None:
                scripted.silent.wait()
                self.close_connection = True
                return
            self._send(*(answer if scripted is None else _scripted(scripted)), scripted)

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815

        def _send(
            self, status: int, content: Any, headers: dict[str, str], scripted: Answer | None
        ) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            body = b"" if status == 204 else body
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.flush_headers()
                _drip(scripted, self.wfile)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the client has left

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


def _scripted(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    content = {"message": answer.message} if answer.body is None else answer.body
    return answer.status, content, dict(answer.headers)


def _drip(answer: Answer | None, out: Any) -> None:
    """Send one header of any length, a byte at a time."""
    if answer is None or answer.drip is None:
        return
    out.write(b"X-Drip: ")
    while not answer.drip.wait(0.05):
        out.write(b"x")
        out.flush()
    out.write(b"\r\n")
