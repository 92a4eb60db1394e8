"""The platforms on which scenarios run: in memory, and the boto3 adapters on moto."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from src.local.moto_world import MotoWorld
from tests.support.sim import OwnedClock, Sim

MakeSim = Callable[..., Sim]


@pytest.fixture(scope="session")
def moto_clock() -> OwnedClock:
    """One clock for the whole session: moto dates what it stores by the machine's."""
    return OwnedClock(now=int(time.time() * 1000))


@pytest.fixture(scope="session")
def moto_session(moto_clock: OwnedClock) -> Iterator[MotoWorld]:
    """A moto world for the session (0.2 s); tests own runs of their own in it."""
    with MotoWorld(clock=moto_clock) as moto:
        yield moto


@pytest.fixture
def moto(moto_session: MotoWorld) -> Iterator[MotoWorld]:
    """The moto world, without what an earlier test left under way."""
    moto_session.reset()
    yield moto_session
    moto_session.reset()


@pytest.fixture(params=["memory", "moto"])
def make_sim(request: pytest.FixtureRequest) -> MakeSim:
    """Make a Sim of scripted outcomes on the platform under test."""
    if request.param == "memory":
        return Sim
    from src.local.moto_platform import moto_platform

    moto: MotoWorld = request.getfixturevalue("moto")
    clock: OwnedClock = request.getfixturevalue("moto_clock")

    def make(outcomes: Mapping[str, str] | None = None, **fields: Any) -> Sim:
        return Sim(outcomes, platform=moto_platform(moto), clock=clock, **fields)

    return make


@pytest.fixture
def run_id() -> str:
    """A run id that no other test has."""
    return f"run-{uuid.uuid4().hex[:12]}"
