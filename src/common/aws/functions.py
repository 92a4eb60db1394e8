"""Handing work over: Lambda invocations, CodeBuild builds and watchdog executions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from src.common.aws.clients import Clients
from src.common.aws.errors import Refusal, calling
from src.common.codec import pack
from src.common.keys import PACKAGE_RUN, PAYLOAD_VARIABLE
from src.common.messages import Dispatch, WatchdogInput

_INVALID_INPUT: Final = "InvalidInputException"
_EXISTS: Final = "ExecutionAlreadyExists"


class LambdaPackager:
    """The asynchronous invocation of process_webhook by itself."""

    def __init__(self, clients: Clients, *, function: str) -> None:
        self._clients = clients
        self._function = function

    def start(self, run_id: str) -> None:
        """Ask for the packaging of a run."""
        with calling(f"starting the packaging of {run_id}"):
            _invoke(self._clients, self._function, {PACKAGE_RUN: run_id})


class LambdaWorkers:
    """The worker Lambda."""

    def __init__(self, clients: Clients, *, function: str) -> None:
        self._clients = clients
        self._function = function

    def start(self, dispatch: Dispatch) -> None:
        """Hand an order over (asynchronous invocation)."""
        with calling(f"handing {dispatch.run_id}:{dispatch.num} to the worker function"):
            _invoke(self._clients, self._function, dispatch.to_item())


class CodeBuilds:
    """The CodeBuild project."""

    def __init__(self, clients: Clients, *, project: str) -> None:
        self._clients = clients
        self._project = project

    def start(self, dispatch: Dispatch) -> None:
        """Hand an order over, at most once per token within CodeBuild's five minutes."""
        doing = f"starting the build of {dispatch.run_id}:{dispatch.num}"
        try:
            with calling(doing, _INVALID_INPUT):
                self._clients.codebuild.start_build(
                    projectName=self._project,
                    idempotencyToken=dispatch.token,
                    environmentVariablesOverride=[
                        {
                            "name": PAYLOAD_VARIABLE,
                            "value": pack(dispatch.to_item()),
                            "type": "PLAINTEXT",
                        }
                    ],
                )
        except Refusal as refusal:
            # The same token with other parameters: repeating a hand-over signs fresh URLs, so this
            # is our own earlier request, whose build runs.
            if "token" not in refusal.message.lower():
                raise refusal.unexpected(doing) from refusal


class StepFunctionsWatchdogs:
    """The watchdog state machine."""

    def __init__(self, clients: Clients, *, state_machine_arn: str) -> None:
        self._clients = clients
        self._arn = state_machine_arn

    def start(self, name: str, task: WatchdogInput) -> None:
        """Start an execution; one of that name that exists already is success."""
        try:
            with calling(f"starting watchdog {name}", _EXISTS):
                self._clients.stepfunctions.start_execution(
                    stateMachineArn=self._arn, name=name, input=_json(task.to_item())
                )
        except Refusal:
            return  # names are unique for 90 days, whatever became of the execution


def _invoke(clients: Clients, function: str, event: Mapping[str, Any]) -> None:
    clients.lambda_.invoke(
        FunctionName=function, InvocationType="Event", Payload=_json(event).encode()
    )


def _json(item: Mapping[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))
