"""Prove the guards of the protocol: remove one at a time; an invariant must fail each time.

A copy of the project has one condition less. The simulation runs on it until an invariant is
violated: some random schedules, the regressions, two processes in every order of their calls,
faults at every call, more schedules. A guard that nobody misses is a failure, of the simulation or
of the guard.

    python scripts/guards.py [-j 2] [--only TEXT] [--list]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guard_table import GUARDS, Guard
from mutants import Mutant

ROOT: Final = Path(__file__).parents[1]
LIMIT_S: Final = 900.0
COPIED: Final = ("src", "tests", "docs", "conftest.py", "pyproject.toml")
TESTS: Final = "tests/simulation"
IN_MEMORY: Final = (
    # What is quick and sees much comes first.
    (f"{TESTS}/test_schedules.py", "-k", "memory", "--schedules", "800"),
    (f"{TESTS}/test_regressions.py", f"{TESTS}/test_interleavings.py"),
    (f"{TESTS}/test_crash_points.py", "-k", "not moto"),
    (f"{TESTS}/test_schedules.py", "-k", "memory", "--schedules", "8000"),
)
ON_MOTO: Final = (
    (f"{TESTS}/test_crash_points.py", "-k", "moto and (paused or repeated)", "--moto-points", "9"),
    (f"{TESTS}/test_schedules.py", "-k", "moto", "--schedules", "8000"),
)
VIOLATED: Final = re.compile(r"invariant '(.+?)' is violated")
FAILED: Final = re.compile(r"^FAILED \S+::(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """The invariant that failed without a guard (none: empty), in which test, after how long."""

    guard: Guard
    invariant: str
    test: str
    seconds: float

    def __str__(self) -> str:
        found = f"'{self.invariant}' in {self.test}" if self.invariant else "UNNOTICED " + self.test
        return f"{self.guard.number:3}  {self.guard.what:68}  {self.seconds:5.0f} s  {found}"


def judge(guard: Guard) -> Verdict:
    """Run the simulation without a guard."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        copy(Path(folder))
        Mutant(guard.file, guard.old, guard.new).apply(Path(folder) / "src")
        for options in ON_MOTO if guard.on_moto else IN_MEMORY:
            output = simulate(Path(folder), options)
            invariant, test = VIOLATED.search(output), FAILED.search(output)
            if test:
                break
    return Verdict(
        guard,
        invariant[1] if invariant else "",
        test[1] if test else "",
        time.monotonic() - begun,
    )


def copy(folder: Path) -> None:
    """Copy what the simulation needs."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, folder / name)


def simulate(folder: Path, options: tuple[str, ...]) -> str:
    """Return what pytest says of the simulation in a folder, up to the first failure.

    Raises:
        RuntimeError: the tests did not run.
    """
    command = [
        sys.executable, "-B", "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:randomly",
        *options,
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(
            f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def main() -> int:
    """Judge every guard; return 1 if one went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="guards whose file or description has this text")
    parser.add_argument("--list", action="store_true", help="list the guards and stop")
    options = parser.parse_args()
    guards = [guard for guard in GUARDS if options.only in f"{guard.file}: {guard.what}"]
    if not guards:
        parser.error(f"no guard has {options.only!r} in its file or description")
    if options.list:
        print(*(f"{guard.number:3}  {guard.what} ({guard.file})" for guard in guards), sep="\n")
        return 0

    begun = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        verdicts = []
        for verdict in pool.map(judge, guards):
            print(verdict, flush=True)
            verdicts.append(verdict)
    unnoticed = sum(not verdict.invariant for verdict in verdicts)
    took = time.monotonic() - begun
    print(f"{len(verdicts)} guards, {unnoticed} unnoticed, {took:.0f} s")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
