"""The default detector: HITS-to-blood ratio over a background that follows the heart."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.ndimage import uniform_filter1d

from emboscope.errors import DataError
from emboscope.events.background import (
    Background,
    BackgroundSettings,
    cardiac_phase,
    degrees_of_freedom,
    follow,
    initialize,
)
from emboscope.events.block import EDGE_S, Acquisition, Block
from emboscope.events.criteria import (
    CriteriaSettings,
    Measures,
    crest_db,
    direction_db,
    verdict,
)
from emboscope.events.event import Event
from emboscope.events.statistics import Evidence, Statistic, hits_to_blood
from emboscope.settings import Settings
from emboscope.signal.doppler import FLOW_SIDES, FlowBand, flow_band, flow_side, velocity
from emboscope.signal.quality import clipped, evaluable_frames
from emboscope.signal.spectrum import HighPass, Spectrum, stft


class DetectionSettings(Settings):
    """How events are found. One set of defaults serves all recordings."""

    highpass_hz: PositiveFloat = 150.0
    window: PositiveInt = 64
    hop: PositiveInt = 16
    smooth_frames: PositiveInt = 3  # of the measures
    search_s: PositiveFloat = 0.026  # smoothing of the search: about an embolus' dwell
    threshold_db: PositiveFloat = 5.0  # an event opens above this
    close_db: PositiveFloat = 3.0  # and ends below this
    gap_s: PositiveFloat = 0.015  # for so long
    side_margin_db: PositiveFloat = 6.0  # between the flow sides, else both are searched
    minimum_snr_db: PositiveFloat = 3.0  # of the flow, else nothing can be judged
    change_s: PositiveFloat = 1.5  # a window of this length that is ...
    change_share: PositiveFloat = 0.6  # ... over `close_db` for this share is a change of level
    block_s: PositiveFloat = 30.0
    overlap_s: PositiveFloat = 1.0
    background: BackgroundSettings = BackgroundSettings()
    criteria: CriteriaSettings = CriteriaSettings()

    @property
    def spread_samples(self) -> int:
        """How much the analysis widens an event: half a window and the smoothing."""
        return self.window // 2 + (self.smooth_frames - 1) * self.hop // 2 + self.hop // 2


@dataclass
class DetectorState:
    """What one block hands to the next."""

    side: str | None = None
    backgrounds: dict[str, Background] = field(default_factory=dict)
    first_levels: dict[str, float] = field(default_factory=dict)
    evaluable_s: float = 0.0
    reasons: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Analysis:
    """A block after the transform: spectrum, band, and power on both sides of zero."""

    spectrum: Spectrum
    band: FlowBand
    forward: np.ndarray
    reverse: np.ndarray
    search: np.ndarray
    search_frames: int
    frame_s: float


@dataclass(frozen=True)
class _Job:
    """What is searched, and how."""

    block: Block
    acquisition: Acquisition
    settings: DetectionSettings
    statistic: Statistic


def process_block(
    block: Block,
    acquisition: Acquisition,
    state: DetectorState,
    settings: DetectionSettings,
    statistic: Statistic = hits_to_blood,
) -> list[Event]:
    """Events that peak in a block; `state` moves on to the end of it.

    Background after the two-step recursive scheme of the HBR: a robust start over the first
    seconds, then B_φ follows the flow between events, by part of the cardiac cycle. `statistic`
    says what opens an event.

    Raises
    ------
    DataError
        If a sample is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(block.samples))
    if bad.size:
        at = block.start_s + bad[0] / acquisition.sfreq
        raise DataError(f"signal: not a number at {at:.3f} s. Cut or repair that stretch.")
    filtered = HighPass(acquisition.sfreq, settings.highpass_hz)(block.samples)
    spectrum = stft(filtered, acquisition.sfreq, settings.window, settings.hop)
    own = _own_frames(block, spectrum)
    live = evaluable_frames(block.samples, settings.window, settings.hop)
    if not (live & own).any():
        state.reasons.add("no signal")
        return []
    side = acquisition.flow or state.side
    if side is None:
        side = flow_side(
            Spectrum(spectrum.values[:, live], spectrum.freqs, spectrum.times[live]),
            settings.highpass_hz,
            settings.side_margin_db,
        )
        state.side = side
    job = _Job(block, acquisition, settings, statistic)
    events: list[Event] = []
    judged = np.zeros(live.size, bool)
    for each in (side,) if side else FLOW_SIDES:
        found, evaluable = _search_side(each, job, spectrum, state, live)
        events += found
        judged |= evaluable
    state.evaluable_s += float((judged & own).sum()) * settings.hop / acquisition.sfreq
    return sorted(events, key=lambda event: event.peak_s)


def _own_frames(block: Block, spectrum: Spectrum) -> np.ndarray:
    times = block.start_s + spectrum.times
    return (times >= block.from_s) & (times < block.to_s)


