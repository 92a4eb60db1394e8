"""The commands for a deployed stack: arguments and options; what they do lies beside this file."""

from __future__ import annotations

from typing import Annotated

import typer

from src.cli.arguments import JobFile
from src.cli.remote.options import (
    PANEL,
    AsJson,
    EndpointUrl,
    FunctionName,
    Run,
    RunId,
    SecretEnv,
    SecretFile,
    SecretParameter,
    Stack,
    StackOutputs,
    Url,
    Wait,
)

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def submit(
    file: JobFile,
    *,
    url: Url = None,
    function: FunctionName = None,
    secret_file: SecretFile = None,
    secret_parameter: SecretParameter = None,
    secret_env: SecretEnv = None,
    run_id: RunId = None,
    wait: Wait = False,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Submit a job to a deployed stack and print the run's id.

    Exit code: 0 accepted (with --wait: as `wait`), 1 no answer, 2 refused.
    """
    from src.cli.remote.answer import answered
    from src.cli.remote.submit import Way, submit_file

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    way = Way(
        url=url,
        function=function,
        secret_file=secret_file,
        secret_parameter=secret_parameter,
        secret_env=secret_env,
    )
    raise typer.Exit(
        answered(
            lambda: submit_file(file, stack, way, run_id=run_id, wait=wait, as_json=as_json),
            as_json=as_json,
        )
    )


@app.command(rich_help_panel=PANEL)
def status(
    run: Run,
    *,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Show where a run stands."""
    from src.cli.remote.answer import answered
    from src.cli.remote.watch import show_status

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    raise typer.Exit(answered(lambda: show_status(run, stack, as_json=as_json), as_json=as_json))


@app.command(rich_help_panel=PANEL)
def wait(
    run: Run,
    *,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Show a run until it ends.

    Exit code: 0 succeeded, 1 failed, timed out or cancelled, 2 refused, 130 interrupted.
    """
    from src.cli.remote.answer import answered
    from src.cli.remote.watch import wait_for

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    raise typer.Exit(answered(lambda: wait_for(run, stack, as_json=as_json), as_json=as_json))


@app.command(rich_help_panel=PANEL)
def logs(
    run: Run,
    order: Annotated[
        str | None,
        typer.Argument(metavar="ORDER", help="An order's name or number.", show_default=False),
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show lines as they come, until the end.")
    ] = False,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Show what the orders of a run printed."""
    from src.cli.remote.answer import answered
    from src.cli.remote.logs import show_logs

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    raise typer.Exit(
        answered(
            lambda: show_logs(run, order, stack, follow=follow, as_json=as_json), as_json=as_json
        )
    )


@app.command(rich_help_panel=PANEL)
def events(
    run: Run,
    *,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Show what happened in a run, step by step."""
    from src.cli.remote.answer import answered
    from src.cli.remote.story import show_events

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    raise typer.Exit(answered(lambda: show_events(run, stack, as_json=as_json), as_json=as_json))


@app.command(rich_help_panel=PANEL)
def runs(
    *,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many at most.")] = 20,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Show the latest runs."""
    from src.cli.remote.answer import answered
    from src.cli.remote.story import show_runs

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    raise typer.Exit(
        answered(lambda: show_runs(stack, limit=limit, as_json=as_json), as_json=as_json)
    )


@app.command(rich_help_panel=PANEL)
def cancel(
    run: Run,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Cancel a run: nothing more starts, and what runs is stopped.

    Exit code: 0 it is being cancelled (with --wait: it is), 1 it had ended otherwise, 2 refused.
    """
    from src.cli.remote.answer import answered
    from src.cli.remote.change import cancel_run

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    raise typer.Exit(
        answered(lambda: cancel_run(run, stack, wait=wait, as_json=as_json), as_json=as_json)
    )


@app.command(rich_help_panel=PANEL)
def rerun(
    run: Run,
    *,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Carry over what succeeded; run only what did not."),
    ] = False,
    url: Url = None,
    function: FunctionName = None,
    secret_file: SecretFile = None,
    secret_parameter: SecretParameter = None,
    secret_env: SecretEnv = None,
    run_id: RunId = None,
    wait: Wait = False,
    as_json: AsJson = False,
    stack_outputs: StackOutputs = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Start a run's job again, on the same commits, and print the new run's id.

    Exit code: 0 accepted (with --wait: as `wait`), 1 no answer, 2 refused.
    """
    from src.cli.remote.answer import answered
    from src.cli.remote.change import rerun as again
    from src.cli.remote.submit import Way

    stack = Stack(outputs=stack_outputs, endpoint=endpoint_url)
    way = Way(
        url=url,
        function=function,
        secret_file=secret_file,
        secret_parameter=secret_parameter,
        secret_env=secret_env,
    )
    raise typer.Exit(
        answered(
            lambda: again(
                run, stack, way, failed=failed, new_id=run_id, wait=wait, as_json=as_json
            ),
            as_json=as_json,
        )
    )
