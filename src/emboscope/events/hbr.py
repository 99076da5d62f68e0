"""The search through one block: HITS-to-blood ratio over a background that follows the heart."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from emboscope.errors import DataError
from emboscope.events.analysis import (
    Analysis,
    DetectorState,
    add_envelope,
    analyze,
    expected_power,
    find_side,
    flow_snr_db,
    mean_frequency,
)
from emboscope.events.background import cardiac_phase
from emboscope.events.block import EDGE_S, Acquisition, Block
from emboscope.events.evaluable import (
    NO_FLOW,
    OK,
    account,
    in_quadrature,
    lost_flow,
    recorded_frames,
    recorded_seconds,
)
from emboscope.events.event import Event
from emboscope.events.measures import Measurer, boxes
from emboscope.events.settings import DetectionSettings
from emboscope.events.statistics import Evidence, Statistic
from emboscope.signal.doppler import FLOW_SIDES, flow_band
from emboscope.signal.imbalance import correct_imbalance, typical_imbalance
from emboscope.signal.quality import clipped
from emboscope.signal.spectrum import HighPass, Spectrum, stft

Judge = Callable[[Event, Block, Acquisition], Event]

FLOW_ALIASES = "the flow aliases"
IMBALANCE = "I/Q imbalance corrected"


@dataclass(frozen=True)
class Detector:
    """What opens an event, what may revise its verdict, and how many gates it needs."""

    statistic: Statistic
    judge: Judge | None = None
    n_gates: int = 1


@dataclass(frozen=True)
class _Job:
    """What is searched, and how."""

    block: Block
    acquisition: Acquisition
    settings: DetectionSettings
    detector: Detector
    filtered: np.ndarray
    spectrum: Spectrum
    clips: np.ndarray
    own: np.ndarray  # frames that no other block counts


def process_block(
    block: Block,
    acquisition: Acquisition,
    state: DetectorState,
    settings: DetectionSettings,
    detector: Detector,
) -> list[Event]:
    """Events that peak in a block; `state` moves on to the end of it.

    Background after the two-step recursive scheme of the HBR: a robust start over the first
    seconds, then B_φ follows the flow between events, by part of the cardiac cycle.

    Raises
    ------
    DataError
        If a sample is not finite.
    """
    _check_finite(block, acquisition.sfreq, detector.n_gates)
    clips = clipped(block.samples)
    codes = recorded_frames(block, clips, acquisition.sfreq, settings)
    filtered = HighPass(acquisition.sfreq, settings.highpass_hz)(block.samples)
    seconds = recorded_seconds(filtered, codes, acquisition.sfreq, settings)
    filtered = _balanced(filtered, seconds, state)
    spectrum = stft(filtered, acquisition.sfreq, settings.window, settings.hop)
    times = block.start_s + spectrum.times
    own = (times >= block.from_s) & (times < block.to_s)
    job = _Job(block, acquisition, settings, detector, filtered, spectrum, clips, own)
    events: list[Event] = []
    if not in_quadrature(seconds, settings):
        codes = np.where(codes == OK, NO_FLOW, codes)
    elif (own & (codes == OK)).any():
        events, codes = _search(job, state, codes)
    account(codes, own, times, state, settings.hop / acquisition.sfreq)
    return sorted(events, key=lambda event: event.peak_s)


def _balanced(filtered: np.ndarray, seconds: list[np.ndarray], state: DetectorState) -> np.ndarray:
    """The block above the high-pass, with an imbalance of I and Q that shows taken out."""
    imbalance = typical_imbalance(seconds)
    if imbalance is None or not imbalance.correctable:
        return filtered
    state.reasons.add(IMBALANCE)
    return correct_imbalance(filtered, imbalance)


def _check_finite(block: Block, sfreq: float, n_gates: int) -> None:
    for number, gate in enumerate(block.gates[:n_gates], start=1):
        bad = np.flatnonzero(~np.isfinite(gate))
        if bad.size:
            at = block.start_s + bad[0] / sfreq
            where = f" of gate {number}" if len(block.gates) > 1 else ""
            raise DataError(
                f"signal{where}: not a number at {at:.3f} s. Cut or repair that stretch."
            )


def _search(job: _Job, state: DetectorState, codes: np.ndarray) -> tuple[list[Event], np.ndarray]:
    """Events on the flow side, or on both where it is unknown, and why frames were not judged."""
    if state.side is None or state.ask:
        told = find_side(job.spectrum, codes == OK, job.acquisition, job.settings)
        state.side, state.ask = told or state.side, False
    events, judged = [], []
    for side in (state.side,) if state.side else FLOW_SIDES:
        found, own_codes = _search_side(side, job, state, codes)
        events += found
        judged.append(own_codes)
    why = np.min(judged, axis=0)
    if not (job.own & (why == OK)).any():
        state.ask = True  # the flow may have changed its side: the next block asks again
    return _once(events), why


def _once(events: list[Event]) -> list[Event]:
    """One event of two that are nearer than `EDGE_S` and on opposite sides: the clearer one."""
    kept: list[Event] = []
    for event in sorted(events, key=lambda each: -each.direction_db):
        if all(
            abs(event.peak_s - each.peak_s) >= EDGE_S or event.frequency_hz * each.frequency_hz > 0
            for each in kept
        ):
            kept.append(event)
    return kept


def _search_side(
    side: str, job: _Job, state: DetectorState, codes: np.ndarray
) -> tuple[list[Event], np.ndarray]:
    """Events with the flow taken to lie on one side, and which frames could not be judged."""
    settings = job.settings
    analysis = analyze(job.spectrum, side, job.acquisition.sfreq, settings)
    live = codes == OK
    if flow_snr_db(analysis, live) < settings.minimum_snr_db:
        return [], np.where(live, NO_FLOW, codes)
    known = state.backgrounds.get(side)
    level = known.level if known else float(np.median(analysis.search[live]))
    codes = np.where(live & lost_flow(analysis, level, settings), NO_FLOW, codes)
    live = codes == OK
    if not live.any():
        return [], codes
    phase, _ = cardiac_phase(mean_frequency(analysis), analysis.frame_s, settings.background)
    expected = expected_power(analysis, phase, job.block, state, live, settings)
    if known is None and state.backgrounds[side].kept < settings.background.minimum_kept:
        del state.backgrounds[side]  # too few frames were flow alone to begin with
        return [], np.where(live, NO_FLOW, codes)
    _note_flow(job, analysis, phase, live & job.own, state)
    search, hbr = np.full((2, live.size), -np.inf)
    search[live] = job.detector.statistic(_evidence(job, analysis, live, expected, state))
    hbr[live] = 10 * np.log10(analysis.forward[live] / expected[live] + 1e-12)
    return _events(job, analysis, search, hbr, expected), codes


def _note_flow(
    job: _Job, analysis: Analysis, phase: np.ndarray, live: np.ndarray, state: DetectorState
) -> None:
    """Remember the velocity envelope, and that the flow aliases where nothing undoes it."""
    if state.side:
        n_phases = job.settings.background.phase_bins
        add_envelope(state.envelope, analysis, phase, live, n_phases)
    if job.settings.baseline == "none":
        side, low_hz = analysis.band.side, job.settings.highpass_hz
        if flow_band(job.spectrum, side, low_hz, job.acquisition.sfreq).aliased:
            state.reasons.add(FLOW_ALIASES)


def _evidence(
    job: _Job, analysis: Analysis, live: np.ndarray, expected: np.ndarray, state: DetectorState
) -> Evidence:
    """What a statistic may look at."""
    forward, _ = analysis.band.masks(analysis.spectrum.freqs)
    return Evidence(
        bins=analysis.spectrum.power[forward][:, live],
        forward=analysis.search[live],
        reverse=analysis.search_reverse[live],
        expected=expected[live],
        first_level=state.first_levels[analysis.band.side],
        frame_s=analysis.frame_s,
        raw=job.block.samples,
        filtered=job.filtered,
        centers=np.flatnonzero(live) * job.settings.hop + job.settings.window // 2,
        band=analysis.band,
    )


def _events(
    job: _Job, analysis: Analysis, search: np.ndarray, hbr: np.ndarray, expected: np.ndarray
) -> list[Event]:
    """The own candidates of the block, measured and judged."""
    block, acquisition = job.block, job.acquisition
    times = block.start_s + job.spectrum.times
    measurer = Measurer(analysis, block, acquisition, job.clips, job.settings)
    events = [
        measurer.event(box)
        for box in boxes(search, hbr, expected, analysis.frame_s, job.settings)
        if block.from_s - EDGE_S <= times[box.peak] < block.to_s + EDGE_S
    ]
    judge = job.detector.judge
    if judge is None or not events:
        return events
    sfreq, highpass_hz = acquisition.sfreq, job.settings.highpass_hz
    gates = np.stack([HighPass(sfreq, highpass_hz)(gate) for gate in block.gates])
    return [judge(event, replace(block, gates=gates), acquisition) for event in events]
