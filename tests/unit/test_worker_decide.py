"""What the worker decides."""

from __future__ import annotations

import signal

import pytest

from src.common.errors import BundleError, Permanent, VersionRefused
from src.common.messages import Claim, Dispatch
from src.common.plain import VERSION
from src.common.status import OrderStatus
from src.worker import decide
from src.worker.decide import Outcome, Stop
from src.worker.execution import Pace
from src.worker.handler import _Impatient

pytestmark = pytest.mark.unit

NOW = 1_800_000_000_000
DISPATCH = Dispatch(
    run_id="run-1",
    trace_id="abcdef0123456789",
    num="0003",
    name="apply",
    token="t",
    identity="AGE-SECRET-KEY-TEST",
    bundle_key="bundle",
    stop_key="stop",
    claim_url="claim",
    claim_read_url="claim-read",
    result_url="result",
    start_by=NOW + 600_000,
    end_by=NOW + 700_000,
    timeout=60,
)
MINE = decide.claim(DISPATCH, "nonce-1", "request-1", NOW)


def a_claim(**fields: object) -> Claim:
    return Claim.from_item({**MINE.to_item(), **fields})


def test_claim_ends_after_the_timeout() -> None:
    assert MINE.by == "worker"
    assert MINE.end_by == NOW + 60_000


def test_claim_never_ends_after_the_orders_own_deadline() -> None:
    late = NOW + 690_000

    assert decide.claim(DISPATCH, "n", "r", late).end_by == DISPATCH.end_by


@pytest.mark.parametrize(
    ("status", "winner", "now", "expected"),
    [
        pytest.param(200, None, NOW, Outcome.WON, id="created"),
        pytest.param(201, None, NOW, Outcome.WON, id="created-201"),
        pytest.param(412, MINE, NOW, Outcome.WON, id="own-nonce-reply-was-lost"),
        pytest.param(503, MINE, NOW, Outcome.WON, id="written-though-503"),
        pytest.param(None, MINE, NOW, Outcome.WON, id="written-though-no-answer"),
        pytest.param(None, None, NOW, Outcome.UNKNOWN, id="no-answer"),
        pytest.param(503, None, NOW, Outcome.UNKNOWN, id="platform-down"),
        pytest.param(
            None, a_claim(nonce="other"), NOW, Outcome.UNKNOWN, id="no-answer-others-claim"
        ),
        pytest.param(403, None, NOW, Outcome.LEFT, id="url-expired"),
        pytest.param(412, None, NOW, Outcome.LEFT, id="winner-unreadable"),
        pytest.param(
            412, a_claim(nonce="other"), NOW, Outcome.LEFT, id="own-request-still-running"
        ),
        pytest.param(
            412,
            a_claim(nonce="other"),
            MINE.end_by - 1,
            Outcome.LEFT,
            id="own-request-just-in-time",
        ),
        pytest.param(
            412, a_claim(nonce="other"), MINE.end_by, Outcome.DIED, id="own-request-time-is-up"
        ),
        pytest.param(
            412,
            a_claim(nonce="other", request_id="request-2"),
            MINE.end_by,
            Outcome.LEFT,
            id="others-request",
        ),
        pytest.param(
            412,
            a_claim(nonce="other", by="watchdog", request_id=None),
            MINE.end_by,
            Outcome.LEFT,
            id="ended-from-outside",
        ),
    ],
)
def test_outcome_of_a_claim(
    status: int | None, winner: Claim | None, now: int, expected: Outcome
) -> None:
    assert decide.outcome(status, MINE, winner, now) is expected


def test_commands_stop_at_the_claims_end() -> None:
    deadline = decide.deadline(MINE, 60, NOW, remaining_ms=600_000)

    assert deadline.at == MINE.end_by
    assert "timeout of 60 s" in deadline.reason


def test_commands_stop_before_the_lambdas_own_time_runs_out() -> None:
    deadline = decide.deadline(MINE, 60, NOW, remaining_ms=50_000)

    assert deadline.at == NOW + 50_000 - decide.RESERVE_MS
    assert "own time" in deadline.reason


