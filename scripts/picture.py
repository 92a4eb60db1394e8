"""Draw docs/images/run.svg: the terraform example, once while it runs and once when it is done.

.venv/bin/python scripts/picture.py    # needs terraform on PATH
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from src.cli import summary
from src.cli.console import SteadyConsole
from src.cli.live import LiveView
from src.common import jobfile
from src.common.status import JobStatus, OrderStatus
from src.local.run import run_job

ROOT = Path(__file__).parents[1]
JOB = Path("examples/terraform-pipeline/job.yaml")
PICTURE = ROOT / "docs/images/run.svg"
WIDTH = 94
FREEZE_AT = "plan"  # the picture's first half shows the moment when this order talks


class Photographer(LiveView):
    """A live view that nobody sees, and that copies one of its frames to the picture."""

    def __init__(self, picture: Console) -> None:
        """Watch like the real view; take one photograph into `picture`."""
        unseen = SteadyConsole(file=io.StringIO(), width=WIDTH, height=20, force_terminal=True)
        super().__init__(unseen, cancelling=lambda: False)
        self._picture = picture
        self._taken = False

    def line(self, num: str, text: str) -> None:
        """Take the photograph when the order of interest says something."""
        super().line(num, text)
        row = self.board.rows[num]
        worth_it = row.name == FREEZE_AT and row.status is OrderStatus.RUNNING and row.last_line
        if worth_it and not row.last_line.startswith(("$", ">")) and not self._taken:
            self._taken = True
            self._picture.print(self.view())
            self._picture.print()


def main() -> int:
    """Run the example and write the picture."""
    picture = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    picture.print(Text.assemble(("$ ", "dim"), f"iac-ci run {JOB}"))
    raw, _ = jobfile.load(ROOT / JOB)
    nothing: Mapping[str, str] = {}
    report = run_job(
        raw,
        secrets=nothing,
        env={"TF_CLI_CONFIG_FILE": "/dev/null"},
        parallel=4,
        aws="embedded",
        watcher=Photographer(picture),
        cancelled=lambda: False,
    )
    summary.show(report, picture, tails=False)
    if report.status is not JobStatus.SUCCEEDED:
        print(picture.export_text(), file=sys.stderr)
        return 1
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    svg = picture.export_svg(title="iac-ci", unique_id="iac-ci")
    # Without the fonts that it would fetch from elsewhere: the reader's own monospace does.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))
    print(f"wrote {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
