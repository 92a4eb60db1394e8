"""Links of the papers lead somewhere, and every paper is led to."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.papers import ROOT, anchors, links, name, papers

pytestmark = pytest.mark.unit

OUTSIDE = ("https://", "http://", "mailto:")
STARTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")  # where somebody begins to read


def inside(paper: Path) -> set[str]:
    return {target for target in links(paper) if not target.startswith(OUTSIDE)}


def place(paper: Path, target: str) -> tuple[Path, str]:
    """Return the file and the anchor that a target means."""
    path, _, anchor = unquote(target).partition("#")
    return ((paper.parent / path) if path else paper).resolve(), anchor


def test_there_are_links_to_check() -> None:
    assert len(papers()) > 20
    assert sum(len(inside(paper)) for paper in papers()) > 50


@pytest.mark.parametrize("paper", papers(), ids=name)
def test_links_lead_to_a_file_of_the_project(paper: Path) -> None:
    dead = {target for target in inside(paper) if not place(paper, target)[0].exists()}
    leaving = {
        target for target in inside(paper) if not place(paper, target)[0].is_relative_to(ROOT)
    }

    assert dead | leaving == set()


@pytest.mark.parametrize("paper", papers(), ids=name)
def test_links_to_a_heading_find_it(paper: Path) -> None:
    asked = {target: place(paper, target) for target in inside(paper) if "#" in target}

    assert {
        target
        for target, (path, anchor) in asked.items()
        if path.suffix == ".md" and anchor not in anchors(path)
    } == set()


def test_every_paper_is_linked_from_another() -> None:
    linked = {
        place(paper, target)[0]
        for paper in papers()
        for target in inside(paper)
        if place(paper, target)[0] != paper
    }
    folders = {path for path in linked if path.is_dir()}  # a link to a folder shows its README

    assert {
        name(paper)
        for paper in papers()
        if paper not in linked
        and not (paper.name == "README.md" and paper.parent in folders)
        and not any(paper.is_relative_to(folder) for folder in folders if folder.name == "adr")
        and name(paper) not in STARTS
    } == set()


def test_links_to_the_outside_are_encrypted() -> None:
    plain = {(name(paper), target) for paper in papers() for target in links(paper)}

    assert {
        each for each in plain if each[1].startswith("http://") and "localhost" not in each[1]
    } == set()


def test_every_picture_is_shown_somewhere() -> None:
    pictures = set((ROOT / "docs/images").iterdir())
    shown = {place(paper, target)[0] for paper in papers() for target in inside(paper)}

    assert pictures
    assert pictures - shown == set()
