"""The Dockerfile fits the code, the infrastructure and what is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from scripts.dockerfile import Dockerfile
from tests.support.terraform.hcl import of_kind
from tests.unit.test_imports import imports

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCKERFILE = Dockerfile.read(ROOT / "Dockerfile")
TASK_ROOT = "${LAMBDA_TASK_ROOT}/"


def commands_of_functions() -> set[str]:
    """Return the handler of each function, as lambdas.tf makes its command."""
    (handler,) = (
        block
        for block in of_kind(ROOT / "infra/02-deploy", "resource")
        if block.labels == ("aws_lambda_function", "handler")
    )
    (command,) = handler.children("image_config")[0]["command"]
    (functions,) = (
        block.body["functions"]
        for block in of_kind(ROOT / "infra/02-deploy", "locals")
        if "functions" in block.body
    )
    return {command.replace("${each.key}", key) for key in functions if key != "__is_block__"}


def module_files(name: str) -> list[Path]:
    """Return the files of a module, its packages' included; none when it is a name in one."""
    parts = name.split(".")
    places = [ROOT.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
    files = [place / "__init__.py" for place in places] + [places[-1].with_suffix(".py")]
    return [file for file in files if file.is_file()]


def needed() -> set[str]:
    """Return every file of src/ that handlers and the build's program import, sooner or later."""
    waiting = {f"src.{path.parent.name}.handler" for path in ROOT.glob("src/*/handler.py")}
    waiting |= {"src.worker.__main__"}
    found: set[Path] = set()
    while waiting:
        new = {file for name in waiting for file in module_files(name)} - found
        found |= new
        known = imports()
        waiting = {
            name
            for file in new
            for name in known[file.relative_to(ROOT / "src").as_posix()]
            if name.startswith("src.")
        }
    return {file.relative_to(ROOT).as_posix() for file in found}


def test_the_image_holds_every_module_that_handlers_import() -> None:
    copied = [copy.source for copy in DOCKERFILE.image.copies]

    assert len(needed()) > 50
    missing = {file for file in needed() if not any(Path(file).is_relative_to(c) for c in copied)}
    assert missing == set()


def test_the_image_holds_neither_local_runs_nor_the_command_line() -> None:
    assert {copy.source for copy in DOCKERFILE.image.copies} == {
        "src/__init__.py",
        "src/common",
        *(f"src/{path.parent.name}" for path in ROOT.glob("src/*/handler.py")),
    }


def test_what_is_copied_lies_below_the_task_root_where_it_lay() -> None:
    for copy in DOCKERFILE.image.copies:
        place = copy.target.removeprefix(TASK_ROOT)
        assert copy.target.startswith(TASK_ROOT)
        assert place == (copy.source if (ROOT / copy.source).is_dir() else "src/")


def test_the_build_context_admits_what_is_copied_and_no_more() -> None:
    admitted = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }

    copied = {copy.source for stage in DOCKERFILE.stages for copy in stage.copies}
    assert {source for source in copied if not Path(source).is_relative_to("src")} == {
        path for path in admitted if path != "src"
    }
    assert "src" in admitted
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_every_function_has_a_handler_in_the_image_and_the_default_is_one_of_them() -> None:
    commands = commands_of_functions()

    assert commands == {
        f"src.{path.parent.name}.handler.handler" for path in ROOT.glob("src/*/handler.py")
    }
    (default,) = DOCKERFILE.image.command
    assert default in commands


def test_the_base_is_the_lambda_image_of_a_python_that_is_tested() -> None:
    assert DOCKERFILE.stages[0].base == f"public.ecr.aws/lambda/python:{DOCKERFILE.python}"
    assert {stage.base for stage in DOCKERFILE.stages[1:]} == {DOCKERFILE.stages[0].name}

    project = (ROOT / "pyproject.toml").read_text()
    lowest = re.search(r'requires-python = ">=3\.(\d+)"', project)
    assert lowest is not None
    assert int(DOCKERFILE.python.removeprefix("3.")) >= int(lowest[1])
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    assert DOCKERFILE.python in jobs["phase2-handlers"]["strategy"]["matrix"]["python"]


def test_dependencies_are_the_runtime_lock_by_hash_and_from_wheels() -> None:
    stage = DOCKERFILE.stage("dependencies")

    assert [copy.source for copy in stage.copies] == ["requirements/runtime.lock"]
    (install,) = stage.runs
    assert {"--require-hashes", "--only-binary=:all:"} <= set(install.split())


def test_a_tool_comes_with_its_checksum_and_only_when_it_is_asked_for() -> None:
    stage = DOCKERFILE.stage("tools")

    assert set(stage.arguments.values()) == {""}
    for tool in ("terraform", "tofu"):
        version, sha256 = f"{tool.upper()}_VERSION", f"{tool.upper()}_SHA256"
        assert {version, sha256} <= stage.arguments.keys()
        assert f'fetch_tool.sh {tool} "${version}" "${sha256}" /tools' in stage.runs[-1]
