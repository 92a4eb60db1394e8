"""Requests as the webhook checks them, and what its answers mean."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
)

from src.common.errors import Permanent, Transient
from src.common.retry import SUBMIT
from src.process_webhook.authenticate import HEADER, authenticate
from src.remote.errors import Refused, Unreached
from src.remote.http import HttpPost
from src.remote.submit import by_webhook, hmac_signed, lost, refusal, request, submit

pytestmark = pytest.mark.unit

POOL = HTTPSConnectionPool("api.example")
NOBODY = "api.example", HTTPSConnection("api.example"), socket.gaierror(-2, "Name unknown")
JOB = {"username": "älice", "orders": []}


def test_a_request_says_which_run_it_is_and_when_it_was_issued() -> None:
    assert request(JOB, "run-1", 1_800_000_000_999, done_endpt=None, wait=True) == {
        "job": JOB,
        "run_id": "run-1",
        "issued_at": 1_800_000_000,
        "wait": True,
    }


def test_what_is_posted_is_what_is_signed_as_the_webhook_checks_it() -> None:
    posted: list[tuple[str, bytes, Mapping[str, str]]] = []

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        posted.append((url, body, headers))
        return 200, {"run_id": "run-1", "orders": {"plan": "0001"}}

    accepted = submit(by_webhook(post, "https://api", hmac_signed("\n s1 \ns2")), {"job": JOB})

    (url, body, headers) = posted[0]
    lower = {name.lower(): value for name, value in headers.items()}
    authenticate(["s1"], body, lower[HEADER])
    assert (url, json.loads(body)) == ("https://api", {"job": JOB})
    assert accepted.orders == {"0001": "plan"}


def test_half_a_character_is_posted_as_the_job_spells_it() -> None:
    sent: list[bytes] = []

    def post(_url: str, body: bytes, _headers: Mapping[str, str]) -> tuple[int, Any]:
        sent.append(body)
        return 400, {}

    by_webhook(post, "https://x", hmac_signed("s"))({"job": {"username": "ü\ud800"}})

    assert json.loads(sent[0]) == {"job": {"username": "ü\ud800"}}


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(Refused, match="empty"):
        hmac_signed(" \n")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (
            400,
            {"error": "job refused", "details": [{"path": "orders", "message": "is required"}]},
            "400: job refused; orders: is required",
        ),
        (
            401,
            {"error": "too old", "details": [{"path": "", "message": "too old"}]},
            "401: too old",
        ),
        (404, {"message": "Not Found"}, "404: Not Found"),
        (403, {"Message": "Forbidden"}, "403: Forbidden"),
        (502, "<html>\n bad\n gateway</html>", "502: <html> bad gateway</html>"),
        (502, "", "502: no explanation was given"),
        (200, "welcome to the hotel", "200: welcome to the hotel"),
        (200, {"orders": [], "run_id": "r"}, "200: no explanation was given"),
        (200, {"orders": {"a": "0001"}}, "200: no explanation was given"),
        (200, {"orders": {}, "run_id": "\x1b[2J"}, "200: no explanation was given"),
        (500, {"details": "odd"}, "500: no explanation was given"),
        (500, {"error": "x", "details": ["odd", {"path": "a"}]}, "500: x; a: "),
    ],
)
def test_any_answer_but_ours_to_an_accepted_job_is_refused_in_its_own_words(
    status: int, body: Any, told: str
) -> None:
    assert str(refusal(status, body)) == told
    with pytest.raises(Refused):
        submit(lambda _request: (status, body), {})


def test_who_got_no_answer_is_told_how_to_find_out() -> None:
    assert "--run-id run-1" in str(lost("run-1", Transient("posting")))


class Answers:
    """Stands for `requests.post`: plays answers, each a status and a body or an error."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, url: str, **options: Any) -> requests.Response:
        self.asked.append({"url": url, **options})
        entry = self.script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        reply = requests.Response()
        reply.status_code, reply._content = entry[0], entry[1]
        reply.headers.update(entry[2] if len(entry) > 2 else {})
        return reply


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def play(*script: Any) -> Answers:
        answers = Answers(*script)
        monkeypatch.setattr(requests, "post", answers)
        return answers

    return play


def post(url: str = "https://api.example/webhook") -> tuple[int, Any]:
    return HttpPost(sleep=lambda _seconds: None)(url, b"{}", {"x-signature": "s"})


@pytest.mark.parametrize("first", [(503, b"{}"), (429, b"{}"), requests.ConnectionError("lost")])
def test_the_same_request_is_sent_again_while_nobody_can_take_it(play: Any, first: Any) -> None:
    answers = play(first, (200, b'{"a": 1}'))

    assert post() == (200, {"a": 1})
    assert answers.asked[0] == answers.asked[1]


def test_the_last_answer_counts_when_it_never_gets_better(play: Any) -> None:
    answers = play(*[(503, b'{"error": "later"}')] * SUBMIT.attempts)

    assert post() == (503, {"error": "later"})
    assert answers.script == []


def test_nobody_there_is_said_with_the_innermost_reason(play: Any) -> None:
    refused = requests.ConnectionError("long story")
    refused.__cause__ = ConnectionRefusedError(111, "Connection refused")
    play(*[refused] * SUBMIT.attempts)

    with pytest.raises(Transient, match=r"api\.example: Connection refused$"):
        post()


def test_what_never_had_a_connection_was_not_sent_and_what_had_one_may_have_been(play: Any) -> None:
    unknown = requests.ConnectionError(MaxRetryError(POOL, "/", NameResolutionError(*NOBODY)))
    late = requests.ConnectTimeout(MaxRetryError(POOL, "/", ConnectTimeoutError("slow")))
    broken = requests.ConnectionError(ProtocolError("Connection aborted."))

    play(*[unknown, late] * SUBMIT.attempts)
    with pytest.raises(Unreached, match="posting to"):
        post()
    play(broken, *[unknown] * SUBMIT.attempts)
    with pytest.raises(Transient) as told:
        post()

    assert not isinstance(told.value, Unreached)


def test_a_redirect_is_told_and_not_followed(play: Any) -> None:
    answers = play((301, b"", {"location": "https://elsewhere"}))

    assert post() == (301, "a redirect to https://elsewhere; give that URL")
    assert answers.asked[0]["allow_redirects"] is False


def test_what_trusts_an_emulator_is_what_aws_tools_trust(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/some/ca.pem")
    answers = play((200, b"{}"))

    post()

    assert answers.asked[0]["verify"] == "/some/ca.pem"


@pytest.mark.parametrize(
    "url",
    [
        *("", "api.example/webhook", "ftp://x", "https://"),
        *("https://[::1", "https://x:99999/", "https://x y/"),
    ],
)
def test_what_is_no_url_is_not_asked(url: str) -> None:
    with pytest.raises(Permanent, match="no https URL"):
        post(url)
