"""Fixtures of the simulation."""

from __future__ import annotations

import pytest

from tests.simulation.plugin import Counted


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Counted:
    """Count what is simulated, for the figures at the end."""
    return Counted(request)
