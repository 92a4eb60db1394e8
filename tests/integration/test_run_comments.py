"""Whole runs and their one comment, against a real server: what it says, what it costs, and that
nothing that happens to it happens to the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from src.common import keys
from src.common.comments import reporter
from src.common.comments.github import GitHubComments
from src.common.comments.render import LIMIT, marker
from src.common.messages import Dispatch
from src.common.status import JobStatus
from src.local.platform import embedded, handlers
from src.local.stack import Stack
from src.orchestrator.throttle import EVERY_MS
from tests.support.build import NOW
from tests.support.faults import FaultySim, die_at
from tests.support.github_server import TOKEN, Answer, GitHubServer, rate_limited, serving
from tests.support.markdown import rendered
from tests.support.sim import OwnedClock, Sim, a_job, chain

pytestmark = pytest.mark.integration

TOKEN_AT = "aws:::ssm:/iac-ci/vcs"
SECRETS = {"/iac-ci/vcs": TOKEN}
CODE = {"main.tf": "# nothing\n"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(GitHubServer(), tmp_path) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.certificate))
        running.now = lambda: datetime.fromtimestamp(NOW / 1000, UTC)  # as the runs' clock
        yield running


def a_platform() -> dict[str, Any]:
    """Return platform and clock of a Sim whose runs are commented on."""
    clock = OwnedClock()
    platform = embedded(Stack(), SECRETS, clock)
    comments = GitHubComments(local=True, sleep=lambda _seconds: None)
    platform = replace(platform, adapters=replace(platform.adapters, comments=comments))
    platform.world.functions.update(handlers(platform.adapters, platform.world.stack))
    return {"platform": platform, "clock": clock}


def commented(server: GitHubServer, *orders: Mapping[str, Any] | str, **fields: Any) -> Any:
    job = a_job(*orders, **{"git_repo": server.url, "pr_number": 7, **fields})
    job.setdefault("git_token_location", TOKEN_AT)
    return {**job, "orders": [{"inline": CODE, **order} for order in job["orders"]]}


def failures(sim: Sim, trace_id: str) -> list[str]:
    events = sim.adapters.runs.events(trace_id)
    return [event.message or "" for event in events if event.event == "comment_failed"]


def test_a_run_has_one_comment_that_ends_with_its_summary(server: GitHubServer) -> None:
    sim = Sim({"apply": "failed"}, **a_platform())

    run, _ = sim.run_to_end(commented(server, *chain("plan", "apply", "check")))

    (comment,) = server.on(7)
    page = rendered(comment.body)
    words = " ".join(page.words)
    assert comment.body.startswith(marker(f"iac-ci-{run.run_id}"))
    assert "❌ failed after" in words
    assert "⏭️ skipped" in words
    assert {"plan\n", "apply\n"} <= set(page.codes)  # the logs
    assert "0 of 3 orders ended" in comment.edits[0]
    assert failures(sim, run.trace_id) == []


def test_the_answer_of_a_caller_who_waits_names_the_comment(server: GitHubServer) -> None:
    sim = Sim(**a_platform())
    job = commented(server, "a", pr_number=None, issue_number=9)
    sim.clock.sleep = lambda _seconds: sim.world.step()  # type: ignore[method-assign]

    first = sim.submit(job, run_id="r1", wait=True)
    del sim.clock.sleep  # type: ignore[method-assign]
    sim.finish("r1")
    again = sim.submit(job, run_id="r1", wait=True)

    (comment,) = server.on(9)
    assert first == again
    assert first["body"]["pr_search_tag"] == "iac-ci-r1"
    assert first["body"]["init_pr_comment"].endswith(f"/9#issuecomment-{comment.id}")


def test_the_token_lies_nowhere_in_clear(server: GitHubServer) -> None:
    sim = Sim(**a_platform())

    run, _ = sim.run_to_end(commented(server, "a"))

    sealed = sim.adapters.internal.get(keys.vcs_key(run.run_id))
    assert sealed is not None
    assert sealed.startswith(b"age-encryption.org/")
    packaging = sim.adapters.runs.packaging(run.run_id)
    rows = repr((run, packaging, sim.rows(run), sim.adapters.runs.events(run.trace_id)))
    assert TOKEN not in rows
    assert TOKEN.encode() not in sealed
    assert not any(TOKEN in body for body in server.bodies)


def test_forty_orders_with_hostile_logs_fit_and_cost_three_edits_a_minute(
    server: GitHubServer,
) -> None:
    sim = Sim(**a_platform())
    started = sim.clock.now

    def take_time(dispatch: Dispatch) -> None:
        sim.clock.now += 5_000

    sim.worker.before = take_time
    sim.worker.log = lambda name: ("`" * 50 + "@octocat <b>\x1b[31m💥 ```\n</details>\n") * 3_000

    run, _ = sim.run_to_end(commented(server, *chain(*(f"o{at}" for at in range(40)))))

    (comment,) = server.on(7)
    took = sim.clock.now - started
    assert run.status is JobStatus.SUCCEEDED
    assert took > 190_000
    assert 3 <= server.writes().count("PATCH") <= took / EVERY_MS + 2
    assert max(map(len, server.bodies)) <= LIMIT
    page = rendered(comment.body)
    assert page.elements.count("details") == 40
    assert not {"@", "<"} & set("".join(page.words))


def test_an_order_costs_no_call_more_for_being_commented_on(server: GitHubServer) -> None:
    def calls(**fields: Any) -> int:
        sim = FaultySim(**a_platform())
        sim.run_to_end(commented(server, *chain(*(f"o{at}" for at in range(20))), **fields))
        return len(sim.faults.calls)

    # Opening, one edit, closing with a log an order: nothing for each step of the run.
    assert calls() - calls(pr_number=None) <= 20 + 25


@pytest.mark.parametrize("trouble", ["down", "limited", "silent", "denied", "no token", "no place"])
def test_whatever_happens_to_the_comment_the_run_goes_on(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    for limit in ("OPEN_S", "EDIT_S", "CLOSE_S"):
        monkeypatch.setattr(reporter, limit, 1)
    over = threading.Event()
    fields: dict[str, Any] = {}
    match trouble:
        case "down":
            server.always = Answer(503, "down")
        case "limited":
            server.always = rate_limited(3600)
        case "silent":
            server.always = Answer(200, silent=over)
        case "denied":
            server.always = Answer(403, "Resource not accessible")
        case "no token":
            fields["git_token_location"] = None
        case _:
            fields["git_repo"] = "https://git.acme.test/infra.git"
    sim = Sim(**a_platform())

    try:
        run, _ = sim.run_to_end(commented(server, *chain("a", "b"), **fields))
    finally:
        over.set()

    told = {
        "down": "answered 503: down",
        "limited": "answered 429",
        "silent": "no answer within 1.0 s",
        "denied": "answered 403: Resource not accessible",
        "no token": "git_token_location",
        "no place": "https://git.acme.test/infra.git",
    }
    assert run.status is JobStatus.SUCCEEDED
    assert told[trouble] in failures(sim, run.trace_id)[0]
    assert server.on(7) == []


def test_an_outage_at_packaging_is_made_good_at_the_end(server: GitHubServer) -> None:
    server.script = [Answer(503)] * 3
    sim = Sim(**a_platform())

    sim.run_to_end(commented(server, "a"))

    (comment,) = server.on(7)
    assert "✅ succeeded" in comment.body


def test_a_comment_that_was_deleted_comes_back_with_the_summary(server: GitHubServer) -> None:
    sim = Sim(**a_platform())

    def delete(dispatch: Dispatch) -> None:
        server.comments.clear()
        sim.clock.now += 60_000

    sim.worker.before = delete

    sim.run_to_end(commented(server, *chain("a", "b", "c")))

    (comment,) = server.on(7)
    assert "✅ succeeded after" in comment.body
    assert comment.edits == []  # nobody made it anew before


def test_a_run_that_is_refused_says_why_in_its_comment(server: GitHubServer) -> None:
    sim = Sim(**a_platform())

    run, _ = sim.run_to_end(
        commented(server, {"order_name": "a", "ssm_paths": {"DB": "/iac-ci/missing"}})
    )

    (comment,) = server.on(7)
    page = rendered(comment.body)
    assert run.status is JobStatus.FAILED
    assert any("/iac-ci/missing" in text for text in page.codes)


def test_a_process_that_dies_around_a_comment_leaves_one_and_its_summary(
    server: GitHubServer,
) -> None:
    def calls_of(strike: Any) -> list[str]:
        server.comments.clear()
        sim = FaultySim(strike, **a_platform())
        run, _ = sim.run_to_end(commented(server, *chain("a", "b")))
        assert run.status is JobStatus.SUCCEEDED
        return sim.faults.calls

    calls = calls_of(None)
    posts = [at for at, name in enumerate(calls, 1) if name == "comments.post"]
    assert len(posts) >= 3  # opened, edited, closed

    for at in sorted({near for post in posts for near in range(post - 2, post + 3)}):
        for when in ("before", "after"):
            calls_of(die_at(at, when))
            (comment,) = server.on(7)
            assert "✅ succeeded after" in comment.body, (calls[at - 1], when)
