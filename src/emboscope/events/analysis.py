"""A block in time and frequency: the flow band, the power in it, and what is expected of it."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import uniform_filter1d

from emboscope.events.background import (
    Background,
    degrees_of_freedom,
    follow,
    initialize,
)
from emboscope.events.block import Acquisition, Block
from emboscope.events.settings import DetectionSettings
from emboscope.signal.doppler import FlowBand, flow_band, flow_side
from emboscope.signal.quality import Interval
from emboscope.signal.spectrum import Spectrum


@dataclass
class Envelope:
    """Sums of the velocity envelope over the parts of the cardiac cycle."""

    total_hz: np.ndarray
    frames: np.ndarray

    def figures(self) -> tuple[float, float, float] | None:
        """Mean, peak systolic and end-diastolic Doppler shift in Hz; None without a pulse."""
        if self.frames.size == 0 or not self.frames.all():
            return None
        cycle = self.total_hz / self.frames
        return float(cycle.mean()), float(cycle.max()), float(cycle.min())


@dataclass
class DetectorState:
    """What one block hands to the next."""

    side: str | None = None
    ask: bool = False  # for the side again
    backgrounds: dict[str, Background] = field(default_factory=dict)
    first_levels: dict[str, float] = field(default_factory=dict)
    evaluable_s: float = 0.0
    reasons: set[str] = field(default_factory=set)
    unusable: list[Interval] = field(default_factory=list)
    envelope: Envelope = field(default_factory=lambda: Envelope(np.zeros(0), np.zeros(0)))


@dataclass(frozen=True)
class Analysis:
    """A block after the transform: spectrum, band, and power on both sides of zero.

    Attributes
    ----------
    spectrum : Spectrum
    band : FlowBand
    forward, reverse : ndarray, shape (n_frames,)
        Power along and against the flow, smoothed for the measures.
    search, search_reverse : ndarray, shape (n_frames,)
        The same, smoothed for the search.
    frame_s : float
        Step between frames, in seconds.
    """

    spectrum: Spectrum
    band: FlowBand
    forward: np.ndarray
    reverse: np.ndarray
    search: np.ndarray
    search_reverse: np.ndarray
    frame_s: float


def mean_over(power: np.ndarray, n_frames: int) -> np.ndarray:
    """Running mean over frames; a running sum may end a little under zero after a loud event."""
    return np.maximum(uniform_filter1d(power.astype(float), n_frames, axis=-1), 0)


def find_side(
    spectrum: Spectrum, live: np.ndarray, acquisition: Acquisition, settings: DetectionSettings
) -> str | None:
    """The side of the flow: declared, or told by its power; None where it cannot be told."""
    if acquisition.flow:
        return acquisition.flow
    part = Spectrum(spectrum.values[:, live], spectrum.freqs, spectrum.times[live])
    return flow_side(part, settings.highpass_hz, settings.side_margin_db)


def analyze(spectrum: Spectrum, side: str, sfreq: float, settings: DetectionSettings) -> Analysis:
    """Power of each frame along and against the flow that lies on a side."""
    band = flow_band(spectrum, side, settings.highpass_hz, sfreq)
    if settings.baseline == "none":
        band = FlowBand(side, settings.highpass_hz, sfreq / 2, sfreq)
    forward, reverse = band.masks(spectrum.freqs)
    power = spectrum.power
    along, against = power[forward].sum(axis=0), power[reverse].sum(axis=0)
    step = settings.hop / sfreq
    frames = max(1, round(settings.search_s / step))
    return Analysis(
        spectrum,
        band,
        forward=mean_over(along, settings.smooth_frames),
        reverse=mean_over(against, settings.smooth_frames),
        search=mean_over(along, frames),
        search_reverse=mean_over(against, frames),
        frame_s=step,
    )


def flow_snr_db(analysis: Analysis, live: np.ndarray) -> float:
    """Strongest quarter of the flow bins over the weakest quarter of all, in dB."""
    level = np.median(analysis.spectrum.power[:, live], axis=1)
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    strong = np.percentile(level[forward], 87.5)
    noise = np.percentile(level[np.abs(analysis.spectrum.freqs) > analysis.band.low_hz], 12.5)
    return float(10 * np.log10((strong + 1e-30) / (noise + 1e-30)))


def mean_frequency(analysis: Analysis) -> np.ndarray:
    """Power-weighted mean frequency of the flow band, noise taken off, in Hz, (n_frames,)."""
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    along = analysis.band.unwrap(analysis.spectrum.freqs)[forward]
    power = mean_over(analysis.spectrum.power[forward], 9)
    noise = np.percentile(power, 10)
    power = np.maximum(power - noise, 0) + 1e-3 * noise
    # the square root keeps a transient from pulling the mean to itself
    weight = np.sqrt(power)
    return (along[:, None] * weight).sum(axis=0) / (weight.sum(axis=0) + 1e-30)


def add_envelope(
    envelope: Envelope, analysis: Analysis, phase: np.ndarray, own: np.ndarray, n_phases: int
) -> None:
    """Add the largest Doppler shift of the own frames of a block, part by part of the cycle.

    In each part of the cycle the mean spectrum is taken; the envelope is the frequency under
    which 95 % of its power lies, the noise taken off.
    """
    if envelope.total_hz.size == 0:
        envelope.total_hz, envelope.frames = np.zeros(n_phases), np.zeros(n_phases)
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    along = analysis.band.unwrap(analysis.spectrum.freqs)[forward]
    order = np.argsort(along)
    power = analysis.spectrum.power[forward][order]
    noise = np.percentile(np.median(analysis.spectrum.power, axis=1), 12.5) / np.log(2)
    for part in range(n_phases):
        frames = own & (phase == part)
        if not frames.any():
            continue
        level = np.maximum(np.median(power[:, frames], axis=1) / np.log(2) - 1.5 * noise, 0)
        share = np.cumsum(level) / (level.sum() + 1e-30)
        edge = along[order][min(np.searchsorted(share, 0.95), along.size - 1)]
        envelope.total_hz[part] += edge * frames.sum()
        envelope.frames[part] += frames.sum()


def expected_power(
    analysis: Analysis,
    phase: np.ndarray,
    block: Block,
    state: DetectorState,
    live: np.ndarray,
    settings: DetectionSettings,
) -> np.ndarray:
    """Power expected of each frame without an event; NaN where nothing can be judged."""
    side = analysis.band.side
    if side not in state.backgrounds:
        state.backgrounds[side] = _first_background(analysis, phase, live, settings)
        state.first_levels[side] = state.backgrounds[side].level
    artifact = analysis.reverse > 4 * np.median(analysis.reverse[live])
    times = block.start_s + analysis.spectrum.times
    ending = times >= block.to_s - settings.overlap_s
    expected = np.full(live.size, np.nan)
    background = state.backgrounds[side]
    for part in (live & ~ending, live & ending):
        expected[part] = follow(
            background,
            analysis.search[part],
            phase[part],
            artifact[part],
            analysis.frame_s,
            settings.background,
        )
        background = background.copy()  # the next block begins where the first part ends
    return expected


def _first_background(
    analysis: Analysis, phase: np.ndarray, live: np.ndarray, settings: DetectionSettings
) -> Background:
    """Level of the first seconds, shape over the cycle of the whole first block."""
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    spectrum = np.median(analysis.spectrum.power[forward][:, live], axis=1)
    freedom = degrees_of_freedom(spectrum)
    start = live & (np.cumsum(live) * analysis.frame_s <= settings.background.initial_s)
    level = initialize(analysis.search[start], phase[start], freedom, settings.background)
    shape = initialize(analysis.search[live], phase[live], freedom, settings.background)
    return Background(level.level, shape.shape, kept=level.kept)
