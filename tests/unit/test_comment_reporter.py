"""Two processes write one comment: whoever is overtaken by the run's end writes the end again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from src.common import budget, keys
from src.common.codec import decode
from src.common.comments.note import Note, Posted
from src.common.comments.reporter import EDIT_S, LOGS, Reporter
from src.common.errors import Transient
from src.common.records import Change, Idempotency, Packaging, Run
from src.common.status import JobStatus
from src.local.memory import MemoryBuckets, MemoryLockStore, MemoryRunStore
from tests.support.build import NOW, RUN_ID, a_run, an_order
from tests.support.sim import OwnedClock

pytestmark = pytest.mark.unit

PLACE = "https://api.github.com/repos/acme/infra/issues/7"


@dataclass
class Wall:
    """One comment, as it was left by the last write."""

    posts: list[Note] = field(default_factory=list)
    allowed_s: list[float] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def post(self, note: Note, token: str, within_s: float) -> Posted:
        assert token == "ghp_token"
        assert within_s > 0
        self.posts.append(note)
        self.allowed_s.append(within_s)
        self.meanwhile()
        return Posted(1, "https://github.com/acme/infra/pull/7#issuecomment-1")


@dataclass
class World:
    wall: Wall
    clock: OwnedClock = field(default_factory=OwnedClock)
    run: Run = field(
        default_factory=lambda: a_run(
            total=1, counts={"queued": 1}, comments_on=PLACE, pr_search_tag=f"iac-ci-{RUN_ID}"
        )
    )

    def __post_init__(self) -> None:
        from src.common.bundle import new_identity

        self.identity = new_identity()
        self.runs = MemoryRunStore(MemoryLockStore())
        self.internal = MemoryBuckets().bucket("internal", self.clock)
        record = Idempotency(
            digest="i", job_digest="d", run_id=RUN_ID, trace_id="t", expires_at=NOW + 1, ttl=1
        )
        self.runs.accept(self.run, record, NOW)
        self.runs.add_orders([an_order(1)])
        self.runs.add_packaging(Packaging(run_id=RUN_ID, identity=self.identity, ttl=1))
        self.reporter = Reporter(self.runs, self.internal, self.wall, self.clock)

    def open(self) -> str | None:
        return self.reporter.opened(self.run, {"0001": "order-1"}, "ghp_token", self.identity)

    def end(self) -> None:
        """End the run as another process does."""
        if (stored := self.runs.run(RUN_ID)) is not None and stored.finished_at is None:
            ended = replace(
                stored,
                status=JobStatus.CANCELLED,
                closing=JobStatus.CANCELLED,
                finished_at=NOW,
                rev=stored.rev + 1,
                rev_by="else",
            )
            self.runs.commit(Change(run=ended))


@pytest.fixture
def world() -> World:
    return World(Wall())


def test_a_run_that_ended_while_its_comment_was_made_is_shown_as_ended(world: World) -> None:
    world.wall.meanwhile = world.end

    assert world.open() is not None

    assert "running" in world.wall.posts[0].body
    assert "🚫 cancelled" in world.wall.posts[-1].body
    assert world.wall.posts[-1].comment_id == 1


def test_a_run_that_ended_while_its_comment_was_edited_is_shown_as_ended(world: World) -> None:
    world.open()
    world.wall.meanwhile = world.end

    world.reporter.progressed(world.run)

    assert [note.make for note in world.wall.posts] == [True, False, True]
    assert "🚫 cancelled" in world.wall.posts[-1].body


def test_a_repeated_packaging_leaves_the_comment_as_it_is(world: World) -> None:
    first = world.open()

    assert world.open() == first
    assert len(world.wall.posts) == 1


def test_the_token_is_there_although_github_was_not(world: World) -> None:
    def down() -> None:
        raise Transient("down")

    world.wall.meanwhile = down

    assert world.open() is None
    assert world.internal.get(keys.vcs_key(RUN_ID)) is not None
    (event,) = world.runs.events(world.run.trace_id)
    assert (event.event, event.message) == ("comment_failed", f"{PLACE}: down")


def test_where_the_comment_is_is_written_down(world: World) -> None:
    world.open()

    body = world.internal.get(keys.comment_key(RUN_ID))
    assert body is not None
    assert decode(body)["id"] == 1
    assert world.wall.posts[0].since_ms is not None  # a tag of the run's own is in no older one


def test_a_tag_of_the_caller_is_looked_for_in_older_comments_too() -> None:
    run = a_run(total=1, counts={"queued": 1}, comments_on=PLACE, pr_search_tag="plan")
    world = World(Wall(), run=run)

    world.open()

    assert world.wall.posts[0].since_ms is None


def test_what_goes_wrong_around_a_comment_is_kept_from_the_run(world: World) -> None:
    world.open()
    world.internal.put(keys.vcs_key(RUN_ID), b"damaged")

    world.reporter.progressed(world.run)
    world.reporter.closed(world.run, {"orders": {}})

    assert len(world.wall.posts) == 1


def ended_orders(number: int) -> dict[str, object]:
    """Return a done object of so many orders that ran."""
    ran = {"status": "succeeded", "exit_code": 0, "started_at": NOW, "finished_at": NOW}
    return {"orders": {f"order-{n}": {"num": f"{n:04d}", **ran} for n in range(1, number + 1)}}


def read_logs(world: World, monkeypatch: pytest.MonkeyPatch, *, seconds: int) -> list[str]:
    """Return the results that are asked for, each in so many seconds, as they come."""
    asked: list[str] = []
    get = world.internal.get

    def slow(key: str) -> bytes | None:
        if key.endswith("/result.json"):
            asked.append(key)
            world.clock.now += seconds * 1000
        return get(key)

    monkeypatch.setattr(world.internal, "get", slow)
    return asked


def test_the_last_comment_costs_no_more_than_its_logs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.open()
    asked = read_logs(world, monkeypatch, seconds=0)

    world.reporter.closed(world.run, ended_orders(60))

    assert len(asked) == LOGS
    assert "order-60" in world.wall.posts[-1].body.replace("&#45;", "-")


def test_slow_logs_leave_time_to_write_the_last_comment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.open()
    asked = read_logs(world, monkeypatch, seconds=1)

    world.reporter.closed(world.run, ended_orders(40))

    assert 1 < len(asked) < 10
    assert world.wall.allowed_s[-1] >= EDIT_S - 1


def test_a_comment_takes_nothing_of_what_has_to_follow_in_the_invocation(world: World) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 10_000

    with budget.of(Context()):
        world.open()

    (allowed_s,) = world.wall.allowed_s
    assert allowed_s <= 5
