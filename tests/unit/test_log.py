"""What the handlers log: one JSON object a line, whatever a caller put into it."""

from __future__ import annotations

import json
import logging

import pytest

from src.common import log

pytestmark = pytest.mark.unit


@pytest.fixture
def restored() -> object:
    """Leave the logger of `src` as it was."""
    root = logging.getLogger("src")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    "text", ['a\n{"level":"INFO"}', "a\r\nEND RequestId: x", "\x1b[2J\x00", "\u2028x", "\ud800"]
)
def test_a_caller_cannot_forge_a_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("process_webhook")

    logging.getLogger("src.somewhere").warning("a message was refused: %s", text)

    written = capsys.readouterr().err
    (line,) = written.splitlines()
    assert line.isprintable()
    assert json.loads(line)["message"] == f"a message was refused: {text}"