def test_deadline_of_the_order_is_named_when_it_comes_before_the_timeout() -> None:
    held = decide.claim(DISPATCH, "n", "r", NOW + 690_000)

    assert "deadline of the order" in decide.deadline(held, 60, NOW, remaining_ms=10**9).reason


@pytest.mark.parametrize(
    ("code", "expected", "reason"),
    [
        (0, 0, None),
        (3, 3, None),
        (-signal.SIGKILL, 137, "command 1 of 2 was killed by SIGKILL"),
        (-63, 191, "command 1 of 2 was killed by signal 63"),
    ],
)
def test_exit_is_told_as_a_shell_would(code: int, expected: int, reason: str | None) -> None:
    assert decide.exit_code(code) == expected
    assert decide.killed("command 1 of 2", code) == reason


def test_stopped_commands_say_why() -> None:
    assert decide.stopped(Stop.DEADLINE, "too long") == (OrderStatus.TIMED_OUT, "too long")
    assert decide.stopped(Stop.CANCEL, "too long")[0] is OrderStatus.CANCELLED


def test_newer_dispatch_is_refused_with_both_versions() -> None:
    item = DISPATCH.to_item() | {"version": VERSION + 1}

    with pytest.raises(VersionRefused, match=rf"run-1:0003: version {VERSION + 1},.*{VERSION};"):
        decide.read_dispatch(item)


def test_payload_that_is_no_dispatch_is_refused_with_what_it_lacks() -> None:
    item = DISPATCH.to_item()
    del item["claim_url"]

    with pytest.raises(Permanent, match="claim_url"):
        decide.read_dispatch(item)


def test_dispatch_survives_the_payload() -> None:
    assert decide.read_dispatch(DISPATCH.to_item()) == DISPATCH


def test_commands_see_no_credentials_and_none_of_our_settings() -> None:
    platform = {
        "PATH": "/bin",
        "LD_LIBRARY_PATH": "/var/lang/lib",
        "LC_ALL": "C",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/creds",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://creds",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_PROFILE": "admin",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "IAC_CI_PAYLOAD": "{}",
        "IAC_CI_ORDERS_TABLE": "orders",
    }

    env = decide.environment(platform, {}, DISPATCH, {})

    assert env == {
        "PATH": "/bin",
        "LD_LIBRARY_PATH": "/var/lang/lib",
        "LC_ALL": "C",
        "AWS_REGION": "eu-central-1",
        "IAC_CI_RUN_ID": "run-1",
        "IAC_CI_ORDER_NAME": "apply",
        "IAC_CI_ORDER_NUM": "0003",
        "IAC_CI_TRACE_ID": "abcdef0123456789",
    }


def test_bundle_wins_over_the_platform_but_not_over_the_orders_ids() -> None:
    platform = {"PATH": "/bin", "MORE": "1"}
    variables = {"PATH": "/opt", "AWS_ACCESS_KEY_ID": "the-users", "IAC_CI_RUN_ID": "forged"}

    env = decide.environment(platform, variables, DISPATCH, {"TMPDIR": "/t"}, ("MORE",))

    assert env["PATH"] == "/opt"
    assert env["AWS_ACCESS_KEY_ID"] == "the-users"
    assert env["IAC_CI_RUN_ID"] == "run-1"
    assert env["TMPDIR"] == "/t"
    assert env["MORE"] == "1"


def test_commands_are_shown_as_in_a_shell_session() -> None:
    assert decide.echo("terraform plan\n") == "$ terraform plan"
    assert decide.echo("for i in 1\ndo echo\ndone") == "$ for i in 1\n> do echo\n> done"


def test_reason_of_an_error_names_its_kind_unless_it_speaks_for_itself() -> None:
    assert decide.reason(BundleError("reading the bundle: bad")) == "reading the bundle: bad"
    assert decide.reason(OSError("disk full")) == "OSError: disk full"


def test_a_running_command_is_told_of_a_cancel_within_eight_seconds() -> None:
    """The ten seconds of a cancel, less two for its event and the orchestrator's first step."""
    hasty = _Impatient(region="eu-west-1").s3.meta.config

    one_look = hasty.connect_timeout + hasty.read_timeout
    assert hasty.retries["total_max_attempts"] == 1
    assert Pace().poll_s + one_look <= 8
