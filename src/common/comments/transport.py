"""HTTPS to a host that a job names: never longer than allowed, never anywhere but the internet.

A server may answer slowly, byte by byte or without end; a timeout of the socket bounds none of it,
and looking up a name has no bound at all. So the whole work is done in a thread that is left behind
when its time is over, with its connections shut, so that it ends soon after.

Names are resolved here once and connected to as resolved (`src.common.public_hosts` says why).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from threading import Lock, Thread
from typing import Any, Final, TypeVar

from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import create_connection

from src.common.errors import Permanent, Transient
from src.common.public_hosts import public_addresses

_MESSAGE: Final = 200  # characters of a server's own words
LARGEST: Final = 32 * 2**20  # bytes of one answer: a hundred comments of the largest size

_T = TypeVar("_T")


class Call:
    """One piece of work: where it may connect, and its connections."""

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self._lock = Lock()
        self._over = False
        self._sockets: list[socket.socket] = []

    def connect(self, host: str, port: int, timeout: Any, options: Any) -> socket.socket:
        """Return a connection to one of the addresses of a host.

        Raises:
            Permanent: an address is not public. OSError: none could be reached.
        """
        addresses = (host,) if self._local else public_addresses(host, port)
        error: OSError | None = None
        for address in addresses:
            if self._over:
                break
            try:
                made = create_connection((address, port), timeout, socket_options=options)
            except OSError as failed:
                error = failed
                continue
            self._watch(made)
            return made
        raise error or OSError("its time is over")

    def _watch(self, made: socket.socket) -> None:
        with self._lock:
            self._sockets.append(made.dup())  # shutting it ends the other, wrapped in TLS or not
        if self._over:
            self.end()

    def end(self) -> None:
        """Shut every connection; whoever reads from one gets an error."""
        self._over = True
        with self._lock:
            for opened in self._sockets:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)
                opened.close()
            self._sockets.clear()


_call: ContextVar[Call] = ContextVar("call")


def within(seconds: float, work: Callable[[], _T], *, local: bool) -> _T:
    """Return what `work` returns, with HTTPS bounded as this module says.

    Raises:
        Transient: it did not end within `seconds`. What it asked for may have happened.
    """
    call = Call(local=local)
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        _call.set(call)
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again, by who waits
            failed.append(error)

    thread = Thread(target=copy_context().run, args=(run,), daemon=True, name="comment")
    thread.start()
    thread.join(seconds)
    late = thread.is_alive()
    call.end()
    if late:
        raise Transient(f"no answer within {seconds:.1f} s")
    if failed:
        raise failed[0]
    return done[0]


class _Connection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        try:
            return _call.get().connect(self.host, self.port, self.timeout, self.socket_options)
        except OSError as error:
            raise NewConnectionError(self, f"connecting to {self.host}: {error}") from None


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    """Connects through the call; a proxy of the environment resolves names by itself."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        pools = {**self.poolmanager.pool_classes_by_scheme, "https": _Pool}
        self.poolmanager.pool_classes_by_scheme = pools

    def send(self, request: PreparedRequest, *args: Any, **named: Any) -> Response:
        response = super().send(request, *args, **named)
        if response.is_redirect:  # of a renamed repository; PyGithub takes it for the comment
            response.close()
            where = response.headers["location"]
            raise Permanent(f"GitHub answered {response.status_code}: moved to {where}"[:_MESSAGE])
        content, size = [], 0
        for chunk in response.iter_content(64 * 1024):
            size += len(chunk)
            if size > LARGEST:
                response.close()
                raise Permanent(f"an answer of over {LARGEST} bytes")
            content.append(chunk)
        response._content = b"".join(content)
        return response


class _Https(HTTPSRequestsConnectionClass):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.session.mount("https://", _Adapter(max_retries=0))


Requester.injectConnectionClasses(HTTPRequestsConnectionClass, _Https)
