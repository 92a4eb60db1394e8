"""AWS as far as a plan asks for it, on a port of this machine.

A plan of these stages makes two calls: who am I, and is this state machine's definition valid.
Everything else is refused by name, so that a stage that begins to ask for more is noticed. The
definition is not judged here: the tests execute it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final
from urllib.parse import parse_qs

ACCOUNT: Final = "123456789012"
CALLS: Final = ("sts:GetCallerIdentity", "states:ValidateStateMachineDefinition")

_IDENTITY: Final = (  # the provider takes the region's partition from the ARN
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    "<GetCallerIdentityResult><Arn>arn:%s:iam::" + ACCOUNT + ":user/plan</Arn><UserId>A</UserId>"
    f"<Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
    "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)


def partition(region: str) -> str:
    """Return the partition of a region."""
    names = {"us-gov": "aws-us-gov", "cn": "aws-cn"}
    return next((name for start, name in names.items() if region.startswith(f"{start}-")), "aws")


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        action = parse_qs(body.decode(errors="replace")).get("Action", [target or self.path])[0]
        if action == "GetCallerIdentity":
            self._send(200, "text/xml", _IDENTITY % partition(self._region))
        elif action == "AWSStepFunctions.ValidateStateMachineDefinition":
            answer = json.dumps({"result": "OK", "diagnostics": []})
            self._send(200, "application/x-amz-json-1.0", answer)
        else:
            self._refuse(action)

    @property
    def _region(self) -> str:
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers.get("Authorization", ""))
        return scope[1] if scope else ""

    def _refuse(self, action: str) -> None:
        message = f"a plan may call {' and '.join(CALLS)}, not {action}"
        self._send(400, "application/json", json.dumps({"__type": "Refused", "message": message}))

    def do_GET(self) -> None:
        self._refuse(self.path)

    def do_PUT(self) -> None:
        self._refuse(self.path)

    def do_HEAD(self) -> None:
        self._refuse(self.path)

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def responder() -> Iterator[str]:
    """Answer while the block runs; yields the endpoint's URL."""
    with _Server(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()
