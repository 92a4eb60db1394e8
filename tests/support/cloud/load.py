"""Many runs at once on the cloud, with or without trouble, and whether each came out as it must."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import unquote_plus

from src.common import keys
from src.common.aws.objects import S3ObjectStore
from src.common.codec import decode
from tests.support.cloud.cloud import Cloud

TIMEOUT_S: Final = 10  # of an order: what a killed worker costs
PATIENCE_S: Final = 900

Order = tuple[str, str]  # run id, number


@dataclass(frozen=True, kw_only=True)
class Load:
    """Runs of `layers` x `width` orders; each order waits for the whole layer before its own."""

    runs: int
    layers: int
    width: int
    kill_every_s: float | None = None
    kill_for_s: float = 0.0
    fault_rate: float = 0.0
    late_s: float = 0.0
    doubled: float = 0.0

    @property
    def orders(self) -> int:
        return self.layers * self.width


@dataclass
class Outcome:
    """What came of it."""

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)  # from callback to the next dispatch
    memory_kb: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def delay_s(self, share: float) -> float:
        """Return the delay that `share` of the dispatches stayed under."""
        ordered = sorted(self.delays_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def lines(self, load: Load) -> Iterator[str]:
        """Describe it in figures."""
        total = load.runs * load.orders
        yield f"{load.runs} runs of {load.orders} orders: {self.seconds:.1f} s"
        yield f"  {load.runs / self.seconds:.2f} runs/s, {total / self.seconds:.1f} orders/s"
        yield (
            f"  callback to next dispatch: p50 {median(self.delays_s):.2f} s,"
            f" p99 {self.delay_s(0.99):.2f} s"
        )
        memory = ", ".join(f"{name} {kb // 1024} MB" for name, kb in self.memory_kb.items())
        yield f"  memory: {memory}"
        yield f"  orders: {_listed(self.statuses)}"
        if self.kills:
            yield f"  killed: {_listed(self.kills)}"
        if self.faults:
            yield f"  faults: {_listed(self.faults)}"
        yield f"  violations: {len(self.wrong)}"


def _listed(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def a_job(load: Load, label: str, ledger: Path) -> dict[str, Any]:
    """Return a job of which each order notes its start and says whose it is."""
    layers = [[f"o{at}-{place}" for place in range(load.width)] for at in range(load.layers)]
    orders = [
        {
            "order_name": name,
            "cmds": [f"echo started >> {ledger}/{label}.{name}", f"echo it is {label} {name}"],
            "timeout": TIMEOUT_S,
            "must_succeed": False,  # a killed order shall not keep the others from running
            "dependencies": layers[at - 1] if at else [],
        }
        for at, layer in enumerate(layers)
        for name in layer
    ]
    return {"username": "load", "orders": orders}


@contextmanager
def a_ledger() -> Iterator[Path]:
    """Make a folder where any user may note a start."""
    folder = Path(tempfile.mkdtemp(prefix="iac-ci-load-", dir="/tmp"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def drive(cloud: Cloud, load: Load) -> Outcome:
    """Submit every run at once, make trouble, wait until all have ended, and look at each."""
    outcome = Outcome()
    begun = len(cloud.heard)
    cloud.late_s, cloud.doubled = load.late_s, load.doubled
    dropped = len(cloud.dropped)
    with a_ledger() as ledger:
        started = time.monotonic()
        cloud.set_faults(load.fault_rate, seed=1)
        labels = [f"load-{at:03d}-{time.time_ns()}" for at in range(load.runs)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda label: _submit(cloud, load, label, ledger), labels))
        _wait(cloud, load, labels, outcome)
        outcome.seconds = time.monotonic() - started
        outcome.faults = cloud.set_faults(0)
        outcome.delays_s = list(_delays(cloud.heard[begun:], load))
        killed = cloud.killed_orders()
        for label in labels:
            orders = list(_look(cloud, label, ledger))
            outcome.statuses.update(order.status for order in orders)
            outcome.wrong += _wrongs(load, label, orders, killed)
    if not load.kill_every_s and not load.fault_rate:
        outcome.wrong += [f"dropped: {job.function}: {why}" for job, why in cloud.dropped[dropped:]]
    outcome.memory_kb = cloud.memory_kb()
    return outcome


def _submit(cloud: Cloud, load: Load, label: str, ledger: Path) -> None:
    """Submit as a careful client does: again, with the same run id, until it is answered."""
    request = {"job": a_job(load, label, ledger), "run_id": label}
    for _ in range(20):
        try:
            answer = cloud.call("process_webhook", request)
        except Exception:  # noqa: BLE001 - a killed sandbox, a fault: the client's to repeat
            time.sleep(0.2)
            continue
        if answer["statusCode"] == 200:
            return
        assert answer["statusCode"] == 503, answer
    raise AssertionError(f"{label} was not accepted")


def _wait(cloud: Cloud, load: Load, labels: list[str], outcome: Outcome) -> None:
    end = time.monotonic() + PATIENCE_S
    trouble_until = time.monotonic() + load.kill_for_s
    next_kill = time.monotonic()
    left = set(labels)
    while left:
        now = time.monotonic()
        assert now < end, f"{len(left)} runs are stuck: {sorted(left)[:5]}"
        if load.kill_every_s and next_kill < now < trouble_until:
            next_kill = now + load.kill_every_s
            if function := cloud.kill_one():
                outcome.kills[function] += 1
        left -= cloud.finished()
        time.sleep(0.2)


@dataclass(frozen=True)
class Seen:
    """What is to be seen of one order when its run has ended."""

    name: str
    num: str
    status: str
    reason: str | None
    starts: int
    log: str


def _look(cloud: Cloud, label: str, ledger: Path) -> Iterator[Seen]:
    internal = S3ObjectStore(cloud.clients, bucket=cloud.stack.buckets["internal"].name)
    done = S3ObjectStore(cloud.clients, bucket=cloud.stack.buckets["done"].name)
    body = done.get(keys.done_key(label))
    assert body is not None
    for name, order in decode(body)["orders"].items():
        note = ledger / f"{label}.{name}"
        result = internal.get(keys.result_key(label, order["num"]))
        yield Seen(
            name=name,
            num=order["num"],
            status=order["status"],
            reason=order.get("reason"),
            starts=len(note.read_text().splitlines()) if note.exists() else 0,
            log=decode(result).get("log", "") if result is not None else "",
        )


def _wrongs(load: Load, label: str, orders: list[Seen], killed: set[Order]) -> Iterator[str]:
    """Yield what must not be of one run."""
    if len(orders) != load.orders:
        yield f"{label}: {len(orders)} orders in done"
    for order in orders:
        name = f"{label}.{order.name}"
        excused = (label, order.num) in killed or (load.fault_rate and order.reason)
        if order.starts > 1:
            yield f"{name}: started {order.starts} times"
        if order.status != "succeeded":
            if not excused:
                yield f"{name}: {order.status} ({order.reason}), though nobody killed it"
        elif order.starts != 1:
            yield f"{name}: succeeded with {order.starts} starts"
        elif f"it is {label} {order.name}\n" not in order.log:
            yield f"{name}: another's log"


def _delays(heard: list[dict[str, Any]], load: Load) -> Iterator[float]:
    """Yield how long each order waited for its dispatch after the last of its dependencies."""
    ended: dict[Order, float] = {}
    begun: dict[Order, float] = {}
    for message in heard:
        if message["kind"] != "event" and message["function"] == "worker":
            begun.setdefault((message["event"]["run_id"], message["event"]["num"]), message["at"])
        for record in message["event"].get("Records", ()) if message["kind"] == "event" else ():
            parsed = keys.parse_callback(unquote_plus(record["s3"]["object"]["key"]))
            if parsed is not None:
                ended.setdefault(parsed, message["at"])
    for (run, num), at in begun.items():
        layer = (int(num) - 1) // load.width
        before = [
            keys.order_num(place)
            for place in range((layer - 1) * load.width + 1, layer * load.width + 1)
        ]
        waited_for = [ended.get((run, other)) for other in before or [keys.PACKAGING]]
        if layer and all(moment is not None for moment in waited_for):
            yield at - max(moment for moment in waited_for if moment is not None)
