"""All detectors on the same simulated patients and the same real recordings.

    python benchmarks/detectors.py --patients 12 --minutes 5 --seed 11 --figure froc.png

Prints a Markdown table at the default threshold: sensitivity by embolus-to-blood ratio, false
events an evaluable hour, the share of artifacts reported as emboli; on the real recordings the
taps found, emboli reported, and emboli of 7 to 20 dB put in that were found. The figure has the
FROC curves over the thresholds. Simulated data, two gates; the other detectors use the first.
"""

import argparse
import sys
from functools import reduce
from itertools import product
from operator import add
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from patients import Tally, tally

import emboscope.workflows.cnn_detector  # noqa: F401  (which registers cnn)
from emboscope.events.block import Acquisition
from emboscope.events.detection import DETECTORS, detect
from emboscope.events.scoring import EBR_BANDS_DB
from emboscope.events.settings import DetectionSettings
from emboscope.simulation.recording import SimulationSettings, simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from real_taps import CARRIER, SFREQ, real_recordings, with_embolus

DEFAULT_DB = 5.0
THRESHOLDS_DB = (3.5, 4.0, DEFAULT_DB, 6.0, 7.0, 9.0, 12.0)
PLACES = 40

Cells = dict[tuple[str, float], Tally]


def one_patient(settings: SimulationSettings, index: int) -> Cells:
    """Tally of each detector and threshold on one patient."""
    simulated = simulate(settings, index)
    signal = simulated.recording.samples
    acquisition = Acquisition(settings.sfreq, simulated.recording.carrier_hz)
    return {
        (name, threshold): tally(
            simulated,
            detect(
                lambda a, b: signal[:, a:b],
                signal.shape[1],
                acquisition,
                DetectionSettings(threshold_db=threshold, close_db=min(3.0, threshold - 1)),
                name,
            ),
        )
        for name, threshold in product(DETECTORS, THRESHOLDS_DB)
    }


def on_real(name: str) -> str:
    """Taps found, emboli reported, and emboli put in that were found, as cells of the table."""
    recordings = real_recordings()
    if recordings is None or name == "two_gate":
        return "– | – | –"

    def scan(samples: np.ndarray) -> list[tuple[float, str]]:
        found = detect(
            lambda a, b: samples[a:b], samples.size, Acquisition(SFREQ, CARRIER), detector=name
        )
        return [(event.peak_s, event.verdict) for event in found.events]

    taps = reported = 0
    for samples, times_s in recordings:
        events = scan(samples)
        taps += sum(any(abs(peak - t) < 0.05 for peak, _ in events) for t in times_s)
        reported += sum(verdict == "embolus" for _, verdict in events)
    rng, hits = np.random.default_rng(0), 0
    for n in range(PLACES):
        samples, times_s = recordings[n % len(recordings)]
        blended, peak_s = with_embolus(samples, times_s, rng.uniform(7, 20), rng)
        hits += any(v == "embolus" and abs(p - peak_s) < 0.05 for p, v in scan(blended))
    return f"{taps}/{sum(len(times) for _, times in recordings)} | {reported} | {hits}/{PLACES}"


def row(name: str, total: Tally, real: str) -> str:
    """One line of the table."""
    shares = 100 * total.found / np.maximum(total.total, 1)
    bands = " | ".join(f"{share:.0f}" for share in shares)
    reported = 100 * total.reported / max(total.artifacts, 1)
    return (
        f"| `{name}` | {bands} | {total.shower_found}/{total.shower_total} | "
        f"{total.false_per_hour:.1f} | {reported:.1f} | {real} |"
    )


def froc(totals: dict[tuple[str, float], Tally], path: Path) -> None:
    """Sensitivity over false events an hour, one line a detector."""
    figure = Figure(figsize=(7.5, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    styles = ("-", "--", ":")
    for k, name in enumerate(DETECTORS):
        cells = [totals[name, threshold] for threshold in THRESHOLDS_DB]
        axes.plot(
            [max(cell.false_per_hour, 0.1) for cell in cells],
            [100 * cell.sensitivity() for cell in cells],
            styles[k // 10 if name != "hbr_recursive" else 0],
            marker="o", ms=3.5, lw=2.2 if name == "hbr_recursive" else 1.1, label=name,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set(xlabel="false emboli an evaluable hour (0.1: none)", ylabel="sensitivity, %")
    axes.set_title(
        "Simulated patients, all emboli from 3 dB that pass alone", fontsize=10, loc="left"
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Print the table, and draw the figure where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--rate-factor", type=float, default=30)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    settings = SimulationSettings(
        n_patients=options.patients,
        minutes=options.minutes,
        seed=options.seed,
        gates=2,
        rate_factor=options.rate_factor,
    )
    patients = Parallel(n_jobs=2)(
        delayed(one_patient)(settings, index) for index in range(options.patients)
    )
    totals = {key: reduce(add, (cells[key] for cells in patients)) for key in patients[0]}
    first = totals["hbr_recursive", DEFAULT_DB]
    numbers = ", ".join(
        f"{low:g}–{high:g} dB {n}" for (low, high), n in zip(EBR_BANDS_DB, first.total, strict=True)
    )
    print(f"{first.hours:.2f} evaluable hours, {first.artifacts} artifacts; lone emboli {numbers}")
    print("| detector | 3–5 dB, % | 5–7 | 7–10 | 10–20 | >20 | in showers | false/h "
          "| artifacts as emboli, % | real taps | real emboli | put in |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in DETECTORS:
        print(row(name, totals[name, DEFAULT_DB], on_real(name)))
    if options.figure:
        froc(totals, options.figure)


if __name__ == "__main__":
    main()
