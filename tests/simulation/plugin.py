"""Options of the simulation, and the lines with its figures at the end of a test run."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest

KEY: Final = "simulated"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption(
        "--moto-points",
        type=int,
        default=2,
        help="at how many calls of a run on moto each kind of fault happens (in memory: at all)",
    )
    group.addoption(
        "--preemptions",
        type=int,
        default=2,
        help="how often two processes that meet may change places out of turn (default: 2)",
    )
    group.addoption(
        "--schedules",
        type=int,
        default=400,
        help="how many random schedules are simulated in memory; on moto it is one in forty",
    )
    group.addoption(
        "--seed", type=int, help="simulate this one random schedule, and show its story"
    )


class Counted:
    """Counts what a test simulated; the sums stand at the end of the run."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._counts: dict[str, int] = {}
        request.node.user_properties.append((KEY, self._counts))  # the report is made of these

    def __call__(self, what: str, count: int = 1) -> None:
        """Count."""
        self._counts[what] = self._counts.get(what, 0) + count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    totals: Counter[str] = Counter()
    violations = 0
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            violations += outcome == "failed" and "invariant '" in report.longreprtext
            if report.when == "call":
                for counts in (value for key, value in report.user_properties if key == KEY):
                    totals.update(counts)
    if totals or violations:
        figures = ", ".join(f"{count:,} {what}" for what, count in sorted(totals.items()))
        line = f"simulated: {figures}, {violations} violations"
        terminalreporter.write_line(line, red=bool(violations), green=not violations)
