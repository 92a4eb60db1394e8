"""Commands and options of `iac-ci`. What they do lies in the modules beside it.

Heavy things are imported by the command that needs them: `--help` and completion answer fast.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from src import __version__
from src.cli.arguments import JobFile
from src.cli.remote.app import app as remote

app = typer.Typer(
    name="iac-ci",
    help="Run infrastructure-as-code jobs: a DAG of orders, each a list of shell commands.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Aws(StrEnum):
    """What stands in for AWS in a local run."""

    EMBEDDED = "embedded"
    MOTO = "moto"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"iac-ci {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def run(
    file: JobFile,
    *,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object on stdout; progress goes to stderr."),
    ] = False,
    secrets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML map path -> value that stands for SSM and Secrets Manager.",
            show_default=False,
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="KEY=VALUE lines for every order, under the job's own env.",
            show_default=False,
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Orders at once (default: 2 per CPU, at least 4)."),
    ] = None,
    log_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            writable=True,
            help="Keep each order's log, run.json and events.jsonl there.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            help="Write the run as a page there: graph, timeline, commands and logs in one file.",
            show_default=False,
        ),
    ] = None,
    bucket: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="A folder that stands for a bucket of code (s3_location); may be repeated.",
            show_default=False,
        ),
    ] = None,
    aws: Annotated[
        Aws, typer.Option(help="What stands in for AWS: in memory, or the boto3 adapters on moto.")
    ] = Aws.EMBEDDED,
) -> None:
    """Run a job on this machine through the production handlers.

    Exit code: 0 succeeded, 1 failed, timed out or cancelled, 2 refused, 130 interrupted.
    """
    from src.cli.commands import run_file

    raise typer.Exit(
        run_file(
            file,
            as_json=as_json,
            secrets_file=secrets,
            env_file=env_file,
            parallel=parallel,
            log_dir=log_dir,
            page=report,
            buckets=bucket or (),
            aws=aws.value,
        )
    )


@app.command()
def validate(file: JobFile) -> None:
    """Check a job and name everything that is wrong with it, with lines for YAML.

    Exit code: 0 it can run, 2 it is refused.
    """
    from src.cli.commands import validate_file

    raise typer.Exit(validate_file(file))


@app.command()
def graph(
    file: JobFile,
    *,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print a mermaid flowchart instead.")
    ] = False,
) -> None:
    """Draw which order waits for which."""
    from src.cli.commands import graph_file

    raise typer.Exit(graph_file(file, mermaid=mermaid))


@app.command("report")
def report_of(
    folder: Annotated[
        Path,
        typer.Argument(metavar="LOG_DIR", help="What --log-dir kept.", show_default=False),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            help="Where the page goes (default: report.html in LOG_DIR).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the page of an earlier run: graph, timeline, commands and logs in one HTML file.

    Exit code: 0 written, 1 it could not be written, 2 the record or the path was refused.
    """
    from src.cli.commands import report_folder

    raise typer.Exit(report_folder(folder, output))


app.add_typer(remote)
