"""Print how a stack does under load: many runs at once, calm, with kills, and with faults of AWS.

moto's server runs in a second process, every function in sandboxes of their own, real commands in
the workers. What is printed are figures; the exit code tells whether anything came out wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.cloud.cloud import Cloud
from tests.support.cloud.load import Load, drive


def main() -> int:
    """Run the loads one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="at once (default: 50)")
    parser.add_argument("--kill-for", type=float, default=120, help="seconds of kills (120)")
    given = parser.parse_args()
    shape = {"layers": 4, "width": 5}
    loads = {
        "calm": Load(runs=given.runs, **shape),
        "a sandbox at work killed every second": Load(
            runs=given.runs, **shape, kill_every_s=1.0, kill_for_s=given.kill_for
        ),
        "3% of the calls met by a fault, events late and twice": Load(
            runs=max(1, given.runs // 5), **shape, fault_rate=0.03, late_s=3.0, doubled=0.1
        ),
    }
    wrong = 0
    with Cloud() as cloud:
        for name, load in loads.items():
            outcome = drive(cloud, load)
            print(name, *outcome.lines(load), *outcome.wrong[:20], sep="\n  ", flush=True)
            wrong += len(outcome.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
