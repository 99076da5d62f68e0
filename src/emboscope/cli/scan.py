"""The command that finds events in recordings."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emboscope.cli.console import (
    AsJson,
    CarrierMhz,
    QSign,
    Quiet,
    Recordings,
    command,
    print_json,
    print_table,
    progress_of,
)

if TYPE_CHECKING:
    from emboscope.workflows.scan import ScanResult

Layout = Annotated[str, typer.Option(help="What the channels are: auto, iq or forward_reverse.")]
Flow = Annotated[str | None, typer.Option(help="towards or away; found from the signal otherwise.")]
Sfreq = Annotated[float | None, typer.Option(help="Hz, for files that do not say it.")]
ThresholdDb = Annotated[
    float | None, typer.Option(help="HITS-to-blood ratio that opens an event.", min=3, max=12)
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value, for example criteria.maximum_s=0.2."),
]
Pseudonyms = Annotated[
    Path | None, typer.Option(help="Key file: names of files become pseudonyms. Made if missing.")
]
Jobs = Annotated[int, typer.Option(help="Recordings at once.", min=1)]


@command
def scan(
    recordings: Recordings,
    out: Annotated[Path, typer.Option(help="Folder for the events.")],
    carrier_mhz: CarrierMhz = None,
    q_sign: QSign = "auto",
    layout: Layout = "auto",
    flow: Flow = None,
    sfreq: Sfreq = None,
    detector: Annotated[str, typer.Option(help="How to detect.")] = "hbr_recursive",
    threshold_db: ThresholdDb = None,
    changes: Changes = None,
    clips: Annotated[bool, typer.Option("--clips", help="A sound clip of each event.")] = False,
    annotations: Annotated[
        str | None, typer.Option(help="Also write the events as edf or wfdb annotations.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="A report of each recording.")] = False,
    language: Annotated[str, typer.Option(help="Of the report: en, es or fr.")] = "en",
    pseudonyms: Pseudonyms = None,
    jobs: Jobs = 1,
    backend: Annotated[str, typer.Option(help="local, or dask: on a cluster.")] = "local",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find emboli and artifacts in recordings. Repeated after an interrupt, it goes on.

    Example: emboscope scan patient.wav --out events --carrier-mhz 2 --report
    """
    from emboscope.workflows.scan import (
        Extras,
        ScanOptions,
        Workers,
        check_judged,
        detection_settings,
    )
    from emboscope.workflows.scan import scan as run

    if threshold_db is not None and threshold_db < 4.5 and not quiet:
        typer.secho(
            f"--threshold-db {threshold_db:g}: blood alone passes this hundreds of times an hour.",
            err=True,
            fg="yellow",
        )
    if pseudonyms is None and not quiet:
        typer.secho(
            "Results keep the names of the files; --pseudonyms KEYFILE replaces them.",
            err=True,
            dim=True,
        )
    options = ScanOptions(
        carrier_mhz=carrier_mhz,
        q_sign=q_sign,
        layout=layout,
        flow=flow,
        sfreq=sfreq,
        detector=detector,
        settings=detection_settings(threshold_db, tuple(changes or ())),
        extras=Extras(clips, annotations, report, language),
    )
    workers = Workers(jobs, backend, scheduler)
    result = run(recordings, out, options, progress_of(quiet, as_json), workers, pseudonyms)
    if as_json:
        print_json(asdict(result))
    else:
        _print_rows(result, out)
    check_judged(result)


def _print_rows(result: "ScanResult", out: Path) -> None:
    """A line a recording."""
    print_table(
        "Events by recording",
        ["recording", "minutes", "evaluable", "flow", "embolus", "doubtful", "artifact",
         "too long", "note"],
        [
            [row.name, f"{row.duration_s / 60:.2f}", f"{row.evaluable_s / 60:.2f}",
             row.flow_side or "unknown",
             *(str(row.counts.get(v, 0)) for v in ("embolus", "doubtful", "artifact", "too_long")),
             ", ".join(row.flags)]
            for row in result.rows
        ],
    )  # fmt: skip
    typer.echo(f"Events: {out}   ({result.times_real_time:.0f} × real time)")
