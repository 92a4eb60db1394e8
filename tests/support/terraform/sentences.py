"""What the specification says of every stage in the same words."""

from __future__ import annotations

from typing import Final

from tests.support.terraform.plan import Plan

BLOCK_ALL: Final = {
    "block_public_acls": True,
    "block_public_policy": True,
    "ignore_public_acls": True,
    "restrict_public_buckets": True,
}


def hold_required_version(plan: Plan) -> None:
    """Terraform 1.5 or newer."""
    block = plan.written("terraform")
    plan.hold(">= 1.5", block.body["required_version"], f"required_version at {block.place}")


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
