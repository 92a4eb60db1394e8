"""The rows that packaging puts: of each order, and the one that pins what the run is made from."""

from __future__ import annotations

from collections.abc import Callable, Collection

from src.common import bundle
from src.common.job import GitCode, Job, OrderSpec
from src.common.ports import RunStore
from src.common.records import Order, Packaging, Run
from src.common.status import OrderStatus


def pinned(runs: RunStore, run: Run, job: Job, pin: Callable[[Job], dict[str, str]]) -> Packaging:
    """Return the packaging row with the commit of each ref: the first packager's.

    A run that repeats an earlier one runs on the same commits, as long as that one's row is there:
    what is carried over was made from them. `pin` looks up what is left.
    """
    stored = runs.packaging(run.run_id)
    if stored is not None:
        return stored
    earlier = runs.packaging(run.rerun_of) if run.rerun_of is not None else None
    known = earlier.commits if earlier is not None else {}
    wanted = {order.code.pin_key for order in job.orders if isinstance(order.code, GitCode)}
    commits = {key: known[key] for key in wanted & known.keys()}
    if wanted - commits.keys():
        commits = {**pin(job), **commits}
    return runs.add_packaging(
        Packaging(run_id=run.run_id, identity=bundle.new_identity(), commits=commits, ttl=run.ttl)
    )


def first_row(
    run: Run, job: Job, order: OrderSpec, over: Collection[str], carried_because: str | None
) -> Order:
    """Return an order's first row; one that is carried `over` has succeeded from the start."""
    return Order(
        run_id=run.run_id,
        num=order.num,
        name=order.order_name,
        timeout=order.timeout,
        start_window=order.start_window,
        url_lifetime=order.url_lifetime,
        ttl=run.ttl,
        must_succeed=order.must_succeed,
        use_lambda=order.use_lambda,
        identity=bundle.new_identity(),
        dependents=job.dependents(order.num),
        open=job.waits_for(order.num, over),
        queue_id=order.queue_id,
        status=OrderStatus.QUEUED if carried_because is None else OrderStatus.SUCCEEDED,
        reason=carried_because,
    )
