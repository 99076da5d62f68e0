"""The command that makes a report of a finished scan."""

from pathlib import Path
from typing import Annotated

import typer

from emboscope.cli.console import AsJson, Quiet, command, print_json


@command
def report(
    events: Annotated[Path, typer.Argument(help="NAME.events.json of a scan.")],
    recording: Annotated[Path, typer.Argument(help="The recording that was scanned.")],
    out: Annotated[Path, typer.Option(help="Folder for NAME.report.html.")],
    language: Annotated[str, typer.Option(help="en, es or fr.")] = "en",
    pdf: Annotated[bool, typer.Option("--pdf", help="Write NAME.report.pdf too.")] = False,
    q_sign: Annotated[str, typer.Option(help="As it was given to scan.")] = "auto",
    sfreq: Annotated[float | None, typer.Option(help="As it was given to scan.")] = None,
    layout: Annotated[str, typer.Option(help="As it was given to scan.")] = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a report of a recording that was scanned: one file that opens offline.

    Example: emboscope report events/patient.events.json patient.wav --out reports --language es
    """
    from emboscope.workflows.report import Opening, report_from_files

    told = (q_sign, sfreq, layout) != ("auto", None, "auto")
    opening = Opening(q_sign, sfreq, layout) if told else None
    path = report_from_files(events, recording, out, language, pdf, opening)
    files = {"html": str(path), "pdf": str(path.with_suffix(".pdf")) if pdf else None}
    if as_json:
        print_json(files)
        return
    typer.echo("\n".join(f"Report: {each}" for each in files.values() if each))
