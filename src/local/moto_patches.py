"""What moto is made to do otherwise while a world runs; all use of moto's private names is here.

- S3 notifications and Lambda invocations go to the world instead of an echo. S3 events still obey
  the bucket's stored notification configuration, and moto's interpreter still runs the state
  machines.
- StartBuild hands its environment override over, shows it to those that ask for the build, and
  honours its idempotency token; moto drops both.
- Waits and retry pauses of executions go by the world's clock.
- Calls to DynamoDB and S3 are atomic, as they are on AWS; a transaction backs up by reference what
  moto copies deeply (28 ms per transaction on 1,000 rows).

Written for moto 5.2; tests/integration/test_moto_world.py notices when a name has moved.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import RLock, current_thread
from types import SimpleNamespace
from typing import Any, Final, Protocol
from unittest.mock import patch

TOKEN_LIFETIME_MS: Final = 5 * 60_000  # of CodeBuild's idempotency tokens


class Platform(Protocol):
    """Where the patched parts of moto turn to."""

    def now_ms(self) -> int:
        """Return the world's time."""

    def s3_event(self, function_arn: str, event: Any) -> None:
        """Take an S3 notification."""

    def invoke_async(self, function: str, event: Any) -> None:
        """Take an asynchronous invocation."""

    def invoke(self, function: str, event: Any, *, from_execution: bool) -> Any:
        """Run a handler and return its answer; raise what it raises."""

    def build(self, variables: dict[str, str]) -> None:
        """Take a build with its overridden environment."""

    def execution_started(self) -> None:
        """Note that an execution is at work."""

    def execution_ended(self) -> None:
        """Note that an execution ended."""

    def park(self, seconds: float) -> None:
        """Wait in an execution's thread."""


@contextmanager
def patched(platform: Platform) -> Iterator[None]:
    """Apply every patch for as long as the block runs."""
    with ExitStack() as stack:
        for target, name, replacement in (
            *_lambda(platform),
            *_builds(platform),
            *_executions(platform),
            *_atomic_calls(),
        ):
            new = name.startswith("__")  # a special method; any other name has to be there
            stack.enter_context(patch.object(target, name, replacement, create=new))
        yield


_Patch = tuple[Any, str, Any]


def _lambda(platform: Platform) -> Iterator[_Patch]:
    from moto.awslambda_simple.models import LambdaSimpleBackend
    from moto.s3 import notifications

    def notify(_account: str, body: Any, arn: str, _region: str) -> None:
        platform.s3_event(arn, body)

    def invoke(backend: Any, name: str, qualifier: Any, body: Any, *more: Any) -> bytes:
        headers, response_headers = more
        backend.get_function(name, qualifier)  # raises for a function that does not exist
        event = json.loads(body or b"{}")
        if headers.get("X-Amz-Invocation-Type") == "Event":
            platform.invoke_async(name, event)
            return b""
        try:
            answer = platform.invoke(name, event, from_execution=_in_execution())
        except Exception as error:  # noqa: BLE001 - as Lambda does: the caller learns of it
            response_headers["x-amz-function-error"] = "Unhandled"
            answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return json.dumps(answer).encode()

    yield notifications, "_invoke_awslambda", notify
    yield LambdaSimpleBackend, "invoke", invoke


def _builds(platform: Platform) -> Iterator[_Patch]:
    from moto.codebuild.exceptions import InvalidInputException
    from moto.codebuild.responses import CodeBuildResponse

    start = CodeBuildResponse.start_build
    known: dict[str, tuple[int, dict[str, str], Any]] = {}

    def start_build(response: Any) -> Any:
        token = response._get_param("idempotencyToken")
        override = response._get_param("environmentVariablesOverride") or []
        variables = {entry["name"]: entry["value"] for entry in override}
        now = platform.now_ms()
        if token in known and now < known[token][0] + TOKEN_LIFETIME_MS:
            _, earlier, answer = known[token]
            if earlier != variables:
                raise InvalidInputException(
                    "The idempotency token was used before with other parameters"
                )
            return answer
        answer = start(response)
        build = response.codebuild_backend.build_metadata[response._get_param("projectName")]
        build.build_metadata["environment"]["environmentVariables"] = override
        if token:
            known[token] = (now, variables, answer)
        platform.build(variables)
        return answer

    yield CodeBuildResponse, "start_build", start_build


def _executions(platform: Platform) -> Iterator[_Patch]:
    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
    from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
        WaitFunction,
    )
    from moto.stepfunctions.parser.asl.utils import boto_client
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    start: Callable[[Any], None] = ExecutionWorker.start
    logic: Callable[[Any], None] = ExecutionWorker._execution_logic

    def started(worker: Any) -> None:
        platform.execution_started()
        start(worker)

    def run(worker: Any) -> None:
        try:
            logic(worker)
        finally:
            platform.execution_ended()

    def wait(_function: Any, env: Any, wait_seconds: int) -> None:  # noqa: ARG001 - moto's signature
        platform.park(wait_seconds)

    atomic = RLock()
    make_client = cache(boto_client.boto_client_for)

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        # One client for all tasks: making one costs more than a turn, and is not thread-safe.
        del state_credentials
        with atomic:
            return make_client(region, service)

    yield ExecutionWorker, "start", started
    yield ExecutionWorker, "_execution_logic", run
    yield WaitFunction, "_wait_interval", wait
    yield retrier_decl, "time", SimpleNamespace(sleep=platform.park)
    yield lambda_eval_utils, "boto_client_for", client_for


def _atomic_calls() -> Iterator[_Patch]:
    from moto.core.botocore_stubber import BotocoreStubber
    from moto.dynamodb.models.table import Table

    process = BotocoreStubber.process_request
    atomic = RLock()

    def process_request(stubber: Any, request: Any) -> Any:
        host = request.url.partition("://")[2].partition("/")[0]
        if host.startswith("dynamodb.") or "s3" in host:
            with atomic:
                return process(stubber, request)
        return process(
            stubber, request
        )  # an invocation may wait for a handler that calls the others

    def snapshot(table: Any, _memo: Any) -> Any:
        twin = copy.copy(table)
        ranged = table.range_key_attr is not None
        rows = {key: dict(row) if ranged else row for key, row in table.items.items()}
        twin.items = defaultdict(dict, rows)
        return twin

    yield BotocoreStubber, "process_request", process_request
    yield Table, "__deepcopy__", snapshot


def _in_execution() -> bool:
    return current_thread() in execution_threads()


def execution_threads() -> list[Any]:
    """Return moto's list of the threads that it started for executions."""
    from moto.stepfunctions.parser.utils import TMP_THREADS

    threads: list[Any] = TMP_THREADS
    return threads


def running_executions(account: str, region: str) -> list[Any]:
    """Return the executions that have not ended."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    machines = stepfunctions_parser_backends[account][region].state_machines
    return [e for machine in machines for e in machine.executions if e.status == "RUNNING"]


def end_executions(account: str, region: str, join_s: float) -> Callable[[], bool]:
    """Stop every execution; return a function that joins the threads and tells if all are gone."""
    from datetime import UTC, datetime

    for execution in running_executions(account, region):
        worker = execution.exec_worker
        if worker is not None and worker.env is not None:
            execution.stop(datetime.now(UTC), None, None)

    def joined() -> bool:
        threads = execution_threads()
        for thread in list(threads):
            thread.join(join_s)
        threads[:] = [thread for thread in threads if thread.is_alive()]
        return not threads

    return joined
