"""Files beside the job: environment files and secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.cli import dotenv, inputs
from src.common.errors import JobRefused

pytestmark = pytest.mark.unit


def messages(refused: pytest.ExceptionInfo[JobRefused]) -> list[str]:
    return [problem.message for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=value", "value"),
        ("export KEY=value", "value"),
        ("  KEY = value  ", "value"),
        ("KEY=", ""),
        ("KEY= # only a comment", ""),
        ("KEY=a#b # comment", "a#b"),
        ("KEY=two words", "two words"),
        ("KEY=a=b", "a=b"),
        ("KEY=$HOME", "$HOME"),
        ("KEY='$HOME # stays'", "$HOME # stays"),
        ('KEY="a # b" # comment', "a # b"),
        (r'KEY="one\ntwo\t\"\\\$\x"', 'one\ntwo\t"\\$\\x'),
        ('KEY="over\nlines"', "over\nlines"),
        ("KEY='over\r\nlines'", "over\nlines"),
        ("\ufeffKEY=value", "value"),
        ("KEY=first\nKEY=second", "second"),
    ],
)
def test_assignments_are_read_as_other_tools_read_them(line: str, value: str) -> None:
    assert dotenv.parse(f"{line}\n") == {"KEY": value}
    assert dotenv.parse(line) == {"KEY": value}


def test_blank_lines_and_comments_are_nothing() -> None:
    assert dotenv.parse("\n  # comment\n\n\t\n") == {}


def test_every_bad_line_is_named_without_its_value() -> None:
    text = "GOOD=1\nhunter2\n\n2FAST=x\nOPEN='hunter2\nTAIL='a' b\n"

    with pytest.raises(JobRefused) as refused:
        dotenv.parse(text)

    assert messages(refused) == [
        "line 2: expected KEY=VALUE",
        "line 4: '2FAST' is no name of a variable (letters, digits and _)",
        "line 5: text follows the closing quote of OPEN",
        "line 6: text follows the closing quote of TAIL",
    ]
    assert "hunter2" not in str(refused.value)


def test_unclosed_quote_is_named() -> None:
    with pytest.raises(JobRefused, match="opens the value of KEY is never closed"):
        dotenv.parse('KEY="abc\nOTHER=1\n')


def test_env_file_problems_name_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "some.env"
    file.write_text("A=1\n?\n")

    with pytest.raises(inputs.FileRefused) as refused:
        inputs.read_env(file)

    assert refused.value.shown == (f"{file}:2: expected KEY=VALUE",)


@pytest.mark.parametrize("read", [inputs.read_env, inputs.read_secrets, inputs.read_job])
def test_missing_file_is_named(tmp_path: Path, read: object) -> None:
    with pytest.raises(inputs.FileRefused) as refused:
        read(tmp_path / "missing")  # type: ignore[operator]

    (shown,) = refused.value.shown
    assert shown.startswith(f"{tmp_path / 'missing'}: cannot be read: No such file")


def test_env_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.env"
    file.write_bytes(b"A=\xff")

    with pytest.raises(inputs.FileRefused, match="is not UTF-8"):
        inputs.read_env(file)


def test_secrets_are_text_and_maps_become_json(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("/a/b: 'text'\nname:\n  USER: robot\n  PORT: 5432\n")

    assert inputs.read_secrets(file) == {"/a/b": "text", "name": '{"USER": "robot", "PORT": 5432}'}


def test_secrets_that_yaml_would_garble_are_named_with_line(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("/a: ok\n/pin: 1234\n/empty:\n")

    with pytest.raises(inputs.FileRefused) as refused:
        inputs.read_secrets(file)

    assert refused.value.shown == (
        f"{file}:2: /pin: must be text or a map and is no text to YAML: quote it",
        f"{file}:3: /empty: must be text or a map and is nothing: quote it",
    )
    assert "1234" not in str(refused.value)


def test_secrets_must_be_a_map(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("- a\n")

    with pytest.raises(inputs.FileRefused, match="expected a map of path -> value"):
        inputs.read_secrets(file)
