"""The papers and the code say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from src.cli import exit_codes
from src.cli.app import app
from src.cli.remote.submit import PARAMETER_VARIABLE, SECRET_VARIABLE
from src.common import settings
from src.common.settings import Settings, variable
from src.common.status import JobStatus, OrderStatus
from src.common.validation import JOB_FIELDS, ORDER_FIELDS
from src.process_webhook import accept
from src.process_webhook import app as app_of_webhook
from src.process_webhook.request import FIELDS, parse_request
from src.remote.target import PARTS
from tests.support.papers import papers

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/REFERENCE.md").read_text()
JOB = {"username": "a", "orders": {"a": {"cmds": ["true"], "timeout": 1}}}
STAGES = sorted(path for path in (ROOT / "infra").iterdir() if path.is_dir())


def section(title: str) -> str:
    """Return the text under a heading of the reference, up to the next of its rank."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def first_cells(text: str) -> set[str]:
    """Return the code words in the first column of every table."""
    rows = re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def models() -> list[type[Settings]]:
    found = [value for value in vars(settings).values() if isinstance(value, type)]
    return [model for model in found if issubclass(model, Settings)]


def options() -> Iterator[tuple[str, str]]:
    """Yield command and long option."""
    group = typer.main.get_command(app)
    commands = {"": group, **group.commands}  # type: ignore[attr-defined]
    for name, command in commands.items():
        for parameter in command.params:
            yield from ((name, opt) for opt in parameter.opts if opt.startswith("--"))


def test_every_variable_of_the_handlers_is_documented_and_no_other() -> None:
    known = {variable(field) for model in models() for field in model.model_fields}

    assert first_cells(section("Environment of the handlers")) == known


def test_every_variable_of_the_command_line_is_documented_and_no_other() -> None:
    names = {part.variable for part in PARTS.values()}
    of_options = {"IAC_CI_STACK_OUTPUTS", SECRET_VARIABLE, PARAMETER_VARIABLE}

    assert first_cells(section("Environment of the command line")) == names | of_options


def test_every_field_of_a_job_is_documented_and_no_other() -> None:
    of_job, of_order = re.findall(
        r"^\| (?:order )?field \|.*\n((?:\|.*\n)+)", section("The job"), re.MULTILINE
    )

    assert first_cells(of_job) == set(JOB_FIELDS)
    assert first_cells(of_order) == set(ORDER_FIELDS)


def test_every_field_of_a_request_and_of_its_answer_is_documented_and_no_other() -> None:
    asked, answered = re.findall(
        r"^\| field \| meaning \|\n((?:\|.*\n)+)", section("The request"), re.MULTILINE
    )
    request = parse_request({"job": JOB, "run_id": "r"})
    answer = accept.answer(request, "r", "0" * 8, "s3://done/r/done", "tag")

    assert first_cells(asked) == set(FIELDS)
    assert first_cells(answered) == answer.keys()


def test_every_http_status_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| (\d{3}) \|", section("The request"), re.MULTILINE)

    assert {int(status) for status in documented} == {200, *app_of_webhook._STATUS.values()}


def test_every_status_is_documented_and_no_other() -> None:
    text = section("Statuses")

    assert first_cells(text) == set(OrderStatus)
    assert all(f"`{status}`" in text for status in JobStatus)


def test_every_option_is_documented_and_no_other() -> None:
    text = section("Command line")

    known = {option for _, option in options()}
    assert set(re.findall(r"--[a-z][a-z-]*", text)) - {"--help"} == known - {"--help"}


def test_every_command_is_documented() -> None:
    commands = {name for name, _ in options()} - {""}

    assert set(re.findall(r"`iac-ci ([a-z]+) ", section("Command line"))) == commands | {"validate"}


def test_every_exit_code_is_documented_and_no_other() -> None:
    known = {value for name, value in vars(exit_codes).items() if name.isupper()}

    documented = re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)
    assert {int(code) for code in documented} == known


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
@pytest.mark.parametrize(("kind", "heading"), [("variable", "input"), ("output", "output")])
def test_every_input_and_output_of_a_stage_is_documented_and_no_other(
    stage: Path, kind: str, heading: str
) -> None:
    readme = (stage / "README.md").read_text()
    table = re.search(rf"^\| {heading} \|.*\n((?:\|.*\n)+)", readme, re.MULTILINE)
    assert table is not None

    declared = re.findall(rf'^{kind} "(\w+)"', (stage / f"{kind}s.tf").read_text(), re.MULTILINE)
    assert first_cells(table[1]) == set(declared)


def test_every_make_target_is_explained_and_named_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    explained = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    assert explained == phony

    named = {
        target
        for paper in papers()
        for target in re.findall(r"`(?:STRICT=1 )?make ([a-z-]+)", paper.read_text())
    }
    assert named <= phony


def test_the_gate_calls_nothing_that_the_readme_does_not_name() -> None:
    def called(text: str) -> set[str]:
        lines = re.findall(r"\bmake ((?:[a-z-]+ ?)+)", text)
        return {target for line in lines for target in line.split()}

    gate, readme = (ROOT / ".ci/run").read_text(), (ROOT / "README.md").read_text()

    assert called(gate) >= {"lint", "test"}
    assert called(gate) <= called(readme)
