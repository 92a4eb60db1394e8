"""The options that commands for a deployed stack share, and the connection that they ask for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from src.remote.aws import AwsStack
    from src.remote.target import Target

PANEL = "Deployed stacks"

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
StackOutputs = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        envvar="IAC_CI_STACK_OUTPUTS",
        help="`terraform output -json` of 02-deploy, - for stdin; else IAC_CI_* variables.",
        show_default=False,
    ),
]
EndpointUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="AWS_ENDPOINT_URL",
        help="Another AWS, such as an emulator.",
        show_default=False,
    ),
]


Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Post there: the API (signed with the webhook secret) or the function URL (SigV4).",
        show_default=False,
    ),
]
FunctionName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Invoke this function instead, with IAM alone.", show_default=False
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The webhook secret lies there.", show_default=False),
]
SecretParameter = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Or in this SSM parameter.", show_default=False),
]
SecretEnv = Annotated[
    str | None,
    typer.Option(
        metavar="VARIABLE",
        help="Or in this variable (default: IAC_CI_WEBHOOK_SECRET).",
        show_default=False,
    ),
]
RunId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="The run's id (default: a fresh one). The same id again starts nothing twice.",
        show_default=False,
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Show the run until it ends, as `wait` does.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Which stack was asked for."""

    outputs: str | None
    endpoint: str | None

    def target(self, **given: str | None) -> Target:
        """Return the names of its parts.

        Raises:
            FileRefused: the outputs cannot be read.
        """
        from src.cli.problems import FileRefused
        from src.common import files
        from src.common.errors import JobRefused, Problem
        from src.remote import target

        text, name = None, Path(self.outputs or "")
        if self.outputs:
            try:
                text = files.text(name)
            except ValueError as error:
                raise FileRefused(name, [Problem("", str(error))]) from None
        try:
            return target.find(text, os.environ, **given)
        except JobRefused as refused:
            raise FileRefused(name, refused.problems) from None

    def connect(self, target: Target | None = None) -> AwsStack:
        """Return the connection; nothing is called yet.

        Raises:
            JobRefused: the endpoint is none.
        """
        from src.common.errors import JobRefused, Problem
        from src.remote.aws import connect
        from src.remote.http import is_url

        if self.endpoint and not is_url(self.endpoint):
            message = f"must be an http or https URL, got {self.endpoint!r}"
            raise JobRefused([Problem("--endpoint-url", message)])
        return connect(target or self.target(), self.endpoint)
