"""Commands on recordings: simulate, scan, score."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emboscope.cli.console import (
    AsJson,
    Quiet,
    Seed,
    command,
    percent,
    print_json,
    print_table,
    progress_of,
)


@command
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the WAV and JSON files.")],
    patients: Annotated[int, typer.Option(help="Number of patients.", min=1)] = 12,
    minutes: Annotated[float, typer.Option(help="Minutes of each recording.", min=0.05)] = 10.0,
    preset: Annotated[
        str, typer.Option(help="ambulatory (all artifacts), clinic (few) or blood (flow alone).")
    ] = "ambulatory",
    carrier_mhz: Annotated[
        float | None, typer.Option(help="One carrier for all; by centre otherwise.")
    ] = None,
    sfreq: Annotated[float, typer.Option(help="Pulse repetition frequency, in Hz.")] = 4385.0,
    rate_factor: Annotated[
        float,
        typer.Option(help="Times the true rate of emboli of carotid and stroke patients.", min=0),
    ] = 10.0,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate patients with known emboli and artifacts.

    Example: emboscope simulate sim --patients 12 --minutes 10 --seed 1
    """
    from emboscope.workflows.simulate import SimulationSettings, simulate_folder

    settings = SimulationSettings.parse(
        {
            "n_patients": patients,
            "minutes": minutes,
            "preset": preset,
            "sfreq": sfreq,
            "carrier_hz": carrier_mhz * 1e6 if carrier_mhz else None,
            "rate_factor": rate_factor,
            "seed": seed,
        },
        "simulate",
    )
    result = simulate_folder(out, settings, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
        return
    rows = [[label, str(n)] for label, n in sorted(result.events.items())]
    print_table(f"{patients} simulated patients × {minutes:g} min", ["event", "number"], rows)
    typer.echo(f"Recordings and truth: {out}\nNext: emboscope scan {out} --out {out}-events")


@command
def scan(
    recordings: Annotated[
        list[Path], typer.Argument(help="WAV, FLAC, RF64, CSV, NPZ or EDF, or a folder of WAV.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the events.")],
    carrier_mhz: Annotated[
        float | None, typer.Option(help="Transmitted frequency, where no sidecar tells it.")
    ] = None,
    q_sign: Annotated[
        str, typer.Option(help="Sign of Q: auto (sidecar, else +), + or -.")
    ] = "auto",
    flow: Annotated[
        str | None, typer.Option(help="towards or away; found from the signal otherwise.")
    ] = None,
    sfreq: Annotated[float | None, typer.Option(help="Hz, for files that do not say it.")] = None,
    detector: Annotated[str, typer.Option(help="How to detect.")] = "hbr_recursive",
    threshold_db: Annotated[
        float | None, typer.Option(help="HITS-to-blood ratio that opens an event.", min=3, max=12)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find emboli and artifacts in recordings.

    Example: emboscope scan patient.wav --out events --carrier-mhz 2
    """
    from emboscope.workflows.scan import DetectionSettings, ScanOptions
    from emboscope.workflows.scan import scan as run

    changed = {} if threshold_db is None else {"threshold_db": threshold_db}
    if threshold_db is not None and threshold_db < 4.5 and not quiet:
        typer.secho(
            f"--threshold-db {threshold_db:g}: blood alone passes this hundreds of times an hour.",
            err=True,
            fg="yellow",
        )
    options = ScanOptions(
        carrier_mhz, q_sign, flow, sfreq, detector, DetectionSettings.parse(changed, "scan")
    )
    result = run(recordings, out, options, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
        return
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


@command
def score(
    events: Annotated[Path, typer.Argument(help="NAME.events.csv, or a folder of them.")],
    reference: Annotated[Path, typer.Argument(help="NAME.json with the truth, or a folder.")],
    tolerance_ms: Annotated[float, typer.Option(help="Largest distance of two peaks.")] = 50.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare detected emboli with a reference.

    Example: emboscope score sim-events sim
    """
    from emboscope.workflows.score import score as run

    result = run(events, reference, tolerance_ms)
    if as_json:
        print_json({
            "tolerance_ms": result.tolerance_ms,
            "total": result.total.as_dict(),
            "recordings": [row.as_dict() for row in result.rows],
        })
        return
    print_table(
        f"Emboli, matched one to one within ±{tolerance_ms:g} ms",
        ["recording", "true", "found", "false", "doubtful", "sensitivity %", "PPV %", "F1 %",
         "false/h", "hours"],
        [
            [row.name, str(row.score.hits + row.score.misses), str(row.score.hits),
             str(row.score.false), str(row.doubtful), percent(row.score.sensitivity),
             percent(row.score.ppv), percent(row.score.f1), _figure(row.score.false_per_hour),
             f"{row.score.evaluable_h:.2f}"]
            for row in (*result.rows, result.total)
        ],
    )  # fmt: skip
    print_table(
        "Sensitivity by embolus-to-blood ratio",
        ["EBR", "true", "found", "sensitivity %"],
        [
            [f"{low:g} to {high:g} dB" if high < 100 else f"over {low:g} dB", str(total),
             str(found), percent(found / total if total else float("nan"))]
            for low, high, found, total in result.total.score.by_band
        ],
    )  # fmt: skip
    typer.echo("F1 is the proportion of specific agreement. Hours are evaluable hours.")


def _figure(value: float) -> str:
    return "–" if value != value else f"{value:.1f}"
