"""parliament has nothing to say of the policies but what is known, and says all of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.iam.lint import KNOWN, POLICIES, Remark, is_known, remarks
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]


def test_parliament_finds_nothing_in_the_policies_but_what_is_known(
    deployment: Plan, tmp_path: Path
) -> None:
    found = remarks(deployment, tmp_path)

    assert len([*tmp_path.iterdir()]) == sum(len(deployment.all(kind)) for kind in POLICIES) > 12
    unknown = {each for each in found if not any(is_known(each, one) for one in KNOWN)}
    deployment.hold(set[Remark](), unknown, "remarks of parliament")
    gone = {one for one in KNOWN if not any(is_known(each, one) for each in found)}
    deployment.hold(set[object](), gone, "known remarks that parliament does not make any more")
