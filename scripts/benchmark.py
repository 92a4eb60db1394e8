"""Prints what a run costs: seconds and memory of local runs, AWS calls and bytes of an order.

    make bench                 # local runs, imports, and calls at 10 and 100 orders (a minute)
    make bench ARGS=--full     # calls at 1,000 orders too (some minutes: moto is slow there)

Local runs are whole processes (`.venv/bin/iac-ci run`), each the best of three; `ratio` compares
with what the named tools took on a like machine for the same orders of `true`. Calls are counted by
botocore's own hooks on moto, with scripted workers; what those workers call (bundle, claim, result)
is added as three. Nothing here judges: figures only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

CLI = Path(sys.executable).with_name("iac-ci")
HANDLERS = ("process_webhook", "orchestrator", "watchdog_check", "worker")
WORKER_CALLS = 3  # GET the bundle, PUT the claim, PUT the result

# Seconds that other tools took as whole processes on two cores, and the goal set for this one.
PEERS = {
    "3 orders": (1.0, {"Prefect": 9.1, "Dagster": 2.0}),
    "100 orders in 10 layers": (
        2.0,
        {"Prefect": 10.6, "Dagster": 6.6, "Snakemake": 3.3, "Luigi (no logs)": 0.9},
    ),
    "1,000 independent orders": (12.0, {"Prefect": 19.6, "Luigi": 9.1}),
}


def wide(count: int) -> list[dict[str, Any]]:
    """Return independent orders of `true`."""
    return [{"order_name": f"o{n}", "cmds": ["true"], "timeout": 60} for n in range(count)]


def layers(depth: int, width: int) -> list[dict[str, Any]]:
    """Return orders of which each waits for the whole layer before."""
    return [
        {
            "order_name": f"l{level}-{n}",
            "cmds": ["true"],
            "timeout": 60,
            "dependencies": [f"l{level - 1}-{m}" for m in range(width)] if level else [],
        }
        for level in range(depth)
        for n in range(width)
    ]


def chain(count: int) -> list[dict[str, Any]]:
    """Return orders of which each waits for the one before."""
    return layers(count, 1)


def local_runs() -> None:
    """Time whole processes."""
    shapes = {
        "3 orders": wide(3),
        "100 orders in 10 layers": layers(10, 10),
        "1,000 independent orders": wide(1000),
    }
    print("local runs, whole process       seconds    goal  peak MB   ratio to others")
    with tempfile.TemporaryDirectory() as folder:
        for name, orders in shapes.items():
            file = Path(folder) / "job.json"
            file.write_text(json.dumps({"username": "bench", "orders": orders}))
            best, peak = min(_timed([str(CLI), "run", str(file), "--json"]) for _ in range(3))
            goal, peers = PEERS[name]
            ratios = ", ".join(f"{peer} {taken / best:.1f}x" for peer, taken in peers.items())
            print(f"{name:30} {best:8.2f} {goal:7.0f} {peak:8.0f}   {ratios}")


def _timed(command: list[str]) -> tuple[float, float]:
    """Return seconds and the peak resident MB of a process (its largest child apart)."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        taken = time.perf_counter() - began
        output.seek(0)
        assert json.load(output)["status"] == "succeeded"
    return taken, usage.ru_maxrss / 1024


def imports() -> None:
    """Time the import of each handler in a fresh interpreter."""
    print("\nimporting a handler            seconds    goal")
    for name in HANDLERS:
        clock = "time.perf_counter()"
        code = f"import time; t = {clock}; import src.{name}.handler; print({clock} - t)"
        runs = [
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
            for _ in range(3)
        ]
        print(f"{name:30} {min(float(run.stdout) for run in runs):8.2f}     0.5")


def aws_calls(*, full: bool) -> None:
    """Count AWS calls and bytes of an order."""
    print("\nAWS calls of an order           orders  one event a result   results together   bytes")
    shapes = [
        ("independent", 10, wide(10)),
        ("chain", 10, chain(10)),
        ("10 layers, each of all before", 100, layers(10, 10)),
        ("independent", 100, wide(100)),
    ]
    if full:
        shapes.append(("independent", 1000, wide(1000)))
    for name, count, orders in shapes:
        apart = _calls(orders, records_per_event=1) if count < 1000 else None
        calls, size = _calls(orders, records_per_event=100)
        shown = f"{apart[0]:18.1f}" if apart else f"{'-':>18}"
        print(f"{name:30} {count:7}  {shown} {calls:18.1f} {size:7.0f}")


def _calls(orders: list[dict[str, Any]], *, records_per_event: int) -> tuple[float, float]:
    """Return calls and bytes an order, the watchdogs' turns and the workers' calls included."""
    from src.local import world
    from src.local.moto_platform import moto_platform
    from src.local.moto_world import MotoWorld
    from tests.support.sim import OwnedClock, Sim

    world.RECORDS_PER_EVENT = records_per_event  # type: ignore[misc]
    clock = OwnedClock(now=time.time_ns() // 1_000_000)
    with MotoWorld(clock=clock) as moto:
        sim = Sim(platform=moto_platform(moto), clock=clock)
        sim.run_to_end({"username": "bench", "orders": orders})
        sim.let_watchdogs_end()
        tallies = [tally for op, tally in moto.calls.tallies.items() if op.handler]
    calls = sum(tally.calls for tally in tallies) / len(orders) + WORKER_CALLS
    return calls, sum(tally.sent + tally.received for tally in tallies) / len(orders)


if __name__ == "__main__":
    local_runs()
    imports()
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    aws_calls(full="--full" in sys.argv)
