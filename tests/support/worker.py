"""A worker's surroundings for tests: a bucket with URLs that are its keys, and orders in it."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.common import bundle, codec
from src.common.clock import SystemClock
from src.common.messages import Claim, Dispatch, Result
from src.worker.app import Invocation, Worker
from src.worker.execution import Pace

RUN_ID = "run-1"
PACE = Pace(poll_s=0.05, grace_s=0.5, settle_s=0.2)
_numbers = itertools.count(1)


@dataclass
class Bucket:
    """Objects by key; a presigned URL is the key itself."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def put_new(self, url: str, body: bytes) -> int:
        if url in self.objects:
            return 412
        self.objects[url] = body
        return 200

    def order(
        self,
        *cmds: str,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        code_zip: bytes | None = None,
        **fields: Any,
    ) -> Dispatch:
        """Store the bundle of an order and return its dispatch."""
        num = f"{next(_numbers):04d}"
        now = SystemClock().now_ms()
        identity = bundle.new_identity()
        given = {
            "run_id": RUN_ID,
            "trace_id": "abcdef0123456789",
            "num": num,
            "name": f"order-{num}",
            "token": "t" * 32,
            "identity": identity,
            "bundle_key": f"{num}/exec.zip",
            "stop_key": f"{num}/cancel",
            "claim_url": f"{num}/claim.json",
            "claim_read_url": f"{num}/claim.json",
            "result_url": f"{num}/result.json",
            "start_by": now + 600_000,
            "end_by": now + 900_000,
            "timeout": 60,
        }
        dispatch = Dispatch(**{**given, **fields})
        self.objects[dispatch.bundle_key] = bundle.build(
            code_zip,
            bundle.Bundle(cmds, {**(env or {}), **(secrets or {})}, frozenset(secrets or ())),
            identity,
        )
        return dispatch

    def cancel(self, dispatch: Dispatch) -> None:
        self.objects[dispatch.stop_key] = b"{}"

    def result(self, dispatch: Dispatch) -> Result:
        return Result.from_item(codec.decode(self.objects[dispatch.result_url]))

    def claim(self, dispatch: Dispatch) -> Claim:
        return Claim.from_item(codec.decode(self.objects[dispatch.claim_url]))


def a_worker(
    bucket: Bucket,
    *,
    uploads: Any = None,
    out: Callable[[str], None] = lambda _: None,
    **given: Any,
) -> Worker:
    """Return a worker with the test's own environment and a quick pace."""
    options: dict[str, Any] = {"environ": dict(os.environ), "pace": PACE}
    show = lambda _dispatch, text: out(text)  # noqa: E731 - one order at a time is enough here
    return Worker(bucket, uploads or bucket, SystemClock(), show, **{**options, **given})


def run(bucket: Bucket, dispatch: Dispatch, **given: Any) -> Result:
    """Have a worker handle an order and return the result it sent."""
    a_worker(bucket, **given)(dispatch.to_item(), Invocation(aws_request_id="request-1"))
    return bucket.result(dispatch)


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for a condition and return what it returned; fail when it does not come true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.005)
    return found


def is_running(pid: int) -> bool:
    """Return whether a process exists that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def pids(folder: Path) -> list[int]:
    """Return the process ids that an order's commands wrote to files `<folder>/*.pid`."""
    found = [path.read_text().strip() for path in folder.glob("*.pid")]
    return [int(text) for text in found if text]


def as_json(result: Result) -> str:
    return json.dumps(result.to_item())
