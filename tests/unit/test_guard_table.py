"""The guards of `make guards` fit the sources and the architecture as they are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
GUARDS = runpy.run_path(str(ROOT / "scripts/guard_table.py"))["GUARDS"]
BEFORE_A_RUN = {1}  # who may ask: other suites hold it


def test_every_guard_stands_in_exactly_one_place() -> None:
    found = {
        (guard.file, guard.old): (ROOT / "src" / guard.file).read_text().count(guard.old)
        for guard in GUARDS
    }

    assert {place: count for place, count in found.items() if count != 1} == {}
    assert all(guard.old != guard.new for guard in GUARDS)


def test_every_guard_of_the_architecture_is_removed_once() -> None:
    table = (ROOT / "docs/ARCHITECTURE.md").read_text().partition("## Guards")[2]
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}

    assert len(rows) > 10
    assert {guard.number for guard in GUARDS} == rows - BEFORE_A_RUN


def test_a_selection_that_fits_no_guard_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setattr("sys.argv", ["guards.py", "--only", "no such guard"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts/guards.py"), run_name="__main__")

    assert ended.value.code == 2
    assert "no guard has 'no such guard' in its file or description" in capsys.readouterr().err
