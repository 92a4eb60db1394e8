"""parliament says of the policies, the developers' included, all that is known and no more."""

from __future__ import annotations

import os
import subprocess
from dataclasses import astuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from src.local.stack import Stack
from tests.support.iam import lint
from tests.support.iam.developer import POLICY, developer_policy
from tests.support.iam.lint import KNOWN, POLICIES, is_known
from tests.support.terraform.plan import Plan
from tests.support.terraform.planner import Planner
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]


def test_parliament_writes_no_file(tmp_path: Path) -> None:
    *python, program = lint.PARLIAMENT
    seen = (
        "import sys; sys.addaudithook(lambda event, args: event == 'open' and print(*args[:2]))\n"
    )
    (tmp_path / "0.json").write_text("{}")
    done = subprocess.run(
        [*python, seen + program, "--directory", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    opened = {line.rpartition(" ")[::2] for line in done.stdout.splitlines()}
    assert (str(tmp_path / "0.json"), "r") in opened, done.stderr
    assert {path for path, mode in opened if mode in ("w", "a", "x")} == {os.devnull}


def test_parliament_finds_nothing_in_the_policies_but_what_is_known(
    deployment: Plan, planner: Planner, tmp_path: Path
) -> None:
    policies = {
        resource.address: resource[path]
        for kind, path in POLICIES.items()
        for resource in deployment.all(kind)
    }
    policies[POLICY.name] = developer_policy(Stack())
    inputs = [policies, metadata.version("parliament"), Path(lint.__file__).read_text()]

    def ask() -> list[Any]:
        return [astuple(each) for each in lint.remarks(policies, tmp_path)]

    found = {lint.Remark(*each) for each in planner.once("parliament", inputs, ask)}

    assert len(policies) > 12
    unknown = {each for each in found if not any(is_known(each, one) for one in KNOWN)}
    deployment.hold(set[lint.Remark](), unknown, "remarks of parliament")
    gone = {one for one in KNOWN if not any(is_known(each, one) for each in found)}
    deployment.hold(set[object](), gone, "known remarks that parliament does not make any more")
