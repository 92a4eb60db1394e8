"""`iac-ci` against a deployed stack: AWS's APIs and the webhook over HTTP, real workers behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from src.common.aws.clients import Clients
from src.local.stack import Stack
from tests.support import stack_server
from tests.support.worker import is_running, until

pytestmark = pytest.mark.integration

IAC_CI = Path(sys.executable).parent / "iac-ci"
ENDS_IN = 60  # seconds: a bound on waiting, no measure
SECRET = "a webhook secret"

JOB = """\
username: me
orders:
  plan: {cmds: ["echo planned"], timeout: 30}
  apply: {cmds: ["echo applied; exit 3"], timeout: 30, dependencies: [plan]}
  check: {cmds: ["true"], timeout: 30, dependencies: [apply]}
"""
GOOD_JOB = "username: me\norders:\n  plan: {cmds: [echo planned], timeout: 30}\n"


@dataclass(frozen=True)
class Deployed:
    """The served stack and a way to call the command line on it."""

    endpoint: str
    url: str
    outputs: Path
    folder: Path

    @property
    def clients(self) -> Clients:
        return Clients(region=Stack().region, endpoint=self.endpoint)

    def env(self, **more: str) -> dict[str, str]:
        given = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "IAC_CI_STACK_OUTPUTS": str(self.outputs),
            "IAC_CI_WEBHOOK_SECRET": SECRET,
            "COLUMNS": "160",
            **more,
        }
        return {**os.environ, **{name: value for name, value in given.items() if value}}

    def __call__(self, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [IAC_CI, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=ENDS_IN,
            check=False,
            env=self.env(**env),
        )

    def start(self, *args: object, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [IAC_CI, *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env(**env),
        )

    def job(self, text: str) -> Path:
        file = self.folder / f"{uuid.uuid4().hex}.yaml"
        file.write_text(text)
        return file

    def submitted(self, text: str) -> str:
        """Submit a job; return its run id."""
        done = self("submit", self.job(text))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    with stack_server.started() as told:
        outputs = folder / "outputs.json"
        outputs.write_text(json.dumps(told["outputs"]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", "key")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
            yield Deployed(told["endpoint"], told["url"], outputs, folder)


def expire(deployed: Deployed, run_id: str, *, events_too: bool = False) -> None:
    """Take away what the run's rows (and its done object) say, as time does."""
    stack, clients = Stack(), deployed.clients
    orders = stack.tables["orders"].name
    for pk in (run_id, *(f"{run_id}:{num:04d}" for num in range(4))):
        clients.dynamodb.delete_item(TableName=orders, Key={"pk": {"S": pk}})
    if events_too:
        bucket = stack.buckets["done"].name
        clients.s3.delete_object(Bucket=bucket, Key=f"{run_id}/done")


def statuses(answer: Mapping[str, Any]) -> dict[str, str]:
    return {name: order["status"] for name, order in answer["orders"].items()}


FAILED = {"plan": "succeeded", "apply": "failed", "check": "skipped"}


def test_a_job_is_submitted_waited_for_and_told_to_programs(deployed: Deployed) -> None:
    run_id = deployed.submitted(JOB)

    waited = deployed("wait", run_id, "--json")
    asked = deployed("status", run_id, "--json")

    assert (waited.returncode, asked.returncode) == (1, 0)
    told = json.loads(waited.stdout)
    assert (told["run_id"], told["status"], statuses(told)) == (run_id, "failed", FAILED)
    assert told["orders"]["apply"]["exit_code"] == 3
    assert told["orders"]["check"]["reason"] == "dependency apply failed"
    assert json.loads(asked.stdout) == told


def test_submit_that_waits_shows_people_how_it_goes_and_ends(deployed: Deployed) -> None:
    done = deployed("submit", deployed.job(JOB), "--wait")

    assert done.returncode == 1
    assert [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("  ")] == [
        *(["plan", "running"], ["plan", "succeeded"]),
        *(["apply", "running"], ["apply", "failed"]),
        ["check", "skipped:", "dependency", "apply", "failed"],
    ]
    assert "✗ failed in" in done.stdout
    assert "logs" in done.stderr


