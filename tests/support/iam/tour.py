"""The runs that together make every call that handlers ever make; grants are held against them.

Secrets have two names that differ from the first letter on, since a job may name any.
"""

from __future__ import annotations

import json
import uuid

from src.common import keys
from src.common.codec import encode
from src.common.messages import Result
from src.common.status import JobStatus, OrderStatus
from src.local.moto_deploy import put_secrets
from src.local.moto_platform import moto_platform
from src.local.moto_world import MotoWorld
from src.local.stack import PROCESS_WEBHOOK
from tests.support.events import http_event
from tests.support.sim import OwnedClock, Sim, a_job, chain


def tour(moto: MotoWorld, clock: OwnedClock) -> None:
    """Run jobs of every outcome through the handlers on moto."""
    signed_job_with_secrets(moto, clock)
    dead_and_lost_workers(_sim(moto, clock, dead="dies", lost="lost"))
    cancelled_run(_sim(moto, clock, a="dies"))


def signed_job_with_secrets(moto: MotoWorld, clock: OwnedClock) -> None:
    """A signed request for a job with secrets and a build runs to its end."""
    assert moto.webhook_secret is not None
    one, other = (f"iac-ci/{letter}-{uuid.uuid4()}" for letter in "ab")
    values = {one: "a secret", other: "another"}
    put_secrets(moto.clients, {f"/{name}": value for name, value in values.items()}, values)
    sim = _sim(moto, clock)
    plan, build = chain("plan", "build")
    plan |= {"ssm_paths": {"A": f"/{one}"}, "secret_manager_paths": {"B": one}}
    build |= {"ssm_paths": {"A": f"/{other}"}, "secret_manager_paths": {"B": other}}
    build |= {"use_lambda": False}

    event = http_event({"job": a_job(plan, build)}, secret=moto.webhook_secret)
    answer = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("tour"))

    assert answer["statusCode"] == 200, answer
    run_id = json.loads(answer["body"])["run_id"]
    assert sim.finish(run_id).status is JobStatus.SUCCEEDED
    sim.let_watchdogs_end()


def dead_and_lost_workers(sim: Sim) -> None:
    """Watchdogs end one order that was claimed and one that never was."""
    run, rows = sim.run_to_end(a_job("dead", "lost"))

    assert run.status is JobStatus.FAILED
    assert {row.status for row in rows.values()} == {OrderStatus.TIMED_OUT, OrderStatus.FAILED}
    sim.let_watchdogs_end()


def cancelled_run(sim: Sim) -> None:
    """A cancel ends what waits at once, and what runs when its worker has seen it."""
    run_id = str(uuid.uuid4())
    sim.submit(a_job(*chain("a", "b")), run_id=run_id)
    sim.settle()
    sim.adapters.internal.put(keys.cancel_key(run_id), b"{}")
    sim.settle()
    result = Result(status=OrderStatus.CANCELLED, exit_code=143)
    sim.adapters.internal.put_new(keys.result_key(run_id, "0001"), encode(result.to_item()))

    assert sim.finish(run_id).status is JobStatus.CANCELLED
    sim.let_watchdogs_end()


def _sim(moto: MotoWorld, clock: OwnedClock, **outcomes: str) -> Sim:
    sim = Sim(outcomes, platform=moto_platform(moto), clock=clock, stack=moto.stack)
    sim.worker.long = True
    return sim
