"""What unit tests share: the stages as they are written, and what makes them quick.

AWS's service descriptions are read once, where every session would read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore import session
from botocore.loaders import create_loader

from tests.support.terraform.hcl import HclError, blocks
from tests.support.terraform.stages import STAGES


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Let all sessions of boto3 read from one loader, as the clients of one session do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", cache(create_loader))
        yield


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> Path:
    """The folder of each stage, in which every file is HCL."""
    folder = Path(request.config.option.infra).absolute() / request.param
    try:
        blocks(folder)
    except HclError as error:
        why = str(error)
    else:
        return folder
    pytest.fail(why, pytrace=False)
