"""The command that runs a study."""

from pathlib import Path
from typing import Annotated

import typer

from emboscope.cli.console import (
    AsJson,
    Quiet,
    Seed,
    Threads,
    command,
    print_json,
    print_table,
    progress_of,
)


@command
def run(
    study: Annotated[Path, typer.Argument(help="TOML file of the study.")],
    quick: Annotated[bool, typer.Option(help="The fewer repeats that the study names.")] = False,
    force: Annotated[bool, typer.Option(help="Measure again what is stored.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a table; may be repeated.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="A study or an HDF5 of HITS, in place of simulated patients."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Cells at once.", min=1)] = 1,
    backend: Annotated[str, typer.Option(help="local, or dask: on a cluster.")] = "local",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler.")] = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the tables of a study; repeat the command to go on after a stop.

    Example: emboscope run studies/annotation.toml --quick
    """
    from emboscope.workflows.table_runs import (
        RunOptions,
        Workers,
        cells_of,
        check_failures,
        notes_of,
        run_study,
        summary,
    )

    options = RunOptions(quick, force, tuple(only or ()), seed, threads, data)
    workers = Workers(jobs, backend, scheduler)
    result = run_study(study, options, progress_of(quiet, as_json), workers)
    if as_json:
        print_json(summary(result))
    else:
        for table in result.tables:
            heads, *rows = cells_of(table)
            print_table(table.title, heads, rows, whole=False)
            typer.echo("\n".join(notes_of(table)) + "\n")
        typer.echo(
            f"Cells: {result.n_measured} measured, {result.n_stored} stored before, "
            f"{len(result.failures)} failed.\nTables: {result.folder}"
        )
    check_failures(result)
