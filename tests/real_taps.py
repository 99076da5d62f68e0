"""The real recordings, where their probe taps are, and emboli put between them."""

import itertools
import os
from pathlib import Path

import numpy as np

from emboscope.signal.spectrum import HighPass, stft
from emboscope.simulation.emboli import Embolus, passage

SFREQ, CARRIER = 5000.0, 2e6
CLEAR = 0.15  # seconds between an embolus and a tap
# read off the spectrograms, for each moment; the last two rows are faint or partly seen taps
TAPS_S = ((1.30, 1.66, 2.29), (0.66, 1.02, 1.65, 2.64), (1.75, 2.41), (1.91, 2.47))
FAINT_S = (1.30, 1.42)


def real_recordings():
    """Samples and tap times of the eight recordings, or None where the file is missing."""
    path = Path(os.environ.get("EMBOSCOPE_DATA", "")) / "tcd_dwl_hits.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        iq, offset = file["iq"] / 32768, file["offset"]
    return [
        (iq[a:b, 0] + 1j * iq[a:b, 1], TAPS_S[n // 2])
        for n, (a, b) in enumerate(itertools.pairwise(offset))
    ]


def flow_power(samples, taps_s):
    """Median power of the flow side (away) far from the taps, and its fastest frequency."""
    spectrum = stft(HighPass(SFREQ)(samples), SFREQ)
    far = np.min(np.abs(spectrum.times[:, None] - np.array([*taps_s, *FAINT_S])), axis=1) > CLEAR
    quiet = spectrum.power[:, far]
    away = spectrum.freqs < -150
    level = np.cumsum(np.median(quiet[away], axis=1)[::-1])
    fastest = -spectrum.freqs[away][::-1][np.searchsorted(level, 0.9 * level[-1])]
    flow = float(np.median(quiet[away].sum(axis=0)))
    return flow, float(fastest)


def with_embolus(samples, taps_s, ebr_db, rng):
    """A type I embolus against the flow-side power of the recording, and when it passes."""
    peak_s = rng.uniform(0.25, 2.6)
    while np.abs(peak_s - np.array([*taps_s, *FAINT_S])).min() < CLEAR:
        peak_s = rng.uniform(0.25, 2.6)
    flow, fastest = flow_power(samples, taps_s)
    window = np.hanning(65)[:-1]
    spread = 64 * (window**2).sum() / window.sum() ** 2  # power of a frame over the signal's
    embolus = Embolus("gaseous", ebr_db, 0.8, "I", 0.0, 1.0, 0.0, 20.0)
    largest = np.full(samples.size, fastest)
    crossing = passage(embolus, peak_s, largest, 2 * CARRIER / 154000, 8.0, SFREQ, rng)
    blended = samples.copy()
    where = slice(crossing.first, crossing.first + crossing.samples.size)
    blended[where] += crossing.samples.conj() * np.sqrt(flow / spread)
    return blended, peak_s
