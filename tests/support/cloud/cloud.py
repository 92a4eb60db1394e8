"""A small cloud on this machine: moto's server in one process, sandboxes in others, time real.

Plays Lambda between them: asynchronous events with two retries, synchronous calls, sandboxes that
are reused and may be killed in the middle. S3 events may come late and twice. Delays are scaled
down (`Scale`); clocks are not.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from unittest.mock import patch

from src.common import keys
from src.common.aws.clients import Clients
from src.common.aws.objects import S3ObjectStore
from src.local import moto_deploy
from src.local.stack import Stack

ROOT: Final = Path(__file__).parents[3]
SANDBOXES: Final = {"process_webhook": 1, "orchestrator": 2, "watchdog_check": 1, "worker": 2}
KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Real delays of AWS, shortened."""

    wait: float = 0.5  # of the state machine's 60 s
    retries_s: tuple[float, float] = (3.0, 6.0)  # for Lambda's one and two minutes


@dataclass
class Job:
    """One event for a function, and who waits for the answer."""

    function: str
    event: Any
    kind: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempt: int = 1
    answer: Future[Any] | None = None


class Killed(Exception):
    """The sandbox died with the event."""


class Sandbox:
    """A process that runs one function; started again when it died."""

    def __init__(self, function: str, command: list[str], environ: Mapping[str, str]) -> None:
        self.function, self._command, self._environ = function, command, dict(environ)
        self.busy: Job | None = None
        self.kills = 0
        self.peak_kb = 0
        self._process: subprocess.Popen[str] | None = None

    def handle(self, job: Job, timeout_s: int) -> Any:
        """Run an event; raises Killed, or RuntimeError with what the handler raised."""
        process = self._process if self._process and self._process.poll() is None else self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        given = {
            "event": job.event,
            "request_id": job.request_id,
            "deadline_ms": int((time.time() + timeout_s) * 1000),
        }
        self.busy = job
        try:
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            self.busy = None
        if not line:
            self.close()
            raise Killed(self.function)
        reply = json.loads(line)
        self.peak_kb = max(self.peak_kb, reply["peak_kb"])
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["answer"]

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        if self._process is not None:
            self.kills += 1
            self._process.kill()

    def close(self) -> None:
        """End the process and wait for it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise Killed(f"{self.function} while it started")
        return self._process


class Cloud:
    """The deployed stack; a context manager that ends every process it started."""

    def __init__(self, scale: Scale | None = None, *, seed: int = 0) -> None:
        self.scale = scale or Scale()
        self.stack = Stack()
        self.rng = random.Random(seed)
        self.late_s = 0.0  # S3 events come up to so much later
        self.doubled = 0.0  # how likely one comes twice
        self.heard: list[dict[str, Any]] = []  # what the server told, with its time
        self.dropped: list[tuple[Job, str]] = []  # all attempts failed
        self.killed: list[Job] = []  # whose sandbox died with them
        self.outcomes: Counter[str] = Counter()
        self._finished: set[str] = set()
        self._queues: dict[str, deque[Job]] = defaultdict(deque)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._ended = False
        self._faults: Future[dict[str, int]] | None = None
        self._environ = patch.dict(os.environ, KEYS)

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.cloud.server"),
                json.dumps({"wait_scale": self.scale.wait}),
            ],
            cwd=ROOT,
            env={**os.environ, **KEYS, "AWS_DEFAULT_REGION": self.stack.region, "NO_PROXY": "*"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._server.stdout is not None
        self.url = f"http://127.0.0.1:{json.loads(self._server.stdout.readline())['port']}"
        self.sandboxes = [
            self._sandbox(key) for key, count in SANDBOXES.items() for _ in range(count)
        ]
        self._begin(self._listen)
        self._begin(self._tick)
        for sandbox in self.sandboxes:
            self._begin(self._serve, sandbox)
        self.clients = Clients(region=self.stack.region, endpoint=self.url)
        self._environ.start()
        try:
            moto_deploy.deploy(self.stack, self.clients)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self._environ.stop()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for sandbox in self.sandboxes:
            sandbox.kill()
        assert self._server.stdin is not None
        self._server.stdin.close()
        for thread in self._threads:
            thread.join(30)
        for sandbox in self.sandboxes:
            sandbox.close()
        self._server.kill()
        self._server.wait()
        self._server.stdout.close()  # type: ignore[union-attr]

    def set_faults(self, rate: float, seed: int = 0) -> dict[str, int]:
        """Have the server meet requests with faults from now on; return what it did so far."""
        self._faults = Future()
        self._tell({"rate": rate, "seed": seed})
        return self._faults.result(30)

    def call(self, function: str, event: Any) -> Any:
        """Invoke a function and wait for its answer."""
        job = Job(function, event, "ask", answer=Future())
        self._push(job)
        assert job.answer is not None
        return job.answer.result(120)

    def kill_one(self) -> str | None:
        """Kill a sandbox that is at work, if one is; return its function.

        Not on an event's last attempt: what is dropped then is the watchdogs' to mend, which takes
        up to the 20 minutes of packaging (tests/simulation goes there, with time of its own).
        """
        last = len(self.scale.retries_s) + 1
        busy = [one for one in self.sandboxes if one.busy is not None and one.busy.attempt < last]
        if not busy:
            return None
        chosen = self.rng.choice(busy)
        chosen.kill()
        return chosen.function

    def killed_orders(self) -> set[tuple[str, str]]:
        """Return run id and number of each order whose worker died with it."""
        return {
            (job.event["run_id"], job.event["num"])
            for job in self.killed
            if job.function == "worker"
        }

    def finished(self) -> set[str]:
        """Return the runs that have ended for good: done, and finished.json written."""
        done = self.clients.s3.list_objects_v2(Bucket=self.stack.buckets["done"].name)
        internal = S3ObjectStore(self.clients, bucket=self.stack.buckets["internal"].name)
        for entry in done.get("Contents", ()):
            run_id = entry["Key"].partition("/")[0]
            if run_id not in self._finished and internal.get(keys.finished_key(run_id)) is not None:
                self._finished.add(run_id)
        return set(self._finished)

    def memory_kb(self) -> dict[str, int]:
        """Return the peak of the server and of the largest sandbox of each function."""
        status = Path(f"/proc/{self._server.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)
        found = {"server": peak}
        for sandbox in self.sandboxes:
            found[sandbox.function] = max(found.get(sandbox.function, 0), sandbox.peak_kb)
        return found

    def _sandbox(self, key: str) -> Sandbox:
        command = self.stack.functions[key].command
        environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **self.stack.environment(key),
            **KEYS,
            "AWS_REGION": self.stack.region,
            "AWS_DEFAULT_REGION": self.stack.region,
            "AWS_ENDPOINT_URL": self.url,
            "NO_PROXY": "*",
        }
        program = [sys.executable, "-m", "tests.support.cloud.sandbox", command]
        return Sandbox(key, program, environ)

    def _begin(self, work: Callable[..., None], *given: Any) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            message = json.loads(line)
            kind = message["kind"]
            if kind == "faults":
                assert self._faults is not None
                self._faults.set_result(message["done"])
                continue
            job = Job(message["function"], message["event"], kind)
            if kind == "ask":
                job.answer = Future()
                job.answer.add_done_callback(lambda done, at=message["id"]: self._reply(at, done))
            else:
                self.heard.append(message)
            self._arrive(job)

    def _arrive(self, job: Job) -> None:
        if job.kind != "event":
            self._push(job)
            return
        for _ in range(2 if self.rng.random() < self.doubled else 1):
            late_s = self.rng.random() * self.late_s
            twin = Job(job.function, job.event, job.kind)
            self._after(late_s, lambda twin=twin: self._push(twin))  # type: ignore[misc]

    def _reply(self, number: int, done: Future[Any]) -> None:
        error = done.exception()
        message = {"id": number, "error": str(error)} if error else {"answer": done.result()}
        self._tell({"id": number, **message})

    def _tell(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            if not self._ended:
                print(json.dumps(message), file=self._server.stdin, flush=True)

    def _push(self, job: Job) -> None:
        with self._changed:
            self._queues[job.function].append(job)
            self._changed.notify_all()

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), work))
            self._changed.notify_all()

    def _tick(self) -> None:
        while True:
            with self._changed:
                if self._ended:
                    return
                due = self._timers[0][0] - time.monotonic() if self._timers else None
                if due is None or due > 0:
                    self._changed.wait(due)
                    continue
                work = heapq.heappop(self._timers)[2]
            work()

    def _serve(self, sandbox: Sandbox) -> None:
        queue, function = self._queues[sandbox.function], self.stack.functions[sandbox.function]
        while True:
            with self._changed:
                while not queue and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                job = queue.popleft()
            try:
                answer = sandbox.handle(job, function.timeout)
            except (RuntimeError, Killed) as error:
                self._failed(job, error)
            else:
                self.outcomes[f"{job.function} answered"] += 1
                if job.answer is not None:
                    job.answer.set_result(answer)

    def _failed(self, job: Job, error: Exception) -> None:
        how = "killed" if isinstance(error, Killed) else "failed"
        if how == "killed":
            self.killed.append(job)
        self.outcomes[f"{job.function} {how}"] += 1
        if job.answer is not None:
            job.answer.set_exception(error)
        elif job.kind == "build" or job.attempt > len(self.scale.retries_s):
            self.dropped.append((job, str(error)))
        else:
            again = Job(job.function, job.event, job.kind, job.request_id, job.attempt + 1)
            self._after(self.scale.retries_s[job.attempt - 1], lambda: self._push(again))
