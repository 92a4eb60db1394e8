"""Photograph the pages of two real runs for the README: docs/images/page-*.png, light and dark.

.venv/bin/python -m scripts.page_pictures    # needs Chromium: make browser
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser

from tests.support.browser import MISSING, executable, launched, quiet_page

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


def page_of(job: Mapping[str, Any], page: Path) -> Path:
    """Run a job here and now; return its page."""
    file = page.with_suffix(".json")
    file.write_text(json.dumps(job), encoding="utf-8")
    command = [Path(sys.executable).parent / "iac-ci", "run", file, "--parallel", "8"]
    subprocess.run([*command, "--report", page], stdout=subprocess.DEVNULL, check=False)  # it fails
    return page


def photograph(browser: Browser, file: Path, name: str, scheme: str) -> Path:
    """Take the picture of a page, and hold it to its size."""
    width, height = SIZES[name]
    picture = IMAGES / f"page-{name}-{scheme}.png"
    size = {"width": width, "height": height}
    with quiet_page(browser, color_scheme=scheme, viewport=size) as shown:
        shown.goto(file.as_uri())
        shown.screenshot(path=picture)
    if picture.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{picture} is over {MAX_BYTES:,} bytes")
    return picture


def main() -> int:
    """Run both jobs and take four pictures."""
    chromium = executable()
    if chromium is None:
        print(MISSING, file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, launched(chromium) as browser:
        for name, job in (("small", small()), ("large", large())):
            file = page_of(job, Path(folder) / f"{name}.html")
            for scheme in ("light", "dark"):
                print(f"wrote {photograph(browser, file, name, scheme).relative_to(IMAGES.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
