"""What a request may carry over from an earlier run, and which run item comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from src.common.errors import JobRefused
from src.process_webhook.accept import new_run
from src.process_webhook.request import parse_request
from tests.support.build import NOW
from tests.support.sim import a_job, chain

pytestmark = pytest.mark.unit

JOB = a_job(*chain("a", "b", "c"), "free")


def problems(**fields: Any) -> dict[str, str]:
    with pytest.raises(JobRefused) as error:
        parse_request({"job": JOB, **fields})
    return {problem.path: problem.message for problem in error.value.problems}


def test_carried_orders_have_succeeded_and_free_their_dependents() -> None:
    request = parse_request({"job": JOB, "rerun_of": "run-0", "carried": ["a", "free"]})

    run = new_run(request, request.job, NOW, "done")

    assert run.rerun_of == "run-0"
    assert run.counts == {"queued": 2, "succeeded": 2}
    assert [run.carries(f"{num:04d}") for num in (1, 2, 3, 4)] == [True, False, False, True]
    assert run.ready == f"{1 << 2:x}"  # b, and neither a nor free nor c


def test_a_rerun_that_carries_nothing_runs_everything() -> None:
    request = parse_request({"job": JOB, "rerun_of": "run-0"})

    run = new_run(request, request.job, NOW, "done")

    assert (run.counts, run.carried) == ({"queued": 4}, "0")
    assert run.ready == f"{1 << 1 | 1 << 4:x}"


def test_what_is_carried_makes_another_request_of_the_same_job() -> None:
    def digests(**fields: Any) -> str:
        return parse_request({"job": JOB, **fields}).job_digest

    found = [
        digests(),
        digests(rerun_of="run-0"),
        digests(rerun_of="run-0", carried=["a"]),
        digests(rerun_of="run-1", carried=["a"]),
    ]

    assert len(set(found)) == len(found)
    assert digests(rerun_of="r", carried=["a", "free"]) == digests(
        rerun_of="r", carried=["free", "a"]
    )


@pytest.mark.parametrize(
    ("fields", "path", "why"),
    [
        ({"rerun_of": "a b"}, "rerun_of", "must be 1 to 64"),
        ({"rerun_of": 7}, "rerun_of", "must be 1 to 64"),
        ({"carried": ["a"]}, "carried", "needs rerun_of"),
        ({"rerun_of": "r", "carried": "a"}, "carried", "must be a list of order names"),
        ({"rerun_of": "r", "carried": [1]}, "carried", "must be a list of order names"),
        ({"rerun_of": "r", "carried": ["a", "frei"]}, "carried[1]", 'did you mean "free"?'),
        ({"rerun_of": "r", "carried": ["b"]}, "carried[0]", '"b" depends on "a", which is not'),
        (
            {"rerun_of": "r", "carried": ["free", "c", "b", "a"]},
            "carried",
            "names every order, so nothing would run",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused(fields: dict[str, Any], path: str, why: str) -> None:
    assert why in problems(**fields)[path]
