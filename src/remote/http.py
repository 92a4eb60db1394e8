"""The POST to the webhook over HTTPS."""

from __future__ import annotations

import json
import os
import string
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from src import __version__
from src.common.errors import Permanent, Transient
from src.common.retry import SUBMIT, attempts
from src.remote.errors import Unreached
from src.remote.submit import Answer

if TYPE_CHECKING:
    import requests

TIMEOUT_S: Final = (5, 40)  # to connect, to read: an HTTP API cuts off at 30
_CA: Final = "AWS_CA_BUNDLE"  # what AWS's own tools trust, where the endpoint is an emulator


def is_url(text: str) -> bool:
    """Return whether a text is the URL of a web server."""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname and parts.port != 0)  # a port that is none raises
    except ValueError:
        return False
    return named and parts.scheme in ("https", "http") and not set(text) & set(string.whitespace)


class HttpPost:
    """POST with `requests`: repeated while there is no answer, 429 or 5xx; no redirects."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return status and body of the last answer.

        Raises:
            Permanent: the URL is none.
            Unreached: no attempt had a connection.
            Transient: no attempt was answered.
        """
        import requests

        if not is_url(url):
            raise Permanent(f"{url!r} is no https URL")
        host = urlsplit(url).netloc
        headers = {**headers, "user-agent": f"iac-ci/{__version__}"}
        options: dict[str, Any] = {"verify": os.environ[_CA]} if os.environ.get(_CA) else {}
        reply: requests.Response | None = None
        connected = False
        for last in attempts(SUBMIT, sleep=self._sleep):
            try:
                reply = requests.post(
                    url,
                    data=body,
                    headers=headers,
                    timeout=TIMEOUT_S,
                    allow_redirects=False,  # what is signed goes where it was sent
                    **options,
                )
            except requests.RequestException as error:
                connected = connected or not _unconnected(error)
                if last and reply is None:
                    kind = Transient if connected else Unreached
                    raise kind(f"posting to {host}: {_why(error)}") from None
                continue
            if reply.status_code < 500 and reply.status_code != 429:
                break
        assert reply is not None  # else the last attempt raised
        return reply.status_code, _body(reply)


def _body(reply: Any) -> Any:
    if 300 <= reply.status_code < 400:
        return f"a redirect to {reply.headers.get('location', 'nowhere')}; give that URL"
    try:
        return json.loads(reply.content)
    except ValueError:
        return str(reply.text)


def _unconnected(error: requests.RequestException) -> bool:
    """Return whether it failed before there was a connection: for the name, the port, the route."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _why(error: Exception) -> str:
    """Return the innermost cause, which is the one that a person understands."""
    cause: BaseException = error
    while inner := (cause.__cause__ or cause.__context__):
        cause = inner
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
