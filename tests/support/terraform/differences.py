"""How two values differ, in lines for people. It knows nothing of plans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def difference(expected: Any, got: Any) -> list[str]:
    """Describe a difference: what is missing and what is too much, where that can be said."""
    if isinstance(expected, set | frozenset) and isinstance(got, set | frozenset):
        return _sides(expected - got, got - expected, str)
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        left = {(name, repr(value)) for name, value in expected.items()}
        right = {(name, repr(value)) for name, value in got.items()}
        return _sides(left - right, right - left, lambda pair: f"{pair[0]}: {pair[1]}")
    return [f"  expected    {expected!r}", f"  got         {got!r}"]


def _sides(missing: Iterable[Any], extra: Iterable[Any], show: Callable[[Any], str]) -> list[str]:
    return [f"  missing     {each}" for each in sorted(map(show, missing))] + [
        f"  unexpected  {each}" for each in sorted(map(show, extra))
    ]
