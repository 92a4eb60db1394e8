"""Photograph the pages of two real runs for the README: docs/images/page-*.png, light and dark.

.venv/bin/python scripts/page_pictures.py    # needs Chromium: make browser
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from src.cli.page.gather import from_report
from src.cli.page.render import page
from src.common.status import OrderStatus
from src.local.run import run_job

IMAGES: Final = Path(__file__).parents[1] / "docs/images"
MAX_BYTES: Final = 200_000
SIZES: Final = {"small": (1180, 1480), "large": (1180, 1240)}  # of the window, in pixels

PLAN: Final = r"""
printf '\033[1maws_vpc.main:\033[0m Refreshing state... [id=vpc-0a1b2c3d]\n'
sleep 0.6
for zone in a b c; do
  printf '\033[1maws_subnet.private["%s"]:\033[0m Refreshing state...\n' "$zone"
  sleep 0.2
done
printf '\n  \033[32m+\033[0m aws_route.nat\n  \033[33m~\033[0m aws_subnet.private["c"]\n\n'
printf '\033[31m\033[1mError:\033[0m\033[1m the CIDR 10.0.2.0/24 overlaps with "b"\033[0m\n\n'
printf '  on network.tf line 12, in resource "aws_subnet" "private":\n'
printf '  12:   cidr_block = \033[4mvar.zones[each.key].cidr\033[0m\n'
exit 1
"""


class Unseen:
    """A watcher of runs that shows nothing."""

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        """Take the orders."""

    def order_changed(self, num: str, status: OrderStatus, at_ms: int) -> None:
        """Let it pass."""

    def line(self, num: str, text: str) -> None:
        """Let it pass."""

    def tick(self) -> None:
        """Let time pass."""


def small() -> dict[str, Any]:
    """Return a job whose second order of three fails."""
    return {
        "username": "alice",
        "orders": {
            "fmt": {"cmds": ["sleep 0.4; echo network.tf: fine"], "timeout": 60},
            "plan": {
                "dependencies": ["fmt"],
                "timeout": 300,
                "inline": {"plan.sh": PLAN},
                "cmds": ["bash plan.sh"],
            },
            "apply": {"dependencies": ["plan"], "cmds": ["bash apply.sh"], "timeout": 300},
        },
    }


def large() -> dict[str, Any]:
    """Return a job of a hundred orders, one of which fails."""
    chance = random.Random(5)  # noqa: S311 - the same picture each time
    parts = ("network", "dns", "iam", "cluster", "db", "cache", "queue", "vpn")
    steps = ("plan", "apply", "check")
    orders: dict[str, Any] = {}
    for number in range(100):
        before = list(orders)[-18:]
        seconds = chance.uniform(0.1, 1.2)
        orders[f"{chance.choice(parts)}-{chance.choice(steps)}-{number}"] = {
            "cmds": [f"sleep {seconds:.1f}", f"exit {int(number == 57)}"],
            "timeout": 120,
            "dependencies": chance.sample(before, min(len(before), chance.choice((1, 1, 1, 2))))
            if number > 6
            else [],
        }
    return {"username": "alice", "orders": orders}


def html_of(job: Mapping[str, Any]) -> str:
    """Run a job here and now; return its page."""
    report = run_job(
        job,
        secrets={},
        env={},
        parallel=8,
        aws="embedded",
        watcher=Unseen(),
        cancelled=lambda: False,
    )
    return page(from_report(report))


def photograph(browser: Browser, file: Path, name: str, scheme: str) -> Path:
    """Take the picture of a page, and hold it to its size."""
    width, height = SIZES[name]
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
    )
    tab = context.new_page()
    tab.goto(file.as_uri())
    picture = IMAGES / f"page-{name}-{scheme}.png"
    tab.screenshot(path=picture)
    context.close()
    if picture.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{picture} is over {MAX_BYTES:,} bytes")
    return picture


def main() -> int:
    """Run both jobs and take four pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("no chromium: make browser", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, chromium_sandbox=False, args=["--hide-scrollbars"]
        )
        for name, job in (("small", small()), ("large", large())):
            file = Path(folder) / f"{name}.html"
            file.write_text(html_of(job), encoding="utf-8")
            for scheme in ("light", "dark"):
                print(f"wrote {photograph(browser, file, name, scheme).relative_to(IMAGES.parent)}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
