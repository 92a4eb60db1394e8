"""The worker with real bundles and real processes: claiming, running and reporting an order."""

from __future__ import annotations

import base64
import io
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from src.common import codec
from src.common.clock import SystemClock
from src.common.errors import Permanent, Transient, VersionRefused
from src.common.messages import Claim, Result
from src.common.plain import VERSION
from src.common.status import OrderStatus
from src.worker import kin
from src.worker.app import Invocation
from src.worker.process import Commands
from src.worker.sandbox import scratch
from tests.support.worker import PACE, Bucket, a_worker, is_running, pids, run, until

pytestmark = pytest.mark.integration

CONTEXT = Invocation(aws_request_id="request-1")
DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1] + ".part", "w") as file: file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(1000)
"""


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def a_daemon(path: Path) -> str:
    """A command that leaves a process out of its session and deaf to SIGTERM."""
    code = base64.b64encode(DAEMON.encode()).decode()
    return (
        f"python3 -c \"import base64; exec(base64.b64decode('{code}'))\" {path} </dev/null\n"
        f"until [ -e {path} ]; do sleep 0.01; done"
    )


# --- commands


def test_commands_run_in_order_in_one_folder(bucket: Bucket) -> None:
    order = bucket.order("echo one > file; cd /; export X=1", 'cat file; echo "${X:-unset}"')

    result = run(bucket, order)

    assert (result.status, result.exit_code, result.reason) == (OrderStatus.SUCCEEDED, 0, None)
    assert result.log.endswith(
        """> file; cd /; export X=1\n$ cat file; echo "${X:-unset}"\none\nunset\n"""
    )


def test_first_failure_ends_the_order_with_its_exit_code(bucket: Bucket) -> None:
    order = bucket.order("true", "echo before; false | cat; echo after", "echo never")

    result = run(bucket, order)

    assert (result.status, result.exit_code, result.reason) == (OrderStatus.FAILED, 1, None)
    assert result.log.endswith("\nbefore\n[iac-ci] command 2 of 3 exited with 1\n")


def test_unset_variable_fails_the_command(bucket: Bucket) -> None:
    assert run(bucket, bucket.order("echo $NOWHERE")).status is OrderStatus.FAILED


def test_command_killed_by_a_signal_is_told_as_a_shell_would(bucket: Bucket) -> None:
    result = run(bucket, bucket.order("kill -KILL $$"))

    assert (result.status, result.exit_code) == (OrderStatus.FAILED, 137)
    assert result.reason == "command 1 of 1 was killed by SIGKILL"


def test_commands_can_be_interrupted_by_their_own_signals(bucket: Bucket) -> None:
    assert run(bucket, bucket.order("kill -INT $$; echo survived")).exit_code == 130


def test_code_of_the_bundle_lies_in_the_working_folder(bucket: Bucket) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("code/modules/main.txt", "content")

    result = run(bucket, bucket.order("cat modules/main.txt", code_zip=buffer.getvalue()))

    assert "content" in result.log


@pytest.fixture
def talkative_stdin() -> Iterator[None]:
    """This process's stdin is a pipe with something to read in it, which never ends."""
    before, (read, write) = os.dup(0), os.pipe()
    os.write(write, b"not for commands\n")
    os.dup2(read, 0)
    yield
    os.dup2(before, 0)
    for end in (before, read, write):
        os.close(end)


@pytest.mark.usefixtures("talkative_stdin")
def test_stdin_is_closed(bucket: Bucket) -> None:
    result = run(bucket, bucket.order("cat", "! read -r answer"))

    assert result.status is OrderStatus.SUCCEEDED


def test_command_that_cannot_be_started_fails_with_the_reason(bucket: Bucket) -> None:
    result = run(bucket, bucket.order("true", env={"HUGE": "x" * 3_000_000}))

    assert result.status is OrderStatus.FAILED
    assert "command 1 of 1 cannot be started" in str(result.reason)


def test_command_after_one_that_removed_the_folder_fails_with_the_reason(bucket: Bucket) -> None:
    result = run(bucket, bucket.order('rm -r "$PWD"', "true"))

    assert result.status is OrderStatus.FAILED
    reason = str(result.reason)
    assert reason.startswith(
        "command 2 of 2 cannot be started: [Errno 2] No such file or directory"
    )
    assert reason.endswith("/work'")


