"""Take each statement of each policy away from the applied stack: a run must fail for it.

Applies the stages to an embedded AWS on this machine, with IAM enforced, and destroys them. Then

    python scripts/iam_mutants.py [--only TEXT] [--list]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))  # a program: the tests are no package

from tests.support.deployed.endpoint import EndpointSite
from tests.support.deployed.host import AUTO, Host
from tests.support.iam.enforced import Everything, Lost, statements, without
from tests.support.terraform.toolchain import Toolchain

APPLY_S: Final = 420.0
LONGEST_S: Final = 60.0  # of the run that must go well
SLOWER: Final = 3.0  # than that one, before a mutant's run counts as stuck
LEAST_S: Final = 12.0


def main() -> int:
    """Print what became of each; return the exit code."""
    given = _parser().parse_args()
    toolchain = Toolchain.find(None, None, os.environ)
    host = Host(AUTO, None, toolchain, Path(tempfile.mkdtemp(prefix="iac-ci-iam-mutants-")))
    try:
        wrong = _all(EndpointSite(host.desk.get(APPLY_S)), given)
    finally:
        host.close()
        for line in host.problems:
            print(line, file=sys.stderr)
    return 1 if wrong or host.problems else 0


def _all(site: EndpointSite, given: argparse.Namespace) -> list[str]:
    wrong = []
    mutants = [lost for lost in statements(site) if given.only in str(lost)]
    if not mutants:
        told = f"no statement has {given.only!r} in its name"
        print(told, file=sys.stderr)
        return [told]
    with Everything(site) as everything:
        took = _timed(everything, LONGEST_S)
        print(f"nothing taken away: went well in {took:.1f} s", flush=True)
        limit_s = max(LEAST_S, SLOWER * took)
        for lost in mutants:
            if given.list:
                print(f"{lost}: {lost.reason or 'has to be noticed'}")
                continue
            told = _one(site, everything, lost, limit_s)
            print(f"{lost}: {told}", flush=True)
            if told.startswith(("MISSED", "STALE")):
                wrong.append(told)
        if not given.list:
            _timed(everything, LONGEST_S)  # everything is in its place again
    missed = f"{len(wrong)} wrong" if wrong else "all noticed or listed"
    print(f"{len(mutants)} statements: {missed}")
    return wrong


def _one(site: EndpointSite, everything: Everything, lost: Lost, limit_s: float) -> str:
    """Say what became of the run without a statement."""
    with without(site, lost):
        try:
            everything.run(limit_s)
        except AssertionError as error:
            why = str(error).splitlines()[0][:100]
            return f"STALE: listed, and noticed: {why}" if lost.reason else f"noticed: {why}"
    return f"listed: {lost.reason}" if lost.reason else "MISSED: the run went well without it"


def _timed(everything: Everything, limit_s: float) -> float:
    began = time.monotonic()
    everything.run(limit_s)
    return time.monotonic() - began


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="mutants with that in their name"
    )
    parser.add_argument("--list", action="store_true", help="say which there are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
