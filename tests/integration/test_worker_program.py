"""`python -m src.worker`, as CodeBuild runs it: real requests to something that answers like S3."""

from __future__ import annotations

import io
import json
import os
import pwd
import re
import resource
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

from src.common import live
from src.common.codezip import CodeZip
from src.common.messages import Dispatch
from src.common.status import OrderStatus
from src.worker import kin
from tests.support.worker import Bucket, is_running

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


def build(s3: S3, payload: str | None, *before: str) -> subprocess.Popen[str]:
    """Start the worker as a build does, with the words `before` its command line."""
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
        [*before, sys.executable, "-m", "src.worker"],
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

    assert code == 0
    assert json.loads(err)["message"] == f"at work on {order.run_id}:{order.num}"  # and no more
    result = s3.bucket.result(replace(order, result_url=f"{order.num}/result.json"))
    assert result.status is OrderStatus.SUCCEEDED
    assert "$ echo $TOKEN; env\n***\n" in result.log
    assert "OWN" not in result.log
    assert "X-Amz-Signature" not in result.log  # URLs of claim and result are the worker's
    assert order.identity not in result.log
    labelled = [live.parsed(line, order.run_id) for line in out.splitlines()]
    assert labelled == [(order.num, line) for line in result.log.splitlines()]
    claim = s3.bucket.claim(replace(order, claim_url=f"{order.num}/claim.json"))
    assert claim.request_id == "build-1"


REACH = """
cat /proc/$PPID/environ >/dev/null 2>&1 && echo environ-read || echo environ-kept
(exec 3</proc/$PPID/mem) 2>/dev/null && echo memory-open || echo memory-kept
kill -0 $PPID 2>/dev/null && echo signals-reach || echo signals-refused
id -u; pwd; echo mine > "$HOME/file" && echo mine > "$TMPDIR/file" && cat made/by/hand "$HOME/file"
"""


def to_root() -> tuple[str, ...] | None:
    """Return the words that make a command line root's, None where that cannot be had."""
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "--non-interactive", "--preserve-env")
    try:
        able = subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        able = False
    return sudo if able else None


def test_command_of_a_worker_that_is_root_can_reach_nothing_of_it(s3: S3) -> None:
    root, nobody = to_root(), pwd.getpwnam("nobody").pw_uid
    if root is None:
        pytest.skip("neither root nor sudo")
    with CodeZip("code") as given:
        given.file("made/by/hand", io.BytesIO(b"code\n"), 5)
    order = s3.order(REACH, code_zip=given.data)

    finished(build(s3, json.dumps(order.to_item()), *root))

    log = s3.bucket.result(replace(order, result_url=f"{order.num}/result.json")).log
    *reached, uid, _folder, code, written = log.splitlines()[-7:]
    assert reached == ["environ-kept", "memory-kept", "signals-refused"]
    assert (uid, code, written) == (str(nobody), "code", "mine")


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


def test_build_that_is_told_to_stop_ends_its_commands(s3: S3) -> None:
    order = s3.order("echo pid=$$; sleep 1000")
    process = build(s3, json.dumps(order.to_item()))
    assert process.stdout is not None
    found = next(filter(None, (re.search(r"\| pid=(\d+)", line) for line in process.stdout)))
    pid = int(found[1])
    assert is_running(pid)

    process.send_signal(signal.SIGTERM)

    assert finished(process)[0] == 128 + signal.SIGTERM
    assert not is_running(pid)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_command_of_the_workers_own_user_can_signal_it_and_read_nothing() -> None:
    """As on Lambda, where there is one user alone: docs/SECURITY.md says what is left open."""

    def reached() -> list[str]:
        command = ["/bin/sh", "-c", REACH.replace("$PPID", str(os.getpid()))]
        return subprocess.run(command, capture_output=True, text=True).stdout.split()[:3]  # noqa: PLW1510

    def starved() -> bool:
        """Whether another process may lower our limits, for good."""
        other = os.fork()
        if not other:
            resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (64, 64))
            os._exit(0)
        os.waitpid(other, 0)
        return resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 64)

    kin.adopt_orphans()  # loads what an unprivileged child may not be able to
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:  # root may read anything
                os.setgid(65534)
                os.setuid(65534)
                kin._prctl(kin._DUMPABLE, 1)  # which changing the user has cleared
            open_ = reached()[0::2] == ["environ-read", "signals-reach"]  # of memory Yama has a say
            kin.shield()
            kept = reached() == ["environ-kept", "memory-kept", "signals-reach"]
            os._exit(0 if open_ and kept and starved() else 1)
        finally:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
