"""A deployed stack for the command line: AWS's APIs and the webhook over HTTP, real workers behind.

Run as a program it prints one line of JSON, `{"endpoint", "url", "outputs"}`, and serves until its
stdin ends. Everything happens in this process and its forked workers: moto's server shares its
state with the handlers' own (patched) clients.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from src.common.clock import SystemClock
from src.common.live import labelled
from src.local.moto_platform import moto_platform
from src.local.moto_world import MotoWorld
from src.local.stack import PROCESS_WEBHOOK, WORKER, Stack
from src.local.worker_pool import WorkerPool
from src.local.world import Delivery
from src.worker.execution import Pace

ROOT = Path(__file__).parents[2]
ENDS_IN = 60  # seconds: a bound on waiting, no measure
SECRET = "a webhook secret"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
WORKERS = 4
TICK_S = 0.02


class Webhook(ThreadingHTTPServer):
    """POST /webhook as the HTTP API hands it on; any other path as a gateway refuses it."""

    daemon_threads = True

    def __init__(self, handler: Any) -> None:
        self.handler = handler
        super().__init__(("127.0.0.1", 0), _Request)


class _Request(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/webhook":
            self._answer(404, b'{"message":"Not Found"}')
            return
        event = {
            "headers": dict(self.headers.items()),
            "body": body.decode(),
            "isBase64Encoded": False,
            "requestContext": {"http": {"method": "POST", "path": self.path}},
        }
        answer = self.server.handler(event)
        self._answer(answer["statusCode"], answer["body"].encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def outputs(stack: Stack, url: str) -> dict[str, Any]:
    """Return what `terraform output -json` of 02-deploy says of a stack."""
    values = {
        "api_gateway_url": url,
        "codebuild_project_name": stack.build_project.name,
        "dynamodb_table_names": {key: table.name for key, table in stack.tables.items()},
        "lambda_function_arns": {key: stack.function_arn(key) for key in stack.functions},
        "lambda_function_names": {key: each.name for key, each in stack.functions.items()},
        "s3_bucket_names": {key: bucket.name for key, bucket in stack.buckets.items()},
        "step_function_arn": stack.state_machine_arn,
    }
    return {name: {"sensitive": False, "value": value} for name, value in values.items()}


class LogGroup:
    """The worker's log group, with what the worker prints on AWS."""

    def __init__(self, moto: MotoWorld) -> None:
        self._group = f"/aws/lambda/{moto.stack.functions[WORKER].name}"
        self._logs, self._clock = moto.clients.logs, moto.clock
        self._logs.create_log_group(logGroupName=self._group)
        self._logs.create_log_stream(logGroupName=self._group, logStreamName="sandbox")

    def put(self, run_id: str, num: str, text: str) -> None:
        at = self._clock.now_ms()
        events = [
            {"timestamp": at, "message": line + "\n"}
            for line in labelled(run_id, num, text).split("\n")
        ]
        self._logs.put_log_events(
            logGroupName=self._group, logStreamName="sandbox", logEvents=events
        )


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread; yield the address."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def started() -> Iterator[dict[str, Any]]:
    """Run this module as a program; yield what it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.stack_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.stdin.close()
            assert server.wait(ENDS_IN) == 0


def main() -> None:
    """Serve until stdin ends."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ.update(KEYS)
    clock = SystemClock()
    with MotoWorld(clock=clock, webhook_secret=SECRET) as moto:
        platform = moto_platform(moto)
        world, adapters = platform.world, platform.adapters
        pool = WorkerPool(
            WORKERS,
            get=adapters.internal.get,
            put_new=adapters.uploads.put_new,
            get_url=adapters.uploads.get,
            on_line=LogGroup(moto).put,
            pace=Pace(),  # as deployed
        )
        working: dict[str, Delivery] = {}

        def work(delivery: Delivery) -> None:
            working[delivery.request_id] = delivery
            pool.submit(dict(delivery.event), delivery.request_id)

        world.on_work = work
        function = world.functions[PROCESS_WEBHOOK]
        api = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        api.start()
        ended = Event()
        Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        with served(Webhook(lambda event: function(event, world.context("http")))) as at:
            host, port = api.get_host_and_port()
            told = {
                "endpoint": f"http://{host}:{port}",
                "url": f"{at}/webhook",
                "outputs": outputs(moto.stack, f"{at}/webhook"),
                "worker": moto.stack.functions[WORKER].name,
            }
            print(json.dumps(told), flush=True)  # noqa: T201 - what the parent waits for
            while not ended.is_set():
                while world.step():
                    pass
                for finished in pool.poll(TICK_S):
                    delivery = working.pop(finished.request_id)
                    if finished.error is not None:
                        world.failed(delivery, finished.error)
        pool.close(1.0)
        api.stop()


if __name__ == "__main__":
    main()
