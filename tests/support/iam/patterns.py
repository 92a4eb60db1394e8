"""IAM's wildcards and conditions: does a pattern cover an ARN, does a condition hold.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

_ARN_SEGMENTS: Final = 6  # arn:partition:service:region:account:resource; the last holds any colon


def covers(pattern: str, text: str) -> bool:
    """Return whether `*` (any text) and `?` (one character) of the pattern make it the text."""
    return _compiled(pattern).fullmatch(text) is not None


def covers_action(pattern: str, action: str) -> bool:
    """As `covers`; the case of actions means nothing."""
    return covers(pattern.lower(), action.lower())


def covers_arn(pattern: str, arn: str) -> bool:
    """Return whether a Resource element covers an ARN; a wildcard stays in its segment."""
    if pattern == "*":
        return True
    if "${" in pattern:
        raise NotImplementedError(f"policy variable in {pattern}")
    one, other = _segments(pattern), _segments(arn)
    return len(one) == len(other) and all(map(covers, one, other))


def fixed_part(pattern: str) -> str:
    """Return what stands before the first wildcard."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def holds(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Return whether every clause of a Condition element holds for a request's context.

    Raises:
        NotImplementedError: an operator that no policy here had until now.
    """
    keys = {name.lower(): value for name, value in context.items()}
    return all(
        _clause(operator, value, keys.get(name.lower()))
        for operator, clauses in condition.items()
        for name, value in clauses.items()
    )


def _clause(operator: str, wanted: str | Sequence[str], got: str | None) -> bool:
    name = operator.removesuffix("IfExists")
    if name not in _OPERATORS:
        raise NotImplementedError(f"condition operator {operator}")
    negated, test = _OPERATORS[name]
    if got is None:  # an absent key differs from everything
        return negated or name != operator
    values = [wanted] if isinstance(wanted, str) else wanted
    return any(test(value, got) for value in values) != negated


def _equal(wanted: str, got: str) -> bool:
    return wanted == got


def _equal_but_case(wanted: str, got: str) -> bool:
    return wanted.lower() == got.lower()


_OPERATORS: Final[Mapping[str, tuple[bool, Callable[[str, str], bool]]]] = {
    "ArnEquals": (False, covers_arn),
    "ArnLike": (False, covers_arn),
    "ArnNotLike": (True, covers_arn),
    "Bool": (False, _equal_but_case),
    "StringEquals": (False, _equal),
    "StringLike": (False, covers),
    "StringNotEquals": (True, _equal),
    "StringNotLike": (True, covers),
}


def _segments(arn: str) -> list[str]:
    return arn.split(":", _ARN_SEGMENTS - 1)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.compile("".join(parts), re.DOTALL)
