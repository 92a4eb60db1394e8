"""Which resource a request names, by the ARN formats of AWS's own service data.

`policy_sentry` keeps those formats (`arn:${Partition}:s3:::${BucketName}/${ObjectName}`); the table
below says which request parameter fills which part. The format that takes most of them wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.support.terraform.responder import partition

# Part of an ARN -> request parameter. `SecretId` and `stateMachineArn` may hold an ARN themselves.
PARAMETERS: Final[Mapping[str, str]] = {
    "BucketName": "Bucket",
    "FunctionName": "FunctionName",
    "IndexName": "IndexName",
    "ObjectName": "Key",
    "ParameterNameWithoutLeadingSlash": "Name",
    "ProjectName": "projectName",
    "SecretId": "SecretId",
    "StateMachineName": "stateMachineArn",
    "TableName": "TableName",
}

_PART: Final = re.compile(r"\$\{(\w+)\}")
_SECRETS_SUFFIX: Final = "-??????"  # six random characters end the ARN of every secret


@dataclass(frozen=True)
class Place:
    """Where a client's resources lie."""

    region: str
    account: str

    @property
    def known(self) -> dict[str, str]:
        """The parts of an ARN that no request names."""
        return {
            "Partition": partition(self.region),
            "Region": self.region,
            "Account": self.account,
        }


def requests(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the single requests that a request consists of: operation and parameters.

    A transaction's are named after what each does: `TransactWriteItems.Put`.
    """
    if isinstance(items := params.get("TransactItems"), list | tuple):
        for item in items:
            for verb, single in item.items():
                yield f"{operation}.{verb}", single
    elif isinstance(tables := params.get("RequestItems"), Mapping):
        for table in tables:
            yield operation, {"TableName": table}
    else:
        yield operation, params


def resource(service: str, params: Mapping[str, Any], place: Place) -> str:
    """Return the ARN of what a single request touches; `*` if it names nothing.

    Args:
        service: the prefix of its actions: `s3`, `states`.
        params: as boto3 takes them.
        place: where the client's resources lie.
    """
    given = {part: str(params[name]) for part, name in PARAMETERS.items() if name in params}
    for value in given.values():
        if value.startswith("arn:"):
            return value
    if "ParameterNameWithoutLeadingSlash" in given:
        part = "ParameterNameWithoutLeadingSlash"
        given[part] = given[part].removeprefix("/")
    if "SecretId" in given:
        given["SecretId"] += _SECRETS_SUFFIX
    forms = [form for form in _formats(service) if _parts(form) <= {*given, *place.known}]
    best = max(forms, key=lambda form: len(_parts(form) & given.keys()), default="")
    if not _parts(best) & given.keys():
        return "*"
    return _PART.sub(lambda part: {**given, **place.known}[part[1]], best)


def _parts(form: str) -> set[str]:
    return {*_PART.findall(form)}


@cache
def _formats(service: str) -> tuple[str, ...]:
    from policy_sentry.querying.arns import get_raw_arns_for_service

    return tuple(get_raw_arns_for_service(service))
