"""The table of commands."""

from importlib.metadata import version
from typing import Annotated

import typer

from emboscope.cli import (
    annotation,
    labeling,
    models,
    monitor,
    recordings,
    report,
    scan,
    tables,
    tools,
)

app = typer.Typer(
    name="emboscope",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

COMMANDS = (
    tools.demo,
    recordings.simulate,
    scan.scan,
    monitor.monitor,
    recordings.score,
    report.report,
    annotation.ingest,
    labeling.map,
    labeling.propagate,
    annotation.labels,
    models.train,
    models.evaluate,
    models.compress,
    models.export,
    tables.run,
    tools.doctor,
)
for each in COMMANDS:
    app.command()(each)
app.add_typer(tools.data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emboscope {version('emboscope')}")
        raise typer.Exit


HELP = (
    "From Doppler, EEG and ECG recordings to labelled events, models from few labels, and "
    "models small enough for the device. Research use only: not a medical device."
)


@app.callback(help=HELP)
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options of the program itself."""
