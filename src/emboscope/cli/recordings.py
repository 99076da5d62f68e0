"""Commands on recordings: simulate, score."""

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
    minutes: Annotated[
        float, typer.Option(help="Minutes of each recording.", min=0.05, max=10080)
    ] = 10.0,
    preset: Annotated[
        str, typer.Option(help="ambulatory (all artifacts), clinic (few) or blood (flow alone).")
    ] = "ambulatory",
    indication: Annotated[
        str | None,
        typer.Option(
            help="One for all patients: carotid, surgical_valve, transcatheter_valve, "
            "cardiac_surgery, acute_stroke or none; by the case mix of each center otherwise."
        ),
    ] = None,
    gates: Annotated[int, typer.Option(help="1, or 2 that lie 5 to 10 mm apart.")] = 1,
    second_carrier: Annotated[
        bool, typer.Option("--second-carrier", help="2.0 and 2.5 MHz at once (derived).")
    ] = False,
    carrier_mhz: Annotated[
        float | None, typer.Option(help="One carrier for all; by centre otherwise.")
    ] = None,
    sfreq: Annotated[float, typer.Option(help="Pulse repetition frequency, in Hz.")] = 4385.0,
    rate_factor: Annotated[
        float,
        typer.Option(help="Times the true rate of emboli, up to 360 an hour.", min=0),
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
            "indication": indication,
            "gates": gates,
            "second_carrier": second_carrier,
            "sfreq": sfreq,
            "carrier_hz": None if carrier_mhz is None else carrier_mhz * 1e6,
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
def score(
    events: Annotated[Path, typer.Argument(help="NAME.events.csv, or a folder of them.")],
    reference: Annotated[
        Path, typer.Argument(help="NAME.json with the truth, a DWL log (.TX0), or a folder.")
    ],
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
            "total": {**result.total.as_dict(), "intervals": result.intervals},
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
    low, high = result.intervals["sensitivity"]
    fewest, most = result.intervals["false_per_hour"]
    typer.echo(
        f"95 % intervals over recordings: sensitivity {percent(low)} to {percent(high)} %, "
        f"{_figure(fewest)} to {_figure(most)} false/h.\n"
        "F1 is the proportion of specific agreement. Hours are evaluable hours."
    )
    if result.total.not_evaluable:
        typer.echo(f"Not scored, in stretches without signal: {result.total.not_evaluable}.")


def _figure(value: float) -> str:
    return "–" if value != value else f"{value:.1f}"