def test_command_that_closed_its_output_is_waited_for(bucket: Bucket) -> None:
    order = bucket.order("exec >&- 2>&-; sleep 0.3; echo late > file", "cat file")

    assert run(bucket, order).log.endswith("late\n")


def test_last_words_of_a_process_substitution_are_in_the_log(bucket: Bucket) -> None:
    order = bucket.order("echo words > >(sleep 0.05; cat)", "echo next")
    patient = replace(PACE, settle_s=20)

    assert run(bucket, order, pace=patient).log.endswith("words\n$ echo next\nnext\n")


def test_last_words_that_come_while_nobody_reads_are_before_the_next_command(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Commands._left

    def late(self: Commands) -> list[int]:
        time.sleep(0.2)  # a busy machine: who was left says its words, and ends
        return look(self)

    monkeypatch.setattr(Commands, "_left", late)
    order = bucket.order("echo words > >(sleep 0.1; cat)", "echo next")
    patient = replace(PACE, settle_s=20)

    assert run(bucket, order, pace=patient).log.endswith("words\n$ echo next\nnext\n")


def test_background_process_serves_later_commands_and_is_gone_in_the_end(
    bucket: Bucket, tmp_path: Path
) -> None:
    order = bucket.order(
        f"(echo $BASHPID > {tmp_path}/one.pid; exec sleep 1000) &",  # holds the output open
        f"until [ -s {tmp_path}/one.pid ]; do sleep 0.01; done; kill -0 $(cat {tmp_path}/one.pid)",
    )

    result = run(bucket, order)

    assert result.status is OrderStatus.SUCCEEDED
    assert not is_running(*pids(tmp_path))


def test_invalid_utf8_does_not_break_the_log(bucket: Bucket) -> None:
    result = run(bucket, bucket.order(r"printf 'a\xff\xfeb\n'"))

    assert result.log.endswith("a\ufffd\ufffdb\n")


def test_lines_are_shown_while_the_order_runs(bucket: Bucket, tmp_path: Path) -> None:
    def out(text: str) -> None:
        if "ready" in text.split("\n"):
            (tmp_path / "seen").touch()

    order = bucket.order(f"echo ready; until [ -e {tmp_path}/seen ]; do sleep 0.01; done")

    assert run(bucket, order, out=out).status is OrderStatus.SUCCEEDED


# --- environment


def test_commands_see_their_variables_and_ids(bucket: Bucket) -> None:
    order = bucket.order(
        'echo "$GREETING $IAC_CI_RUN_ID $IAC_CI_ORDER_NAME"', env={"GREETING": "hi"}
    )

    assert f"hi run-1 {order.name}\n" in run(bucket, order).log


def test_own_credentials_are_invisible_to_commands(bucket: Bucket) -> None:
    own = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": "AKIA-OWN",
        "AWS_SESSION_TOKEN": "token-OWN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/OWN",
        "IAC_CI_PAYLOAD": "OWN",
    }

    result = run(bucket, bucket.order("env"), environ=own)

    assert "OWN" not in result.log


def test_home_and_temporary_files_are_private_where_the_platform_has_no_home(
    bucket: Bucket,
) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    first = bucket.order("mktemp; touch ~/left; echo home=$HOME")

    log = run(bucket, first, environ=environ).log

    home = log.rpartition("home=")[2].strip()
    assert home != "/nonexistent"
    assert not Path(home).exists()
    assert f"\n{Path(home).parent}/tmp/" in log


