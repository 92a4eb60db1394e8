"""pytest's side of the permissions: notes every handler's calls in every test, judges at the end.

Each process writes what it saw, once, as JSON lines into a folder that the controlling process
reads when the session ends. A call that no policy grants fails every session. Unused and too broad
grants need the whole to be seen: they fail a session of all tests (or of all integration tests) and
any with `--iam`, which runs the tests on moto alone and prints the table. `report.json` has it all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tests.support.iam.recorder import Call, Recorder
    from tests.support.iam.report import Report

FOLDER: Final = "iam"
JSON: Final = "report.json"
ACCESS_LOG: Final = "access.jsonl"
_NOTES: Final = pytest.StashKey["Notes"]()
_REPORT: Final = pytest.StashKey["Report | str"]()


class Notes:
    """What this process saw: a file with a line for each call that is not in it yet."""

    def __init__(self, folder: Path) -> None:
        from src.local.moto_world import MotoWorld
        from tests.support.iam.recorder import Recorder

        self._path = folder / f"calls-{os.getpid()}.jsonl"
        self._seen: set[Call] = set()
        self.recorder: Recorder = Recorder()
        self.test = ""
        MotoWorld.observers.append(self.recorder.attach)

    def note(self, call: Call) -> None:
        """Keep a call, with the test that made it first."""
        if call not in self._seen:
            self._seen.add(call)
            with self._path.open("a") as file:
                file.write(json.dumps({**call.to_item(), "test": self.test}) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--iam",
        action="store_true",
        help="run the tests that record AWS calls; compare these with what the plan grants",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "stand_ins(why): its handlers are made up, their calls are not judged"
    )
    folder = _folder(config)
    if folder and not hasattr(config, "workerinput"):
        for old in (*folder.glob("calls-*.jsonl"), folder / ACCESS_LOG):
            old.unlink(missing_ok=True)
        if not getattr(config.option, "access_log", None):  # of the stack, if one is applied
            config.option.access_log = str(folder / ACCESS_LOG)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.iam:
        kept = [item for item in items if _is_of_handlers(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    """Be there before the first world is."""
    folder = _folder(session.config)
    if folder and any(item.get_closest_marker("integration") for item in session.items):
        session.config.stash[_NOTES] = Notes(folder)


def _is_of_handlers(item: pytest.Item) -> bool:
    fixtures = {*getattr(item, "fixturenames", ())}
    return "moto" in item.name or bool({"moto", "site"} & fixtures)


@pytest.fixture(autouse=True)
def _recorded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note the calls of a test's handlers."""
    notes = request.config.stash.get(_NOTES, None)
    if notes is None or request.node.get_closest_marker("stand_ins"):
        yield
        return
    notes.test = request.node.nodeid
    with notes.recorder.told_to(notes.note):
        yield


@pytest.fixture
def recorder(request: pytest.FixtureRequest) -> Recorder:
    """What hears every call on moto."""
    notes = request.config.stash.get(_NOTES, None)
    if notes is None:
        pytest.skip("nowhere to record to (-p no:cacheprovider)")
    return notes.recorder


def _folder(config: pytest.Config) -> Path | None:
    cache = getattr(config, "cache", None)  # None, or not there: -p no:cacheprovider
    return cache.mkdir(FOLDER) if cache else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge what all processes noted."""
    config = session.config
    folder = _folder(config)
    if folder is None or hasattr(config, "workerinput") or config.option.collectonly:
        return
    calls, logged = _calls(folder), _logged(config)
    if not (calls or logged or config.option.iam):
        return
    report = _judged(config, calls, logged)
    if report is None:
        return
    config.stash[_REPORT] = report
    if not isinstance(report, str):
        (folder / JSON).write_text(json.dumps(report.to_item(), indent=1) + "\n")
    failed = isinstance(report, str) or bool(report.findings)
    if failed and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _calls(folder: Path) -> set[Call]:
    from tests.support.iam.recorder import Call

    texts = [path.read_text() for path in folder.glob("calls-*.jsonl")]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return {Call(**{name: line[name] for name in line if name != "test"}) for line in lines}


def _logged(config: pytest.Config) -> list[str]:
    """Return what the access log of the applied stack says: whole lines."""
    path = Path(config.option.access_log)
    return path.read_text().splitlines() if path.exists() else []


def _judged(config: pytest.Config, calls: set[Call], logged: list[str]) -> Report | str | None:
    from tests.support.iam.report import Report
    from tests.support.terraform.plugin import planned
    from tests.support.terraform.stages import DEPLOY, case

    plan = planned(config, case(DEPLOY))
    if isinstance(plan, str):
        return plan if config.option.iam else None
    judged = Report.of if _is_whole(config) else Report.of_denials
    try:
        return judged(plan, calls, logged)
    except NotImplementedError as error:  # a policy says what nobody reads
        return str(error)


def _is_whole(config: pytest.Config) -> bool:
    """Whether every test that records was asked for."""
    option = config.option
    chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or option.keyword
    return bool(option.iam) or (not chosen and option.markexpr in {"", "integration"})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    report = config.stash.get(_REPORT, None)
    if report is None:
        return
    if isinstance(report, str):
        terminalreporter.write_line(f"permissions: not judged: {report}", red=True)
        return
    if config.option.iam:
        terminalreporter.section("permissions")
        for row in report.rows:
            terminalreporter.write_line(report.line(row), red=row.is_finding)
        terminalreporter.write_line(f"\n{report.table}\n")
    elif report.findings:
        terminalreporter.section("permissions: make iam shows all")
        for row in report.findings:
            terminalreporter.write_line(report.line(row), red=True)
