"""Fixtures of the simulation."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from src.local.moto_deploy import put_secrets
from src.local.moto_world import MotoWorld
from tests.simulation.jobs import SECRETS
from tests.simulation.moto import in_clear
from tests.simulation.plugin import Counted
from tests.support.leaks import Secret
from tests.support.sim import OwnedClock
from tests.support.stores import secrets_on_moto


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Counted:
    """Count what is simulated, for the figures at the end."""
    return Counted(request)


@pytest.fixture(scope="session")
def stored_secrets() -> Iterator[list[Secret]]:
    """Every secret that was stored on moto in this session."""
    with secrets_on_moto() as found:
        yield found


@pytest.fixture(scope="session")
def moto_session(stored_secrets: list[Secret]) -> Iterator[MotoWorld]:
    """A moto world for the session; simulations own runs of their own in it."""
    del stored_secrets  # it has to be there first
    with MotoWorld(clock=OwnedClock(now=int(time.time() * 1000))) as moto:
        yield moto


@pytest.fixture
def moto(moto_session: MotoWorld, stored_secrets: list[Secret]) -> Iterator[MotoWorld]:
    """The moto world, without what an earlier test left under way.

    What the runs of the test left in stores is searched for secrets in clear afterwards: here, as
    another test's world may end this one, and then it starts again empty.
    """
    moto_session.reset()
    put_secrets(moto_session.clients, SECRETS)
    yield moto_session
    moto_session.reset()
    assert in_clear(moto_session, stored_secrets) == []


@pytest.fixture
def run_id() -> str:
    """A run id that no other test has."""
    return f"run-{uuid.uuid4().hex[:12]}"
