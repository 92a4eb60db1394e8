"""Who makes a request, as ministack's IAM knows him."""

from __future__ import annotations

ANONYMOUS = "anonymous"


def principal(access_key: str) -> str:
    """Return the ARN that an access key stands for; `anonymous` without one."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    if not access_key:
        return ANONYMOUS
    found = iam_evaluator.resolve_principal(access_key, get_account_id())
    return str(getattr(found, "arn", "unknown"))
