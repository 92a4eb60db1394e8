"""The policy that docs/how-to gives to developers, for one stack."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from src.local.stack import Stack

POLICY: Final = Path(__file__).parents[3] / "docs/how-to/developer-policy.json"


def developer_policy(stack: Stack) -> str:
    """Return the policy with its placeholders replaced, as JSON."""
    text = POLICY.read_text().replace("REGION", stack.region).replace("ACCOUNT", stack.account)
    return text.replace("HASH", stack.hash)
