"""The transition table, over the whole product of statuses and events."""

from itertools import product

import pytest

from src.common.errors import IllegalTransition
from src.common.status import ACTIVE, TERMINAL, TRANSITIONS, OrderEvent, OrderStatus, advance

pytestmark = pytest.mark.unit

E, S = OrderEvent, OrderStatus

LEGAL = {
    (S.QUEUED, E.CLAIM): S.DISPATCHING,
    (S.QUEUED, E.SKIP): S.SKIPPED,
    (S.QUEUED, E.CANCEL): S.CANCELLED,
    (S.DISPATCHING, E.HAND_OVER): S.RUNNING,
    (S.DISPATCHING, E.SUCCEED): S.SUCCEEDED,
    (S.DISPATCHING, E.FAIL): S.FAILED,
    (S.DISPATCHING, E.TIME_OUT): S.TIMED_OUT,
    (S.DISPATCHING, E.CANCEL): S.CANCELLED,
    (S.RUNNING, E.SUCCEED): S.SUCCEEDED,
    (S.RUNNING, E.FAIL): S.FAILED,
    (S.RUNNING, E.TIME_OUT): S.TIMED_OUT,
    (S.RUNNING, E.CANCEL): S.CANCELLED,
}


@pytest.mark.parametrize(("status", "event"), list(product(OrderStatus, OrderEvent)))
def test_each_status_takes_exactly_the_events_of_the_contract(
    status: OrderStatus, event: OrderEvent
) -> None:
    if (status, event) in LEGAL:
        assert advance(status, event) is LEGAL[status, event]
    else:
        with pytest.raises(IllegalTransition, match=f"{status} cannot {event}"):
            advance(status, event)


def test_every_status_is_in_the_table_and_reachable_from_queued() -> None:
    reached, frontier = {S.QUEUED}, {S.QUEUED}
    while frontier:
        frontier = {
            after for status in frontier for after in TRANSITIONS[status].values()
        } - reached
        reached |= frontier

    assert set(TRANSITIONS) == set(OrderStatus) == reached


def test_an_order_is_queued_active_or_ended() -> None:
    assert {S.QUEUED} | ACTIVE | TERMINAL == set(OrderStatus)
    assert not ACTIVE & TERMINAL
