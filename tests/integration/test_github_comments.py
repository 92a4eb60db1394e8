"""The adapter for GitHub against a server that behaves, and misbehaves, as GitHub does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.comments import github, transport
from src.common.comments.github import GitHubComments
from src.common.comments.note import Note
from src.common.comments.place import Place
from src.common.comments.render import marker
from src.common.errors import Permanent, Transient
from src.common.retry import COMMENT
from tests.support.github_server import (
    TOKEN,
    Answer,
    GitHubServer,
    primary_limit,
    rate_limited,
    secondary_limit,
    serving,
)

pytestmark = pytest.mark.integration

TAG = "iac-ci-run-1"
BODY = f"{marker(TAG)}\n\nfirst"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(GitHubServer(), tmp_path) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.certificate))
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def comments(pauses: list[float]) -> GitHubComments:
    return GitHubComments(local=True, sleep=pauses.append)


def a_note(server: GitHubServer, **fields: Any) -> Note:
    place = Place.of(server.url, 7)
    assert place is not None
    return Note(**{"place": place, "tag": TAG, "body": BODY, "make": True, **fields})


def test_a_comment_is_made_then_edited_in_place(
    server: GitHubServer, comments: GitHubComments
) -> None:
    made = comments.post(a_note(server), TOKEN, 10)
    assert made is not None
    again = comments.post(a_note(server, body=BODY + "2", comment_id=made.id), TOKEN, 10)

    assert again == made
    assert [comment.body for comment in server.on(7)] == [BODY + "2"]
    assert made.url.endswith(f"/acme/infra/pull/7#issuecomment-{made.id}")
    assert server.writes() == ["POST", "PATCH"]


def test_a_comment_is_found_again_by_its_tag_on_any_page(
    server: GitHubServer, comments: GitHubComments
) -> None:
    for at in range(250):
        server.add(7, f"chat {at}, see {marker(TAG)}")
    ours = server.add(7, BODY)
    server.add(8, BODY)

    posted = comments.post(a_note(server, body=BODY + "2"), TOKEN, 10)

    assert posted is not None
    assert posted.id == ours.id
    assert server.methods() == ["GET", "GET", "GET", "PATCH"]
    assert ours.body == BODY + "2"


def test_without_leave_to_make_one_none_is_made(
    server: GitHubServer, comments: GitHubComments
) -> None:
    assert comments.post(a_note(server, make=False), TOKEN, 10) is None
    assert server.writes() == []


def test_only_comments_changed_since_then_are_looked_at(
    server: GitHubServer, comments: GitHubComments
) -> None:
    server.add(7, BODY)
    in_an_hour = int(time.time() + 3600) * 1000

    posted = comments.post(a_note(server, since_ms=in_an_hour, make=False), TOKEN, 10)

    assert posted is None
    assert "since=" in server.requests[0][1]


def test_a_lost_reply_makes_no_second_comment(
    server: GitHubServer, comments: GitHubComments
) -> None:
    server.script = [Answer(200, body=b"[]"), Answer(502, "Bad Gateway", effect=True)]

    posted = comments.post(a_note(server, worth_repeating=True), TOKEN, 10)

    assert posted is not None
    assert [comment.id for comment in server.on(7)] == [posted.id]


def test_of_two_made_at_once_the_older_one_stays(
    server: GitHubServer, comments: GitHubComments
) -> None:
    def somebody_is_faster(method: str, _path: str) -> None:
        if method == "POST":
            server.add(7, BODY)

    server.before = somebody_is_faster

    posted = comments.post(a_note(server, body=BODY + "2"), TOKEN, 10)

    assert posted is not None
    assert [(c.id, c.body) for c in server.on(7)] == [(posted.id, BODY + "2")]
    assert server.writes() == ["POST", "DELETE", "PATCH"]


@pytest.mark.parametrize("comment_is_known", [True, False])
@pytest.mark.parametrize(
    "answer",
    [rate_limited(1), secondary_limit(1), Answer(500), Answer(503, body=b"<html>"), Answer(504)],
    ids=["429", "secondary", "500", "503 no JSON", "504"],
)
def test_trouble_that_passes_is_waited_for(
    server: GitHubServer,
    comments: GitHubComments,
    pauses: list[float],
    answer: Answer,
    comment_is_known: bool,
) -> None:
    known = server.add(7, BODY).id if comment_is_known else None
    server.script = [answer]
    note = a_note(server, comment_id=known, body=BODY + "2", worth_repeating=True)

    assert comments.post(note, TOKEN, 10) is not None
    assert [comment.body for comment in server.on(7)] == [BODY + "2"]
    (pause,) = pauses
    assert pause <= COMMENT.longest_s(1)
    assert pause == 1.0 or answer.status not in {429, 403}  # which is what GitHub asked for


@pytest.mark.parametrize(
    "answer",
    [
        rate_limited(3600),
        secondary_limit(3600),
        primary_limit(time.time() + 3600),
        replace(primary_limit(time.time() + 3600), message="Forbidden"),
        Answer(403, "You have exceeded a secondary rate limit."),
        Answer(503, "No server is currently available"),
    ],
    ids=[
        "429",
        "secondary",
        "primary",
        "primary by its headers alone",
        "secondary without a time",
        "503",
    ],
)
def test_trouble_that_stays_is_told_and_not_waited_for(
    server: GitHubServer, comments: GitHubComments, answer: Answer
) -> None:
    server.always = answer

    with pytest.raises(Transient, match=f"GitHub answered {answer.status}: {answer.message[:20]}"):
        comments.post(a_note(server, worth_repeating=True), TOKEN, 10)

    assert len(server.requests) == (3 if answer.status == 503 else 1)


def test_github_is_left_alone_for_as_long_as_it_asks_but_for_what_is_last(
    server: GitHubServer, comments: GitHubComments
) -> None:
    server.script = [rate_limited(3600)]
    with pytest.raises(Transient, match="429"):
        comments.post(a_note(server), TOKEN, 10)

    with pytest.raises(Transient, match="left alone for 3600 s more"):
        comments.post(a_note(server), TOKEN, 10)
    assert len(server.requests) == 1

    assert comments.post(a_note(server, worth_repeating=True), TOKEN, 10) is not None


@pytest.mark.parametrize("way", ["silent", "drip"])
def test_a_server_that_takes_its_time_gets_no_more_than_is_allowed(
    server: GitHubServer, comments: GitHubComments, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(github, "CALL_S", 600)  # no timeout of a socket helps
    over = threading.Event()
    server.always = Answer(200, **{way: over})  # type: ignore[arg-type]
    try:
        with pytest.raises(Transient, match=r"no answer within 0\.[0-9] s"):
            comments.post(a_note(server), TOKEN, 0.5)
        left = [thread for thread in threading.enumerate() if thread.name == "comment"]
        for thread in left:  # its connection is shut, so it ends although the server goes on
            thread.join(10)
        assert not any(thread.is_alive() for thread in left)
    finally:
        over.set()


def test_an_answer_without_end_is_not_read(
    server: GitHubServer, comments: GitHubComments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LARGEST", 100_000)
    server.always = Answer(200, body=b"[" + b" " * 200_000)

    with pytest.raises(Permanent, match="over 100000 bytes"):
        comments.post(a_note(server), TOKEN, 10)


def test_a_deleted_comment_stays_deleted_until_it_is_wanted_anew(
    server: GitHubServer, comments: GitHubComments
) -> None:
    with pytest.raises(Permanent, match="comment 4711 was deleted"):
        comments.post(a_note(server, comment_id=4711, make=False), TOKEN, 10)
    assert server.on(7) == []

    posted = comments.post(a_note(server, comment_id=4711), TOKEN, 10)

    assert posted is not None
    assert [comment.id for comment in server.on(7)] == [posted.id]


@pytest.mark.parametrize(
    ("token", "answer", "reason"),
    [
        ("ghp_wrong", None, "GitHub answered 401: Bad credentials"),
        (TOKEN, Answer(403, "Resource not accessible by integration"), "403: Resource not"),
        (TOKEN, Answer(404, "Not Found"), "404: Not Found"),
        (TOKEN, Answer(410, "This issue was deleted"), "410: This issue was deleted"),
        (TOKEN, Answer(200, body=b"not JSON"), "api/v3: "),
        (TOKEN, Answer(200, body=b'{"a": 1}'), "api/v3: "),
        (TOKEN, Answer(301, headers={"Location": "https://elsewhere.test/x"}), "elsewhere"),
    ],
    ids=["401", "403", "404", "410", "no JSON", "no list", "redirect"],
)
def test_what_cannot_work_is_told_at_once_without_the_token(
    server: GitHubServer,
    comments: GitHubComments,
    token: str,
    answer: Answer | None,
    reason: str,
) -> None:
    server.always = answer

    with pytest.raises(Permanent, match=reason) as told:
        comments.post(a_note(server, worth_repeating=True), token, 10)

    assert token not in str(told.value)
    assert len(server.requests) == 1


def test_a_repository_that_was_renamed_is_told_and_not_followed(
    server: GitHubServer, comments: GitHubComments
) -> None:
    comment = server.add(7, BODY)
    moved = {"Location": f"{server.api}/repositories/1/issues/comments/{comment.id}"}
    server.always = Answer(307, "Moved Permanently", headers=moved)

    with pytest.raises(Permanent, match=r"GitHub answered 307: moved to https.*/repositories/1/"):
        comments.post(a_note(server, comment_id=comment.id), TOKEN, 10)

    assert server.writes() == ["PATCH"]


@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_is_no_comment_is_no_success(
    server: GitHubServer, comments: GitHubComments, known: bool
) -> None:
    server.script = [Answer(200, body=b"{}")]
    comment_id = 101 if known else None
    if not known:
        server.script.insert(0, Answer(200, body=b"[]"))

    with pytest.raises(Permanent, match="without a comment"):
        comments.post(a_note(server, comment_id=comment_id), TOKEN, 10)


@pytest.mark.parametrize("token", ["ghp_a\nb", "ghp_ü", "ghp a"])
def test_a_token_that_is_none_is_not_sent(
    server: GitHubServer, comments: GitHubComments, token: str
) -> None:
    with pytest.raises(Permanent, match="no token has") as told:
        comments.post(a_note(server), token, 10)

    assert token not in str(told.value)
    assert server.requests == []


def test_the_token_of_a_pair_for_git_is_taken(
    server: GitHubServer, comments: GitHubComments
) -> None:
    assert comments.post(a_note(server), f"x-access-token:{TOKEN}", 10) is not None


def test_a_server_that_is_not_there_is_told(
    server: GitHubServer, comments: GitHubComments, closed_port: int
) -> None:
    place = Place(f"https://127.0.0.1:{closed_port}/api/v3", "acme/infra", 7)

    with pytest.raises(Transient, match="refused"):
        comments.post(a_note(server, place=place), TOKEN, 10)


def test_a_host_outside_the_public_internet_is_not_contacted(server: GitHubServer) -> None:
    with pytest.raises(Permanent, match=r"127\.0\.0\.1, which is not public"):
        GitHubComments().post(a_note(server), TOKEN, 10)

    assert server.requests == []


def test_a_server_that_nobody_vouches_for_gets_no_token(
    server: GitHubServer, comments: GitHubComments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    with pytest.raises(Transient, match="certificate"):
        comments.post(a_note(server), TOKEN, 10)

    assert server.requests == []


@pytest.fixture
def closed_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