def _search_side(
    side: str, job: _Job, spectrum: Spectrum, state: DetectorState, live: np.ndarray
) -> tuple[list[Event], np.ndarray]:
    """Events with the flow taken to lie on one side, and the frames that could be judged."""
    block, acquisition, settings = job.block, job.acquisition, job.settings
    band = flow_band(spectrum, side, settings.highpass_hz, acquisition.sfreq)
    analysis = _analyze(spectrum, band, settings)
    if _flow_snr_db(analysis, live) < settings.minimum_snr_db:
        state.reasons.add("no Doppler flow")
        return [], np.zeros(live.size, bool)
    phase, _ = cardiac_phase(_envelope(analysis), analysis.frame_s, settings.background)
    expected = _expected(analysis, phase, block, state, live, settings)
    search, hbr = np.full((2, live.size), -np.inf)
    search[live] = job.statistic(_evidence(analysis, live, expected, state))
    hbr[live] = 10 * np.log10(analysis.forward[live] / expected[live] + 1e-12)
    changing = _changing(search, analysis.frame_s, settings)
    clips = clipped(block.samples)
    times = block.start_s + spectrum.times
    events = []
    for box in _boxes(search, hbr, expected, analysis.frame_s, settings):
        own = block.from_s - EDGE_S <= times[box.peak] < block.to_s + EDGE_S
        if own and not changing[box.peak]:
            events.append(_measure(box, analysis, block, acquisition, clips, settings))
    return events, live


def _analyze(spectrum: Spectrum, band: FlowBand, settings: DetectionSettings) -> _Analysis:
    forward, reverse = band.masks(spectrum.freqs)
    power = spectrum.power
    step = settings.hop / band.sfreq
    frames = max(1, round(settings.search_s / step))
    along, against = power[forward].sum(axis=0), power[reverse].sum(axis=0)
    return _Analysis(
        spectrum,
        band,
        forward=_mean_over(along, settings.smooth_frames),
        reverse=_mean_over(against, settings.smooth_frames),
        search=_mean_over(along, frames),
        search_frames=frames,
        frame_s=step,
    )


def _evidence(
    analysis: _Analysis, live: np.ndarray, expected: np.ndarray, state: DetectorState
) -> Evidence:
    """What a statistic may look at."""
    forward, reverse = analysis.band.masks(analysis.spectrum.freqs)
    power = analysis.spectrum.power[:, live]
    return Evidence(
        bins=power[forward],
        forward=analysis.search[live],
        reverse=_mean_over(power[reverse].sum(axis=0), analysis.search_frames),
        expected=expected[live],
        first_level=state.first_levels[analysis.band.side],
        frame_s=analysis.frame_s,
    )


def _mean_over(power: np.ndarray, n_frames: int) -> np.ndarray:
    """Running mean over frames; a running sum may end a little under zero after a loud event."""
    return np.maximum(uniform_filter1d(power.astype(float), n_frames, axis=-1), 0)


def _flow_snr_db(analysis: _Analysis, live: np.ndarray) -> float:
    """Strongest quarter of the flow bins over the weakest quarter of all, in dB."""
    level = np.median(analysis.spectrum.power[:, live], axis=1)
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    strong = np.percentile(level[forward], 87.5)
    noise = np.percentile(level[np.abs(analysis.spectrum.freqs) > analysis.band.low_hz], 12.5)
    return float(10 * np.log10((strong + 1e-30) / (noise + 1e-30)))


def _envelope(analysis: _Analysis) -> np.ndarray:
    """Velocity envelope: power-weighted mean frequency of the flow band, noise taken off."""
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    along = analysis.band.unwrap(analysis.spectrum.freqs)[forward]
    power = _mean_over(analysis.spectrum.power[forward], 9)
    noise = np.percentile(power, 10)
    power = np.maximum(power - noise, 0) + 1e-3 * noise
    # the square root keeps a transient from pulling the mean to itself
    weight = np.sqrt(power)
    return (along[:, None] * weight).sum(axis=0) / (weight.sum(axis=0) + 1e-30)


def _expected(
    analysis: _Analysis,
    phase: np.ndarray,
    block: Block,
    state: DetectorState,
    live: np.ndarray,
    settings: DetectionSettings,
) -> np.ndarray:
    """Power expected of each frame without an event; NaN where nothing was recorded."""
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
    analysis: _Analysis, phase: np.ndarray, live: np.ndarray, settings: DetectionSettings
) -> Background:
    """Level of the first seconds, shape over the cycle of the whole first block."""
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    spectrum = np.median(analysis.spectrum.power[forward][:, live], axis=1)
    freedom = degrees_of_freedom(spectrum)
    start = live & (np.cumsum(live) * analysis.frame_s <= settings.background.initial_s)
    level = initialize(analysis.search[start], phase[start], freedom, settings.background)
    shape = initialize(analysis.search[live], phase[live], freedom, settings.background)
    return Background(level.level, shape.shape, kept=level.kept)


