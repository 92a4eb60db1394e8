"""What the static layer reads: blocks by place, and a clear word where a file is no HCL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.terraform.hcl import HclError, blocks

pytestmark = pytest.mark.unit


def stage(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "01-ecr"
    folder.mkdir()
    (folder / "main.tf").write_text(text)
    return folder


def test_a_block_knows_its_place_and_its_body(tmp_path: Path) -> None:
    folder = stage(tmp_path, '# first\n\nresource "a" "b" {\n  name = "x"\n}\n')

    (block,) = blocks(folder)

    assert (block.kind, block.labels, block.name) == ("resource", ("a", "b"), "b")
    assert block.place == "01-ecr/main.tf:3"
    assert block.body["name"] == "x"


def test_a_deployers_backend_is_no_part_of_a_stage(tmp_path: Path) -> None:
    folder = stage(tmp_path, "locals {}\n")
    (folder / "backend.tf").write_text("terraform {}\n")

    assert [block.kind for block in blocks(folder)] == ["locals"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('resource "a" "b" {\n  x "y"\n  z = 1\n}\n', "01-ecr/main.tf:3: .*'z = 1'"),
        ('resource "a" "b" {\n  x = "open\n}\n', "01-ecr/main.tf:2: .*'x = \"open'"),
        ("locals {\n  x = 1\n", "01-ecr/main.tf:3: "),
    ],
    ids=["no equals sign", "an open string", "an open block"],
)
def test_a_syntax_error_is_told_with_its_place_and_who_tells_more(
    tmp_path: Path, text: str, says: str
) -> None:
    folder = stage(tmp_path, text)

    with pytest.raises(HclError, match=says) as told:
        blocks(folder)

    assert f"terraform fmt {folder / 'main.tf'} says what it expects" in str(told.value)
