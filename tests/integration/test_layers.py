"""The machinery of conftest.py: one layer per test, no AWS from outside, and no silent gaps."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

CONFTEST = Path(__file__).parents[2] / "conftest.py"
MARKERS = "".join(f"  {layer}: a layer\n" for layer in ("unit", "plan", "integration"))


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of its own that uses this project's conftest.py."""
    monkeypatch.delenv("STRICT", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini(f"[pytest]\nmarkers =\n{MARKERS}")
    return pytester


def run(suite: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    suite.makepyfile(test_it=f"import pytest\n{body}")
    return suite.runpytest_subprocess(*options)


SKIPPED = """
@pytest.mark.plan
@pytest.mark.parametrize("n", [1, 2])
def test_a(n):
    pytest.skip("no terraform")
"""


def test_complete_run_ends_by_saying_so(suite: pytest.Pytester) -> None:
    result = run(suite, "@pytest.mark.unit\ndef test_a(): pass")

    assert result.ret == pytest.ExitCode.OK
    assert result.outlines[-1] == "not run: nothing"


def test_skips_are_counted_by_layer_and_reason_in_the_last_line(suite: pytest.Pytester) -> None:
    result = run(suite, SKIPPED)

    assert result.ret == pytest.ExitCode.OK
    assert result.outlines[-1] == "not run: 2 plan (no terraform)"


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_strict_makes_a_skip_a_failure(suite: pytest.Pytester, workers: list[str]) -> None:
    result = run(suite, SKIPPED, "--strict-layers", *workers)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.outlines[-1] == "not run: 2 plan (no terraform) (strict: a failure)"


def test_strict_comes_from_the_environment_too(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRICT", "1")

    assert run(suite, SKIPPED).ret == pytest.ExitCode.TESTS_FAILED


def test_module_skipped_by_every_worker_is_counted_once(suite: pytest.Pytester) -> None:
    result = run(suite, "pytest.skip('no such thing', allow_module_level=True)", "-n", "2")

    assert result.outlines[-1] == "not run: 1 test (no such thing)"


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_test_without_exactly_one_layer_is_refused(
    suite: pytest.Pytester, workers: list[str]
) -> None:
    body = """
def test_none(): pass

@pytest.mark.unit
@pytest.mark.plan
def test_two(): pass
"""

    result = run(suite, body, *workers)

    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines_random(
        ["*test_it.py::test_none: none", "*test_it.py::test_two: unit, plan"]
    )


def test_layers_run_from_the_fastest_to_the_slowest(suite: pytest.Pytester) -> None:
    body = "".join(
        f"@pytest.mark.{layer}\ndef test_{layer}(): pass\n"
        for layer in ("integration", "plan", "unit")
    )

    lines = run(suite, body, "-v").outlines

    order = [line.split("::")[1].split()[0] for line in lines if "PASSED" in line]
    assert order == ["test_unit", "test_plan", "test_integration"]


def test_no_test_sees_the_callers_aws_configuration(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("IAC_CI_ORDERS_TABLE", "orders")
    body = """
import os
@pytest.mark.unit
def test_a():
    assert "AWS_PROFILE" not in os.environ
    assert "IAC_CI_ORDERS_TABLE" not in os.environ
    assert os.environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
"""

    run(suite, body).assert_outcomes(passed=1)


def test_unit_tests_have_no_network_and_others_this_machine_only(suite: pytest.Pytester) -> None:
    body = """
import socket
from pytest_socket import SocketBlockedError, SocketConnectBlockedError
@pytest.mark.unit
def test_unit():
    with pytest.raises(SocketBlockedError):
        socket.socket()
@pytest.mark.integration
def test_integration():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    with pytest.raises(SocketConnectBlockedError), socket.socket() as other:
        other.connect(("192.0.2.1", 80))
"""

    run(suite, body).assert_outcomes(passed=2)


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_what_tests_start_can_be_interrupted_when_a_script_began_them_in_its_background(
    suite: pytest.Pytester, workers: list[str]
) -> None:
    body = """
import signal, subprocess, sys
START = "import signal; print(signal.getsignal(signal.SIGINT).__class__.__name__)"

@pytest.mark.integration
def test_a():
    started = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True)
    assert started.stdout == "builtin_function_or_method\\n"
"""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = run(suite, body, *workers)
    finally:
        signal.signal(signal.SIGINT, before)

    assert result.ret == pytest.ExitCode.OK
