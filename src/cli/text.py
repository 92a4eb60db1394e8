"""Text for terminals: what everybody shows harmlessly, and the words of the command line."""

from __future__ import annotations

from src.common.text import CONTROLS, ESCAPES, MARK, clean, count, duration

__all__ = ["CONTROLS", "ESCAPES", "MARK", "clean", "count", "duration"]
