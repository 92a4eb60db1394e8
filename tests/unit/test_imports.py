"""Who may import what: only adapters and composition roots know boto3, and handlers stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
HANDLERS = sorted(path.parent.name for path in SRC.glob("*/handler.py"))
HEAVY = ("boto3", "botocore", "moto", "typer", "rich", "yaml", "git", "github")


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return file -> every module that it names in an import, those for type checkers included."""
    return {
        path.relative_to(SRC).as_posix(): frozenset(_imported(path)) for path in SRC.rglob("*.py")
    }


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def importers(wanted: Callable[[str], bool]) -> set[str]:
    return {file for file, modules in imports().items() if any(map(wanted, modules))}


def may_know_aws(file: str) -> bool:
    """Adapters, composition roots, and what counts the calls of a boto3 session."""
    adapters = ("common/aws/", "local/moto", "local/deployed.py", "local/calls.py")
    remote = ("remote/aws.py", "remote/calls.py")
    return file.startswith(adapters + remote) or file.endswith(("/handler.py", "/__main__.py"))


def test_only_adapters_and_composition_roots_know_the_aws_sdk() -> None:
    sdk = ("boto3", "botocore", "moto", "mypy_boto3_", "src.common.aws")

    found = importers(lambda module: module.startswith(sdk))

    assert found
    assert {file for file in found if not may_know_aws(file)} == set()


def test_common_and_handlers_know_neither_local_runs_nor_the_command_line() -> None:
    found = importers(lambda module: module.startswith(("src.local", "src.cli")))

    assert found
    assert {file for file in found if not file.startswith(("local/", "cli/"))} == set()


def test_local_runs_do_not_know_who_shows_them() -> None:
    found = importers(lambda module: module.startswith("src.cli"))

    assert found
    assert {file for file in found if not file.startswith("cli/")} == set()


def test_common_knows_no_handler() -> None:
    handlers = tuple(f"src.{handler}" for handler in HANDLERS)

    found = importers(lambda module: module.startswith(handlers))

    assert found
    assert {file for file in found if file.startswith("common/")} == set()


def test_all_four_handlers_are_there() -> None:
    assert HANDLERS == ["orchestrator", "process_webhook", "watchdog_check", "worker"]


@pytest.mark.parametrize("handler", HANDLERS)
def test_importing_a_handler_loads_nothing_heavy(handler: str) -> None:
    modules = [f"src.{handler}.handler" for handler in HANDLERS]

    loaded = loaded_by(*modules)[HANDLERS.index(handler)]

    assert f"src.{handler}.handler" in loaded
    assert not {name for name in HEAVY if name in loaded}


def test_help_and_completion_load_neither_engine_nor_validation() -> None:
    (loaded,) = loaded_by("src.cli.app")

    assert "typer" in loaded
    assert not {name for name in ("boto3", "moto", "pydantic", "rich", "yaml") if name in loaded}
    assert not {name for name in loaded if name.startswith(("src.local", "src.process_webhook"))}


def test_the_entry_point_imports_nothing_before_it_minds_an_interrupt() -> None:
    (loaded,) = loaded_by("src.cli.main")

    assert loaded == {"src", "src.cli", "src.cli.main"}


@cache
def loaded_by(*modules: str) -> list[set[str]]:
    """Return what importing each module adds, one after the other in a process of their own."""
    program = """\
import sys
for name in sys.argv[1:]:
    before = set(sys.modules)
    __import__(name)
    print(*(set(sys.modules) - before))
"""
    command = [sys.executable, "-c", program, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_no_plan_test_draws_examples() -> None:
    """Their runs do without hypothesis and its profile: see conftest.py and `make plan-one`."""
    files = {path: _imported(path) for path in (ROOT / "tests/plan").glob("*.py")}

    assert len(files) > 10
    assert {path.name for path, modules in files.items() if "hypothesis" in modules} == set()
