"""What must always hold of a run, in words: docs/ARCHITECTURE.md has the same ones.

The model (`model.py`) checks the first group at every step of a simulation, `ending.py` the second
when nothing will happen any more. A violation names its invariant, which `make guards` looks for.
"""

from __future__ import annotations

from typing import Final

ALWAYS: Final = {
    "one start": "An order's commands start at most once, by the process that created its claim.",
    "right start": "Commands start only after every dependency let the order go.",
    "no late start": "Nothing starts once the order has a result or its row has ended.",
    "one holder": "At most one lease of a run's lock is running; only its holder renews, releases"
    " or completes it.",
    "fenced": "A run changes only at the revision that was read: a holder whose lease was stolen"
    " changes nothing.",
    "no lost mark": "A mark stays in the lock until its effect is written.",
    "legal moves": "An order moves along the transition table, for a reason that is stored; a row"
    " that ended never changes.",
    "claim first": "An order is claimed and has a watchdog before it is handed over.",
    "one result": "An order has at most one claim and one result: its claimer's, unless the claimed"
    " time is over or the run closed; its row ends as the result says.",
    "true books": "At every revision the run item's counters, ready orders and lists agree with"
    " the rows.",
    "whole packaging": "Packaging succeeds only after the orchestrator came and every row and"
    " bundle is there; what was put first stays.",
    "limited": "At most `max_parallel` orders are claimed or running.",
    "acknowledged": "An order is acknowledged only after its row has ended.",
    "one end": "A run finishes once, when every order has ended; its done object is created once"
    " and agrees with the rows.",
    "own effect": "Who repeats a call whose reply was lost takes its own effect for success"
    " (freeing the lock apart, which is then taken for lost).",
    "end in order": "The lock is completed after the done object is there, and `finished.json`"
    " comes after both.",
}

FINALLY: Final = {
    "it ends": "A run that was accepted ends: by its deadline plus two minutes, plus six after a"
    " fault.",
    "in time": "An order that was dispatched ends by its deadline plus two minutes, plus six after"
    " a fault.",
    "takes effect": "A result takes effect within two minutes, four after a fault; the end of"
    " packaging and a cancel within two, six after one.",
    "exactly once": "Every command list that had to start did, unless its own process was killed.",
    "right end": "Every order and the job end as dependencies and results say.",
    "true story": "The events tell each thing that happened once, in its order, and nothing else.",
    "nothing in clear": "No store, dispatch or execution holds a secret in clear, and none holds a"
    " bundle beside the key that opens it.",
    "all is free": "In the end the lock is completed and nobody's, and every watchdog has ended.",
}

INVARIANTS: Final = {**ALWAYS, **FINALLY}


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        super().__init__(f"invariant '{name}' is violated: {INVARIANTS[name]}\n{detail}")


def hold(name: str, condition: object, detail: str) -> None:
    """Make sure that an invariant holds.

    Raises:
        Violation: it does not.
    """
    if not condition:
        raise Violation(name, detail)
