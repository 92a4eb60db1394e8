"""`python -m src.worker`, as CodeBuild runs it: real requests to something that answers like S3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from src.common.messages import Dispatch
from src.common.status import OrderStatus
from src.worker import kin
from tests.support.worker import Bucket, is_running, pids, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


class S3(ThreadingHTTPServer):
    """A bucket `internal` over HTTP: GET, and PUT with If-None-Match."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bucket = Bucket()
        super().__init__(("127.0.0.1", 0), _Requests)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def order(self, *cmds: str, **given: Any) -> Dispatch:
        order = self.bucket.order(*cmds, **given)
        return replace(
            order,
            claim_url=f"{self.url}/{order.claim_url}?X-Amz-Signature=s",
            claim_read_url=f"{self.url}/{order.claim_url}?X-Amz-Signature=r",
            result_url=f"{self.url}/{order.result_url}?X-Amz-Signature=s",
        )


class _Requests(BaseHTTPRequestHandler):
    server: S3

    @property
    def _key(self) -> str:
        return urlsplit(self.path).path.lstrip("/").removeprefix("internal/")

    def do_GET(self) -> None:
        body = self.server.bucket.get(self._key)
        self._answer(404 if body is None else 200, body or b"")

    def do_PUT(self) -> None:
        assert self.headers["If-None-Match"] == "*"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.server.bucket.put_new(self._key, body))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def s3() -> Iterator[S3]:
    with S3() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def build(s3: S3, payload: str | None) -> subprocess.Popen[str]:
    """Start the worker as a build does."""
    settings = {
        f"IAC_CI_{name}": name.lower()
        for name in ("ORDERS_TABLE", "ORDER_EVENTS_TABLE", "LOCKS_TABLE", "DONE_BUCKET")
    }
    platform = {
        "PATH": os.environ["PATH"],
        "IAC_CI_INTERNAL_BUCKET": "internal",
        "CODEBUILD_BUILD_ID": "build-1",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIA-OWN",
        "AWS_SECRET_ACCESS_KEY": "secret-OWN",
        "AWS_ENDPOINT_URL_S3": s3.url,
        "NO_PROXY": "*",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "src.worker"],
        cwd=ROOT,
        env={**settings, **platform, **({} if payload is None else {"IAC_CI_PAYLOAD": payload})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_order_runs_and_is_reported(s3: S3) -> None:
    order = s3.order("echo $TOKEN; env", secrets={"TOKEN": "hunter22"})

    code, out, err = finished(build(s3, json.dumps(order.to_item())))

    assert (code, err) == (0, "")
    result = s3.bucket.result(replace(order, result_url=f"{order.num}/result.json"))
    assert result.status is OrderStatus.SUCCEEDED
    assert "$ echo $TOKEN; env\n***\n" in result.log
    assert "OWN" not in result.log
    assert out == result.log
    claim = s3.bucket.claim(replace(order, claim_url=f"{order.num}/claim.json"))
    assert claim.request_id == "build-1"


def test_failed_order_is_a_build_that_did_its_work(s3: S3) -> None:
    order = s3.order("exit 7")

    assert finished(build(s3, json.dumps(order.to_item())))[0] == 0

    result = s3.bucket.result(replace(order, result_url=f"{order.num}/result.json"))
    assert result.exit_code == 7


def test_second_build_of_an_order_leaves_quietly(s3: S3) -> None:
    order = s3.order("echo ran")
    finished(build(s3, json.dumps(order.to_item())))

    code, out, _ = finished(build(s3, json.dumps(order.to_item())))

    assert (code, out) == (0, "")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (None, "reading the dispatch in IAC_CI_PAYLOAD"),
        ("{", "reading the dispatch in IAC_CI_PAYLOAD"),
        ("[]", "reading the dispatch in IAC_CI_PAYLOAD"),
        ('{"run_id": "run-1", "num": "0001"}', "dispatch of run-1:0001 is incomplete"),
    ],
)
def test_unreadable_dispatch_fails_the_build(s3: S3, payload: str | None, message: str) -> None:
    code, _, err = finished(build(s3, payload))

    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_result_that_cannot_be_sent_fails_the_build(s3: S3) -> None:
    order = replace(s3.order("true"), result_url=f"{s3.url}/refused")
    s3.bucket.put_new = lambda url, body: 403 if url == "refused" else 200  # type: ignore[method-assign]

    code, _, err = finished(build(s3, json.dumps(order.to_item())))

    assert code == 1
    assert f"reporting run-1:{order.num}: HTTP 403" in err


def test_build_that_is_told_to_stop_ends_its_commands(s3: S3, tmp_path: Path) -> None:
    order = s3.order(f"echo $$ > {tmp_path}/one.pid; sleep 1000")
    process = build(s3, json.dumps(order.to_item()))
    until(lambda: pids(tmp_path))

    process.send_signal(signal.SIGTERM)

    assert finished(process)[0] == 128 + signal.SIGTERM
    assert not is_running(*pids(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_command_cannot_read_the_shielded_workers_environment() -> None:
    def readable() -> bool:
        command = ["/bin/sh", "-c", f"cat /proc/{os.getpid()}/environ"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    kin.adopt_orphans()  # loads what an unprivileged child may not be able to
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:  # root may read anything
                os.setgid(65534)
                os.setuid(65534)
                kin._prctl(kin._DUMPABLE, 1)  # which changing the user has cleared
            control = readable()
            kin.shield()
            os._exit(0 if control and not readable() else 1)
        finally:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
