"""pytest's side of the applied stack: options, the `site` of a scenario, and the summary.

Every scenario runs in process; with `--endpoint` it runs on the applied stack too. The controlling
process applies and destroys, once; the workers ask for it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from tests.support.terraform.plugin import TOOLCHAIN

if TYPE_CHECKING:  # other layers' runs do not wait for these
    from tests.support.deployed.endpoint import Applied
    from tests.support.deployed.host import Host
    from tests.support.deployed.site import Site

IN_PROCESS: Final = "in-process"
ENDPOINT: Final = "endpoint"
ENDPOINT_VARIABLE: Final = "AWS_ENDPOINT_URL"
CA_VARIABLE: Final = "AWS_CA_BUNDLE"

_HOST: Final[pytest.StashKey[Host]] = pytest.StashKey()
_FOLDER: Final = pytest.StashKey[Path]()
_TIMEOUT_S: Final = 420  # of a test that may have to wait for the stack


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("deployed", "scenarios on the applied stack")
    group.addoption(
        "--endpoint",
        metavar="auto|URL",
        default=os.environ.get(ENDPOINT_VARIABLE),
        help=f"apply the stages there and run the scenarios there too ({ENDPOINT_VARIABLE})",
    )
    group.addoption(
        "--endpoint-ca",
        metavar="FILE",
        default=os.environ.get(CA_VARIABLE),
        help=f"the CA to trust there ({CA_VARIABLE})",
    )
    group.addoption(
        "--access-log", metavar="FILE", help="where an embedded AWS writes every call (JSON lines)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(capability): what a site must not lack")
    config.addinivalue_line("markers", "late: after the others of its layer: waits for the stack")
    config.addinivalue_line("markers", "endpoint_only: no scenario, but about what was applied")
    if hasattr(config, "workerinput"):
        if config.workerinput["deployed"]:
            config.stash[_FOLDER] = Path(config.workerinput["deployed"])
        return
    endpoint = config.option.endpoint
    if endpoint and endpoint != "auto" and not _of_this_machine(endpoint):
        raise pytest.UsageError(
            f"--endpoint (or {ENDPOINT_VARIABLE}) is {endpoint}: tests create and destroy, so only "
            "an AWS on this machine is allowed (127.0.0.1, localhost, *.localhost.localstack.cloud)"
        )


def _of_this_machine(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    return parts.scheme in ("http", "https") and (
        host in ("localhost", "::1")
        or host.startswith("127.")
        or host == "localhost.localstack.cloud"
        or host.endswith((".localhost", ".localhost.localstack.cloud"))
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput") or not config.option.endpoint or config.option.collectonly:
        return
    toolchain = config.stash.get(TOOLCHAIN, "not looked for: there are unit tests only")
    if isinstance(toolchain, str):
        return
    from tests.support.deployed.host import Host

    option = config.option
    host = config.stash[_HOST] = Host(
        endpoint=option.endpoint,
        ca=Path(option.endpoint_ca).absolute() if option.endpoint_ca else None,
        toolchain=toolchain,
        folder=Path(tempfile.mkdtemp(prefix="iac-ci-deployed-")),
        access_log=Path(option.access_log).absolute() if option.access_log else None,
    )
    config.stash[_FOLDER] = host.folder


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    folder = node.config.stash.get(_FOLDER, None)
    node.workerinput["deployed"] = str(folder) if folder else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = bool(metafunc.config.option.endpoint)
    if "port_platform" in metafunc.fixturenames:
        metafunc.parametrize("port_platform", ["memory", "moto", *[ENDPOINT] * asked])
    if "site" not in metafunc.fixturenames:
        return
    only = metafunc.definition.get_closest_marker("endpoint_only")
    params = [] if only else [IN_PROCESS]
    if asked or only:
        params.append(ENDPOINT)
    metafunc.parametrize("site", params, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Ask for the stack as early as can be: it is put up beside the other tests."""
    of_it = [item for item in items if _is_deployed(item)]
    for item in of_it:
        item.add_marker(pytest.mark.timeout(_TIMEOUT_S))
        item.add_marker(pytest.mark.late)
    folder = config.stash.get(_FOLDER, None)
    if of_it and folder is not None:
        from tests.support.deployed.host import Desk

        Desk(folder).ask()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Wait for the stack where this process runs the tests too, and not workers of its own.

    Beside terraform's processes a scenario's pool of workers would take them for its strays.
    """
    host = session.config.stash.get(_HOST, None)
    if host is not None and host.desk.wanted.exists():
        from tests.support.deployed.host import NotAppliedError

        with suppress(NotAppliedError):  # told to the tests that want it
            host.desk.get(_TIMEOUT_S - 30)


def _is_deployed(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and ENDPOINT in callspec.params.values()


@pytest.fixture(scope="session")
def applied(request: pytest.FixtureRequest) -> Applied:
    """The applied stack; skips where there is none, fails where it could not be applied."""
    from tests.support.deployed.host import Desk, NotAppliedError

    config = request.config
    if not config.option.endpoint:
        pytest.skip("about the applied stack: run with --endpoint auto")
    folder = config.stash.get(_FOLDER, None)
    if folder is None:
        pytest.skip(str(config.stash.get(TOOLCHAIN, "no terraform was looked for")))
    try:
        return Desk(folder).get(_TIMEOUT_S - 30)
    except NotAppliedError as error:
        pytest.fail(f"the stack is not there: {error}", pytrace=False)


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Where a scenario runs. What it left in stores is searched for secrets in clear afterwards.

    On the applied stack that is done once, when all scenarios are over (`Host.close`).
    """
    if request.param == IN_PROCESS:
        from tests.support.deployed.in_process import in_process
        from tests.support.leaks import out_of_place

        with in_process() as made:
            yield made
            assert out_of_place(made.left(), made.stored_secrets()) == []
        return
    from tests.support.deployed.endpoint import EndpointSite

    yield EndpointSite(request.getfixturevalue("applied"))


