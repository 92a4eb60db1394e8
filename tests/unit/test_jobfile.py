"""Job files: plain values, the line of each field, and what is refused."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import JobRefused
from src.common.jobfile import GivenTwice, load, loads

pytestmark = pytest.mark.unit

YAML = """\
# a comment
username: ada
orders:
  plan:
    cmds:
      - terraform plan
      - "true"
    timeout: 60
  "../x": {timeout: 5,
    env: {A: b}}
"""


def refusal(text: str, *, is_json: bool = False) -> list[str]:
    with pytest.raises(JobRefused) as refused:
        loads(text, is_json=is_json)
    return [str(problem) for problem in refused.value.problems]


def test_yaml_gives_values_and_lines() -> None:
    value, lines = loads(YAML)

    assert value == {
        "username": "ada",
        "orders": {
            "plan": {"cmds": ["terraform plan", "true"], "timeout": 60},
            "../x": {"timeout": 5, "env": {"A": "b"}},
        },
    }
    paths = ["username", "orders", "orders.plan.cmds[1]", "orders.plan.timeout", 'orders["../x"]']
    assert [lines.of(path) for path in paths] == [2, 3, 7, 8, 9]
    assert lines.of('orders["../x"].env.A') == 10


def test_unknown_field_has_the_line_of_what_is_around_it() -> None:
    _, lines = loads(YAML)

    assert lines.of("orders.plan.cmds[7]") == 5
    assert lines.of("orders.plan.git_repo") == 4
    assert lines.of("orders[3].timeout") == 3
    assert lines.of("nothing.at.all") == lines.of("") == 2


def test_json_gives_values_and_lines() -> None:
    text = (
        '{\n\t"username": "a\\n}\\"{",\n"orders": [\n{"timeout": 5},\n\n{"x": [1.5, null, true]}]}'
    )

    value, lines = loads(text)

    assert value == json.loads(text)
    paths = ["username", "orders", "orders[0].timeout", "orders[1]", "orders[1].x[2]"]
    assert [lines.of(path) for path in paths] == [2, 3, 4, 6, 6]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1:30", "1:30"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("012", 12),
        ("-5", -5),
        ("1_000", "1_000"),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("2024-01-31", "2024-01-31"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_unquoted_text_means_what_yaml_1_2_says(text: str, value: object) -> None:
    assert loads(f"a: {text}\nb: 1")[0] == {"a": value, "b": 1}


def test_keys_are_text() -> None:
    assert loads("1: a\ntrue: b\n~: c")[0] == {"1": "a", "true": "b", "~": "c"}


def test_anchors_and_merges_spare_repetition() -> None:
    value, lines = loads(
        "a: &base\n  x: 1\n  y: [1]\nb:\n  <<: *base\n  x: 2\nc: *base\nd:\n  x: 3\n  <<: *base\n"
    )

    base = {"x": 1, "y": [1]}
    assert value == {"a": base, "b": {**base, "x": 2}, "c": base, "d": {**base, "x": 3}}
    assert lines.of("b.y") == 4
    assert lines.of("b.x") == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the job file is empty"),
        ("\n \n", "the job file is empty"),
        ("# nothing\n", "the job file is empty"),
        ("a: [1\nb: 2", "line 2: not valid YAML: did not find expected"),
        ("a: 'x", "line 1: not valid YAML"),
        ("a:\n\t- 1", "line 2: not valid YAML: a tab, where only spaces indent (column 1)"),
        ("a:\r\n  \tb: 1", "line 2: not valid YAML: a tab, where only spaces indent (column 3)"),
        ("a: @b", "line 1: not valid YAML: found character that cannot start any token"),
        ("a: \x00", "not valid YAML"),
        ("a: 1\n---\nb: 2", "line 2: a job file holds one document"),
        ("x: 1\na: !!python/object/apply:os.system [id]", "line 2: tags are refused"),
        ("a: !!str 5", "line 1: tags are refused"),
        ("a: ! x", "line 1: tags are refused"),
        ("a: *x", "line 1: *x refers to nothing"),
        ("a: &a\n  - *a", "line 2: *a refers to nothing that is complete"),
        ("? [a]\n: b", "line 1: a key must be text"),
        ("a: &x b\n*x : c", "line 2: a key must be text"),
        ("a: &x 5\nb:\n  <<: *x", "line 3: <<: *x must name a map"),
        ("b:\n  <<: {c: d}", "line 2: << must be followed by *anchor"),
        ('"<<": 5', 'line 1: the key "<<" is reserved'),
        ("[" * 100_000, "line 1: maps and lists are nested more than 32 levels deep"),
        ('{"a":' * 100_000, "line 1: maps and lists are nested more than 32 levels deep"),
    ],
)
def test_yaml_that_is_no_plain_document_is_refused(text: str, message: str) -> None:
    assert refusal(text)[0].startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the job file is empty"),
        ("a: 1", "line 1: not valid JSON: Expecting value (column 1)"),
        ('{"a": 1,\n"b" 2}', "line 2: not valid JSON"),
        ('{"a": 1,\n"b": NaN}', "line 2: NaN is no JSON number"),
        ("[" * 100_000, "is nested more than 32 levels deep"),
        ("[" * 40 + "]" * 40, "line 1: maps and lists are nested more than 32"),
        ('{"a": ' + "9" * 5000 + "}", "holds a whole number of thousands of digits"),
    ],
)
def test_json_that_is_none_is_refused(text: str, message: str) -> None:
    assert refusal(text, is_json=True)[0].startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "orders:\n  plan:\n    env: {A: x,\n     A: y}\n  plan: {}\n",
        '{"orders": {\n"plan": {\n"env": {"A": "x",\n"A": "y"}},\n"plan": {}}}',
    ],
)
def test_key_given_twice_is_named_with_both_lines(text: str) -> None:
    assert refusal(text) == [
        "orders.plan.env.A: line 4: is given twice in one map, first in line 3",
        "orders.plan: line 5: is given twice in one map, first in line 2",
    ]


def test_aliases_cannot_multiply_a_small_file_into_a_large_one() -> None:
    text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{at}: &a{at} [{','.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 9)
    )

    assert "aliases counted in full" in refusal(text)[0]


def test_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    for name, text in {"a.yaml": "a: 1", "b.json": '{"a": 1}', "c.yml": '{"a": 1}'}.items():
        (tmp_path / name).write_text(text)
        assert load(tmp_path / name)[0] == {"a": 1}
    (tmp_path / "d.json").write_text("a: 1")
    with pytest.raises(JobRefused, match="not valid JSON"):
        load(tmp_path / "d.json")


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (4 * 2**20 + 1))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")

    for name, message in {
        "missing.yaml": "missing.yaml cannot be read: No such file",
        ".": "cannot be read: it is a directory",
        "large.yaml": "large.yaml is over 4194304 bytes",
        "binary.yaml": "binary.yaml is not UTF-8",
        "a\0b": "cannot be read",
    }.items():
        with pytest.raises(JobRefused, match=message):
            load(tmp_path / name)


def test_a_device_is_no_file() -> None:
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(JobRefused, match="cannot be read: it is a device"):
            load(Path(device))


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(JobRefused, match="it is a pipe, and nobody writes to it"):
        load(tmp_path / "pipe")


def test_a_pipe_is_read_until_its_writer_closes_it() -> None:
    """As of `iac-ci run <(command)`; the writer takes its time."""
    reader, writer = os.pipe()
    asked = threading.Event()
    found: list[object] = []

    def read() -> None:
        asked.set()
        found.append(load(Path(f"/dev/fd/{reader}"))[0])

    thread = threading.Thread(target=read)
    thread.start()
    asked.wait(10)
    os.write(writer, b"a: 1\n")
    os.write(writer, b"b: " + b"x" * 200_000 + b"\n")
    os.close(writer)
    thread.join(10)
    os.close(reader)

    assert found == [{"a": 1, "b": "x" * 200_000}]


def test_either_reading_of_a_key_that_is_given_twice_is_there_with_its_lines() -> None:
    text = "orders:\n  a: {x: 1}\n  a:\n    y: [2,\n     3]\nb: 4\n"

    with pytest.raises(GivenTwice) as twice:
        loads(text)

    (first, first_lines), (last, last_lines) = twice.value.readings
    assert first == {"orders": {"a": {"x": 1}}, "b": 4}
    assert last == {"orders": {"a": {"y": [2, 3]}}, "b": 4}
    assert [first_lines.of(p) for p in ("orders.a.x", "orders.a.y[1]", "b")] == [2, 2, 6]
    assert [last_lines.of(p) for p in ("orders.a.x", "orders.a.y[1]", "b")] == [3, 5, 6]


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda deeper: (
        st.lists(deeper, max_size=4) | st.dictionaries(st.text(max_size=9), deeper, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=9), JSON, min_size=1), st.sampled_from([None, 1]))
def test_any_json_comes_through_as_it_is(value: Any, indent: int | None) -> None:
    found, lines = loads(json.dumps(value, indent=indent), is_json=True)

    assert found == value
    assert lines.of("") == 1


@given(st.text(alphabet="ab:{}[]&*<>-!|'\"\n #,?1", max_size=40))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    try:
        loads(text)
    except JobRefused as refused:
        assert len(refused.problems) >= 1  # noqa: PT017 - either is fine, nothing else is
