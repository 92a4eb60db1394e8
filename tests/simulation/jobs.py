"""The reference jobs of the simulation, with how their commands end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.sim import a_job

# What orders of the reference jobs have for a secret, by its path; no store may hold its value.
SECRETS: Final = {"/iac-ci/simulated": "correct horse/battery+staple"}
SECRET: Final = {"ssm_paths": [*SECRETS]}

DIAMOND: Final = (
    {"order_name": "top", **SECRET},
    {"order_name": "left", "dependencies": ["top"]},
    {"order_name": "right", "dependencies": ["top"]},
    {"order_name": "bottom", "dependencies": ["left", "right"]},
)

MIXED: Final = (
    {"order_name": "plan", **SECRET},
    {"order_name": "build", "dependencies": ["plan"], "use_lambda": False, **SECRET},
    {"order_name": "lint", "dependencies": ["plan"]},
    {"order_name": "image", "use_lambda": False},
    {"order_name": "apply", "dependencies": ["build", "lint", "image"]},
)

# Three layers; what fails stops some, is allowed to fail for others, and one worker dies.
TWELVE: Final = (
    *({"order_name": f"base{n}"} for n in range(3)),
    {"order_name": "shaky", "must_succeed": False},
    {"order_name": "app0", "dependencies": ["base0", "base1"]},
    {"order_name": "app1", "dependencies": ["base1", "shaky"]},
    {"order_name": "app2", "dependencies": ["base2"]},
    {"order_name": "app3", "dependencies": ["shaky"], "use_lambda": False},
    {"order_name": "check0", "dependencies": ["app0"]},
    {"order_name": "check1", "dependencies": ["app1", "app2"]},
    {"order_name": "check2", "dependencies": ["app2", "app3"]},
    {"order_name": "report", "dependencies": ["check0", "check1", "check2"]},
)


@dataclass(frozen=True)
class Reference:
    """A job, and by order name what becomes of its commands where that is not success."""

    job: dict[str, Any]
    outcomes: Mapping[str, str] = field(default_factory=dict)


REFERENCES: Final[Mapping[str, Reference]] = {
    "one order": Reference(a_job("only")),
    "diamond": Reference(a_job(*DIAMOND)),
    "diamond, one at a time": Reference(a_job(*DIAMOND, max_parallel=1), {"left": "failed"}),
    "diamond, a worker dies": Reference(a_job(*DIAMOND), {"right": "dies"}),
    "diamond, a worker never comes": Reference(a_job(*DIAMOND), {"right": "lost"}),
    "mixed": Reference(a_job(*MIXED)),
    "twelve with failures": Reference(
        a_job(*TWELVE), {"shaky": "failed", "app0": "failed", "app2": "timed_out"}
    ),
}
