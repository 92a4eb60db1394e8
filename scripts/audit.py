"""Hold the stages to checkov's rules and what ships to the known vulnerabilities; `make audit`.

Every finding of checkov must be answered in infra/audit.toml, with a reason, and every answer must
have its finding. pip-audit asks public databases; where they cannot be reached that is said, and
with STRICT=1 it is a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
ANSWERS: Final = ROOT / "infra/audit.toml"
TOOLS: Final = ROOT / ".venv-audit/bin"
_TIMEOUT_S: Final = 600


class Finding(NamedTuple):
    """A check of checkov that a resource does not meet."""

    check: str
    resource: str


def main(asked: Sequence[str]) -> int:
    """Print what is to be done; return the exit code. Without names every part is done."""
    parts = {"checkov": infrastructure, "pip-audit": dependencies}
    problems = [line for name in asked or parts for line in parts[name]()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def infrastructure() -> Iterable[str]:
    """Yield what checkov finds and nobody answered, and answers to what it does not find."""
    names: dict[Finding, str] = {}
    for failed in _checkov():
        names[Finding(failed["check_id"], failed["resource"])] = failed["check_name"]
    answered = read_answers(ANSWERS.read_text())
    yield from compare(names, answered)
    print(f"checkov: {len(names)} findings, {len({*names} & {*answered})} answered")


def read_answers(text: str) -> dict[Finding, str]:
    """Return the reason for each finding that is answered.

    Raises:
        ValueError: an answer has no reason or no resource; the message names its check.
    """
    found = {}
    for check, answer in tomllib.loads(text).items():
        if not answer.get("reason") or not answer.get("resources"):
            raise ValueError(f"{check}: give resources and a reason")
        for resource in answer["resources"]:
            found[Finding(check, resource)] = answer["reason"]
    return found


def compare(found: Mapping[Finding, str], answered: Mapping[Finding, str]) -> Iterable[str]:
    """Yield a line for each finding without an answer and each answer without a finding.

    Args:
        found: findings, with what the check demands.
        answered: findings, with the reason.
    """
    for finding in sorted({*found} - {*answered}):
        yield f"{finding.check} {finding.resource}: {found[finding]}: mend it or answer it"
    for finding in sorted({*answered} - {*found}):
        yield f"{finding.check} {finding.resource}: answered, and not found: remove the answer"


def dependencies() -> Iterable[str]:
    """Yield the known vulnerabilities of what ships."""
    lock = str(ROOT / "requirements/runtime.lock")
    options = ("--disable-pip", "--progress-spinner", "off", "--format", "json")
    done = _run("pip-audit", "--requirement", lock, *options)
    try:
        looked_up = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        looked_up = []
    unknown, known = advisories(looked_up)
    yield from known
    if unknown or not looked_up:
        how_many = f"{len(unknown)} of {len(looked_up)}" if looked_up else "all"
        print(f"pip-audit: no data for {how_many} dependencies: these were NOT checked")
        if os.environ.get("STRICT") == "1":
            yield "pip-audit: not checked (strict: a failure)"
    else:
        print(f"pip-audit: {len(looked_up)} dependencies, {len(known)} advisories")


def advisories(looked_up: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the dependencies that nobody knew, and a line for each known vulnerability."""
    unknown, known = [], []
    for each in looked_up:
        if "skip_reason" in each:
            unknown.append(str(each["name"]))
        for found in each.get("vulns", ()):
            mended = ", ".join(found["fix_versions"]) or "no version"
            known.append(f"{each['name']} {each['version']}: {found['id']}, mended in {mended}")
    return unknown, known


def _checkov() -> Iterable[dict[str, Any]]:
    options = ("--directory", "infra", "--framework", "terraform", "--skip-download", "--quiet")
    done = _run("checkov", *options, "--output", "json")
    try:
        answer = json.loads(done.stdout)
        unread = answer["summary"]["parsing_errors"]
        failed: list[dict[str, Any]] = answer["results"]["failed_checks"]
    except (ValueError, KeyError, TypeError):
        text = f"{done.stdout}{done.stderr}"
        raise SystemExit(f"checkov answered {done.returncode}:\n{text}") from None
    if unread:
        raise SystemExit(f"checkov cannot read {unread} files of infra/")
    return failed


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOLS / program), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
