"""Which stack a command talks to: the names of its parts, from terraform's outputs or variables.

Each command asks for the parts that it needs, so that a caller who may only see one table need not
know the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from src.common.errors import JobRefused, Problem
from src.remote.errors import NotNamed

OUTPUTS_OPTION: Final = "--stack-outputs"


@dataclass(frozen=True, slots=True)
class Part:
    """Where a name comes from: terraform output (`map.key`) and environment variable."""

    what: str
    output: str
    variable: str


PARTS: Final[Mapping[str, Part]] = {
    "url": Part("the webhook's URL", "api_gateway_url", "IAC_CI_URL"),
    "function": Part(
        "the function process_webhook",
        "lambda_function_names.process_webhook",
        "IAC_CI_PROCESS_WEBHOOK_FUNCTION",
    ),
    "orders_table": Part("the orders table", "dynamodb_table_names.orders", "IAC_CI_ORDERS_TABLE"),
    "events_table": Part(
        "the events table", "dynamodb_table_names.order_events", "IAC_CI_ORDER_EVENTS_TABLE"
    ),
    "internal_bucket": Part(
        "the internal bucket", "s3_bucket_names.internal", "IAC_CI_INTERNAL_BUCKET"
    ),
    "done_bucket": Part("the done bucket", "s3_bucket_names.done", "IAC_CI_DONE_BUCKET"),
    "worker_function": Part(
        "the worker function", "lambda_function_names.worker", "IAC_CI_WORKER_FUNCTION"
    ),
    "build_project": Part(
        "the build project", "codebuild_project_name", "IAC_CI_CODEBUILD_PROJECT"
    ),
}
_ARN: Final = "step_function_arn"  # tells partition, region and account of the stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A stack by the names of its parts (keys of PARTS), as far as they are known."""

    names: Mapping[str, str] = field(default_factory=dict)
    partition: str = "aws"
    region: str | None = None  # None: boto3's own default
    account: str | None = None

    def knows(self, part: str) -> bool:
        """Return whether the name of a part is known."""
        return part in self.names

    def need(self, part: str) -> str:
        """Return the name of a part.

        Raises:
            NotNamed: nobody said it.
        """
        try:
            return self.names[part]
        except KeyError:
            known = PARTS[part]
            raise NotNamed(
                f"{known.what} is not known: give {OUTPUTS_OPTION} FILE (`terraform output -json`"
                f" of 02-deploy has it as {known.output}) or set {known.variable}"
            ) from None

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """Return the ARN of a resource of the stack, `*` for what is not known."""
        where = f"{self.region or region or '*'}:{self.account or '*'}"
        return f"arn:{self.partition}:{service}:{where}:{resource}"

    def bucket_arn(self, bucket: str, key: str | None = None) -> str:
        """Return the ARN of a bucket, or of an object in it."""
        return f"arn:{self.partition}:s3:::{bucket}" + ("" if key is None else f"/{key}")


def find(outputs: str | None, environ: Mapping[str, str], **given: str | None) -> Target:
    """Return the target: what is `given`, else what the outputs say, else the variables.

    Raises:
        JobRefused: `outputs` is no `terraform output -json`.
    """
    values = {} if outputs is None else _values(outputs)
    names: dict[str, str] = {}
    for key, part in PARTS.items():
        name = given.get(key) or _look_up(values, part.output) or environ.get(part.variable)
        if name:
            names[key] = name
    arn = str(values.get(_ARN, "")).split(":")
    if len(arn) < 5:
        return Target(names=names)
    return Target(names=names, partition=arn[1], region=arn[3] or None, account=arn[4] or None)


def _values(text: str) -> dict[str, Any]:
    """Return the outputs by name; each is `{"value": ...}` beside its type."""
    if not text.strip():
        raise JobRefused([Problem("", "is empty; it must be what `terraform output -json` prints")])
    try:
        outputs = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JobRefused([Problem("", f"is not JSON: {error}")]) from None
    if not isinstance(outputs, dict) or not all(
        isinstance(output, dict) and "value" in output for output in outputs.values()
    ):
        raise JobRefused([Problem("", "is not what `terraform output -json` prints")])
    found = {name: output["value"] for name, output in outputs.items()}
    if not any(_look_up(found, part.output) for part in PARTS.values()):
        names = ", ".join(found) or "none"
        message = f"has no output of the stage 02-deploy (its outputs: {names}); was it applied?"
        raise JobRefused([Problem("", message)])
    return found


def _look_up(values: Mapping[str, Any], path: str) -> str | None:
    value: Any = values
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
