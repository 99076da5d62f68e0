"""The acceptance list of Doppler monitoring: one line an item, with the figure.

    python benchmarks/doppler_acceptance.py [--patients 24] [--minutes 30] [--seed 4242]

Items that are figures are computed here, on simulated flow and simulated patients (24 × 30 minutes
whose seed no setting was chosen on) and on the real recordings in EMBOSCOPE_DATA; items that are
behaviors run the tests that hold them. Exits with 1 where an item fails. A whole day is
`long_recording.py`, the difficulty of the classes `difficulty.py`, all detectors `detectors.py`.
"""

import argparse
import os
import subprocess
import sys
from functools import reduce
from operator import add
from pathlib import Path

import acceptance_signal as signal
import numpy as np
from joblib import Parallel, delayed
from patients import Tally, tally

from emboscope.events.block import Acquisition
from emboscope.events.detection import detect
from emboscope.events.review import review_order
from emboscope.events.settings import DetectionSettings
from emboscope.simulation.recording import SimulationSettings, simulate

ROOT = Path(__file__).parents[1]
TESTS = {
    "8 event scoring by hand": ["tests/events/test_scoring.py"],
    "9 patient-wise splits": ["tests/evaluation/test_evaluation.py"],
    "10 fourteen items": ["tests/report/test_monitoring.py", "tests/cli"],
    "11 streaming equals batch": ["tests/events/test_detection.py", "-k", "streaming"],
    "12 stopped scans go on": ["tests/workflows/test_scan_at_length.py"],
    "19 input variety": ["tests/workflows/test_formats.py", "tests/signal/test_layout.py"],
    "20 same in, same out": ["tests/cli", "tests/simulation/test_simulation.py", "-k", "same"],
    "23 privacy": ["tests/signal/test_privacy.py", "tests/workflows/test_scan_at_length.py",
                   "-k", "privacy or pseudonym or name"],
    "24 statistics of the report": ["tests/evaluation/test_poisson.py", "tests/report"],
    "25 robust failure": ["tests/signal/test_refusals.py", "tests/signal/test_damaged.py",
                          "tests/cli/test_recordings_commands.py"],
}  # fmt: skip

Result = tuple[bool, str]


def by_tests(arguments: list[str]) -> Result:
    """Whether the tests pass, and pytest's last line."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0, done.stdout.strip().splitlines()[-1]


def one_patient(settings: SimulationSettings, index: int) -> tuple[Tally, int, list[bool], int]:
    """Tally at the defaults, raw crossings, candidates in review order (embolus or not), emboli."""
    simulated = simulate(settings, index)
    samples = simulated.recording.samples[0]
    acquisition = Acquisition(settings.sfreq, simulated.recording.carrier_hz)

    def found(threshold_db: float):
        return detect(
            lambda a, b: samples[a:b],
            samples.size,
            acquisition,
            DetectionSettings(threshold_db=threshold_db, close_db=min(3.0, threshold_db - 0.5)),
        )

    default, low = found(5.0), found(3.5)
    true_s = np.array([e.peak_s for e in simulated.events if e.label != "artifact"])
    ranked = [low.events[k].peak_s for k in review_order(low.events)]
    seen = [bool(true_s.size and np.abs(true_s - peak_s).min() < 0.05) for peak_s in ranked]
    return tally(simulated, default), len(default.events), seen, true_s.size


def patients(options: argparse.Namespace, preset: str, minutes: float) -> list:
    """`one_patient` for all, on two cores."""
    settings = SimulationSettings(
        n_patients=options.patients, minutes=minutes, seed=options.seed, preset=preset
    )
    return Parallel(n_jobs=2)(delayed(one_patient)(settings, n) for n in range(options.patients))


def blood_alone(options: argparse.Namespace) -> Result:
    """False emboli an hour of pure blood, and what passed the threshold before the criteria."""
    rows = patients(options, "blood", max(240 / options.patients, 1))
    total = reduce(add, (row[0] for row in rows))
    raw = sum(row[1] for row in rows) / total.hours
    text = f"{total.hours:.2f} h of blood: {total.false_per_hour:.2f} false/h (at most 2)"
    return total.false_per_hour <= 2, f"{text}; all candidates {raw:.2f}/h"


def ambulatory(options: argparse.Namespace) -> tuple[Result, Result]:
    """Artifacts reported as emboli, sensitivity from 7 dB, and the reading that is saved."""
    rows = patients(options, "ambulatory", options.minutes)
    total = reduce(add, (row[0] for row in rows))
    reported, found = total.reported / total.artifacts, total.sensitivity(7)
    bands = ", ".join(f"{f}/{n}" for f, n in zip(total.found, total.total, strict=True))
    text = (
        f"{total.hours:.2f} evaluable h, {total.artifacts / total.hours:.0f} artifacts/h: "
        f"{100 * (1 - reported):.1f} % not reported as emboli (at least 95), sensitivity from 7 dB "
        f"{100 * found:.1f} % (at least 85); by band {bands}; overlapping in showers "
        f"{total.shower_found}/{total.shower_total}; {total.false_per_hour:.1f} false/h"
    )
    return (reported <= 0.05 and found >= 0.85, text), reading_saved(rows)


def reading_saved(rows: list) -> Result:
    """Share of the candidates that must be looked at to have seen 95 % of the emboli found."""
    shares = []
    for _, _, seen, n_true in rows:
        if n_true and sum(seen):
            needed = int(np.searchsorted(np.cumsum(seen), 0.95 * sum(seen))) + 1
            shares.append((needed, len(seen), sum(seen), n_true))
    needed, candidates, found, true = (sum(column) for column in zip(*shares, strict=True))
    return True, (
        f"of {candidates} candidates at 3.5 dB, {needed} ({100 * needed / candidates:.1f} %) in "
        f"review order hold 95 % of the {found} emboli among them ({true} were put in)"
    )


def main() -> int:
    """Print all lines; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=4242)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    failed = 0

    def line(name: str, result: Result) -> None:
        nonlocal failed
        failed += not result[0]
        print(f"{'ok  ' if result[0] else 'FAIL'} {name}: {result[1]}", flush=True)

    for name, function in signal.ITEMS.items():
        line(name, function())
    line("R real recordings", signal.on_real_recordings())
    line("4 pure blood", blood_alone(options))
    rejection, reading = ambulatory(options)
    line("5 artifact rejection", rejection)
    line("5 reading saved", reading)
    for name, arguments in TESTS.items():
        line(name, by_tests(arguments))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