def test_a_run_that_succeeded_is_0(deployed: Deployed) -> None:
    done = deployed("submit", deployed.job(GOOD_JOB), "--wait", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "succeeded"


@pytest.mark.parametrize("way", ["file", "parameter", "variable", "function"])
def test_each_way_to_prove_who_asks_is_accepted(
    deployed: Deployed, tmp_path: Path, way: str
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\nthe one before\n")
    options: dict[str, list[object]] = {
        "file": ["--secret-file", tmp_path / "secret"],
        "parameter": ["--secret-parameter", Stack().webhook_secret_parameter],
        "variable": ["--secret-env", "ANOTHER"],
        "function": ["--function", Stack().functions["process_webhook"].name],
    }

    done = deployed(
        *("submit", deployed.job(GOOD_JOB), *options[way], "--json"),
        IAC_CI_WEBHOOK_SECRET="",
        ANOTHER=SECRET,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["orders"] == {"plan": "0001"}


def test_the_same_run_id_again_has_the_first_answer_and_starts_nothing(deployed: Deployed) -> None:
    run_id, job = uuid.uuid4().hex, deployed.job(GOOD_JOB)

    first = deployed("submit", job, "--run-id", run_id, "--json")
    again = deployed("submit", job, "--run-id", run_id, "--json")
    other = deployed("submit", deployed.job(JOB), "--run-id", run_id)

    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert other.returncode == 2
    assert "answered 409" in other.stderr
    assert "belongs to another job" in other.stderr


def test_a_refused_job_is_told_by_file_and_line(deployed: Deployed) -> None:
    bad = deployed.job("username: me\norders:\n  plan: {cmds: [x], timout: 3}\n")

    done = deployed("submit", bad)
    told = json.loads(deployed("submit", bad, "--json").stdout)

    assert done.returncode == 2
    assert f"{bad}:3: orders.plan.timout: is not a known field" in done.stderr
    assert f"{bad}:3: orders.plan.timeout: is required" in done.stderr
    assert [problem["path"] for problem in told["details"]] == [
        "orders.plan.timout",
        "orders.plan.timeout",
    ]


def test_a_wrong_secret_is_401(deployed: Deployed) -> None:
    done = deployed("submit", deployed.job(JOB), IAC_CI_WEBHOOK_SECRET="wrong")

    assert done.returncode == 2
    assert "answered 401: the header X-Hub-Signature-256 does not match" in done.stderr


def test_a_job_that_is_too_large_is_413(deployed: Deployed) -> None:
    env = {f"V{number}": "x" * 100_000 for number in range(41)}
    job = {"username": "me", "env": env, "orders": {"a": {"cmds": ["true"], "timeout": 3}}}
    room = 4 * 2**20 - len(json.dumps(job, separators=(",", ":")))
    env["V"] = "x" * (room - 10)  # the file just fits, the request around it does not

    done = deployed("submit", deployed.job(json.dumps(job, separators=(",", ":"))))

    assert done.returncode == 2
    assert "answered 413: body: " in done.stderr


def test_nobody_at_the_url_is_1_and_nothing_was_sent(deployed: Deployed) -> None:
    done = deployed("submit", deployed.job(JOB), "--url", "http://127.0.0.1:9/webhook")

    assert done.returncode == 1
    assert "posting to 127.0.0.1:9: Connection refused" in done.stderr
    assert "may have been accepted" not in done.stderr


def test_no_answer_is_1_and_says_how_to_find_out(deployed: Deployed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/webhook"
        done = deployed("submit", deployed.job(JOB), "--url", url)

    assert done.returncode == 1
    assert "may have been accepted" in done.stderr
    assert "--run-id" in done.stderr


def test_another_place_on_the_same_host_says_what_it_is(deployed: Deployed) -> None:
    done = deployed("submit", deployed.job(JOB), "--url", deployed.url + "/x")

    assert done.returncode == 2
    assert "answered 404: Not Found" in done.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("submit", "--url", "http://[::1"), "--url: must be an http or https URL, got"),
        (("submit", "--run-id", "../x"), "--run-id: must be 1 to 64 of the characters"),
        (("submit", "--url", "http://127.0.0.1:9/", "--secret-file", "/dev/zero"), "is a device"),
        (("rerun", "run-1", "--run-id", "../x"), "--run-id: must be 1 to 64 of the characters"),
        (("status", "run-1", "--endpoint-url", "here"), "--endpoint-url: must be an http or"),
    ],
)
def test_an_argument_that_means_nothing_is_named_and_nothing_is_asked(
    deployed: Deployed, args: tuple[str, ...], told: str
) -> None:
    file = [deployed.job(GOOD_JOB)] if args[0] == "submit" else []

    done = deployed(args[0], *file, *args[1:])

    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.endswith("refused: 1 problem\n")


@pytest.mark.parametrize("outputs", [True, False])
def test_an_unknown_profile_is_told_without_a_traceback(deployed: Deployed, outputs: bool) -> None:
    known = {} if outputs else {"IAC_CI_STACK_OUTPUTS": "", "IAC_CI_ORDERS_TABLE": "orders"}

    done = deployed("status", "run-1", AWS_PROFILE="nobody", **known)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("The config profile (nobody) could not be found")
    assert "Traceback" not in done.stderr


def test_half_a_character_in_a_job_is_refused_by_file_and_line(deployed: Deployed) -> None:
    job = '{"username": "a\\ud800", "orders": {"a": {"cmds": ["true"], "timeout": 5}}}'

    done = deployed("submit", deployed.job(job))

    assert done.returncode == 2
    assert "username: must be 1 to 128 printable characters" in done.stderr


def test_no_secret_at_all_names_the_ways_to_give_one(deployed: Deployed) -> None:
    done = deployed("submit", deployed.job(JOB), "--url", deployed.url, IAC_CI_WEBHOOK_SECRET="")

    assert done.returncode == 2
    assert "--secret-file" in done.stderr


@pytest.mark.parametrize("command", ["status", "wait", "logs", "events", "cancel", "rerun"])
def test_an_unknown_run_is_2(deployed: Deployed, command: str) -> None:
    done = deployed(command, "nobody-knows", "--json")

    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "error": "run nobody-knows is not known to this stack",
        "details": [],
    }


