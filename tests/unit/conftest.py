"""What unit tests share to be quick: AWS's service descriptions, which every session would read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from botocore import session
from botocore.loaders import create_loader


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Let all sessions of boto3 read from one loader, as the clients of one session do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", cache(create_loader))
        yield
