"""The comment of a run in a frame like GitHub's, for tests in a browser and for the README.

python -m tests.support.comment_picture docs/images/comment.png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from src.common.comments import render
from src.common.comments.render import Line
from src.common.status import JobStatus, OrderStatus
from tests.support.browser import MISSING, executable, launched, quiet_page
from tests.support.build import NOW, a_run
from tests.support.markdown import to_html

_STYLE = """
body { font: 14px/1.5 'Noto Sans', Helvetica, Arial, sans-serif; color: #1f2328; margin: 0;
       padding: 12px; background: #fff }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; max-width: 780px; padding: 16px }
h3 { font-size: 1.25em; margin: 0 0 16px } p { margin: 0 0 16px } details { margin-bottom: 6px }
table { border-collapse: collapse; margin-bottom: 16px; font-size: 14px }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0 }
code { background: #818b981f; padding: .2em .4em; border-radius: 6px; font-size: 85%;
       font-family: 'DejaVu Sans Mono', monospace }
pre { background: #f6f8fa; padding: 16px; border-radius: 6px; overflow: auto }
pre code { background: none; padding: 0 } sub { font-size: 12px; color: #59636e }
"""


def page(body: str) -> str:
    """Return an HTML page that shows a comment."""
    return (
        f"<!doctype html><meta charset=utf-8><title>comment</title><style>{_STYLE}</style>"
        f"<div class=comment>{to_html(body)}</div>"
    )


def example() -> str:
    """Return the last comment of a run of five orders."""
    took = {"fmt": 2_300, "plan-network": 41_000, "apply-network": 95_000}
    ended = {"fmt": "succeeded", "plan-network": "succeeded", "apply-network": "failed"}
    logs = {
        "fmt": "\x1b[32mmain.tf\x1b[0m\n",
        "plan-network": "Plan: 3 to add, 0 to change, 0 to destroy.\n",
        "apply-network": "aws_vpc.main: Creating...\n\n"
        "Error: creating EC2 VPC: VpcLimitExceeded: The maximum number of VPCs has been reached.\n",
    }
    names = [*ended, "apply-database", "notify"]
    lines = [
        Line(
            num=f"{at:04d}",
            name=name,
            status=OrderStatus(ended.get(name, "skipped")),
            exit_code=1 if ended.get(name) == "failed" else None,
            started_at=NOW if name in took else None,
            finished_at=NOW + took[name] if name in took else None,
            reason=None if name in took else f"dependency {names[at - 2]} {_how(names[at - 2])}",
            log=logs.get(name, ""),
        )
        for at, name in enumerate(names, 1)
    ]
    run = a_run(
        total=len(lines),
        status=JobStatus.FAILED,
        finished_at=NOW + 185_000,
        run_id="7c9e6679-7425-40de-944b-e07fc1f90ae7",
        done_endpt="s3://iac-ci-done-95100/7c9e6679-7425-40de-944b-e07fc1f90ae7/done",
    )
    return render.summary(run, lines)


def _how(name: str) -> str:
    return "failed" if name == "apply-network" else "skipped"


def main(target: str) -> None:
    """Write the picture."""
    chromium = executable()
    if chromium is None:
        sys.exit(MISSING)
    with tempfile.TemporaryDirectory() as folder, launched(chromium) as browser:
        file = Path(folder) / "comment.html"
        file.write_text(page(example()), encoding="utf-8")
        with quiet_page(browser, viewport={"width": 806, "height": 600}) as shown:
            shown.goto(file.as_uri())
            shown.screenshot(path=target, full_page=True)


if __name__ == "__main__":
    main(sys.argv[1])
