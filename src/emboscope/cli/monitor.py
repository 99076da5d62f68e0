"""The command that finds events and names them by a model."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emboscope.cli.console import (
    AsJson,
    CarrierMhz,
    QSign,
    Quiet,
    command,
    print_json,
    print_table,
    progress_of,
)
from emboscope.cli.scan import Changes, Flow, Jobs, Layout, Pseudonyms, Sfreq, ThresholdDb

if TYPE_CHECKING:
    from emboscope.workflows.monitor import MonitorResult

CLASSES = ("artifact", "gaseous", "solid", "unknown")


@command
def monitor(
    given: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDING...",
            help="Recordings, folders of them, HDF5 files of cut HITS, or studies.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for events and reports; a study needs none.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an export; otherwise the weights that are shipped, of simulated "
            "patients."
        ),
    ] = None,
    least_probability: Annotated[
        float | None,
        typer.Option(help="Of a class, else the event is unknown; that of the model otherwise."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also on a carrier that the model does not know.")
    ] = False,
    cut: Annotated[
        bool,
        typer.Option("--cut", help="Each recording is one cut HITS, its peak in the middle."),
    ] = False,
    carrier_mhz: CarrierMhz = None,
    q_sign: QSign = "auto",
    layout: Layout = "auto",
    flow: Flow = None,
    sfreq: Sfreq = None,
    threshold_db: ThresholdDb = None,
    changes: Changes = None,
    clips: Annotated[bool, typer.Option("--clips", help="A sound clip of each event.")] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="A report of each recording.")
    ] = True,
    language: Annotated[str, typer.Option(help="Of the report: en, es or fr.")] = "en",
    pseudonyms: Pseudonyms = None,
    jobs: Jobs = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find emboli in recordings, say of each whether it is gas or solid, and report.

    Example: emboscope monitor patient.wav --out session --carrier-mhz 2 --language es
    """
    from emboscope.workflows.monitor import (
        ClassOptions,
        Extras,
        MonitorOptions,
        ScanOptions,
        Workers,
        check_found,
        detection_settings,
    )
    from emboscope.workflows.monitor import monitor as run

    own = ClassOptions(least=least_probability, force=force)
    options = ScanOptions(
        carrier_mhz=carrier_mhz,
        q_sign=q_sign,
        layout=layout,
        flow=flow,
        sfreq=sfreq,
        settings=detection_settings(threshold_db, tuple(changes or ())),
        extras=Extras(clips, None, report, language),
        classes=own if model is None else ClassOptions(model, least_probability, force),
    )
    wanted = MonitorOptions(options, cut, Workers(jobs), pseudonyms)
    result = run(given, out, wanted, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
    else:
        _print(result, out)
    check_found(result)


def _print(result: "MonitorResult", out: Path | None) -> None:
    """Tables of recordings, HITS and studies, and of which model the classes are."""
    if result.recordings:
        print_table(
            "Events by recording",
            ["recording", "minutes", "evaluable", *CLASSES, "note"],
            [
                [row.name, f"{row.duration_s / 60:.2f}", f"{row.evaluable_s / 60:.2f}",
                 *_counts(row.labels), ", ".join(row.flags)]
                for row in result.recordings
            ],
        )  # fmt: skip
    if result.hits:
        print_table(
            "Cut HITS",
            ["file", *CLASSES, "class known", "MCC of those", "note"],
            [
                [row.name, *_counts(row.labels), str(row.known),
                 f"{row.mcc:.2f}" if row.mcc == row.mcc else "–", ", ".join(row.flags)]
                for row in result.hits
            ],
        )  # fmt: skip
    if result.studies:
        print_table(
            "Samples of studies",
            ["study", *CLASSES, "labeled by people", "test patients", "batch", "note"],
            [
                [row.study, *_counts(row.labels), str(row.judged), str(row.held_out),
                 row.batch or "–", ", ".join(row.flags)]
                for row in result.studies
            ],
        )  # fmt: skip
    trained_on = result.model["trained_on"] or "it does not tell"
    typer.echo(f"Model: {result.model['name']}, trained on: {trained_on}")
    if out is not None and (result.recordings or result.hits):
        typer.echo(f"Results: {out}")
    for row in result.studies:
        if row.batch:
            typer.echo(f"Taken back by: emboscope labels {row.study} undo --batch {row.batch}")


def _counts(labels: dict[str, int]) -> list[str]:
    return [str(labels.get(name, 0)) for name in CLASSES]
