"""`iac-ci` as users and scripts call it: a process of its own, real orders, real signals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from src.local.run import CLOSE_GRACE_S

pytestmark = pytest.mark.integration

IAC_CI = Path(sys.executable).parent / "iac-ci"
ENDS_IN = 60  # seconds: a bound on waiting, no measure

JOB = """\
username: me
orders:
  plan: {cmds: ["echo planned"], timeout: 30}
  apply: {cmds: ["echo applied; exit 3"], timeout: 30, dependencies: [plan]}
  check: {cmds: ["true"], timeout: 30, dependencies: [apply]}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    return file


def iac_ci(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [IAC_CI, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=ENDS_IN,
        check=False,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize("aws", ["embedded", "moto"])
def test_failed_job_tells_programs_what_happened(job: Path, aws: str) -> None:
    done = iac_ci("run", job, "--json", "--aws", aws)

    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert set(told) >= {"run_id", "trace_id", "flow_id", "status", "orders"}
    assert told["status"] == "failed"
    assert {name: order["status"] for name, order in told["orders"].items()} == {
        "plan": "succeeded",
        "apply": "failed",
        "check": "skipped",
    }
    assert told["orders"]["apply"]["exit_code"] == 3
    assert "planned" in told["orders"]["plan"]["log"]


CODE_JOB = """\
username: me
orders:
  plan:
    cmds: ["cat d/main.tf"]
    timeout: 30
    s3_location: s3://code/app/v1.zip
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder that stands for a bucket, with one zip in it."""
    (tmp_path / "bucket" / "app").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "bucket" / "app" / "v1.zip", "w") as archive:
        archive.writestr("d/main.tf", "from the bucket")
    (tmp_path / "code.yaml").write_text(CODE_JOB)
    return tmp_path / "bucket"


@pytest.mark.parametrize("aws", ["embedded", "moto"])
def test_a_folder_stands_for_a_bucket_of_code(code: Path, aws: str) -> None:
    job = code.parent / "code.yaml"

    done = iac_ci("run", job, "--json", "--aws", aws, "--bucket", f"code={code}")

    assert done.returncode == 0, done.stderr
    assert "from the bucket" in json.loads(done.stdout)["orders"]["plan"]["log"]


def test_code_of_a_bucket_that_cannot_be_had_is_named(code: Path) -> None:
    job, zipped = code.parent / "code.yaml", code / "app" / "v1.zip"
    at = f"{job}:6: orders.plan.s3_location: "
    what = "s3://code/app/v1.zip"
    given = ("--bucket", f"code={code}")

    assert f"{at}{what} cannot be read: no folder stands for the bucket" in refused(job)

    zipped.write_bytes(zipped.read_bytes()[:-30])
    assert f"{at}reading {what}: not a sound zip" in refused(job, *given)

    zipped.unlink()
    assert f"{at}{what} cannot be read: there is no file app/v1.zip" in refused(job, *given)

    (code.parent / "outside.zip").write_bytes(b"x")
    zipped.symlink_to(code.parent / "outside.zip")
    assert f"{at}{what} cannot be read: there is no file app/v1.zip" in refused(job, *given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["code"], "code: --bucket: expected NAME=DIR"),
        (["=here"], "=here: --bucket: expected NAME=DIR"),
        (["code=gone"], "gone: --bucket: is no folder"),
        (["code=.", "code=/"], "/: --bucket: code is given twice"),
    ],
)
def test_a_bucket_option_that_means_nothing_is_refused(
    options: list[str], message: str, job: Path
) -> None:
    given = [word for option in options for word in ("--bucket", option)]

    assert message in refused(job, *given)


def refused(*args: object) -> str:
    done = iac_ci("run", *args)
    assert done.returncode == 2
    return done.stderr


def test_log_dir_keeps_the_record_of_a_real_run(job: Path, tmp_path: Path) -> None:
    iac_ci("run", job, "--log-dir", tmp_path / "logs")

    found = {path.name for path in (tmp_path / "logs").iterdir()}
    assert found == {"plan.log", "apply.log", "run.json", "events.jsonl"}
    assert "planned" in (tmp_path / "logs" / "plan.log").read_text()


