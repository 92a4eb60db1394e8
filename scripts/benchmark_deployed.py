"""What a run on the applied stack takes: `make bench ARGS=deployed` (some two minutes).

Starts the embedded AWS, applies the three stages, runs jobs by signed webhooks until the functions
are warm, prints the best of the later runs, destroys. Figures of an emulator on this machine: they
compare with themselves.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.deployed.endpoint import EndpointSite
from tests.support.deployed.host import AUTO, Host
from tests.support.deployed.site import Site, job, order
from tests.support.terraform.toolchain import Toolchain

WARM = 3
TIMED = 5


def main() -> int:
    """Print the figures; return the exit code."""
    toolchain = Toolchain.find(None, None, os.environ)
    folder = Path(tempfile.mkdtemp(prefix="iac-ci-bench-"))
    host = Host(AUTO, None, toolchain, folder)
    try:
        site = EndpointSite(host.desk.get(600))
        chain = [order(f"o{n}", "true", after=[f"o{n - 1}"] * bool(n)) for n in range(20)]
        shapes = {
            "3 orders": (3.0, [order(f"o{n}", "true") for n in range(3)]),
            "3 orders in a chain": (3.0, chain[:3]),
            "20 levels": (None, chain),
            "30 orders": (None, [order(f"o{n}", "true") for n in range(30)]),
        }
        print("runs on the applied stack, warm   seconds    goal")
        for name, (goal, orders) in shapes.items():
            best = min([_timed(site, orders) for _ in range(WARM + TIMED)][WARM:])
            print(f"{name:33} {best:7.2f} {goal or '-':>7}", flush=True)
    finally:
        host.close()
    for line in [*host.told, *host.problems]:
        print(line)
    return bool(host.problems)


def _timed(site: Site, orders: list[dict[str, Any]]) -> float:
    began = time.perf_counter()
    finished = site.run(job(*orders))
    assert finished.status == "succeeded", finished.done
    return time.perf_counter() - began
