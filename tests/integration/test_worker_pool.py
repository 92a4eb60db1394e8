"""The pool of worker processes behind a local run."""

from __future__ import annotations

import errno
import os
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import Permanent, Transient
from src.common.messages import Dispatch
from src.common.status import OrderStatus
from src.local.wire import Wire
from src.local.worker_child import SIGNALS, serve
from src.local.worker_pool import Finished, WorkerPool
from tests.support.worker import PACE, RUN_ID, Bucket, is_running, pids, until

pytestmark = pytest.mark.integration

MB = 1024 * 1024


class Local:
    """A pool on a bucket, with the lines it told."""

    def __init__(self, size: int = 2, **ports: Any) -> None:
        self.bucket = Bucket()
        self.lines: dict[str, list[str]] = {}
        self.line_count: Counter[str] = Counter()
        calls: dict[str, Any] = {
            "get": self.bucket.get,
            "put_new": self.bucket.put_new,
            "get_url": self.bucket.get,
            "on_line": self._line,
        }
        self.pool = WorkerPool(size, **{**calls, **ports}, pace=PACE)
        self.finished: list[Finished] = []

    def _line(self, run_id: str, num: str, line: str) -> None:
        assert run_id == RUN_ID
        self.line_count[num] += 1
        if self.line_count[num] <= 100:
            self.lines.setdefault(num, []).append(line)

    def submit(self, order: Dispatch) -> Dispatch:
        self.pool.submit(order.to_item(), f"request-{order.num}")
        return order

    def until(self, condition: Any) -> Any:
        def met() -> Any:
            self.finished += self.pool.poll(0.02)
            return condition()

        return until(met)

    def wait(self, count: int = 1) -> list[Finished]:
        self.until(lambda: len(self.finished) >= count)
        return self.finished


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all temporary files of a test lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def local(temporary: Path) -> Iterator[Local]:
    local = Local()
    children = [child.pid for child in local.pool._children]
    with local.pool:
        yield local
        children += [child.pid for child in local.pool._children]
    assert not [pid for pid in children if is_running(pid)]
    assert list(temporary.iterdir()) == []


def test_orders_beyond_the_size_wait_their_turn(local: Local) -> None:
    orders = [local.submit(local.bucket.order(f"echo {i}; exit {i % 2}")) for i in range(9)]
    assert (local.pool.busy, local.pool.queued) == (2, 7)

    local.wait(9)

    assert (local.pool.busy, local.pool.queued) == (0, 0)
    assert {one.request_id for one in local.finished} == {f"request-{o.num}" for o in orders}
    assert [one.error for one in local.finished] == [None] * 9
    for i, order in enumerate(orders):
        assert local.bucket.result(order).exit_code == i % 2
        assert local.lines[order.num][:2] == [f"$ echo {i}; exit {i % 2}", str(i)]


def test_orders_run_at_the_same_time(local: Local, tmp_path: Path) -> None:
    meet = "touch {0}/{1}; until [ -e {0}/{2} ]; do sleep 0.01; done"

    local.submit(local.bucket.order(meet.format(tmp_path, "a", "b")))
    local.submit(local.bucket.order(meet.format(tmp_path, "b", "a")))

    assert [one.error for one in local.wait(2)] == [None, None]


def test_an_order_waits_for_no_viewer_and_its_log_loses_nothing(temporary: Path) -> None:
    """The viewer takes 2 ms a line: 40 s for what the order prints, whose timeout is 15 s."""
    shown: list[str] = []

    def slow(_run_id: str, _num: str, line: str) -> None:
        time.sleep(0.002)
        shown.append(line)

    local = Local(1, on_line=slow, every_line=False)
    with local.pool:
        print_much = "for i in {1..20000}; do printf 'line %d %0500d\\n' $i 0; done"
        order = local.submit(local.bucket.order(print_much, timeout=15))
        local.wait()

    result = local.bucket.result(order)
    assert result.status is OrderStatus.SUCCEEDED
    assert "\nline 1 00" in result.log
    assert "\nline 20000 00" in result.log
    numbers = [int(line.split()[1]) for line in shown if line.startswith("line ")]
    dropped = [int(line.split()[1]) for line in shown if line.endswith("; the log has them")]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 20_000
    assert len(numbers) + sum(dropped) == 20_000
    assert sum(dropped) > 0


