"""Shapes of jobs: waves, wide, deep, and both kinds of workers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.deployed.site import Site, job, order

pytestmark = pytest.mark.integration


def test_three_waves_run_one_after_the_other(site: Site) -> None:
    waves = [[f"w{wave}-{n}" for n in range(3)] for wave in range(3)]
    orders = [
        order(name, after=waves[wave - 1] if wave else [])
        for wave, names in enumerate(waves)
        for name in names
    ]

    finished = site.run(job(*orders))

    assert finished.status == "succeeded", finished.done
    for earlier, later in pairwise(waves):
        ended = max(finished.orders[name]["finished_at"] for name in earlier)
        assert all(finished.orders[name]["started_at"] >= ended for name in later)


def test_a_wide_job_of_thirty_orders_runs(site: Site) -> None:
    finished = site.run(job(*(order(f"o{n}") for n in range(30)), max_parallel=8), limit_s=120)

    assert finished.done["counts"] == {"succeeded": 30}
    assert finished.printed("0030") == "this is o29"


def test_a_deep_job_of_twenty_levels_runs_past_lambdas_limit_of_16_hops(site: Site) -> None:
    orders = [order(f"l{n}", after=[f"l{n - 1}"] if n else []) for n in range(20)]

    finished = site.run(job(*orders), limit_s=120)

    assert finished.done["counts"] == {"succeeded": 20}
    times = [(each["started_at"], each["finished_at"]) for each in finished.orders.values()]
    assert all(end <= start for (_, end), (start, _) in pairwise(times))


@pytest.mark.needs("builds")
def test_orders_run_on_the_worker_function_and_in_builds(site: Site) -> None:
    where = 'echo "build: ${CODEBUILD_BUILD_ID:-none}"'

    finished = site.run(
        job(
            order("function", where),
            order("build", "echo made by a build >made; cat made", after=["function"],
                  use_lambda=False),
            order("after", after=["build"]),
        )
    )  # fmt: skip

    assert finished.statuses() == dict.fromkeys(["function", "build", "after"], "succeeded")
    assert finished.printed("0002") == "made by a build"


def test_what_depends_on_a_failed_order_is_skipped_with_the_reason(site: Site) -> None:
    finished = site.run(
        job(
            order("fails", "echo about to fail; exit 3"),
            order("waits", after=["fails"]),
            order("may fail", "exit 4", must_succeed=False) | {"order_name": "may-fail"},
            order("follows", after=["may-fail"]),
        )
    )

    assert finished.status == "failed"
    assert finished.statuses() == {
        "fails": "failed",
        "waits": "skipped",
        "may-fail": "failed",
        "follows": "succeeded",
    }
    assert finished.orders["fails"]["exit_code"] == 3
    assert "fails" in finished.orders["waits"]["reason"]
