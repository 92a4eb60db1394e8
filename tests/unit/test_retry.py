"""Trying again: how often, how long in between, and never beyond the invocation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from src.common import budget
from src.common.aws import bounds
from src.common.aws.clients import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Clients
from src.common.aws.errors import calling
from src.common.errors import Transient
from src.common.retry import CALL, COMMENT, REPORT, UPLOAD, Policy, attempts
from src.orchestrator.lease import RENEW_BELOW_MS

pytestmark = pytest.mark.unit


@dataclass
class Invocation:
    """Lambda's context, with a given time left."""

    left_ms: int

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@pytest.mark.parametrize("policy", [CALL, UPLOAD, COMMENT, REPORT])
def test_attempts_are_bounded_and_pauses_grow_to_a_cap(policy: Policy) -> None:
    slept: list[float] = []

    tried = list(attempts(policy, sleep=slept.append))

    assert tried == [False] * (policy.attempts - 1) + [True]
    assert len(slept) == policy.attempts - 1
    longest = [policy.longest_s(attempt) for attempt in range(1, policy.attempts)]
    assert longest == sorted(longest)
    assert longest[-1] <= policy.cap_s
    assert all(0 <= pause <= most for pause, most in zip(slept, longest, strict=True))


def test_pauses_are_random_over_their_whole_length() -> None:
    slept: list[float] = []
    for _ in range(200):
        list(attempts(CALL, sleep=slept.append))

    first = slept[:: CALL.attempts - 1]
    assert min(first) < CALL.longest_s(1) * 0.1
    assert max(first) > CALL.longest_s(1) * 0.9


@pytest.mark.parametrize(("left_s", "tried"), [(math.inf, 6), (100, 6), (12, 3), (1, 1), (0, 1)])
def test_no_attempt_is_begun_that_the_invocation_has_no_room_for(left_s: float, tried: int) -> None:
    assert len(list(attempts(REPORT, sleep=lambda _: None, left_s=lambda: left_s))) == tried


def test_the_budget_is_the_invocations_less_a_reserve_and_ends_with_it() -> None:
    assert budget.left_s() == math.inf
    with budget.of(Invocation(10_000)):
        assert budget.left_s() == 10 - budget.RESERVE_S
        assert len(list(attempts(REPORT, sleep=lambda _: None))) == 3
        with budget.of(None):  # a caller that does not tell its time
            assert budget.left_s() == 10 - budget.RESERVE_S
    assert budget.left_s() == math.inf


def test_one_call_ends_before_a_lease_that_it_may_hold() -> None:
    longest_s = bounds.CALL_S + CONNECT_TIMEOUT_S + READ_TIMEOUT_S

    assert longest_s * 1000 < RENEW_BELOW_MS


class Answers:
    """Answers a client's requests in place of the network, and lets time pass meanwhile."""

    def __init__(self, clients: Clients, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.sent = 0
        self._now, self._seconds = 0.0, seconds
        monkeypatch.setattr(bounds.time, "monotonic", lambda: self._now)
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        clients.session.events.register("before-send", self)

    def __call__(self, **_: Any) -> None:
        self.sent += 1
        self._now += self._seconds
        raise ConnectTimeoutError(endpoint_url="https://dynamodb.example")


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    return Clients(region="eu-central-1")


@pytest.mark.parametrize(("seconds", "sent"), [(0.1, CALL.attempts), (3.0, 3), (20.0, 1)])
def test_a_call_gives_up_by_number_or_by_time(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, seconds: float, sent: int
) -> None:
    answers = Answers(clients, monkeypatch, seconds)

    with (
        pytest.raises(Transient, match=r"^listing tables: .*timeout|ConnectTimeout"),
        calling("listing tables"),
    ):
        clients.dynamodb.list_tables()

    assert answers.sent == sent


def test_a_call_is_not_made_once_the_invocations_time_is_up(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(clients, monkeypatch, 0.1)

    with (
        budget.of(Invocation(int(budget.RESERVE_S * 1000))),
        pytest.raises(Transient, match="listing tables: the invocation's time is up"),
        calling("listing tables"),
    ):
        clients.dynamodb.list_tables()

    assert answers.sent == 0
