"""Commands around the main job: demo, data, doctor."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emboscope.cli.console import AsJson, Quiet, command, print_json, print_table, progress_of


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that the demo makes.")] = Path("demo"),
    quick: Annotated[bool, typer.Option(help="Shorter recordings and trainings.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """The whole chain on simulated patients, with a report at the end.

    Example: emboscope demo --out demo
    """
    from emboscope.workflows.demo import demo as run

    result = run(out, quick, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
        return
    print_table(
        "Demo on simulated patients", ["figure", "value"], [list(row) for row in result.rows]
    )
    typer.echo(f"Report: {result.report}")


data = typer.Typer(no_args_is_help=True, help="Data sets: list, fetch, verify.")


@data.command("list")
@command
def data_list(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """What is known, and what is on this machine.

    Example: emboscope data list
    """
    from emboscope.workflows.data import list_data

    rows = list_data()
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        "Data sets",
        ["name", "what", "licence", "where"],
        [[row.name, row.title, row.licence, row.where] for row in rows],
    )


@data.command("fetch")
@command
def data_fetch(
    name: Annotated[str, typer.Argument(help="Name in the list.")],
    out: Annotated[
        Path | None, typer.Option(help="Also copy it here; tcd_dwl is written as WAV.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Download a data set, check it and keep it.

    Example: emboscope data fetch tcd_dwl --out tcd
    """
    from emboscope.workflows.data import fetch_data

    paths = fetch_data(name, out, progress_of(quiet, as_json))
    print_json(paths) if as_json else typer.echo("\n".join(paths))


@data.command("verify")
@command
def data_verify(
    name: Annotated[str, typer.Argument(help="Name in the list.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare the files of a data set with their published sums.

    Example: emboscope data verify mnist
    """
    from emboscope.workflows.data import verify_data

    sentences = verify_data(name)
    print_json(sentences) if as_json else typer.echo("\n".join(sentences))


@command
def doctor(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """What this installation has, what it lacks, and the remedy.

    Example: emboscope doctor
    """
    from emboscope.workflows.doctor import examine

    findings = examine()
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    print_table(
        "This installation",
        ["what", "found", "remedy"],
        [[each.what, each.found, each.remedy] for each in findings],
    )
