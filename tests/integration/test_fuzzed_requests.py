"""Thousands of mangled requests: never a 5xx, and nothing written by one that is refused.

Each is a full request with one to three places broken: as a value (another type, a hostile text, a
field too many or too few) or as bytes. What still is a request after that must run to its end.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from src.common.status import JobStatus
from src.local.stack import PROCESS_WEBHOOK, Stack
from tests.support.events import http_event, sns_event
from tests.support.sim import Sim

pytestmark = pytest.mark.integration

SECRET: Final = "it is a secret to everybody"
BATCHES: Final = 10
EACH: Final = 1_000
UNSIGNED: Final = 2_000
ANSWERS: Final = {200, 400, 401, 409, 413}

REQUEST: Final[dict[str, Any]] = {
    "run_id": "fuzzed-1",
    "trace_id": "0123abcd",
    "done_endpt": "https://example.org/done",
    "job": {
        "username": "alice",
        "flow_label": "exec",
        "pr_number": 7,
        "pr_comment_search_tag": "tag",
        "presign_expiry": 900,
        "job_timeout": 7200,
        "max_parallel": 2,
        "env": {"STAGE": "test"},
        "orders": [
            {"order_name": "a", "cmds": ["true"], "timeout": 60, "inline": {"a/b.txt": "text"}},
            {
                "order_name": "b",
                "cmds": ["true", "true"],
                "timeout": 60,
                "dependencies": ["a"],
                "must_succeed": False,
                "use_lambda": False,
                "env": {"X": "y"},
                "queue_id": "q",
            },
        ],
    },
}
HOSTILE: Final = (
    *("", " ", "\x00", "\x1b[2J", "\ud800", "\u202e", "a\nb", "ü" * 300, "A" * 5_000),
    *("../../etc/passwd", "/etc/passwd", "..\\x", "_job", "0000", "a:b", "a/b", "${x}", "$(id)"),
    *("--upload-pack=id", "ext::sh -c id", "file:///etc", "-oProxyCommand=id", "http://[::1"),
    *("s3://b/../k.zip", "aws:::ssm:/x", "aws:::nothing:x", "<script>", "'; DROP", "NaN", "null"),
)
NUMBERS: Final = (0, -1, 1, 540.5, 1e308, float("inf"), float("nan"), 2**31, 2**63, 10**400, True)
SOURCES: Final = ("git_repo", "git_ref", "git_folder", "s3_location", "git_token_location")


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7 if depth < 4 else 4)
    if kind == 0:
        return None
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind < 4:
        return rng.choice(HOSTILE)
    if kind == 4:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 5:
        return {rng.choice(HOSTILE): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    nested: Any = "x"
    for _ in range(rng.choice((3, 70, 200))):
        nested = [nested] if rng.random() < 0.5 else {"a": nested}
    return nested


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) of a JSON value."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, inner in list(pairs):
        yield node, key
        if isinstance(inner, (dict, list)):
            yield from places(inner)


def mangled(rng: random.Random) -> bytes:
    request = copy.deepcopy(REQUEST)
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(list(places(request)))
        what = rng.randrange(5)
        if what < 2:
            holder[key] = value(rng)
        elif what == 2:
            del holder[key]
        elif what == 3 and isinstance(holder, dict):
            holder[rng.choice((*HOSTILE, *SOURCES))] = value(rng)
        else:
            orders = request.get("job")
            orders = orders.get("orders") if isinstance(orders, dict) else None
            if isinstance(orders, list) and orders:
                orders.append(copy.deepcopy(rng.choice(orders)))  # a name given twice
    body = json.dumps(request, ensure_ascii=rng.random() < 0.8).encode(errors="surrogatepass")
    if rng.random() < 0.2:  # damage on the way that was there when it was signed
        at = rng.randrange(len(body))
        noise = rng.randbytes(rng.randrange(4))
        body = body[:at] + noise + body[at + rng.randrange(4) :]
    return body


def written(sim: Sim) -> str:
    stores: Any = (sim.adapters.runs, sim.adapters.locks, sim.adapters.internal, sim.adapters.done)
    return repr([store.everything() for store in stores])


def call(sim: Sim, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("test"))
    return answer["statusCode"], json.loads(answer["body"])


def a_sim() -> Sim:
    return Sim(secrets={Stack().webhook_secret_parameter: SECRET})


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_mangled_request_is_refused_and_writes_nothing(batch: int) -> None:
    rng = random.Random(batch)
    sim, seen = a_sim(), Counter[int]()
    before = written(sim)
    for _ in range(EACH):
        body = mangled(rng)
        event = http_event(body, secret=SECRET, in_base64=rng.random() < 0.9)
        status, answer = call(sim, event)
        seen[status] += 1
        assert status in ANSWERS, body
        if status == 200:  # a request after all: it gets a world of its own
            assert sim.finish(answer["run_id"]).status is not JobStatus.RUNNING
            sim = a_sim()
        else:
            assert written(sim) == before, body

    assert seen[400] > EACH / 2
    assert seen[200], "the mangling leaves nothing valid, so it proves little"


@pytest.mark.parametrize("way", ["direct", "sns"])
def test_a_mangled_request_that_comes_another_way_is_refused_and_writes_nothing(way: str) -> None:
    rng = random.Random(way)
    sim, seen = a_sim(), Counter[int]()
    before = written(sim)
    for _ in range(EACH):
        try:
            event = json.loads(mangled(rng).decode(errors="surrogatepass"))
        except ValueError:  # the platform takes no event that is no JSON, and no message but text
            continue
        if way == "sns":
            event = sns_event(event)
            message = event["Records"][0]["Sns"]["Message"]
            if rng.random() < 0.3:
                at = rng.randrange(len(message))
                event["Records"][0]["Sns"]["Message"] = message[:at] + rng.choice(HOSTILE)
        answer = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("test"))
        [answer] = answer if way == "sns" else [answer]
        status = answer["statusCode"]
        seen[status] += 1
        assert status in ANSWERS, event
        if status == 200:
            assert sim.finish(answer["body"]["run_id"]).status is not JobStatus.RUNNING
            sim = a_sim()
        else:
            assert written(sim) == before, event

    assert seen[400] > EACH / 2
    assert seen[200], "the mangling leaves nothing valid, so it proves little"


def test_an_event_that_nobody_signed_is_refused_and_writes_nothing() -> None:
    rng = random.Random(7)
    sim, seen = a_sim(), Counter[int]()
    before = written(sim)
    for _ in range(UNSIGNED):
        event = http_event(mangled(rng), name=rng.choice(("http_api", "function_url")))
        context = event["requestContext"]
        context.pop("authorizer", None)
        event["headers"]["x-hub-signature-256"] = rng.choice(HOSTILE)  # texts are all there can be
        event["isBase64Encoded"] = rng.random() < 0.5
        if rng.random() < 0.3:
            event["body"] = rng.choice((*HOSTILE, None))
        if rng.random() < 0.1:
            event["headers"] = rng.choice(({}, None))
        status, _ = call(sim, event)
        seen[status] += 1
        assert status in {400, 401}, event
    assert written(sim) == before
    assert seen[401] > seen[400]
