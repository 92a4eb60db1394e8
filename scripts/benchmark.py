"""Prints what a run costs: seconds and memory of local runs, AWS calls and bytes of an order.

    make bench                 # local runs, imports, calls at 10 to 100 orders (two minutes)
    make bench ARGS=--full     # also calls and bytes at 1,000 against those at 10 (more minutes)
    make bench ARGS=deployed   # runs on the applied stack instead: benchmark_deployed.py

Local runs are whole processes (`.venv/bin/iac-ci run`), each the best of three; memory is that of a
run of its own, all its processes together. `ratio` compares with what the named tools took on a
like machine for the same orders of `true`. Calls are counted by botocore's own hooks on moto, with
scripted workers; what these send by presigned URLs (claim, result) is added to the calls, not to
the bytes. Nothing here judges: each figure stands beside its goal.
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

from memory import peak_mb

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

CLI = Path(sys.executable).with_name("iac-ci")
HANDLERS = ("process_webhook", "orchestrator", "watchdog_check", "worker")
GOAL_CALLS = 12  # AWS calls an order, at most
GOAL_MB = 400  # of the largest local run
PRESIGNED = 2  # what a worker sends without botocore: PUT the claim, PUT the result

# Seconds that other tools took as whole processes on two cores, and the goal set for this one.
PEERS = {
    "3 orders": (1.0, {"Prefect": 9.1, "Dagster": 2.0}),
    "100 orders in 10 layers": (
        2.0,
        {"Prefect": 10.6, "Dagster": 6.6, "Snakemake": 3.3, "Luigi": 0.9, "make": 0.22},
    ),
    "1,000 independent orders": (12.0, {"Prefect": 19.6, "Luigi": 9.1, "make": 2.2}),
}  # Luigi keeps no logs; make has a wrapper that keeps them, and no status and events


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
    print("local runs, whole process       seconds    goal  peak MB    goal   ratio to others")
    with tempfile.TemporaryDirectory() as folder:
        for name, orders in shapes.items():
            file = Path(folder) / "job.json"
            file.write_text(json.dumps({"username": "bench", "orders": orders}))
            command = [str(CLI), "run", str(file), "--json"]
            best = min(_timed(command) for _ in range(3))
            peak = peak_mb(command)
            shown = f"{'unknown' if peak is None else round(peak):>8} {GOAL_MB:7}"
            goal, peers = PEERS[name]
            ratios = ", ".join(f"{peer} {taken / best:.1f}x" for peer, taken in peers.items())
            print(f"{name:30} {best:8.2f} {goal:7.0f} {shown}   {ratios}", flush=True)


def _timed(command: list[str], *, answers: bool = True) -> float:
    """Return the seconds of a command, which must succeed; `answers`: and say so in JSON."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    taken = time.perf_counter() - began
    assert not answers or json.loads(done.stdout)["status"] == "succeeded"
    return taken


def demo() -> None:
    """Time `make demo` after set-up."""
    best = min(_timed(["make", "--silent", "demo"], answers=False) for _ in range(3))
    print(f"\n{'make demo, after set-up':30} {best:8.2f} {5:7}", flush=True)


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


def aws_calls() -> None:
    """Count AWS calls of an order: in all, and of each further one, without the run's own calls."""
    print("\nAWS calls of an order             orders   in all   each further    goal")
    for name, sizes, make in (
        ("chain", (10, 20, 100), chain),
        ("layers of 10, each of all before", (50, 100), lambda count: layers(count // 10, 10)),
        ("independent", (10, 20, 100), wide),
    ):
        for kind, records in (("an event a result", 1), ("results together", 100)):
            print(f"{name}, {kind}")
            last = 0, 0.0
            for count in sizes:
                calls = _calls(make(count), records_per_event=records)[0]
                further = (calls * count - last[1]) / (count - last[0]) if last[0] else None
                last = count, calls * count
                shown = f"{further:14.1f}" if further else f"{'':14}"
                print(f"{'':32} {count:7} {calls:8.1f} {shown} {GOAL_CALLS:7}")


def aws_growth() -> None:
    """Compare calls and bytes of an order in a run of ten and in one of a thousand."""
    print("\nindependent orders, results together    10    1,000   ratio    goal")
    ten, thousand = (_calls(wide(count), records_per_event=100) for count in (10, 1000))
    for name, few, many in zip(("calls", "bytes"), ten, thousand, strict=True):
        print(f"{name + ' of an order':34} {few:7.1f} {many:8.1f} {many / few:7.2f} {1.2:7}")


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
    calls = sum(tally.calls for tally in tallies) / len(orders) + PRESIGNED
    return calls, sum(tally.sent + tally.received for tally in tallies) / len(orders)


if __name__ == "__main__":
    if "deployed" in sys.argv:
        import benchmark_deployed

        sys.exit(benchmark_deployed.main())
    local_runs()
    demo()
    imports()
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    aws_calls()
    if "--full" in sys.argv:
        aws_growth()
