"""Who may import what: only adapters and composition roots know boto3, and handlers stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
HANDLERS = sorted(path.parent.name for path in SRC.glob("*/handler.py"))
AWS = {"boto3", "botocore", "mypy_boto3_s3", "moto"}
HEAVY = ("boto3", "botocore", "moto", "typer", "rich", "yaml", "git")


MODULES = sorted(SRC.rglob("*.py"))



def imported(path: Path) -> set[str]:
    """Return every module that a file names in an import, those for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def names_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def may_know_aws(name: str) -> bool:
    """Adapters, composition roots, and what counts the calls of a boto3 session."""
    adapters = ("common/aws/", "local/moto", "local/calls.py")
    return name.startswith(adapters) or name.endswith(("/handler.py", "/__main__.py"))


@pytest.mark.parametrize("path", MODULES, ids=names_of)
def test_only_adapters_import_the_aws_sdk(path: Path) -> None:
    roots = {module.partition(".")[0] for module in imported(path)}
    known = {root for root in roots if root in AWS or root.startswith("mypy_boto3_")}

    assert not known or may_know_aws(names_of(path))


@pytest.mark.parametrize("path", MODULES, ids=names_of)
def test_only_adapters_and_composition_roots_import_the_aws_adapters(path: Path) -> None:
    uses = any(module.startswith("src.common.aws") for module in imported(path))

    assert not uses or may_know_aws(names_of(path))


@pytest.mark.parametrize("path", MODULES, ids=names_of)
def test_common_and_handlers_know_neither_local_runs_nor_the_command_line(path: Path) -> None:
    outside = {m for m in imported(path) if m.startswith(("src.local", "src.cli"))}

    assert not outside or names_of(path).startswith(("local/", "cli/"))


@pytest.mark.parametrize("path", sorted((SRC / "local").rglob("*.py")), ids=names_of)
def test_local_runs_do_not_know_who_shows_them(path: Path) -> None:
    assert not {module for module in imported(path) if module.startswith("src.cli")}


def test_all_four_handlers_are_there() -> None:
    assert HANDLERS == ["orchestrator", "process_webhook", "watchdog_check", "worker"]


@pytest.mark.parametrize("handler", HANDLERS)
def test_importing_a_handler_loads_nothing_heavy(handler: str) -> None:
    loaded = loaded_by(f"src.{handler}.handler")

    assert not {name for name in HEAVY if name in loaded}


def test_help_and_completion_load_neither_engine_nor_validation() -> None:
    loaded = loaded_by("src.cli.main")

    assert not {name for name in ("boto3", "moto", "pydantic", "rich", "yaml") if name in loaded}
    assert not {name for name in loaded if name.startswith(("src.local", "src.process_webhook"))}


def loaded_by(module: str) -> set[str]:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())
