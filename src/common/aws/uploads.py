"""Uploads over HTTPS: a worker's presigned URLs, with no AWS credentials and no boto3.

URLs are bearer tokens: messages name host and path, never the query.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from src.common.errors import Permanent, Transient
from src.common.retry import UPLOAD, attempts

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUT_S: Final = (5, 60)  # to connect, to read
_RETRY: Final = frozenset({409, 429})  # 409: another conditional write of the key is under way
_MISSING: Final = frozenset({403, 404})  # 403 too: expired, or missing without s3:ListBucket


class HttpUploads:
    """Presigned URLs over `requests`."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    @cached_property
    def _session(self) -> Session:
        from requests import Session

        return Session()

    def put_new(self, url: str, body: bytes) -> int:
        """PUT with `If-None-Match: *`; return the HTTP status of the last answer.

        A 412 may be the answer to our own earlier attempt whose reply was lost.

        Raises:
            Transient: no attempt was answered.
        """
        return self._answer("PUT", url, data=body, headers={"If-None-Match": "*"}).status_code

    def get(self, url: str) -> bytes | None:
        """GET the object; None when it is missing or the URL expired.

        Raises:
            Transient: no attempt was answered, or the last answer was 429 or 5xx.
            Permanent: the URL is refused for another reason.
        """
        reply = self._answer("GET", url)
        if reply.ok:
            return reply.content
        if reply.status_code in _MISSING:
            return None
        error = Transient if _again(reply.status_code) else Permanent
        raise error(f"downloading {_place(url)}: HTTP {reply.status_code}")

    def _answer(self, method: str, url: str, **request: Any) -> Response:
        from requests import RequestException

        reply: Response | None = None
        for last in attempts(UPLOAD, sleep=self._sleep):
            try:
                reply = self._session.request(method, url, timeout=TIMEOUT_S, **request)
            except RequestException as error:
                if last and reply is None:
                    # Without the cause: its text holds the URL.
                    message = f"{method} {_place(url)}: {type(error).__name__}"
                    raise Transient(message) from None
                continue
            if not _again(reply.status_code):
                break
        assert reply is not None  # else the last attempt raised
        return reply


def _again(status: int) -> bool:
    return status >= 500 or status in _RETRY


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"
