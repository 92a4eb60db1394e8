"""What the applied stack's roles did, by the access log of an AWS that enforces IAM.

A role there is `iac-ci-<key>-<hash>`. What it was refused is a finding as it stands. What it was
allowed shows which grants are used, once names have the hash of the plan that is judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from tests.support.iam.judge import Row, Verdict
from tests.support.iam.needs import Need
from tests.support.iam.patterns import covers_arn
from tests.support.terraform.names import Names

BY: Final = "the applied stack"
# What a scenario asks for in order to be refused: role, action, resource -> its test.
PROVOKED: Final[Mapping[tuple[str, str, str], str]] = {
    ("process_webhook", "ssm:GetParameter", "arn:aws:ssm:*:*:parameter/elsewhere/*"): (
        "test_a_secret_outside_the_prefix_may_not_be_read"
    ),
}
_ROLE: Final = re.compile(r"iac-ci-(.+)-([0-9a-f]{5})")


def read(lines: Iterable[str], names: Names) -> tuple[set[Need], set[Row]]:
    """Return what roles of stacks were allowed, and a finding for each refusal.

    Args:
        lines: JSON with role, action, resource and decision, as the embedded AWS writes them.
        names: those of the plan that is judged.
    """
    allowed, refused = set(), set()
    for entry in map(json.loads, lines):
        if found := _ROLE.fullmatch(entry["role"] or ""):
            key, deployed = found.groups()
            resource = re.sub(
                rf"\biac-ci-([\w-]+)-{deployed}\b", names.of(r"\1"), entry["resource"]
            )
            if entry["decision"] == "allowed":
                allowed.add(Need(key, entry["action"], resource, BY))
            elif not _is_provoked(key, entry["action"], resource):
                why = f"{entry['decision']} on {BY}"
                refused.add(Row(key, entry["action"], resource, Verdict.DENIED, why))
    return allowed, refused


def _is_provoked(role: str, action: str, resource: str) -> bool:
    return any(
        (role, action) == (of, what) and covers_arn(pattern, resource)
        for of, what, pattern in PROVOKED
    )
