"""Which IAM action an operation needs, by `policy_sentry`'s copy of AWS's service data."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from functools import cache
from typing import Final

_TRANSACTIONS: Final = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html"
)
_S3: Final = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"
)
_INVOKE: Final = "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"

# What the data set does not say, because action and operation have different names, with the page
# that says it. An action that the data set has under the operation's own name needs no row.
RENAMED: Final[Mapping[str, tuple[str, str]]] = {
    "dynamodb:TransactGetItems.Get": ("dynamodb:GetItem", _TRANSACTIONS),
    "dynamodb:TransactWriteItems.ConditionCheck": ("dynamodb:ConditionCheckItem", _TRANSACTIONS),
    "dynamodb:TransactWriteItems.Delete": ("dynamodb:DeleteItem", _TRANSACTIONS),
    "dynamodb:TransactWriteItems.Put": ("dynamodb:PutItem", _TRANSACTIONS),
    "dynamodb:TransactWriteItems.Update": ("dynamodb:UpdateItem", _TRANSACTIONS),
    "lambda:Invoke": ("lambda:InvokeFunction", _INVOKE),
    "s3:HeadBucket": ("s3:ListBucket", _S3),
    "s3:HeadObject": ("s3:GetObject", _S3),
    "s3:ListObjectsV2": ("s3:ListBucket", _S3),
}


class UnknownActionError(Exception):
    """An operation whose action neither the data set nor the table knows."""


def action_of(service: str, operation: str) -> str:
    """Return the action that an operation needs, such as `lambda:InvokeFunction`.

    Raises:
        UnknownActionError: nobody says; RENAMED wants a row.
    """
    name = f"{service}:{operation}"
    if name in RENAMED:
        return RENAMED[name][0]
    if name not in actions(service):
        raise UnknownActionError(f"{name}: which action does it need? add it to RENAMED")
    return name


def expand(pattern: str) -> list[str]:
    """Return the actions that a pattern such as `dynamodb:*` allows."""
    service = pattern.partition(":")[0]
    return [name for name in actions(service) if fnmatch.fnmatch(name.lower(), pattern.lower())]


def has_resources(action: str) -> bool:
    """Return whether the action can be granted on single resources; else `*` alone does."""
    service, _, name = action.partition(":")
    return any(kind for kind in _data(service)[name] if kind)


def passes_role(action: str) -> bool:
    """Return whether the action may hand a role over, for which it needs `iam:PassRole` too."""
    service, _, name = action.partition(":")
    return any("iam:PassRole" in needed for needed in _data(service)[name].values())


@cache
def actions(service: str) -> tuple[str, ...]:
    """Return every action of a service."""
    return tuple(f"{service}:{name}" for name in _data(service))


@cache
def _data(service: str) -> Mapping[str, Mapping[str, list[str]]]:
    """Action -> kind of resource (empty: none) -> the further actions that it needs."""
    from policy_sentry.shared.iam_data import get_service_prefix_data

    found = get_service_prefix_data(service)
    return {
        name: {kind: each["dependent_actions"] for kind, each in action["resource_types"].items()}
        for name, action in found["privileges"].items()
    }
