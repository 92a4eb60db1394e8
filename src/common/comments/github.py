"""The comment on GitHub, by PyGithub, which is loaded with the first comment and not before.

Found again by its hidden first line. Whoever made one looks again: if two were made at once, the
older one stays and the younger one goes, whichever process looks first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from src.common.comments.note import Note, Posted
from src.common.comments.render import marker
from src.common.errors import Permanent, ServiceError, Transient
from src.common.retry import COMMENT

if TYPE_CHECKING:
    from github.GithubException import GithubException
    from github.Issue import Issue
    from github.IssueComment import IssueComment

log = logging.getLogger(__name__)

CALL_S: Final = 5  # of one request, to connect and between two bytes
_MESSAGE: Final = 200  # characters of GitHub's own words


class _Later(Transient):
    """GitHub asks to come again in `after_s`."""

    def __init__(self, message: str, after_s: float) -> None:
        self.after_s = after_s
        super().__init__(message)


class _Gone(Permanent):
    """The comment was deleted."""


class GitHubComments:
    """Comments through GitHub's REST API; `local` admits hosts outside the public internet."""

    def __init__(
        self,
        *,
        local: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._local, self._sleep, self._monotonic = local, sleep, monotonic
        self._quiet_until: dict[str, float] = {}  # by API: GitHub asked to be left alone

    def post(self, note: Note, token: str, within_s: float) -> Posted | None:
        """Make the comment or edit it; see the port."""
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise Permanent("the token holds characters that no token has")  # an error would say it
        token = token.rpartition(":")[2]  # `user:token` is admitted for git
        until = self._monotonic() + within_s
        quiet_s = self._quiet_until.get(note.place.api, 0.0) - self._monotonic()
        if quiet_s > 0 and not note.worth_repeating:
            raise Transient(f"GitHub asked to be left alone for {quiet_s:.0f} s more")
        most = COMMENT.attempts if note.worth_repeating else 1
        for attempt in range(1, most + 1):
            try:
                return self._attempt(note, token, until - self._monotonic())
            except Transient as error:
                after_s = error.after_s if isinstance(error, _Later) else None
                if after_s is not None:
                    self._quiet_until[note.place.api] = self._monotonic() + after_s
                wait = max(after_s or 0, COMMENT.pause_s(attempt))
                if attempt == most or self._monotonic() + wait + 1 > until:
                    raise
                log.info("commenting on %s: %s; again in %.1f s", note.place, error, wait)
                self._sleep(wait)
        raise AssertionError  # the last attempt returned or raised

    def _attempt(self, note: Note, token: str, left_s: float) -> Posted | None:
        from src.common.comments import transport

        if left_s <= 0:
            raise Transient("no time is left")
        return transport.within(left_s, partial(_post, note, token), local=self._local)


def _post(note: Note, token: str) -> Posted | None:
    from github import Auth, Github
    from github.GithubException import GithubException
    from requests import RequestException

    client = Github(
        auth=Auth.Token(token),
        base_url=note.place.api,
        timeout=CALL_S,
        per_page=100,
        retry=0,
        seconds_between_requests=None,
        seconds_between_writes=None,
        user_agent="iac-ci",
        lazy=True,
    )
    try:
        with closing(client):
            issue = client.get_repo(note.place.repo).get_issue(note.place.number)
            return _on(issue, note)
    except ServiceError:
        raise
    except GithubException as error:
        raise _explained(error) from None
    except RequestException as error:
        raise Transient(f"{note.place.api}: {_cause(error)}") from None
    except Exception as error:  # noqa: BLE001 - whatever a server answers, PyGithub may stumble over
        raise Permanent(f"{note.place.api}: {type(error).__name__}: {error}"[:_MESSAGE]) from None


def _on(issue: Issue, note: Note) -> Posted | None:
    """Edit the known comment, else the one that is found, else make one if that is wanted."""
    if note.comment_id is not None:
        try:
            return _edit(issue, note.comment_id, note.body)
        except _Gone:
            if not note.make:
                raise
    found = _find(issue, note)
    if found is not None:
        return _edit(issue, found, note.body)
    if not note.make:
        return None
    made = _posted(issue.create_comment(note.body))
    first = _find(issue, note)
    if first is None or first == made.id:
        return made
    issue.get_comment(made.id).delete()
    return _edit(issue, first, note.body)


def _find(issue: Issue, note: Note) -> int | None:
    """Return the oldest comment that starts with the tag."""
    since: dict[str, Any] = {}
    if note.since_ms is not None:
        since["since"] = datetime.fromtimestamp(note.since_ms // 1000, UTC)
    first_line = marker(note.tag)
    return min(_starting_with(issue.get_comments(**since), first_line), default=None)


def _starting_with(comments: Any, first_line: str) -> Iterator[int]:
    for comment in comments:
        if (comment.body or "").startswith(first_line):
            yield comment.id


def _edit(issue: Issue, comment_id: int, body: str) -> Posted:
    from github.GithubException import GithubException

    comment = issue.get_comment(comment_id)
    try:
        comment.edit(body)
    except GithubException as error:
        if error.status in {404, 410}:
            raise _Gone(f"comment {comment_id} was deleted") from None
        raise
    return _posted(comment)


def _posted(comment: IssueComment) -> Posted:
    if not comment.id or not comment.html_url:
        raise Permanent("GitHub answered without a comment")
    return Posted(id=comment.id, url=comment.html_url)


def _explained(error: GithubException) -> ServiceError:
    """Return why GitHub refused, in our terms: what may work later is Transient."""
    headers = {name.lower(): str(value) for name, value in (error.headers or {}).items()}
    said = error.data.get("message") if isinstance(error.data, dict) else None
    text = f"GitHub answered {error.status}: {said or error.message or 'nothing'}"[:_MESSAGE]
    limited = error.status == 429 or (
        error.status == 403
        and (
            "retry-after" in headers
            or headers.get("x-ratelimit-remaining") == "0"
            or "rate limit" in str(said).lower()
        )
    )
    if limited:
        return _Later(text, _after_s(headers))
    return Transient(text) if error.status >= 500 else Permanent(text)


def _after_s(headers: dict[str, str]) -> float:
    """Return for how long GitHub wants to be left alone; a minute where it does not say."""
    if headers.get("retry-after", "").isdecimal():
        return float(headers["retry-after"])
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - time.time())
    return 60.0


def _cause(error: Exception) -> str:
    """Return what lies at the bottom of an error of `requests`, which wraps it twice."""
    reason: Any = error.args[0] if error.args else error
    reason = getattr(reason, "reason", reason)
    return f"{type(error).__name__}: {reason}"[:_MESSAGE]