def _changing(search: np.ndarray, frame_s: float, settings: DetectionSettings) -> np.ndarray:
    """Frames around which most of the time is loud: the level changed, nothing passed."""
    loud = (search > settings.close_db).astype(float)
    width = max(1, round(settings.change_s / frame_s))
    return uniform_filter1d(loud, width, mode="nearest") > settings.change_share


def _runs(hbr: np.ndarray, frame_s: float, settings: DetectionSettings) -> np.ndarray:
    """First and last frame of each stretch over `close_db`, short gaps bridged, (n_runs, 2)."""
    above = np.flatnonzero(hbr > settings.close_db)
    if above.size == 0:
        return np.zeros((0, 2), int)
    breaks = np.flatnonzero(np.diff(above) * frame_s > settings.gap_s)
    return np.stack([above[np.r_[0, breaks + 1]], above[np.r_[breaks, above.size - 1]]], axis=1)


@dataclass(frozen=True)
class _Box:
    """Frames of a candidate; `hbr_db` and what was expected at its peak."""

    first: int
    last: int
    peak: int
    hbr_db: float
    expected: float


def _boxes(
    search: np.ndarray,
    hbr: np.ndarray,
    expected: np.ndarray,
    frame_s: float,
    settings: DetectionSettings,
) -> Iterator[_Box]:
    """Candidates of the search, each with its extent in the finer series around its peak."""
    fine = _runs(hbr, frame_s, settings)
    for first, last in _runs(search, frame_s, settings):
        if search[first : last + 1].max() <= settings.threshold_db:
            continue
        peak = int(first + np.argmax(hbr[first : last + 1]))
        own = fine[(fine[:, 0] <= peak) & (fine[:, 1] >= peak)]
        start, stop = own[0] if len(own) else (peak, peak)
        yield _Box(int(start), int(stop), peak, float(hbr[peak]), float(expected[peak]))


def _measure(
    box: _Box,
    analysis: _Analysis,
    block: Block,
    acquisition: Acquisition,
    clips: np.ndarray,
    settings: DetectionSettings,
) -> Event:
    """The measures and the verdict of one candidate."""
    spectrum, hop, sfreq = analysis.spectrum, settings.hop, acquisition.sfreq
    forward, reverse = analysis.band.masks(spectrum.freqs)
    peak_spectrum = spectrum.power[:, box.peak]
    strongest = np.flatnonzero(forward)[np.argmax(peak_spectrum[forward])]
    along = float(analysis.band.unwrap(spectrum.freqs)[strongest])
    frequency = along if analysis.band.side == "towards" else -along
    saturated = bool(clips[box.first * hop : box.last * hop + settings.window].any())
    if saturated:  # clipping puts an image at -3f: only the mirror of the peak itself counts
        forward, reverse = _mirror(spectrum.freqs, spectrum.freqs[strongest])
    core = slice(max(box.first, box.peak - 8), min(box.last, box.peak + 8) + 1)
    around = spectrum.power[:, core]
    quiet = np.median(spectrum.power[reverse].sum(axis=0))
    direction = direction_db(
        around[forward].sum(axis=0), around[reverse].sum(axis=0), box.expected, float(quiet)
    )
    span = (box.last - box.first + 1) * hop - settings.spread_samples
    duration = max(span, hop) / sfreq
    against = float(around[reverse].sum(axis=0).max())
    measures = Measures(
        duration_s=float(duration),
        hbr_db=box.hbr_db,
        direction_db=direction,
        reverse_rise_db=float(10 * np.log10(against / (quiet + 1e-30) + 1e-30)),
        crest_db=crest_db(peak_spectrum[analysis.band.masks(spectrum.freqs)[0]]),
    )
    speed = None
    if acquisition.carrier_hz:
        speed = float(
            velocity(
                frequency,
                acquisition.carrier_hz,
                acquisition.angle_deg,
                acquisition.sound_speed_m_s,
            )
        )
    middle = (spectrum.times[box.first] + spectrum.times[box.last]) / 2
    return Event(
        onset_s=float(block.start_s + middle - duration / 2),
        duration_s=float(duration),
        peak_s=float(block.start_s + spectrum.times[box.peak]),
        hbr_db=box.hbr_db,
        direction_db=direction,
        frequency_hz=frequency,
        velocity_cm_s=speed,
        saturated=saturated,
        aliased=bool(along > sfreq / 2),
        verdict=verdict(measures, settings.criteria),
    )


def _mirror(freqs: np.ndarray, peak_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Bins within 20 % of the peak frequency, and their mirror."""
    width = max(0.2 * abs(peak_hz), 1.5 * (freqs[1] - freqs[0]))
    return np.abs(freqs - peak_hz) <= width, np.abs(freqs + peak_hz) <= width
