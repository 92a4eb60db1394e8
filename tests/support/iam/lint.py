"""What `parliament` says of every policy of a plan, and which of it is known to be no flaw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

POLICIES: Final = {
    "aws_iam_role": "assume_role_policy",
    "aws_iam_role_policy": "policy",
    "aws_s3_bucket_policy": "policy",
}
# A process of its own: parliament imports what warns of its own end. It would note its arguments in
# a file under /tmp, which is another user's where two work on one machine.
_PROGRAM: Final = """
import builtins, os, parliament.cli as program
program.open = lambda path, mode="r": builtins.open(path if mode == "r" else os.devnull, mode)
program.cli()
"""
PARLIAMENT: Final = (sys.executable, "-W", "ignore", "-c", _PROGRAM)
_TIMEOUT_S: Final = 60


@dataclass(frozen=True, order=True)
class Remark:
    """A remark on the policy of a resource: what kind, and the action or words that it names."""

    resource: str
    issue: str
    about: str


# Remarks that are no flaws, by their beginning, with the reason.
KNOWN: Final[Mapping[tuple[str, str, str], str]] = {
    ("aws_iam_role.", "MALFORMED", "Statement contains neither Resource nor NotResource"): (
        "a trust policy has no Resource: it is about the role that it belongs to"
    ),
    (
        'aws_iam_role_policy.policy["codebuild"]',
        "CREDENTIALS_EXPOSURE",
        "ecr:getauthorizationtoken",
    ): (
        'the token pulls the image; specification: "ECR: GetAuthorizationToken, '
        'BatchCheckLayerAvailability, GetDownloadUrlForLayer, BatchGetImage"'
    ),
    ('aws_iam_role_policy.policy["orchestrator"]', "RESOURCE_MISMATCH", "dynamodb:"): (
        "dynamodb:* holds actions that are for no table, which the grant on tables then does not "
        'give; specification: "DynamoDB: full access on all 3 tables (orders, order_events, locks)"'
    ),
}


def remarks(policies: Mapping[str, str], folder: Path) -> set[Remark]:
    """Return all remarks on policies by address; they are written to the folder, one file each."""
    written = {}
    for address, policy in policies.items():
        file = folder / f"{len(written)}.json"
        file.write_text(policy)
        written[str(file)] = address
    options = ["--directory", str(folder), "--include-community-auditors", "--json"]
    done = subprocess.run(
        [*PARLIAMENT, *options], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == bool(found), done.stderr
    return {each for one in found for each in _remarks(written, one)}


def _remarks(written: Mapping[str, str], given: Mapping[str, Any]) -> Iterator[Remark]:
    detail = given["detail"] or given["location"].get("actions", "")
    for each in detail if isinstance(detail, list) else [detail]:
        about = each["action"] if isinstance(each, dict) else str(each)
        yield Remark(written[given["location"]["filepath"]], given["issue"], about)


def is_known(remark: Remark, known: tuple[str, str, str]) -> bool:
    """Return whether a remark is the known one."""
    resource, issue, about = known
    same = remark.issue == issue and remark.resource.startswith(resource)
    return same and remark.about.startswith(about)
