"""What every test run keeps to: layers, isolation, and a last line that hides nothing.

Each test belongs to exactly one layer (unit, plan, integration), said by a marker and enforced at
collection; layers run in that order. No test sees the caller's AWS configuration or reaches
beyond this machine. A run ends with one line that lists what did not run and why; with
`--strict-layers` or `STRICT=1` such a gap fails the run.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

LAYERS: Final = ("unit", "plan", "integration")
FOLDERS: Final = {**{layer: layer for layer in LAYERS}, "simulation": "integration"}  # their layer
THIS_MACHINE: Final = ["127.0.0.1", "::1", "localhost"]

pytest_plugins = [
    "tests.simulation.plugin",
    "tests.support.browser",
    "tests.support.iam.plugin",
    "tests.support.terraform.plugin",
    "tests.support.deployed.plugin",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-layers",
        action="store_true",
        default=os.environ.get("STRICT") == "1",
        help="fail the run when a test was skipped (default: set by STRICT=1)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "IAC_CI_"))]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or no test could send one
    gc.set_threshold(50_000, 20, 50)  # what is collected stays: looking at it took a fifth
    if config.option.markexpr != "plan":  # which draws no examples: the import takes a second
        _no_deadlines()


def _no_deadlines() -> None:
    """Hypothesis shall judge behaviour; a busy machine is no counterexample.

    `HYPOTHESIS_PROFILE=thorough` looks at a thousand examples where a normal run takes thirty.
    """
    import hypothesis

    hypothesis.settings.register_profile("quick", deadline=None, print_blob=True, max_examples=30)
    hypothesis.settings.register_profile(
        "thorough", parent=hypothesis.settings.get_profile("quick"), max_examples=1000
    )
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Make a test without exactly one layer an error of collection."""
    report = yield
    items = [node for node in report.result or () if isinstance(node, pytest.Item)]
    found = {item.nodeid: _layers(item) for item in items}
    if wrong := {nodeid: layers for nodeid, layers in found.items() if not _fits(nodeid, layers)}:
        report.outcome = "failed"
        rule = f"each test has exactly one layer of {', '.join(LAYERS)}, that of its folder:\n"
        report.longrepr = rule + "\n".join(
            f"  {nodeid}: {', '.join(layers) or 'none'}" for nodeid, layers in wrong.items()
        )
        report.result = []
    return report


def _fits(nodeid: str, layers: list[str]) -> bool:
    folder = [FOLDERS[part] for part in nodeid.split("/")[:-1] if part in FOLDERS]
    return len(layers) == 1 and (not folder or folder == layers)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folders of other layers alone when one layer is asked for: importing takes time."""
    asked = config.option.markexpr
    others = {name for name, layer in FOLDERS.items() if layer != asked and asked in LAYERS}
    return True if collection_path.is_dir() and collection_path.name in others else None


@pytest.hookimpl(trylast=True)  # after pytest-randomly has shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: (LAYERS.index(*_layers(item)), bool(item.get_closest_marker("late")))
    )
    for item in items:
        if "unit" in _layers(item):
            item.add_marker(pytest.mark.disable_socket)
        else:
            item.add_marker(pytest.mark.allow_hosts(THIS_MACHINE))


def _layers(item: pytest.Item) -> list[str]:
    return [layer for layer in LAYERS if item.get_closest_marker(layer)]


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the terminal's own last words
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    is_worker = hasattr(session.config, "workerinput")
    if reporter is None or is_worker or session.config.option.collectonly:
        return result
    from tests.support.deployed.plugin import ran_elsewhere

    elsewhere = ran_elsewhere(reporter)
    skipped = reporter.stats.get("skipped", [])
    gaps = _gaps([report for report in skipped if report.nodeid not in elsewhere])
    strict = bool(gaps) and session.config.getoption("--strict-layers")
    if strict and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    line = "not run: " + (", ".join(gaps) or "nothing") + (" (strict: a failure)" if strict else "")
    reporter.ensure_newline()
    reporter.write_line(line, red=strict, yellow=bool(gaps) and not strict)
    return result


def _gaps(reports: list[Any]) -> list[str]:
    """Group skips by layer and reason: `2 plan (no terraform)`."""
    unique = {(report.nodeid, _reason(report)): _layer(report) for report in reports}
    counted = Counter((layer, reason) for (_, reason), layer in unique.items())
    return [f"{count} {layer} ({reason})" for (layer, reason), count in sorted(counted.items())]


def _reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ") or "no reason given"


def _layer(report: Any) -> str:
    """A test's layer is its marker; a module that was skipped whole is known by its folder."""
    keywords = getattr(report, "keywords", {})
    folders = report.nodeid.split("/")
    by_folder = [FOLDERS[folder] for folder in folders if folder in FOLDERS]
    return next((layer for layer in LAYERS if layer in keywords or layer in by_folder), "test")
