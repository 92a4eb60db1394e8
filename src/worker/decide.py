"""What the worker decides, as pure functions of what it knows.

May it start, until when, with which environment, and how did it end. No clock, process or storage.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from src.common.errors import IacCiError, Permanent, ServiceError
from src.common.messages import Claim, Dispatch, Result
from src.common.status import OrderStatus

RESERVE_MS: Final = 20_000  # of the Lambda's own time: ending processes and sending the result

# What commands see of the platform's environment. Never in it: credentials and where to get them
# (AWS_CONTAINER_CREDENTIALS_*), the runtime's API, our own settings.
_PASSED: Final = frozenset(
    {
        "LD_LIBRARY_PATH",  # by it the base image's own programs, python3 too, find libraries
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE"),
        *("AWS_REGION", "AWS_DEFAULT_REGION"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
        *("GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"),
    }
)
_PASSED_PREFIX: Final = "LC_"


class Outcome(StrEnum):
    """What the attempt to claim an order means."""

    WON = "won"
    LEFT = "left"  # somebody else's, or too late: quit without a word
    DIED = "died"  # ours, by a process that died and whose time is up
    UNKNOWN = "unknown"  # the platform did not answer


class Stop(StrEnum):
    """Why commands are stopped from outside."""

    DEADLINE = "deadline"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Deadline:
    """When commands must stop (epoch ms), and the reason to give."""

    at: int
    reason: str


def read_dispatch(event: Mapping[str, Any]) -> Dispatch:
    """Return the dispatch in a payload.

    Raises:
        VersionRefused: it is another release's.
        Permanent: it is no dispatch at all.
    """
    try:
        return Dispatch.from_item(event)
    except TypeError as error:
        name = f"{event.get('run_id')}:{event.get('num')}"
        raise Permanent(f"dispatch of {name} is incomplete: {error}") from None


def claim(dispatch: Dispatch, nonce: str, request_id: str, now: int) -> Claim:
    """Return the claim of a worker that starts at `now`."""
    return Claim(
        by="worker",
        nonce=nonce,
        request_id=request_id,
        claimed_at=now,
        end_by=min(now + dispatch.timeout * 1000, dispatch.end_by),
    )


def outcome(status: int | None, mine: Claim, winner: Claim | None, now: int) -> Outcome:
    """Judge the attempt to claim: the HTTP status (None: no answer) and the claim that stands.

    412 may answer our own retry of a request whose reply was lost, so the stored nonce counts. A
    claim of the same request by another process is that of our predecessor, or of a duplicate that
    still runs: only when its time is up can nobody be running.
    """
    if status in (200, 201):
        return Outcome.WON
    if status == 403:  # the URL expired: the start window is over
        return Outcome.LEFT
    if winner is not None and winner.nonce == mine.nonce:
        return Outcome.WON
    if status != 412:
        return Outcome.UNKNOWN
    ours = winner is not None and winner.by == "worker" and winner.request_id == mine.request_id
    return Outcome.DIED if ours and winner is not None and now >= winner.end_by else Outcome.LEFT


def deadline(held: Claim, timeout: int, now: int, remaining_ms: int) -> Deadline:
    """Return when commands must stop; `remaining_ms` is what is left of the worker's own time."""
    own = now + remaining_ms - RESERVE_MS
    if own < held.end_by:
        return Deadline(own, "the worker's own time ran out before the timeout")
    if held.end_by < held.claimed_at + timeout * 1000:
        return Deadline(held.end_by, "the deadline of the order passed before its timeout")
    return Deadline(held.end_by, f"the timeout of {timeout} s passed")


def stopped(stop: Stop, deadline_reason: str) -> tuple[OrderStatus, str]:
    """Return status and reason of an order whose commands were stopped."""
    match stop:
        case Stop.DEADLINE:
            return OrderStatus.TIMED_OUT, deadline_reason
        case Stop.CANCEL:
            return OrderStatus.CANCELLED, "cancelled while running"


def exit_code(return_code: int) -> int:
    """Return the shell's view of a return code: 128 + n for signal n."""
    return 128 - return_code if return_code < 0 else return_code


def killed(which: str, return_code: int) -> str | None:
    """Return the reason of a command that ended by a signal, None of one that exited."""
    if return_code >= 0:
        return None
    try:
        name = signal.Signals(-return_code).name
    except ValueError:  # a realtime signal
        name = f"signal {-return_code}"
    return f"{which} was killed by {name}"


def reason(error: Exception) -> str:
    """Return what to tell of an error that kept an order from running."""
    if isinstance(error, ServiceError):
        return error.told
    text = str(error)
    return text if isinstance(error, IacCiError) else f"{type(error).__name__}: {text}"


def died(held: Claim, now: int) -> Result:
    """Return the result of an order whose worker died without one."""
    return Result(
        status=OrderStatus.FAILED,
        started_at=held.claimed_at,
        finished_at=now,
        reason="the worker died while running the commands",
    )


def echo(cmd: str) -> str:
    """Return a command as a shell session shows it."""
    return "$ " + cmd.rstrip("\n").replace("\n", "\n> ")


def environment(
    platform: Mapping[str, str],
    bundle: Mapping[str, str],
    dispatch: Dispatch,
    own: Mapping[str, str],
    extra: Iterable[str] = (),
) -> dict[str, str]:
    """Return the commands' environment, later entries winning.

    What is allowed of the platform's (and `extra` names), `own` (the order's private folders), the
    bundle's variables, and the ids of the order.
    """
    passed = _PASSED.union(extra)
    return {
        **{k: v for k, v in platform.items() if k in passed or k.startswith(_PASSED_PREFIX)},
        **own,
        **bundle,
        "IAC_CI_RUN_ID": dispatch.run_id,
        "IAC_CI_ORDER_NAME": dispatch.name,
        "IAC_CI_ORDER_NUM": dispatch.num,
        "IAC_CI_TRACE_ID": dispatch.trace_id,
    }
