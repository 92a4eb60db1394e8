"""Files appear whole or not at all, and whether they can is known beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from src.cli import files
from src.cli.problems import FileRefused

pytestmark = pytest.mark.unit


def test_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old and longer")

    files.replace(path, "new\r\n\udcff")

    assert path.read_bytes() == b"new\r\n\\udcff"
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_the_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def interrupted(self: Path, *_: object, **__: object) -> None:
        self.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.replace(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "page.html").write_text("old")
    link = tmp_path / "link.html"
    link.symlink_to("far/page.html")

    files.replace(link, "new")

    assert link.is_symlink()
    assert (tmp_path / "far" / "page.html").read_text() == "new"


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(FileRefused) as caught:
        files.check_replaceable(path, "--report", **options)  # type: ignore[arg-type]
    (shown,) = caught.value.shown
    return shown


def test_a_dash_is_taken_for_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert "no page goes to stdout" in refusal(Path("-"))
    assert list(tmp_path.iterdir()) == []


def test_path_that_will_do_is_accepted_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")

    for name in ("new.html", "old.html"):
        files.check_replaceable(tmp_path / name, "--report", used=[tmp_path / "job.yaml"])

    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: --report: is a folder: name a file"


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none" / "page.html"

    assert refusal(path) == f"{path}: --report: there is no folder {path.parent}"


def test_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert refusal(tmp_path / "pipe") == f"{tmp_path / 'pipe'}: --report: is no plain file"


def test_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:  # root may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)

    path = tmp_path / "page.html"
    assert refusal(path) == f"{path}: --report: cannot be written: Permission denied"


def test_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "cannot be written: Not a directory" in refusal(tmp_path / "file" / "page.html")


def test_file_of_the_same_command_is_refused_by_whatever_name(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.touch()
    (tmp_path / "link").symlink_to(job)

    for path in (job, tmp_path / "link", tmp_path / "." / "job.yaml"):
        assert "would overwrite a file of this same command" in refusal(path, used=[job])
