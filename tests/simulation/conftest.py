"""Fixtures of the simulation."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from src.local.moto_world import MotoWorld
from tests.simulation.plugin import Counted
from tests.support.sim import OwnedClock


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Counted:
    """Count what is simulated, for the figures at the end."""
    return Counted(request)


@pytest.fixture(scope="session")
def moto_session() -> Iterator[MotoWorld]:
    """A moto world for the session; simulations own runs of their own in it."""
    with MotoWorld(clock=OwnedClock(now=int(time.time() * 1000))) as moto:
        yield moto


@pytest.fixture
def moto(moto_session: MotoWorld) -> Iterator[MotoWorld]:
    """The moto world, without what an earlier test left under way."""
    moto_session.reset()
    yield moto_session
    moto_session.reset()


@pytest.fixture
def run_id() -> str:
    """A run id that no other test has."""
    return f"run-{uuid.uuid4().hex[:12]}"
