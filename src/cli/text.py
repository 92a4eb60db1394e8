"""Text for terminals: what everybody shows harmlessly, and the words of the command line."""

from __future__ import annotations

from src.common.text import CONTROLS, ESCAPES, MARK, clean, duration

__all__ = ["CONTROLS", "ESCAPES", "MARK", "clean", "count", "duration"]


def count(number: int, noun: str) -> str:
    """Return `1 order`, `2 orders`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
