"""When a comment is due: with a change, at most three times a minute, and when the run is poked."""

from __future__ import annotations

import pytest

from src.common import keys
from src.common.records import Run
from src.orchestrator.actions import Commit
from src.orchestrator.decide import decide
from src.orchestrator.throttle import EVERY_MS, noted
from tests.support.build import NOW, a_run, a_view, an_order

pytestmark = pytest.mark.unit

PLACE = "https://api.github.com/repos/acme/infra/issues/7"


@pytest.mark.parametrize(
    ("run", "due"),
    [
        (a_run(comments_on=PLACE), True),
        (a_run(comments_on=PLACE, commented_at=NOW - EVERY_MS), True),
        (a_run(comments_on=PLACE, commented_at=NOW - EVERY_MS + 1), False),
        (a_run(comments_on=PLACE, packaged_at=None), False),
        (a_run(comments_on=PLACE, finished_at=NOW), False),
        (a_run(), False),
    ],
    ids=["first", "long ago", "just now", "not packaged", "over", "nowhere"],
)
def test_a_comment_is_due(run: Run, due: bool) -> None:
    assert (noted(run, NOW).commented_at == NOW) is due


def test_a_change_takes_the_time_of_its_edit_along() -> None:
    run = a_run(ready="2", total=1, counts={"queued": 1}, comments_on=PLACE)
    view = a_view(run, [an_order(1)])

    (commit,) = decide(view)

    assert isinstance(commit, Commit)
    assert commit.change.run.commented_at == NOW
    assert view.committed(commit.change).report


def test_a_poke_shows_how_a_run_goes_on_in_which_nothing_happens() -> None:
    order = an_order(1, status="running")
    run = a_run(total=1, counts={"running": 1}, comments_on=PLACE, commented_at=NOW - 300_000)
    poked = a_view(run, [order], marks=[keys.POKE], results={"0001": None, keys.CANCEL: None})

    (commit,) = decide(poked)
    assert isinstance(commit, Commit)

    assert commit.change.run.commented_at == NOW
    assert decide(poked.committed(commit.change)) == ()
    assert decide(poked.having(run=a_run(total=1, counts={"running": 1}))) == ()