def test_without_outputs_the_command_says_what_it_needs(deployed: Deployed) -> None:
    done = deployed("status", "run-1", IAC_CI_STACK_OUTPUTS="")

    assert done.returncode == 2
    assert "IAC_CI_ORDERS_TABLE" in done.stderr
    assert "--stack-outputs" in done.stderr


def test_outputs_come_by_stdin_too(deployed: Deployed) -> None:
    run_id = deployed.submitted(GOOD_JOB)

    done = subprocess.run(
        [IAC_CI, "wait", run_id, "--stack-outputs", "-"],
        input=deployed.outputs.read_text(),
        capture_output=True,
        text=True,
        timeout=ENDS_IN,
        check=False,
        env=deployed.env(IAC_CI_STACK_OUTPUTS=""),
    )

    assert done.returncode == 0, done.stderr


def test_logs_are_those_of_the_results(deployed: Deployed) -> None:
    run_id = deployed.submitted(JOB)
    deployed("wait", run_id)

    one, by_num = deployed("logs", run_id, "apply"), deployed("logs", run_id, "0002")
    every, told = deployed("logs", run_id), deployed("logs", run_id, "--json")

    assert one.stdout.splitlines()[:2] == ["$ echo applied; exit 3", "applied"]
    assert one.stdout == by_num.stdout
    assert [line for line in every.stdout.splitlines() if line.startswith("==")] == [
        "== plan: succeeded",
        "== apply: failed (exit 3)",
        "== check: skipped (dependency apply failed)",
    ]
    orders = json.loads(told.stdout)["orders"]
    assert orders["plan"]["log"] == "$ echo planned\nplanned\n"
    assert (orders["plan"]["source"], orders["check"]["source"]) == ("result", None)


