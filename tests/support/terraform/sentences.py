"""What the specification says of every stage in the same words."""

from __future__ import annotations

import re
from typing import Final

from tests.support.terraform.plan import Plan
from tests.support.terraform.toolchain import LOWEST

BLOCK_ALL: Final = {
    "block_public_acls": True,
    "block_public_policy": True,
    "ignore_public_acls": True,
    "restrict_public_buckets": True,
}


# What late versions of provider 6.x warn of, and 5.100 has no other way to say.
KNOWN_WARNINGS: Final = (
    # `key_schema` of an index is new there; the specification speaks of hash_key and range_key.
    r"aws_dynamodb_table\.table\b.*\b(hash|range)_key is deprecated\. Use key_schema instead",
)


def hold_no_warnings(plan: Plan) -> None:
    """Terraform and the provider have nothing to warn of but what is known."""
    warnings = re.findall(r"Warning: .*(?:\n.*){0,8}", plan.text)
    unknown = [
        each
        for each in warnings
        if not any(re.search(known, each, re.DOTALL) for known in KNOWN_WARNINGS)
    ]
    plan.hold([], unknown, f"what terraform warns of in {plan.case.stage}")


def hold_required_version(plan: Plan) -> None:
    """Terraform 1.5 or newer."""
    block = plan.written("terraform")
    plan.hold(f">= {LOWEST}", block.body["required_version"], f"required_version at {block.place}")


def hold_provider_region(plan: Plan) -> None:
    """The aws provider's region is the variable's."""
    plan.hold({"references": ["var.aws_region"]}, plan.provider["region"], "the provider's region")


def hold_variable(plan: Plan, name: str, *, required: bool = True, kind: str = "string") -> None:
    """A variable has that type; a required one has no default and is not null."""
    block = plan.written("variable", name)
    at = f"variable {name} at {block.place}"
    plan.hold(kind, block.body["type"], f"type of {at}")
    if required:
        plan.check("default" not in block.body, f"{at} has no default")
        plan.check(block.body.get("nullable") is False, f"{at} is not nullable")