def test_recorded_events_tell_what_failed_before_what_follows_from_it(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    orders = {
        "plan": {"cmds": ["exit 1"], "timeout": 30},
        "apply": {"cmds": ["true"], "timeout": 30, "dependencies": ["plan"]},
    }
    file.write_text(json.dumps({"username": "alice", "orders": orders}))

    iac_ci("run", file, "--log-dir", tmp_path / "logs")

    events = map(json.loads, (tmp_path / "logs/events.jsonl").read_text().splitlines())
    told = [(event["order_name"], event["event"]) for event in events]
    assert told[-3:] == [("plan", "failed"), ("apply", "skipped"), ("_job", "finished")]


def test_log_dir_used_again_holds_the_later_run_alone(tmp_path: Path) -> None:
    def a_job(name: str, *cmds: str) -> Path:
        file = tmp_path / f"{name}.json"
        orders = {name: {"cmds": ["echo first"], "timeout": 30}}
        orders["shared"] = {"cmds": list(cmds), "timeout": 30, "dependencies": [name]}
        file.write_text(json.dumps({"username": "alice", "orders": orders}))
        return file

    logs = tmp_path / "logs"
    iac_ci("run", a_job("old", "echo earlier"), "--log-dir", logs)
    iac_ci("run", a_job("new", "echo later"), "--log-dir", logs)

    assert {path.name for path in logs.iterdir()} == {
        *("new.log", "shared.log"),
        *("run.json", "events.jsonl"),
    }
    assert "later" in (logs / "shared.log").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_behind_stdout_loses_no_record(
    job: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [IAC_CI, "run", job, "--log-dir", tmp_path / "logs", *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert "Traceback" not in process.stderr
    assert (tmp_path / "logs" / "run.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", [("run", "--json"), ("validate",), ("graph",)])
def test_an_answer_that_could_not_be_written_is_no_success(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "job.yaml").write_text("username: me\norders: {a: {cmds: ['true'], timeout: 30}}\n")
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [IAC_CI, *command, tmp_path / "job.yaml"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert process.returncode == 1
    assert process.stderr.endswith("writing the answer: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_no_room_for_an_answer_about_itself_is_told_in_a_line(option: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [IAC_CI, option], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert (done.returncode, done.stderr) == (1, "[Errno 28] No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_refusal_that_nobody_can_read_is_2_all_the_same(tmp_path: Path, unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [IAC_CI, "validate", tmp_path / "no.yaml"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=full,
            check=False,
        )

    assert done.returncode == 2


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_place_for_temporary_files_is_told_in_a_line(
    job: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "tempfile.py").write_text("""\
def mkdtemp(*_, **__):
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")
NamedTemporaryFile = TemporaryDirectory = TemporaryFile = SpooledTemporaryFile = mkdtemp
""")

    done = iac_ci("run", job, *options, PYTHONPATH=str(tmp_path))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "[Errno 2] No usable temporary directory found in ['/tmp']\n"


def test_moto_that_is_not_installed_is_told_in_a_line(job: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['moto'] = None\n")

    done = iac_ci("run", job, "--aws", "moto", PYTHONPATH=str(tmp_path))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("--aws moto: moto comes with the development dependencies")


@pytest.mark.parametrize("command", ["run", "validate", "graph"])
def test_a_job_may_come_by_stdin(command: str) -> None:
    done = subprocess.run(
        [IAC_CI, command, "-"],
        input="username: me\norders: {only: {cmds: ['true'], timeout: 30}}\n",
        capture_output=True,
        text=True,
        timeout=ENDS_IN,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "only" in done.stdout or "1 order" in done.stdout


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@pytest.mark.parametrize(("orders", "code"), [(3, 0), (100, 1)])
def test_parallel_asks_for_no_more_processes_than_orders_and_says_where_they_end(
    tmp_path: Path, orders: int, code: int
) -> None:
    made = [{"order_name": f"o{n}", "cmds": ["true"], "timeout": 30} for n in range(orders)]
    (tmp_path / "job.json").write_text(json.dumps({"username": "me", "orders": made}))

    done = subprocess.run(
        [IAC_CI, "run", tmp_path / "job.json", "--parallel", "100"],
        capture_output=True,
        text=True,
        timeout=ENDS_IN,
        check=False,
        preexec_fn=few_files,
    )

    assert done.returncode == code
    complaints = done.stderr.splitlines()
    assert [line.startswith("starting worker process ") for line in complaints] == [True] * code


def test_env_file_lies_under_the_jobs_own_env(tmp_path: Path) -> None:
    (tmp_path / "some.env").write_text("BOTH=file\nFILE=file\n")
    (tmp_path / "job.yaml").write_text("""\
username: me
env: {BOTH: job}
orders:
  a: {cmds: ['test "$BOTH $FILE" = "job file"'], timeout: 30}
""")

    done = iac_ci("run", tmp_path / "job.yaml", "--env-file", tmp_path / "some.env")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii", "TERM": "dumb"},
        {"COLUMNS": "40", "NO_COLOR": "1"},
        {"COLUMNS": "1"},
        {"COLUMNS": "0"},
    ],
    ids=["ascii", "narrow", "absurd", "unknown"],
)
def test_odd_terminals_are_no_reason_to_fail(job: Path, env: Mapping[str, str]) -> None:
    done = iac_ci("run", job, **env)

    assert done.returncode == 1
    assert done.stderr == ""
    assert " failed in " in done.stdout


def test_terminal_sees_progress_in_place_and_a_table_at_the_end(job: Path) -> None:
    code, shown = on_terminal("run", str(job))

    assert code == 1
    assert "orders ended" in shown  # the live header
    assert "\x1b[2K" in shown  # which was redrawn
    assert "apply: failed (exit 3)" in shown
    assert "timeline" in shown


def on_terminal(*args: str) -> tuple[int, str]:
    """Run on a terminal of 24 rows and 80 columns; return exit code and all that it was sent."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color"}
    env.pop("COLUMNS", None)
    with subprocess.Popen(
        [IAC_CI, *args], stdin=terminal, stdout=terminal, stderr=terminal, env=env
    ) as child:
        os.close(terminal)
        sent = bytearray()
        while select.select([controller], [], [], ENDS_IN)[0]:
            try:
                sent += os.read(controller, 65536)
            except OSError:  # the other end was closed
                break
        os.close(controller)
        return child.wait(ENDS_IN), sent.decode()


@pytest.fixture
def long_job(tmp_path: Path) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(f"""\
username: me
orders:
  long: {{cmds: ["echo $$ > {tmp_path}/pid; echo started; sleep 600"], timeout: 500}}
  next: {{cmds: ["true"], timeout: 30, dependencies: [long]}}
""")
    return file


def start(long_job: Path, *options: str, grouped: bool = False) -> subprocess.Popen[str]:
    """Start a long job, maybe in a group of its own; return once its first command runs."""
    outside = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    try:
        child = subprocess.Popen(
            [IAC_CI, "run", long_job, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=grouped,
        )
    finally:
        signal.signal(signal.SIGHUP, outside)
    stream = child.stderr if "--json" in options else child.stdout
    assert stream is not None
    assert any("| started" in line for line in stream)
    return child


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_ends_its_children_and_says_cancelled(
    long_job: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with start(long_job, "--json") as child:
        child.send_signal(number)
        told, _ = child.communicate(timeout=ENDS_IN)

    assert child.returncode == 130
    assert json.loads(told)["status"] == "cancelled"
    assert {order["status"] for order in json.loads(told)["orders"].values()} == {"cancelled"}
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_cancels_in_good_order(
    long_job: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """As of a terminal that closes, of `timeout`, of a service manager."""
    with start(long_job, "--log-dir", str(tmp_path / "logs"), grouped=True) as child:
        child.send_signal(number)
        os.killpg(child.pid, number)
        _, complaints = child.communicate(timeout=ENDS_IN)

    assert (child.returncode, complaints) == (130, "")
    assert json.loads((tmp_path / "logs" / "run.json").read_text())["status"] == "cancelled"
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_quitting_leaves_no_children(long_job: Path, tmp_path: Path) -> None:
    with start(long_job, grouped=True) as child:
        os.killpg(child.pid, signal.SIGQUIT)
        child.communicate(timeout=ENDS_IN)
    until = time.monotonic() + ENDS_IN
    while is_alive(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < until
        time.sleep(0.02)

    assert child.returncode == -signal.SIGQUIT


def test_interrupt_waits_for_no_repository_that_does_not_answer(tmp_path: Path) -> None:
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/new && mv {tmp_path}/new {tmp_path}/pid\nsleep 600\n"
    )
    git.chmod(0o755)
    job = tmp_path / "job.yaml"
    job.write_text(f"git_repo: file://{tmp_path}/none\n{JOB}")

    with subprocess.Popen(
        [IAC_CI, "run", job],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{git.parent}:{os.environ['PATH']}"},
    ) as child:
        until = time.monotonic() + ENDS_IN
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        since = time.monotonic()
        child.send_signal(signal.SIGINT)
        told, complaints = child.communicate(timeout=ENDS_IN)

    assert time.monotonic() - since < 10  # of the twenty that it would be tried for
    assert (child.returncode, complaints) == (130, "")
    assert "cancelled" in told
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_interrupted_run_writes_a_page_that_says_cancelled(long_job: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "run.html"
    page.parent.mkdir()
    with start(long_job, "--report", str(page)) as child:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=ENDS_IN)

    assert child.returncode == 130
    assert "<title>■ cancelled: run " in page.read_text()
    assert list(page.parent.iterdir()) == [page]


def test_run_that_is_stopped_at_once_leaves_an_earlier_page_whole(
    long_job: Path, tmp_path: Path
) -> None:
    page = tmp_path / "pages" / "run.html"
    page.parent.mkdir()
    page.write_text("earlier")
    with start(long_job, "--report", str(page)) as child:
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=ENDS_IN)

    assert page.read_text() == "earlier"
    assert list(page.parent.iterdir()) == [page]


def test_secrets_stay_masked_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_text("/app/password: correct-horse-battery\n")
    (tmp_path / "job.yaml").write_text("""\
username: me
orders:
  a: {cmds: ['echo "<$PASSWORD>"'], timeout: 30, ssm_paths: [/app/password]}
""")

    files = (tmp_path / "job.yaml", "--secrets", tmp_path / "secrets.yaml")
    done = iac_ci("run", *files, "--report", tmp_path / "page.html")

    html = (tmp_path / "page.html").read_text()
    assert done.returncode == 0, done.stdout
    assert "correct-horse-battery" not in html
    assert "\n&lt;***&gt;" in html
    assert "<code data-search>echo &#34;&lt;$PASSWORD&gt;&#34;</code>" in html


def test_an_interrupt_while_the_program_starts_is_130(job: Path, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")  # as by the user, just then

    done = iac_ci("run", job, PYTHONPATH=str(tmp_path))

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_second_interrupt_stops_at_once_and_leaves_no_children(
    long_job: Path, tmp_path: Path
) -> None:
    with start(long_job) as child:
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=ENDS_IN)

    assert child.returncode == 130
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_second_interrupt_waits_for_no_command_that_ignores_signals(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(f"""\
username: me
orders:
  deaf:
    timeout: 500
    cmds: ["trap '' TERM; echo $$ > {tmp_path}/pid; echo started; while true; do sleep 1; done"]
""")
    with start(job) as child:
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        since = time.monotonic()
        child.communicate(timeout=ENDS_IN)

    assert time.monotonic() - since < CLOSE_GRACE_S
    assert child.returncode == 130
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_run_goes_on_when_its_reader_went_away(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(f"""\
username: me
orders:
  a: {{cmds: ["cat {tmp_path}/gone; seq 1000; touch {tmp_path}/done"], timeout: 30}}
""")
    os.mkfifo(tmp_path / "gone")

    with subprocess.Popen([IAC_CI, "run", tmp_path / "job.yaml"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        (tmp_path / "gone").write_text("")
        code = child.wait(ENDS_IN)

    assert code == 0
    assert (tmp_path / "done").exists()


def test_completion_is_offered_for_common_shells() -> None:
    done = iac_ci(_IAC_CI_COMPLETE="complete_bash", COMP_WORDS="iac-ci va", COMP_CWORD="1")

    assert done.stdout.strip() == "validate"