def test_lines_are_followed_while_an_order_runs_and_none_is_lost(
    deployed: Deployed, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    job = f"username: me\norders:\n  a: {{cmds: ['echo one; cat {go}; echo two'], timeout: 50}}\n"
    run_id = deployed.submitted(job)

    with (
        deployed.start("logs", run_id, "a", "-f") as one,
        deployed.start("logs", run_id, "--follow") as every,
    ):
        assert one.stdout is not None
        assert every.stdout is not None
        assert any(line == "one\n" for line in one.stdout)  # while it runs
        assert any("a | one" in line for line in every.stdout)
        so_far = deployed("logs", run_id, "a")
        go.write_text("")
        rest_of_one, _ = one.communicate(timeout=ENDS_IN)
        rest_of_every, _ = every.communicate(timeout=ENDS_IN)

    assert so_far.stdout.splitlines()[-1] == "one"
    assert (one.returncode, every.returncode) == (0, 0)
    assert rest_of_one == "two\n"
    assert [line.split()[1:] for line in rest_of_every.splitlines()] == [
        ["a", "|", "two"],
        ["a", "succeeded"],
    ]


def test_a_log_whose_result_expired_is_what_the_log_group_keeps(deployed: Deployed) -> None:
    run_id = deployed.submitted(GOOD_JOB)
    deployed("wait", run_id)
    bucket = Stack().buckets["internal"].name
    key = f"tmp/callbacks/runs/{run_id}/0001/result.json"
    deployed.clients.s3.delete_object(Bucket=bucket, Key=key)

    done = deployed("logs", run_id, "plan", "--json")

    told = json.loads(done.stdout)["orders"]["plan"]
    assert (told["source"], told["log"]) == ("live", "$ echo planned\nplanned\n")


def test_an_order_that_is_not_there_is_2_and_names_those_that_are(deployed: Deployed) -> None:
    run_id = deployed.submitted(JOB)
    deployed("wait", run_id)

    done = deployed("logs", run_id, "aply")

    assert done.returncode == 2
    assert "has no order 'aply' (its orders: plan, apply, check)" in done.stderr


def test_events_tell_the_story_in_order(deployed: Deployed) -> None:
    run_id = deployed.submitted(JOB)
    deployed("wait", run_id)

    told = json.loads(deployed("events", run_id, "--json").stdout)
    shown = deployed("events", run_id).stdout.splitlines()

    story = [(event["order_name"], event["event"]) for event in told["events"]]
    assert story[0] == ("_job", "accepted")
    assert story[-3:] == [("apply", "failed"), ("check", "skipped"), ("_job", "finished")]
    assert story.index(("plan", "succeeded")) < story.index(("apply", "claimed"))
    assert len(shown) == 1 + len(story)
    assert shown[-1].split()[2:] == ["s", "(run)", "finished", "(failed)"]


def test_runs_are_listed_the_latest_first(deployed: Deployed) -> None:
    run_ids = []
    for _ in range(3):  # one after the other: runs are listed by what they did last
        run_ids.append(deployed.submitted(GOOD_JOB))
        deployed("wait", run_ids[-1])

    told = json.loads(deployed("runs", "--json", "--limit", "3").stdout)["runs"]
    shown = deployed("runs", "--limit", "2").stdout.splitlines()

    assert [line["run_id"] for line in told] == run_ids[::-1]
    assert {line["status"] for line in told} == {"succeeded"}
    assert told[0]["about"] == "1 order for me"
    assert [line.split()[0] for line in shown] == ["run", run_ids[2], run_ids[1]]


@pytest.mark.parametrize(("events_too", "source"), [(False, "done"), (True, "events")])
def test_a_run_whose_rows_expired_is_told_by_what_is_left(
    deployed: Deployed, events_too: bool, source: str
) -> None:
    run_id = deployed.submitted(JOB)
    deployed("wait", run_id)
    expire(deployed, run_id, events_too=events_too)

    done = deployed("wait", run_id, "--json")

    told = json.loads(done.stdout)
    assert (told["source"], told["status"], statuses(told)) == (source, "failed", FAILED)
    assert done.returncode == 1


def test_an_interrupted_wait_leaves_the_run_alone(deployed: Deployed, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    job = f"username: me\norders:\n  a: {{cmds: ['cat {go}'], timeout: 50}}\n"

    with deployed.start("submit", deployed.job(job), "--wait") as waiting:
        assert waiting.stdout is not None
        run_id = waiting.stdout.readline().split()[1].rstrip(":")
        assert any("running" in line for line in waiting.stdout)
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=ENDS_IN)
    go.write_text("")

    assert waiting.returncode == 130
    assert f"`iac-ci cancel {run_id}` ends it" in told
    assert deployed("wait", run_id).returncode == 0


# -- cancel ---------------------------------------------------------------------------------------

STUBBORN = """\
username: me
orders:
  running:
    timeout: 540
    cmds: ["echo $$ >DIR/pid; trap 'touch DIR/told; exit 1' TERM; sleep 500 & wait"]
  waiting: {cmds: ["touch DIR/started"], timeout: 30, dependencies: [running]}
  free: {cmds: ["true"], timeout: 30}
"""


def test_cancel_reaches_the_running_command_and_nothing_starts_after_it(
    deployed: Deployed, tmp_path: Path
) -> None:
    run_id = deployed.submitted(STUBBORN.replace("DIR", str(tmp_path)))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())

    done = deployed("cancel", run_id, "--wait", "--json")

    told = json.loads(done.stdout)
    assert (done.returncode, told["status"]) == (0, "cancelled")
    assert statuses(told) == {"running": "cancelled", "waiting": "cancelled", "free": "succeeded"}
    assert told["orders"]["running"]["reason"] == "cancelled while running"
    assert "1 order will be told to stop" in done.stderr
    assert (tmp_path / "told").exists()
    assert not is_running(int((tmp_path / "pid").read_text()))
    assert not (tmp_path / "started").exists()
    assert deployed("wait", run_id).returncode == 1


