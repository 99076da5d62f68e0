"""Candidates of a block, and what is measured on each."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from emboscope.events.analysis import Analysis
from emboscope.events.block import EDGE_S, Acquisition, Block
from emboscope.events.criteria import Measures, crest_db, direction_db, verdict
from emboscope.events.event import Event
from emboscope.events.settings import DetectionSettings
from emboscope.signal.doppler import velocity

LASTING_GAP_S = 0.1  # quiet for so long does not part what stays loud
CORE_FRAMES = 8  # on each side of the peak, over which energies are compared


@dataclass(frozen=True)
class Box:
    """Frames of a candidate; `hbr_db` and what was expected at its peak."""

    first: int
    last: int
    peak: int
    hbr_db: float
    expected: float


def changing(search: np.ndarray, frame_s: float, settings: DetectionSettings) -> np.ndarray:
    """Frames from which on, or up to which, the signal stays loud for `change_s`.

    A change of level, or one long event; between the emboli of a shower the signal comes down.
    """
    loud = (search > settings.close_db).astype(float)
    width = max(1, round(settings.change_s / frame_s))
    share = uniform_filter1d(loud, width, mode="nearest")
    half = width // 2
    padded = np.pad(share, half, mode="edge")
    before, after = padded[: search.size], padded[2 * half : 2 * half + search.size]
    return (np.maximum(before, after) > settings.change_share) & np.isfinite(search)


def _runs(loud: np.ndarray, lasting: np.ndarray, frame_s: float, gap_s: float) -> np.ndarray:
    """First and last frame of each loud stretch, (n_runs, 2); short or lasting gaps are bridged."""
    frames = np.flatnonzero(loud)
    if frames.size == 0:
        return np.zeros((0, 2), int)
    not_lasting = np.r_[0, np.cumsum(~lasting)]
    gaps = np.diff(frames) * frame_s
    lasts = not_lasting[frames[1:]] == not_lasting[frames[:-1] + 1]
    apart = gaps > np.where(lasts, LASTING_GAP_S, max(gap_s, 1.5 * frame_s))
    breaks = np.flatnonzero(apart)
    return np.stack([frames[np.r_[0, breaks + 1]], frames[np.r_[breaks, frames.size - 1]]], axis=1)


def boxes(
    search: np.ndarray,
    hbr: np.ndarray,
    expected: np.ndarray,
    frame_s: float,
    settings: DetectionSettings,
) -> Iterator[Box]:
    """Candidates of the search, each with its extent in the finer series around its peak."""
    lasting = changing(search, frame_s, settings)
    fine = _runs(hbr > settings.close_db, lasting, frame_s, settings.gap_s)
    for run in _runs(search > settings.close_db, lasting, frame_s, settings.gap_s):
        for first, last in _members(run, search, frame_s, settings):
            if search[first : last + 1].max() <= settings.threshold_db:
                continue
            peak = int(first + np.argmax(hbr[first : last + 1]))
            own = fine[(fine[:, 0] <= peak) & (fine[:, 1] >= peak)]
            start, stop = own[0] if len(own) else (peak, peak)
            if (first, last) != tuple(run):
                start, stop = max(start, first), min(stop, last)
            yield Box(int(start), int(stop), peak, float(hbr[peak]), float(expected[peak]))


def _members(
    run: np.ndarray, search: np.ndarray, frame_s: float, settings: DetectionSettings
) -> list[tuple[int, int]]:
    """The parts of a run: itself, or the members of a shower that overlap.

    A run is parted at the lows between peaks that stand out by `part_db` and are `EDGE_S` apart,
    and only where every part is short enough for an embolus: what stays loud is one long event.
    """
    first, last = int(run[0]), int(run[1])
    longest = settings.criteria.maximum_s / frame_s
    level = search[first : last + 1]
    padded = np.r_[-np.inf, level, -np.inf]
    peaks, _ = find_peaks(
        padded,
        prominence=settings.part_db,
        height=settings.threshold_db,
        distance=max(1, round(EDGE_S / frame_s)),
    )
    peaks = peaks - 1
    if peaks.size < 2:
        return [(first, last)]
    lows = [int(a + np.argmin(level[a : b + 1])) for a, b in itertools.pairwise(peaks)]
    limits = [0, *lows, level.size]
    parts = [(first + a, first + b - 1) for a, b in itertools.pairwise(limits)]
    fits = all(stop - start + 1 <= longest for start, stop in parts)
    return parts if fits else [(first, last)]


@dataclass(frozen=True)
class Measurer:
    """What measuring a candidate needs of its block."""

    analysis: Analysis
    block: Block
    acquisition: Acquisition
    clips: np.ndarray
    settings: DetectionSettings

    def event(self, box: Box) -> Event:
        """The measures and the verdict of one candidate."""
        times, sfreq = self.analysis.spectrum.times, self.acquisition.sfreq
        along, strongest = self._peak_frequency(box)
        frequency = along if self.analysis.band.side == "towards" else -along
        saturated = self._saturated(box)
        duration = self._duration_s(box)
        direction, rise = self._direction(box, strongest, saturated)
        hbr_db = self._hbr_db(box)
        measures = Measures(duration, hbr_db, direction, rise, self._crest_db(box))
        middle = (times[box.first] + times[box.last]) / 2
        return Event(
            onset_s=float(self.block.start_s + middle - duration / 2),
            duration_s=duration,
            peak_s=float(self.block.start_s + times[box.peak]),
            hbr_db=hbr_db,
            direction_db=direction,
            frequency_hz=frequency,
            velocity_cm_s=self._velocity(frequency),
            saturated=saturated,
            aliased=bool(along > sfreq / 2),
            verdict=verdict(measures, self.settings.criteria),
        )

    def _hbr_db(self, box: Box) -> float:
        """Power of the strongest single frame at the peak over what was expected."""
        spectrum = self.analysis.spectrum
        forward = self.analysis.band.masks(spectrum.freqs)[0]
        around = spectrum.power[forward, max(box.peak - 1, 0) : box.peak + 2].sum(axis=0)
        return float(10 * np.log10(around.max() / box.expected + 1e-30))

    def _peak_frequency(self, box: Box) -> tuple[float, int]:
        """Frequency along the flow of the strongest bin of the peak frame, and its row."""
        spectrum, band = self.analysis.spectrum, self.analysis.band
        rows = np.flatnonzero(band.masks(spectrum.freqs)[0])
        strongest = int(rows[np.argmax(spectrum.power[rows, box.peak])])
        return float(band.unwrap(spectrum.freqs)[strongest]), strongest

    def _saturated(self, box: Box) -> bool:
        hop, window = self.settings.hop, self.settings.window
        return bool(self.clips[box.first * hop : box.last * hop + window].any())

    def _duration_s(self, box: Box) -> float:
        """Time over `close_db` less the spread of the analysis."""
        hop = self.settings.hop
        span = (box.last - box.first + 1) * hop - self.settings.spread_samples
        return float(max(span, hop) / self.acquisition.sfreq)

    def _core(self, box: Box) -> slice:
        return slice(
            max(box.first, box.peak - CORE_FRAMES), min(box.last, box.peak + CORE_FRAMES) + 1
        )

    def _direction(self, box: Box, strongest: int, saturated: bool) -> tuple[float, float]:
        """Energy along over against the flow, and the rise of the latter, both in dB."""
        spectrum = self.analysis.spectrum
        forward, reverse = self.analysis.band.masks(spectrum.freqs)
        if saturated:  # clipping puts an image at -3f: only the mirror of the peak itself counts
            forward, reverse = _mirror(spectrum.freqs, spectrum.freqs[strongest])
        around = spectrum.power[:, self._core(box)]
        along, against = around[forward].sum(axis=0), around[reverse].sum(axis=0)
        quiet = float(np.median(spectrum.power[reverse].sum(axis=0)))
        rise = 10 * np.log10(float(against.max()) / (quiet + 1e-30) + 1e-30)
        return direction_db(along, against, box.expected, quiet), float(rise)

    def _crest_db(self, box: Box) -> float:
        """Tonality of the most tonal frame within 3 dB of the peak."""
        spectrum = self.analysis.spectrum
        forward = self.analysis.band.masks(spectrum.freqs)[0]
        power = spectrum.power[forward][:, self._core(box)]
        total = power.sum(axis=0)
        loud = power[:, total >= 0.5 * total.max()]
        return max(crest_db(frame) for frame in loud.T)

    def _velocity(self, frequency: float) -> float | None:
        known = self.acquisition
        if not known.carrier_hz:
            return None
        return float(velocity(frequency, known.carrier_hz, known.angle_deg, known.sound_speed_m_s))


def _mirror(freqs: np.ndarray, peak_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Bins within 20 % of the peak frequency, and their mirror."""
    width = max(0.2 * abs(peak_hz), 1.5 * (freqs[1] - freqs[0]))
    return np.abs(freqs - peak_hz) <= width, np.abs(freqs + peak_hz) <= width
