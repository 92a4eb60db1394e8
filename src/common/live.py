"""The lines that a worker prints while an order runs, and whose they are.

One log group holds the lines of every order, so each line begins with `<run_id>:<num>| `: whoever
follows a run finds its lines, and no command can print a line that seems to be another order's.
"""

from __future__ import annotations

_BAR = "| "


def label(run_id: str, num: str = "") -> str:
    """Return what the lines of an order (of a run, without a number) begin with."""
    return f"{run_id}:{num}" + (_BAR if num else "")


def labelled(run_id: str, num: str, text: str) -> str:
    """Return lines with their label."""
    begin = label(run_id, num)
    return "\n".join(begin + line for line in text.split("\n"))


def parsed(message: str, run_id: str) -> tuple[str, str] | None:
    """Return number and line of what an order of the run printed, None of anything else."""
    begin = label(run_id)
    if not message.startswith(begin):
        return None
    num, bar, line = message[len(begin) :].partition(_BAR)
    return (num, line.rstrip("\n")) if bar and num.isdecimal() else None