def test_a_viewer_who_wants_every_line_gets_it_before_the_end(temporary: Path) -> None:
    seen: list[str] = []
    bucket = Bucket()

    def put_new(url: str, body: bytes) -> int:
        seen.append("put")
        return bucket.put_new(url, body)

    local = Local(1, on_line=lambda _run_id, _num, line: seen.append(line), put_new=put_new)
    local.bucket = bucket
    local.pool._get = bucket.get
    local.pool._get_url = bucket.get
    with local.pool:
        local.submit(bucket.order("seq 1 300000"))
        local.wait()

    assert seen[0] == seen[-1] == "put"  # claim and result
    assert [line for line in seen if line.isdigit()] == [str(n) for n in range(1, 300_001)]


def test_lines_come_while_the_order_runs(local: Local, tmp_path: Path) -> None:
    order = local.submit(
        local.bucket.order(f"sleep 0.1; echo now; until [ -e {tmp_path}/go ]; do sleep 0.01; done")
    )

    local.until(lambda: "now" in local.lines.get(order.num, ()))
    (tmp_path / "go").touch()

    assert local.wait()[0].error is None


def test_death_of_a_worker_is_reported_and_its_commands_are_ended(
    local: Local, tmp_path: Path
) -> None:
    order = local.submit(
        local.bucket.order(
            f"(setsid bash -c 'echo $$ > {tmp_path}/one.pid; sleep 1000' &) ; "
            f"echo $$ > {tmp_path}/two.pid; sleep 1000"
        )
    )
    local.until(lambda: len(pids(tmp_path)) == 2)
    worker = next(child.pid for child in local.pool._children if child.delivery)

    os.kill(worker, signal.SIGKILL)

    assert local.wait() == [
        Finished(order.to_item(), f"request-{order.num}", "worker process died (signal 9)")
    ]
    assert not [pid for pid in pids(tmp_path) if is_running(pid)]
    assert order.result_url not in local.bucket.objects


def test_pool_goes_on_after_a_death(local: Local) -> None:
    for child in tuple(local.pool._children):
        os.kill(child.pid, signal.SIGKILL)

    orders = [local.submit(local.bucket.order("true")) for _ in range(4)]
    local.until(lambda: len([one for one in local.finished if not one.error]) >= 2)

    # those handed to the dead are reported, as the platform reports a failed invocation
    local.wait(4)
    done = [order for order in orders if order.result_url in local.bucket.objects]
    assert len(done) == sum(one.error is None for one in local.finished)


def test_repeated_delivery_starts_the_commands_once(local: Local, tmp_path: Path) -> None:
    order = local.bucket.order(f"echo started >> {tmp_path}/starts; sleep 0.1")

    for _ in range(4):
        local.submit(order)

    assert [one.error for one in local.wait(4)] == [None] * 4
    assert (tmp_path / "starts").read_text() == "started\n"


def test_trouble_of_the_platform_reaches_the_worker(temporary: Path) -> None:
    def down(_url: str, _body: bytes) -> int:
        raise Transient("storage is down")

    local = Local(put_new=down)
    with local.pool:
        local.submit(local.bucket.order("true"))

        (finished,) = local.wait()

    assert finished.error is not None
    assert finished.error.startswith("Transient: claiming")


def test_bug_of_the_local_world_is_not_hidden(temporary: Path) -> None:
    def broken(_key: str) -> bytes | None:
        raise ZeroDivisionError

    local = Local(get=broken)
    with local.pool:
        local.submit(local.bucket.order("true"))

        with pytest.raises(ZeroDivisionError):
            local.wait()


def test_payload_that_is_no_dispatch_is_a_failed_invocation(local: Local) -> None:
    local.pool.submit({"run_id": RUN_ID}, "request-x")

    assert "dispatch of run-1:None is incomplete" in str(local.wait()[0].error)


def test_cancel_reaches_a_running_order(local: Local) -> None:
    order = local.submit(local.bucket.order("echo started; sleep 1000"))
    local.until(lambda: "started" in local.lines.get(order.num, ()))

    local.bucket.cancel(order)
    local.wait()

    assert local.bucket.result(order).status is OrderStatus.CANCELLED


@pytest.mark.parametrize("number", sorted(SIGNALS))
def test_a_signal_to_the_whole_group_reaches_neither_worker_nor_commands(
    local: Local, tmp_path: Path, number: signal.Signals
) -> None:
    order = local.submit(
        local.bucket.order(f"echo started; until [ -e {tmp_path}/go ]; do sleep 0.01; done")
    )
    local.until(lambda: "started" in local.lines.get(order.num, ()))

    for child in local.pool._children:
        os.kill(child.pid, number)
    (tmp_path / "go").touch()

    assert local.wait()[0].error is None
    assert local.bucket.result(order).status is OrderStatus.SUCCEEDED


def test_commands_do_not_inherit_that_the_worker_ignores_interrupts(local: Local) -> None:
    order = local.submit(local.bucket.order("kill -INT $$; echo survived"))

    local.wait()

    assert local.bucket.result(order).exit_code == 130


