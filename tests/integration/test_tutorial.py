"""docs/TUTORIAL.md, walked through: its commands run, and print what it says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.papers import ROOT, Block, blocks

pytestmark = pytest.mark.integration

TUTORIAL = ROOT / "docs/TUTORIAL.md"
BIN = Path(sys.executable).parent
RUN = [block for block in blocks(TUTORIAL) if block.language == "sh" and not block.info]
SKIPPED = {block.info for block in blocks(TUTORIAL) if block.language == "sh" and block.info}


def expected_after(block: Block) -> list[str]:
    """Return the lines of the text block that follows a block of commands, if one does."""
    following = dict(pairwise(blocks(TUTORIAL))).get(block)
    return following.text.splitlines() if following and following.language == "text" else []


def plain(line: str) -> str:
    return re.sub(r"\s+", " ", line.removesuffix("…")).strip()


def missing(lines: list[str], output: str) -> list[str]:
    """Return what is not printed in that order; a line may be part of the printed one (…)."""
    printed, left = iter(map(plain, output.splitlines())), []
    for line in lines:
        rest = list(printed)
        at = next((at for at, text in enumerate(rest) if plain(line) in text), None)
        if at is None:
            left.append(line)
        printed = iter(rest if at is None else rest[at + 1 :])
    return left


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """One folder, one user who knows nothing, every command in its order."""
    env = {"HOME": str(tmp_path), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    told = {}
    for block in RUN:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"line {block.line}:\n{done.stdout}"
        lines = expected_after(block)
        told[block.line] = len(lines)
        assert missing(lines, done.stdout) == [], f"line {block.line} printed:\n{done.stdout}"
    assert len(told) >= 6
    assert sum(told.values()) >= 20
    for page in ("run.html", "again.html"):
        assert "would create network" in (tmp_path / page).read_text()
    for file in ("logs/migrate.log", "logs/plan.log"):
        text = (tmp_path / file).read_text() if (tmp_path / file).exists() else ""
        assert "battery staple" not in text


def test_what_is_not_walked_through_is_tried_elsewhere() -> None:
    """`make setup` by every run of this suite, the image by `make image-check` and the workflow."""
    assert {"skip=setup", "skip=image"} == SKIPPED
    targets = (ROOT / "Makefile").read_text()
    for block in blocks(TUTORIAL):
        for target in re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE):
            assert f"\n{target}:" in targets
