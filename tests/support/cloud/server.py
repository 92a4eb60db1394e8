"""moto's server as a process of its own: what happens in it is told to its parent, line by line.

    python -m tests.support.cloud.server '{"wait_scale": 0.5}'

stdout: `{"port"}` first, then `{"kind": "event" | "invoke" | "build", "function", "event", "at"}`
and `{"kind": "ask", "id", ...}`, which wants `{"id", "answer"}` or `{"id", "error"}` on stdin.
`{"rate", "seed"}` there sets the faults; the end of stdin ends the server.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from src.common.codec import unpack
from src.common.keys import PAYLOAD_VARIABLE
from src.local import moto_patches
from src.local.stack import WORKER, Stack
from tests.support.cloud.faults import Faults, Wsgi, service_of

ANSWER_TIMEOUT_S: Final = 120.0


class Wire:
    """Tells the parent what moto reports; takes its answers."""

    def __init__(self, stack: Stack, wait_scale: float) -> None:
        self._keys = {function.name: key for key, function in stack.functions.items()}
        self._scale = wait_scale
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what moto prints is no message
        self._telling = threading.Lock()
        self._ids = itertools.count()
        self._asked: dict[int, Future[Any]] = {}
        self._ended = threading.Event()

    # moto_patches.Platform

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def s3_event(self, function_arn: str, event: Any) -> None:
        self.tell(kind="event", function=self._key(function_arn), event=event)

    def invoke_async(self, function: str, event: Any) -> None:
        self.tell(kind="invoke", function=self._key(function), event=event)

    def invoke(self, function: str, event: Any, *, from_execution: bool) -> Any:
        del from_execution
        number, future = next(self._ids), Future[Any]()
        self._asked[number] = future
        self.tell(kind="ask", id=number, function=self._key(function), event=event)
        return future.result(ANSWER_TIMEOUT_S)

    def build(self, variables: Mapping[str, str]) -> None:
        self.tell(kind="build", function=WORKER, event=unpack(variables[PAYLOAD_VARIABLE]))

    def execution_started(self) -> None:
        """Not of interest."""

    def execution_ended(self) -> None:
        """Not of interest."""

    def park(self, seconds: float) -> None:
        if self._ended.wait(seconds * self._scale):
            raise SystemExit  # the execution's thread

    def tell(self, **message: Any) -> None:
        line = json.dumps({**message, "at": time.time()})
        with self._telling:
            print(line, file=self._out)

    def answered(self, message: Mapping[str, Any]) -> None:
        future = self._asked.pop(message["id"])
        if "error" in message:
            future.set_exception(RuntimeError(message["error"]))
        else:
            future.set_result(message["answer"])

    def end(self) -> None:
        self._ended.set()

    def _key(self, function: str) -> str:
        return self._keys[function.rpartition(":")[2]]


class OneAtATime:
    """Makes each call atomic, as it is on AWS; an invocation may wait for a handler's own calls."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if service_of(environ) == "lambda":
            return self._app(environ, start)
        with self._lock:
            return list(self._app(environ, start))


def main() -> None:
    """Serve until stdin ends."""
    from moto.core.config import default_user_config
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: Any, **__: Any) -> None:
            """Say nothing."""

    config: Any = default_user_config
    config["lambda"]["use_docker"] = False
    config["stepfunctions"]["execute_state_machine"] = True
    options = json.loads(sys.argv[1])
    wire = Wire(Stack(), options["wait_scale"])
    faults = Faults(OneAtATime(DomainDispatcherApplication(create_backend_app)))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Quiet)
    os.environ["MOTO_PORT"] = str(server.server_port)  # where executions call Lambda
    with moto_patches.patched(wire):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wire.tell(port=server.server_port)
        for line in sys.stdin:
            message = json.loads(line)
            if "rate" in message:
                faults.rng = random.Random(message["seed"])
                faults.rate = message["rate"]
                wire.tell(kind="faults", done=dict(faults.done))
            else:
                wire.answered(message)
        wire.end()
        server.shutdown()


if __name__ == "__main__":
    # Not through normal exit: executions' threads may be waiting for what nobody will answer.
    try:
        main()
    finally:
        os._exit(0)