def test_cancel_again_and_of_what_has_ended(deployed: Deployed, tmp_path: Path) -> None:
    succeeded = deployed.submitted(GOOD_JOB)
    deployed("wait", succeeded)
    cancelled = deployed.submitted(STUBBORN.replace("DIR", str(tmp_path)))

    first = deployed("cancel", cancelled, "--json")
    deployed("cancel", cancelled, "--wait")

    assert (first.returncode, json.loads(first.stdout)["closing"]) == (0, "cancelled")
    assert deployed("cancel", cancelled).returncode == 0
    late = deployed("cancel", succeeded)
    assert (late.returncode, late.stdout) == (1, "")
    assert f"run {succeeded} had ended before: succeeded" in late.stderr


# -- rerun ----------------------------------------------------------------------------------------

FLAKY = """\
username: me
env: {PLACE: DIR}
orders:
  plan: {cmds: ["echo planned >>$PLACE/plans"], timeout: 30}
  apply: {cmds: ["test -e $PLACE/ok"], timeout: 30, dependencies: [plan]}
  check: {cmds: ["true"], timeout: 30, dependencies: [apply]}
"""


def test_rerun_of_what_failed_carries_over_the_rest_and_says_so(
    deployed: Deployed, tmp_path: Path
) -> None:
    first = deployed.submitted(FLAKY.replace("DIR", str(tmp_path)))
    assert deployed("wait", first).returncode == 1
    (tmp_path / "ok").touch()

    done = deployed("rerun", first, "--failed", "--wait", "--json")

    told = json.loads(done.stdout)
    assert (done.returncode, told["status"], told["rerun_of"]) == (0, "succeeded", first)
    assert told["run_id"] != first
    assert told["orders"]["plan"]["reason"] == f"carried over from run {first}"
    assert f"1 order carried over from run {first}" in done.stderr
    assert (tmp_path / "plans").read_text() == "planned\n"
    assert (
        f"== plan: succeeded (carried over from run {first})"
        in deployed("logs", told["run_id"]).stdout
    )
    nothing = deployed("rerun", told["run_id"], "--failed")
    assert (nothing.returncode, "nothing is to be run again" in nothing.stderr) == (2, True)


def test_rerun_of_all_runs_all_again_by_the_function_too(
    deployed: Deployed, tmp_path: Path
) -> None:
    first = deployed.submitted(FLAKY.replace("DIR", str(tmp_path)))
    deployed("wait", first)
    function = Stack().functions["process_webhook"].name

    done = deployed("rerun", first, "--function", function, "--run-id", f"{first[:30]}-again")

    assert done.stdout == f"{first[:30]}-again\n"
    assert deployed("wait", done.stdout.strip()).returncode == 1
    assert (tmp_path / "plans").read_text() == "planned\n" * 2


def test_what_cannot_be_run_again_says_why(deployed: Deployed, tmp_path: Path) -> None:
    running = deployed.submitted(STUBBORN.replace("DIR", str(tmp_path)))
    early = deployed("rerun", running)
    deployed("cancel", running, "--wait")
    failed = deployed.submitted(FLAKY.replace("DIR", str(tmp_path)))
    deployed("wait", failed)
    expire(deployed, failed)

    late = deployed("rerun", failed, "--failed")

    assert (early.returncode, late.returncode) == (2, 2)
    assert "has not ended; wait for it, or cancel it first" in early.stderr
    assert "have expired; submit its job again" in late.stderr