def test_closing_ends_commands_and_workers(temporary: Path, tmp_path: Path) -> None:
    local = Local()
    workers = [child.pid for child in local.pool._children]
    local.submit(
        local.bucket.order(
            f"(setsid bash -c 'echo $$ > {tmp_path}/one.pid; sleep 1000' &) ; "
            f"echo $$ > {tmp_path}/two.pid; sleep 1000"
        )
    )
    local.until(lambda: len(pids(tmp_path)) == 2)

    local.pool.close(grace=10)

    assert not [pid for pid in workers + pids(tmp_path) if is_running(pid)]
    assert list(temporary.iterdir()) == []


def test_closing_without_patience_ends_them_as_well(temporary: Path, tmp_path: Path) -> None:
    local = Local()
    local.submit(local.bucket.order(f"trap '' TERM; echo $$ > {tmp_path}/one.pid; sleep 1000"))
    local.until(lambda: pids(tmp_path))

    local.pool.close(grace=0)

    assert not is_running(*pids(tmp_path))
    assert list(temporary.iterdir()) == []


def test_processes_that_cannot_be_had_are_named_and_none_is_left(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def fork() -> int:
        if len(started) == 2:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        started.append(really_fork())
        return started[-1]

    really_fork = os.fork
    monkeypatch.setattr("os.fork", fork)

    with pytest.raises(Permanent, match=r"process 3: Resource .*; run fewer orders at once"):
        Local(3)

    assert not [pid for pid in started if is_running(pid)]
    assert list(temporary.iterdir()) == []
    assert not SIGNALS & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_closing_twice_is_fine(temporary: Path) -> None:
    local = Local()
    started = [child.pid for child in local.pool._children]

    local.pool.close(grace=1)
    local.pool.close(grace=1)

    assert started
    assert not [pid for pid in started if is_running(pid)]
    assert list(temporary.iterdir()) == []


def test_nothing_outlives_a_parent_that_was_killed(temporary: Path, tmp_path: Path) -> None:
    parent = os.fork()
    if not parent:
        try:
            local = Local()
            local.submit(
                local.bucket.order(
                    f"trap 'echo no' TERM; echo $$ > {tmp_path}/command.pid\n"
                    "while :; do sleep 1000 & wait; done"
                )
            )
            names = [child.pid for child in local.pool._children]
            for pid in names:
                (tmp_path / f"{pid}.pid").write_text(str(pid))
            local.until(lambda: False)
        finally:
            os._exit(1)
    until(lambda: len(pids(tmp_path)) == 3)

    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)

    until(lambda: not [pid for pid in pids(tmp_path) if is_running(pid)])
    until(lambda: list(temporary.iterdir()) == [])


def test_a_signal_does_not_break_off_the_cleaning_up(tmp_path: Path) -> None:
    class SignalledInTheMiddle(type(tmp_path)):  # type: ignore[misc]
        def rmdir(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)  # as when the parent dies after it hung up
            super().rmdir()

    ours, theirs = socket.socketpair()
    folder = SignalledInTheMiddle(tmp_path, "pool", "child")
    folder.mkdir(parents=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if not child:
        parent_that_died = 0
        serve(Wire(theirs), folder, PACE, parent_that_died, [Wire(ours)], every_line=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    theirs.close()
    ours.close()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(tmp_path.iterdir()) == []


def test_100_mb_of_output_take_little_memory_and_keep_head_and_tail(local: Local) -> None:
    def peak() -> int:
        def of(pid: int) -> int:
            status = Path(f"/proc/{pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) * 1024

        return max(of(child.pid) for child in local.pool._children)

    secrets = {"TOKEN": "hunter22", "OTHER": "correct-horse-battery-staple"}
    small = [local.submit(local.bucket.order("echo x", secrets=secrets)) for _ in range(4)]
    local.wait(len(small))
    before = peak()

    order = local.submit(
        local.bucket.order(
            f"echo first; {{ yes {'x' * 99} || :; }} | head -c {50 * MB}; echo",
            f"head -c {50 * MB} /dev/zero | tr '\\0' y; echo last",
            secrets=secrets,
        )
    )
    local.wait(len(small) + 1)

    result = local.bucket.result(order)
    assert result.status is OrderStatus.SUCCEEDED, result.log[-1000:]
    assert peak() - before < 30 * MB
    assert len(result.log.encode()) < 300 * 1024
    assert result.log_truncated
    assert "\nfirst\nxxx" in result.log
    assert "bytes left out" in result.log
    assert result.log.endswith("yyylast\n")
    assert local.line_count[order.num] > 50 * MB // 100
