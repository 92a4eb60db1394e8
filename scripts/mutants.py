"""Prove the tests of infra/: change copies of the stages line by line; somebody must notice.

Each mutant is a copy of infra/ with one line changed. The static tests run on it, then the plan
tests of its stage, the plain case first, up to the first failure. A mutant that no test notices is
missed: a test is lacking. The stages in the work tree are only read.

    python scripts/mutants.py [-j 2] [--only TEXT] [--list]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutations import MUTATIONS

ROOT: Final = Path(__file__).parents[1]
LIMIT_S: Final = 180.0  # of one mutant's tests
DEARER: Final = "everything or prod"  # plans that are made once the plain one is fine
WEAK: Final = "fmt_check"  # a mutant out of shape is not understood
STATIC: Final = ("tests/unit/test_hcl_stages.py", "tests/unit/test_hcl_arguments.py")


@dataclass(frozen=True)
class Mutant:
    """One line of a file that is changed, or goes."""

    file: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}: {self.old} -> {self.new or '(gone)'}"

    @property
    def stage(self) -> str:
        """The stage that it is of."""
        return self.file.split("/")[0]

    def apply(self, infra: Path) -> None:
        """Change the line; its text must be in the file exactly once.

        Raises:
            ValueError: the text is not there, or more than once: the mutation is out of date.
        """
        path = infra / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self}: the text occurs {text.count(self.old)} times")
        path.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True)
class Verdict:
    """Whether a mutant was noticed, by which test, and the seconds that took."""

    mutant: Mutant
    noticed_by: str
    seconds: float


def judge(mutant: Mutant) -> Verdict:
    """Run the tests on a mutant."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        infra = Path(folder) / "infra"
        shutil.copytree(ROOT / "infra", infra, ignore=shutil.ignore_patterns(".terraform"))
        mutant.apply(infra)
        cheap, dear = f"not ({DEARER} or {WEAK})", f"({DEARER}) and not {WEAK}"
        by = _run(infra, mutant.stage, cheap) or _run(infra, mutant.stage, dear)
    return Verdict(mutant, by, time.monotonic() - begun)


def _run(infra: Path, stage: str, names: str) -> str:
    """Return the first test that fails of those with such names; empty: none.

    Raises:
        RuntimeError: the tests did not run.
    """
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--strict-layers", "--tb=no",
        "-p", "no:randomly", f"--infra={infra}", "-k", names, *([f"--stage={stage}"] * bool(stage)),
        "tests/plan", *STATIC,
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    if done.returncode in (0, 5):  # 5: the stage has no such tests
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode != 1 or not failed:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return failed[0].split(" ")[1].split("/")[-1]


def main() -> int:
    """Judge every mutant; return 1 if one was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="mutants whose description has this text")
    parser.add_argument("--list", action="store_true", help="list the mutants and stop")
    options = parser.parse_args()
    mutants = [each for each in (Mutant(*row) for row in MUTATIONS) if options.only in str(each)]
    if not mutants:
        parser.error(f"no mutant has {options.only!r} in its description")
    if options.list:
        print(*mutants, sep="\n")
        return 0

    begun = time.monotonic()
    if not _sound():
        return 1
    missed = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(judge, mutants):
            print(f"{verdict.seconds:5.1f} s  {verdict.mutant}", flush=True)
            print(f"         {verdict.noticed_by or 'MISSED'}", flush=True)
            missed += [] if verdict.noticed_by else [verdict.mutant]
    took = time.monotonic() - begun
    print(f"{len(mutants)} mutants, {len(missed)} missed, {took:.0f} s")
    for mutant in missed:
        print(f"missed: {mutant}")
    return 1 if missed else 0


def _sound() -> bool:
    """Whether the tests pass on the stages as they are; else nothing can be proved."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        infra = Path(folder) / "infra"
        shutil.copytree(ROOT / "infra", infra, ignore=shutil.ignore_patterns(".terraform"))
        failed = _run(infra, "", "test")
    if failed:
        print(f"the stages as they are fail {failed}: mend that first", file=sys.stderr)
    return not failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
