"""All detectors on the same simulated patients, at three thresholds.

    python benchmarks/detectors.py --patients 12 --minutes 5 --seed 11

Prints a Markdown table: sensitivity by embolus-to-blood ratio, false events an evaluable hour, and
the share of artifacts that were reported as emboli. Simulated data.
"""

import argparse
from functools import reduce
from itertools import product
from operator import add

import numpy as np
from joblib import Parallel, delayed

from emboscope.events.block import Acquisition
from emboscope.events.detection import DETECTORS, detect
from emboscope.events.scoring import Score, match, score_times
from emboscope.events.settings import DetectionSettings
from emboscope.simulation.recording import SimulationSettings, simulate

THRESHOLDS_DB = (4.0, 5.0, 7.0)

Cell = tuple[Score, int, int]  # score, artifacts reported as emboli, artifacts


def one_patient(settings: SimulationSettings, index: int) -> dict[tuple[str, float], Cell]:
    """Score of each detector and threshold on one patient."""
    simulated = simulate(settings, index)
    signal = simulated.recording.samples[0]
    acquisition = Acquisition(settings.sfreq, simulated.recording.carrier_hz)
    true = [event for event in simulated.events if event.label != "artifact"]
    artifacts = np.array([e.peak_s for e in simulated.events if e.label == "artifact"])
    cells = {}
    for name, threshold in product(DETECTORS, THRESHOLDS_DB):
        found = detect(
            lambda a, b: signal[a:b],
            signal.size,
            acquisition,
            DetectionSettings(threshold_db=threshold, close_db=min(3.0, threshold - 1)),
            name,
        )
        peaks = np.array([event.peak_s for event in found.events if event.is_embolus])
        score = score_times(
            peaks,
            np.array([event.peak_s for event in true]),
            found.evaluable_s / 3600,
            reference_ebr_db=np.array([event.ebr_db for event in true]),
        )
        cells[name, threshold] = (score, len(match(peaks, artifacts, 0.05)), artifacts.size)
    return cells


def row(name: str, threshold: float, cells: list[Cell]) -> str:
    """One line of the table."""
    score = reduce(add, (cell[0] for cell in cells))
    reported, artifacts = (sum(cell[i] for cell in cells) for i in (1, 2))
    bands = " | ".join(f"{found}/{total}" if total else "–" for _, _, found, total in score.by_band)
    return (
        f"| `{name}` | {threshold:g} | {bands} | {100 * score.sensitivity:.0f} | "
        f"{score.false_per_hour:.1f} | {100 * reported / max(artifacts, 1):.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    settings = SimulationSettings(
        n_patients=options.patients, minutes=options.minutes, seed=options.seed
    )
    patients = Parallel(n_jobs=2)(
        delayed(one_patient)(settings, index) for index in range(options.patients)
    )
    print("| detector | threshold, dB | 3–5 | 5–7 | 7–10 | 10–20 | >20 dB | sensitivity, % "
          "| false/h | artifacts as emboli, % |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, threshold in product(DETECTORS, THRESHOLDS_DB):
        print(row(name, threshold, [cells[name, threshold] for cells in patients]))


if __name__ == "__main__":
    main()