def test_folders_are_removed_whatever_is_in_them(bucket: Bucket, tmp_path: Path) -> None:
    order = bucket.order("mkdir -p a/b; touch a/b/c; chmod 500 a/b a; ln -s / root")

    run(bucket, order, folder=tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def steady_path(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed whatever is in it: pytest would give up on what is too deep."""
    yield tmp_path
    subprocess.run(["rm", "-rf", "--", str(tmp_path)], check=True)


def test_a_folder_that_is_deeper_than_pythons_stack_is_removed_too(
    bucket: Bucket, steady_path: Path
) -> None:
    deep = "/".join("d" * 1_000)
    order = bucket.order(
        f"mkdir -p {deep}; cd {deep}; mkdir -p {deep}; touch {deep}/file; chmod 0 d"
    )

    result = run(bucket, order, folder=steady_path)

    assert result.status is OrderStatus.SUCCEEDED
    assert list(steady_path.iterdir()) == []


def test_what_commands_leave_in_the_sandbox_is_gone_before_the_next_order(
    bucket: Bucket, tmp_path: Path
) -> None:
    """What lay there before stays, but for what an order that died has left."""
    sandbox = tmp_path / "sandbox"
    (sandbox / "iac-ci-died").mkdir(parents=True)
    (sandbox / "extension.sock").write_text("theirs")
    (tmp_path / "elsewhere").write_text("not ours")
    order = bucket.order(
        f"cd {sandbox}; echo secret >kubeconfig; mkdir -p d/e; touch d/e/f; ln -s .. up",
        f"chmod 0 {sandbox}/d/e {sandbox}/d",
    )

    result = run(bucket, order, folder=sandbox, scratch=sandbox)

    assert result.status is OrderStatus.SUCCEEDED
    assert [path.name for path in sandbox.iterdir()] == ["extension.sock"]
    assert (tmp_path / "elsewhere").exists()


def test_an_order_finds_no_folder_of_one_that_killed_its_worker_but_what_it_put_beside(
    bucket: Bucket, tmp_path: Path
) -> None:
    """Nobody tidied up after it: docs/SECURITY.md says what is left open."""
    (tmp_path / "iac-ci-died" / "home").mkdir(parents=True)
    (tmp_path / "iac-ci-died" / "home" / ".netrc").write_text("another order's")
    (tmp_path / "beside").write_text("of the same order")

    result = run(bucket, bucket.order(f"ls {tmp_path}"), folder=tmp_path, scratch=tmp_path)

    _, *found = result.log.split()
    assert "beside" in found
    assert [name for name in found if name.startswith("iac-ci-")] != ["iac-ci-died"]
    assert "iac-ci-died" not in found


def test_the_sandbox_is_emptied_only_after_the_result_was_sent(
    bucket: Bucket, tmp_path: Path
) -> None:
    left: list[bool] = []

    class Watched:
        def put_new(self, url: str, body: bytes) -> int:
            left.append((tmp_path / "file").exists())
            return bucket.put_new(url, body)

        get = bucket.get

    run(bucket, bucket.order(f"touch {tmp_path}/file"), uploads=Watched(), scratch=tmp_path)

    assert left == [False, True]  # at the claim, and at the result
    assert not (tmp_path / "file").exists()


def test_a_folder_that_others_use_is_no_sandbox() -> None:
    assert scratch(os.environ) is None
    assert scratch({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}) == Path("/tmp")


# --- masking


def test_secret_is_masked_in_commands_output_and_lines(bucket: Bucket) -> None:
    lines: list[str] = []
    order = bucket.order(
        "echo hunter22 $TOKEN; printf %s $TOKEN | base64; env",
        "printf hunt; sleep 0.1; printf 'er22\\n'",
        secrets={"TOKEN": "hunter22"},
    )

    result = run(bucket, order, out=lines.append)

    for text in (result.log, "\n".join(lines)):
        assert "$ echo *** $TOKEN" in text
        assert "*** ***\n***\n" in text
        assert "TOKEN=***" in text
        assert "hunt" not in text.replace("printf hunt;", "")


def test_secret_too_short_to_mask_is_warned_of_by_name_alone(bucket: Bucket) -> None:
    log = run(bucket, bucket.order("true", secrets={"PIN": "q7z", "EMPTY": ""})).log

    assert log.startswith("[iac-ci] too short to be masked (under 4): PIN\n")
    assert "q7z" not in log


# --- stopping


def test_all_descendants_are_gone_after_a_timeout(bucket: Bucket, tmp_path: Path) -> None:
    order = bucket.order(
        a_daemon(tmp_path / "daemon.pid"),
        f"setsid bash -c 'echo $$ > {tmp_path}/session.pid; sleep 1000' & "
        f"bash -c 'trap \"\" TERM; echo $$ > {tmp_path}/deaf.pid; sleep 1000 & wait; sleep 1000'",
        timeout=1,
    )

    result = run(bucket, order)

    assert (result.status, result.exit_code) == (OrderStatus.TIMED_OUT, None)
    assert result.reason == "the timeout of 1 s passed"
    assert result.log.endswith("[iac-ci] command 2 of 2 was ended: the timeout of 1 s passed\n")
    assert len(pids(tmp_path)) == 3
    assert not [pid for pid in pids(tmp_path) if is_running(pid)]


def test_command_can_tidy_up_when_it_is_stopped(bucket: Bucket) -> None:
    order = bucket.order("trap 'echo tidied; exit 3' TERM; echo started; sleep 1000 & wait")

    def out(text: str) -> None:
        if "started" in text.split("\n"):
            bucket.cancel(order)

    result = run(bucket, order, out=out, pace=replace(PACE, grace_s=60))

    assert result.status is OrderStatus.CANCELLED
    assert "\ntidied\n" in result.log


def test_a_command_reaches_what_serves_the_workers_sandbox(bucket: Bucket) -> None:
    """As the runtime's API on Lambda, on the loopback interface: docs/SECURITY.md says so."""
    path = "/2018-06-01/runtime/invocation/next"  # docs.aws.amazon.com: Lambda runtime API
    with socket.create_server(("127.0.0.1", 0)) as runtime:
        host, port = runtime.getsockname()
        order = bucket.order(
            f"exec 3<>/dev/tcp/{host}/{port}; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        )
        asked: list[bytes] = []

        def serve() -> None:
            caller, _ = runtime.accept()
            with caller:
                asked.append(caller.recv(4096))
                caller.sendall(b"HTTP/1.0 200 OK\r\n\r\nthe next event")

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        result = run(bucket, order)
        server.join(20)

    assert asked[0].startswith(f"GET {path} ".encode())
    assert "the next event" in result.log


def test_parents_are_signalled_before_their_children(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a shell sees its child end, and goes on with its next command, unsignalled."""
    command = "echo started; sleep 1000"
    for _ in range(8):
        command = f"bash -c {shlex.quote(command)}; true"
    order = bucket.order(command)
    signalled: list[int] = []
    parents: dict[int, int] = {}
    kill = os.kill

    def noted(pid: int, number: int) -> None:
        if number == signal.SIGTERM:
            for one in kin.descendants(frozenset()):
                parents.setdefault(one.pid, one.parent)  # the first: orphans become ours
            signalled.append(pid)
        kill(pid, number)

    def out(text: str) -> None:
        if "started" in text.split("\n"):
            bucket.cancel(order)

    monkeypatch.setattr(os, "kill", noted)

    result = run(bucket, order, out=out)

    assert result.status is OrderStatus.CANCELLED
    assert len(signalled) >= 9
    assert [parents[pid] for pid in signalled] == [os.getpid(), *signalled[:-1]]


def test_cancel_ends_the_commands(bucket: Bucket, tmp_path: Path) -> None:
    order = bucket.order(f"echo $$ > {tmp_path}/one.pid; echo started; sleep 1000")

    def out(text: str) -> None:
        if "started" in text.split("\n"):
            bucket.cancel(order)

    result = run(bucket, order, out=out)

    assert (result.status, result.reason) == (OrderStatus.CANCELLED, "cancelled while running")
    assert not is_running(*pids(tmp_path))


def test_commands_stop_in_time_for_the_lambda_to_report(bucket: Bucket) -> None:
    class Lambda:
        aws_request_id = "request-1"

        def get_remaining_time_in_millis(self) -> int:
            return 20_300

    order = bucket.order("sleep 1000")

    a_worker(bucket)(order.to_item(), Lambda())

    result = bucket.result(order)
    assert result.status is OrderStatus.TIMED_OUT
    assert "own time" in str(result.reason)


def test_trouble_with_looking_for_a_cancel_does_not_end_the_order(bucket: Bucket) -> None:
    class Down:
        def get(self, key: str) -> bytes | None:
            looks.append(key)
            raise Transient("down")

    looks: list[str] = []
    order = bucket.order("sleep 0.3")

    assert run(bucket, order, stops=Down()).status is OrderStatus.SUCCEEDED
    assert looks[0] == order.stop_key


# --- claiming


def test_claim_says_who_runs_the_order_and_until_when(bucket: Bucket) -> None:
    order = bucket.order("true", timeout=7)

    result = run(bucket, order)

    claim = bucket.claim(order)
    assert (claim.by, claim.request_id) == ("worker", "request-1")
    assert claim.end_by == claim.claimed_at + 7000
    assert result.started_at == claim.claimed_at
    assert result.finished_at is not None
    assert claim.claimed_at <= result.finished_at


def test_duplicate_delivery_starts_the_commands_once(bucket: Bucket, tmp_path: Path) -> None:
    order = bucket.order(f"echo started >> {tmp_path}/starts")
    worker = a_worker(bucket)

    answers = [worker(order.to_item(), CONTEXT) for _ in range(3)]

    assert [answer["status"] for answer in answers] == ["succeeded", "left", "left"]
    assert (tmp_path / "starts").read_text() == "started\n"


def test_late_dispatch_is_left_alone(bucket: Bucket) -> None:
    order = bucket.order("true", start_by=SystemClock().now_ms())
    before = dict(bucket.objects)

    assert a_worker(bucket)(order.to_item(), CONTEXT) == {"status": "left"}

    assert bucket.objects == before


def test_order_ended_from_outside_never_starts(bucket: Bucket, tmp_path: Path) -> None:
    order = bucket.order(f"touch {tmp_path}/started")
    ended = Claim(by="watchdog", nonce="w", claimed_at=1, end_by=1, status=OrderStatus.TIMED_OUT)
    bucket.put_new(order.claim_url, codec.encode(ended.to_item()))

    assert a_worker(bucket)(order.to_item(), CONTEXT) == {"status": "left"}

    assert not (tmp_path / "started").exists()
    assert order.result_url not in bucket.objects


@pytest.mark.parametrize("past", [True, False], ids=["time is up", "still running"])
def test_repeated_request_reports_its_dead_predecessor_once_nobody_can_run(
    bucket: Bucket, tmp_path: Path, past: bool
) -> None:
    now = SystemClock().now_ms()
    order = bucket.order(f"touch {tmp_path}/started")
    first = Claim(
        by="worker",
        nonce="first",
        request_id="request-1",
        claimed_at=now - 60_000,
        end_by=now - 1 if past else now + 60_000,
    )
    bucket.put_new(order.claim_url, codec.encode(first.to_item()))

    answer = a_worker(bucket)(order.to_item(), CONTEXT)

    assert not (tmp_path / "started").exists()
    if past:
        assert answer == {"status": "failed"}
        assert "the worker died" in str(bucket.result(order).reason)
    else:
        assert answer == {"status": "left"}
        assert order.result_url not in bucket.objects


class Urls:
    """The bucket's URLs, whose PUT of a claim or a result goes otherwise."""

    def __init__(self, bucket: Bucket, **puts: Callable[[str, bytes], int]) -> None:
        self._bucket, self._puts = bucket, puts

    def put_new(self, url: str, body: bytes) -> int:
        kind = Path(url).stem
        return self._puts.get(kind, self._bucket.put_new)(url, body)

    def get(self, url: str) -> bytes | None:
        return self._bucket.get(url)


def test_claim_whose_reply_was_lost_is_recognised(bucket: Bucket) -> None:
    def lost(url: str, body: bytes) -> int:
        bucket.put_new(url, body)
        return 412  # the answer to the retry

    assert run(bucket, bucket.order("true"), uploads=Urls(bucket, claim=lost)).exit_code == 0


def test_claim_that_was_written_without_an_answer_is_recognised(bucket: Bucket) -> None:
    def lost(url: str, body: bytes) -> int:
        bucket.put_new(url, body)
        raise Transient("no answer")

    assert run(bucket, bucket.order("true"), uploads=Urls(bucket, claim=lost)).exit_code == 0


def test_claim_without_an_answer_fails_the_invocation_and_starts_nothing(
    bucket: Bucket, tmp_path: Path
) -> None:
    def down(url: str, body: bytes) -> int:
        raise Transient("no answer")

    order = bucket.order(f"touch {tmp_path}/started")

    with pytest.raises(Transient, match=f"claiming run-1:{order.num}"):
        run(bucket, order, uploads=Urls(bucket, claim=down))

    assert not (tmp_path / "started").exists()


def test_expired_claim_url_means_leaving_quietly(bucket: Bucket, tmp_path: Path) -> None:
    order = bucket.order(f"touch {tmp_path}/started")
    worker = a_worker(bucket, uploads=Urls(bucket, claim=lambda _url, _body: 403))

    assert worker(order.to_item(), CONTEXT) == {"status": "left"}
    assert not (tmp_path / "started").exists()


def test_newer_dispatch_is_refused_before_the_claim(bucket: Bucket) -> None:
    order = replace(bucket.order("true"), version=VERSION + 1)

    with pytest.raises(VersionRefused, match="version"):
        a_worker(bucket)(order.to_item(), CONTEXT)

    assert order.claim_url not in bucket.objects


# --- reporting


def test_missing_bundle_is_reported(bucket: Bucket) -> None:
    order = bucket.order("true")
    del bucket.objects[order.bundle_key]

    result = run(bucket, order)

    assert (result.status, result.exit_code) == (OrderStatus.FAILED, None)
    assert result.reason == f"fetching the bundle of run-1:{order.num}: missing"


def test_corrupt_bundle_is_reported(bucket: Bucket) -> None:
    order = bucket.order("true")
    bucket.objects[order.bundle_key] = bucket.objects[order.bundle_key][:-30]

    result = run(bucket, order)

    assert result.status is OrderStatus.FAILED
    assert "bundle" in str(result.reason)


def test_bundle_of_another_identity_is_reported(bucket: Bucket) -> None:
    order = replace(bucket.order("true"), identity=bucket.order("true").identity)

    assert run(bucket, order).status is OrderStatus.FAILED


def test_full_disk_is_reported(bucket: Bucket, tmp_path: Path) -> None:
    result = run(bucket, bucket.order("true"), folder=tmp_path / "missing")

    assert result.status is OrderStatus.FAILED
    assert str(result.reason).startswith("FileNotFoundError")


def test_result_that_somebody_else_wrote_stands(bucket: Bucket) -> None:
    order = bucket.order("true")
    bucket.put_new(order.result_url, codec.encode(Result(status=OrderStatus.TIMED_OUT).to_item()))

    assert run(bucket, order).status is OrderStatus.TIMED_OUT


def test_expired_result_url_fails_the_invocation(bucket: Bucket) -> None:
    order = bucket.order("true")

    with pytest.raises(Permanent, match=f"reporting run-1:{order.num}: HTTP 403"):
        run(bucket, order, uploads=Urls(bucket, result=lambda _url, _body: 403))


class Sleepless(SystemClock):
    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_result_is_sent_again_until_it_arrives(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shaky(url: str, body: bytes) -> int:
        attempts.append(url)
        if len(attempts) == 1:
            raise Transient("no answer")
        return 503 if len(attempts) == 2 else bucket.put_new(url, body)

    attempts: list[str] = []
    clock = Sleepless()
    monkeypatch.setattr("tests.support.worker.SystemClock", lambda: clock)

    result = run(bucket, bucket.order("true"), uploads=Urls(bucket, result=shaky))

    assert result.status is OrderStatus.SUCCEEDED
    assert len(clock.slept) == 2


def test_result_that_never_arrives_fails_the_invocation(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.worker.SystemClock", Sleepless)
    order = bucket.order("true")

    with pytest.raises(Transient, match=f"reporting run-1:{order.num}: HTTP 503"):
        run(bucket, order, uploads=Urls(bucket, result=lambda _url, _body: 503))


def test_background_processes_are_gone_when_the_result_is_sent(
    bucket: Bucket, tmp_path: Path
) -> None:
    def seen(url: str, body: bytes) -> int:
        running.extend(pid for pid in pids(tmp_path) if is_running(pid))
        return bucket.put_new(url, body)

    running: list[int] = []
    order = bucket.order(a_daemon(tmp_path / "daemon.pid"))

    result = run(bucket, order, uploads=Urls(bucket, result=seen))

    assert result.status is OrderStatus.SUCCEEDED
    assert pids(tmp_path)
    assert running == []


def test_other_children_of_the_process_are_left_alone(bucket: Bucket) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        result = run(bucket, bucket.order("sleep 1000", timeout=1), pace=PACE)

        assert result.status is OrderStatus.TIMED_OUT
        assert until(lambda: is_running(other.pid))
        other.kill()
