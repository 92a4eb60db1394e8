"""What commands of every kind take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JobFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="The job, YAML or JSON; - for stdin.", show_default=False),
]
