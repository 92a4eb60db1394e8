"""What the plan of 02-deploy grants: each role's policy and trust, and who may invoke functions.

What could grant beside what is read here is an error, not silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.iam.patterns import covers_action, covers_arn, holds
from tests.support.terraform.plan import UNKNOWN, Plan, Resource

ASSUME: Final = "sts:AssumeRole"
ANYBODY: Final = "*"


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, single values as lists of one."""

    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any] = field(default_factory=dict, hash=False)
    principals: tuple[str, ...] = ()

    def covers(self, action: str, arn: str, context: Mapping[str, str]) -> bool:
        """Return whether it says anything of that request."""
        return (
            any(covers_action(pattern, action) for pattern in self.actions)
            and any(covers_arn(pattern, arn) for pattern in self.resources)
            and holds(self.condition, context)
        )


@dataclass(frozen=True)
class Role:
    """A role of the plan, by its key: its policies' statements and its trust."""

    key: str
    statements: tuple[Statement, ...]
    trust: tuple[Statement, ...]

    def may(self, action: str, arn: str, context: Mapping[str, str]) -> bool:
        """Return whether a request is granted: some statement allows it and none denies it."""
        return allowed(self.statements, action, arn, context)

    def may_be_assumed_by(self, service: str, context: Mapping[str, str]) -> bool:
        """Return whether the AWS service of that name may take the role."""
        trusting = [one for one in self.trust if {service, ANYBODY} & {*one.principals}]
        return allowed(trusting, ASSUME, "*", context)


def allowed(
    statements: Iterable[Statement], action: str, arn: str, context: Mapping[str, str]
) -> bool:
    """Return IAM's verdict over statements: a denial wins, silence denies."""
    said = [one.allows for one in statements if one.covers(action, arn, context)]
    return bool(said) and all(said)


def roles(plan: Plan) -> dict[str, Role]:
    """Return the plan's roles by key.

    Raises:
        NotImplementedError: one may have grants that are not looked at.
    """
    if unread := [each for each in plan.resources.values() if _may_grant(each)]:
        raise NotImplementedError(f"grants that nobody reads: {unread}")
    found = {}
    for role in plan.all("aws_iam_role"):
        policies = [one for one in plan.all("aws_iam_role_policy") if one["role"] == role["name"]]
        found[str(role.index)] = Role(
            key=str(role.index),
            statements=tuple(each for one in policies for each in statements(one, "policy")),
            trust=statements(role, "assume_role_policy"),
        )
    return found


def _may_grant(resource: Resource) -> bool:
    """Whether a resource grants something to a role in another way than by a policy of its own."""
    if resource.type != "aws_iam_role":
        return resource.type.startswith("aws_iam_") and resource.type != "aws_iam_role_policy"
    # Unless the HCL sets them, only the apply tells what they are.
    given = {name for name in _INLINE if resource.values.get(name) not in (None, UNKNOWN)}
    return bool(given | (_INLINE & resource.refers.keys()))


_INLINE: Final = frozenset({"inline_policy", "managed_policy_arns"})


def bucket_statements(plan: Plan) -> tuple[Statement, ...]:
    """Return what the buckets' own policies say to everybody."""
    return tuple(
        each for policy in plan.all("aws_s3_bucket_policy") for each in statements(policy, "policy")
    )


def statements(resource: Resource, path: str) -> tuple[Statement, ...]:
    """Return the statements of the policy at a path of a resource.

    Raises:
        NotImplementedError: it says what it does not cover, or grants to more than services.
    """
    return tuple(map(_statement, _list(resource.json(path)["Statement"])))


def _statement(given: Mapping[str, Any]) -> Statement:
    if unknown := given.keys() - _ELEMENTS:
        raise NotImplementedError(f"elements of a statement: {sorted(unknown)}")
    return Statement(
        sid=given.get("Sid", ""),
        allows=given["Effect"] == "Allow",
        actions=tuple(_list(given["Action"])),
        resources=tuple(_list(given.get("Resource", "*"))),
        condition=given.get("Condition", {}),
        principals=_principals(given.get("Principal", {})),
    )


def _principals(given: Any) -> tuple[str, ...]:
    if given in (ANYBODY, {"AWS": ANYBODY}):
        return (ANYBODY,)
    if given.keys() - {"Service"}:
        raise NotImplementedError(f"principals of a statement: {given}")
    return tuple(_list(given.get("Service", [])))


_ELEMENTS: Final = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