@pytest.fixture(autouse=True)
def _capabilities(request: pytest.FixtureRequest) -> None:
    marks = [*request.node.iter_markers("needs")]
    if not marks:
        return
    site: Site = request.getfixturevalue("site")
    for capability in ["functions", *(name for mark in marks for name in mark.args)]:
        if capability in site.lacks:
            pytest.skip(f"{site.name} lacks {capability}: {site.lacks[capability]}")


@pytest.hookimpl(wrapper=True, trylast=True)  # within the terminal's, which tells of it
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Take the stack down, whatever became of the tests, and of what others do at the end."""
    try:
        return (yield)
    finally:
        host = session.config.stash.get(_HOST, None)
        if host is not None:
            host.close(hurry=session.exitstatus == pytest.ExitCode.INTERRUPTED)
            if host.problems and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many scenarios ran where, and what became of the stack."""
    for line in _where(terminalreporter):
        terminalreporter.write_line(line)
    host = config.stash.get(_HOST, None)
    for line in host.told if host else ():
        terminalreporter.write_line(f"applied stack: {line}")
    for line in host.problems if host else ():
        terminalreporter.write_line(f"applied stack: {line}", red=True)


def ran_elsewhere(reporter: Any) -> set[str]:
    """Return the scenarios that were skipped in one place and ran in the other: no gap."""
    ran = {
        _scenario(report.nodeid)
        for outcome in ("passed", "failed")
        for report in reporter.stats.get(outcome, [])
        if place_of(report.nodeid)
    }
    skipped = [report.nodeid for report in reporter.stats.get("skipped", [])]
    return {nodeid for nodeid in skipped if place_of(nodeid) and _scenario(nodeid) in ran}


def _where(reporter: Any) -> Iterator[str]:
    outcomes = ("passed", "failed", "error", "skipped")
    for place in (IN_PROCESS, ENDPOINT):
        found = {
            outcome: [
                report
                for report in reporter.stats.get(outcome, [])
                if place_of(report.nodeid) == place
            ]
            for outcome in outcomes
        }
        told = [f"{len(reports)} {outcome}" for outcome, reports in found.items() if reports]
        ran = [*found["passed"], *found["failed"]]
        if ran:
            took = max(report.stop for report in ran) - min(report.start for report in ran)
            told.append(f"within {took:.0f} s")
        if told:
            yield f"scenarios {place}: {', '.join(told)}"


def place_of(nodeid: str) -> str | None:
    """Return where a scenario runs; None: it is no scenario, whatever its other parameters say."""
    ids = nodeid.rpartition("[")[2].rstrip("]") if nodeid.endswith("]") else ""
    found = re.search(rf"(?:^|-)({IN_PROCESS}|{ENDPOINT})(?:-|$)", ids)
    return found[1] if found else None


def _scenario(nodeid: str) -> str:
    return nodeid.replace(IN_PROCESS, "*").replace(ENDPOINT, "*")
