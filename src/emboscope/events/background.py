"""The flow without transients: where it lies, how strong it is, how it beats."""

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks
from scipy.stats import gamma

from emboscope.settings import Settings


class BackgroundSettings(Settings):
    """How the level of the flow is followed."""

    initial_s: float = Field(default=10.0, ge=1)
    time_constant_s: PositiveFloat = 4.0
    shape_constant_s: PositiveFloat = 16.0  # of the cardiac shape
    freeze_db: PositiveFloat = 3.0  # frames above this do not teach the background
    freeze_s: PositiveFloat = 2.0  # for so long; then they teach it, as if `thaw_db` at most
    thaw_db: PositiveFloat = 6.0
    phase_bins: PositiveInt = 20
    beats_needed: PositiveInt = 8
    minimum_kept: NonNegativeFloat = 0.6


@dataclass
class Background:
    """Level of the flow and its shape over the cardiac cycle; goes on from block to block.

    Attributes
    ----------
    level : float
        Mean power of the flow band, without transients.
    shape : ndarray, shape (phase_bins,)
        Power in each part of the cycle over the level.
    frozen : int
        Loud frames that wait, less twice the quiet ones since.
    kept : float
        Share of the initial frames that were no transient.
    """

    level: float
    shape: np.ndarray
    frozen: int = 0
    kept: float = field(default=1.0)

    def copy(self) -> "Background":
        """An independent copy."""
        return Background(self.level, self.shape.copy(), self.frozen, self.kept)


def degrees_of_freedom(mean_spectrum: np.ndarray) -> float:
    """Shape of the gamma law that a sum over these bins follows: (Σμ)² / Σμ²."""
    return float(mean_spectrum.sum() ** 2 / (mean_spectrum**2).sum())


def robust_level(power: np.ndarray, freedom: float) -> tuple[float, np.ndarray]:
    """Mean power without transients, and the frames that were kept.

    The first of the two steps of `methods` HBR: the median, brought to the mean of a gamma law
    of shape `freedom`; frames over twice the level are dropped, five times.
    """
    ratio = gamma.median(freedom) / freedom
    kept = np.ones(power.size, bool)
    level = 0.0
    for _ in range(5):
        level = float(np.median(power[kept])) / ratio
        kept = power <= 2 * level
    return level, kept


def initialize(
    power: np.ndarray, phase: np.ndarray, freedom: float, settings: BackgroundSettings
) -> Background:
    """Background of the first frames.

    Parameters
    ----------
    power : ndarray, shape (n_frames,)
        Of the flow band.
    phase : ndarray of int, shape (n_frames,)
        Part of the cardiac cycle, -1 where unknown.
    freedom : float
        See `degrees_of_freedom`.
    """
    level, kept = robust_level(power, freedom)
    shape = np.ones(settings.phase_bins)
    for part in range(settings.phase_bins):
        own = power[kept & (phase == part)]
        if own.size:
            shape[part] = own.mean() / level
    return Background(level, shape, kept=float(kept.mean()))


def follow(
    background: Background,
    power: np.ndarray,
    phase: np.ndarray,
    artifact: np.ndarray,
    frame_s: float,
    settings: BackgroundSettings,
) -> np.ndarray:
    """Power expected of each frame without an event; the background moves along (in place).

    HBR[k] = P[k] / B_φ[k-1], linear. Where it is under `freeze_db` and the frame no artifact,
    B_φ follows P: its level with `time_constant_s`, its shape over the cycle with
    `shape_constant_s`. Otherwise it waits, and after `freeze_s` follows, so that a lasting
    change of level cannot lock the detector; no frame counts for more than `thaw_db`, so that a
    long loud artifact cannot raise it out of reach.

    Parameters
    ----------
    power, phase, artifact : ndarray, shape (n_frames,)
        Power of the flow band, part of the cycle (-1: unknown), frames that cannot teach.
    frame_s : float
        Step between frames, in seconds.

    Returns
    -------
    expected : ndarray, shape (n_frames,)
        B_φ[k-1].
    """
    rate = frame_s / settings.time_constant_s
    shape_rate = min(1.0, settings.phase_bins * frame_s / settings.shape_constant_s)
    limit = 10 ** (settings.freeze_db / 10)
    most = 10 ** (settings.thaw_db / 10)
    patience = round(settings.freeze_s / frame_s)
    longest = patience + patience // 2
    level, frozen = background.level, background.frozen
    shape = background.shape.tolist()
    forecast = np.empty(power.size)
    for k, (now, part, spoiled) in enumerate(
        zip(power.tolist(), phase.tolist(), artifact.tolist(), strict=True)
    ):
        expected = level * shape[part] if part >= 0 else level
        forecast[k] = expected
        if now < limit * expected and not spoiled:
            frozen = max(frozen - 2, 0)
            if part >= 0:
                shape[part] += shape_rate * (now / level - shape[part])
            level += rate * level * (now / expected - 1)
        else:
            frozen = min(frozen + 1, longest)
            if frozen > patience:
                level += rate * level * (min(now / expected, most) - 1)
    mean = sum(shape) / len(shape)
    background.level, background.frozen = level * mean, frozen
    background.shape = np.array(shape) / mean
    return forecast


def cardiac_phase(
    envelope: np.ndarray, frame_s: float, settings: BackgroundSettings
) -> tuple[np.ndarray, int]:
    """Part of the cardiac cycle of each frame, found without an ECG.

    The autocorrelation of the velocity envelope gives the period; the steepest rises that are
    about a period apart are the beats; the phase runs evenly between them.

    Parameters
    ----------
    envelope : ndarray, shape (n_frames,)
        Velocity envelope, in any unit.
    frame_s : float
        Step between frames, in seconds.

    Returns
    -------
    phase : ndarray of int, shape (n_frames,)
        0 ... phase_bins - 1; all -1 with fewer than `beats_needed` clean beats.
    n_beats : int
        Clean beats found.
    """
    unknown = np.full(envelope.size, -1)
    period = _period(envelope, frame_s)
    if period is None:
        return unknown, 0
    smooth = uniform_filter1d(envelope, max(3, round(0.06 / frame_s)))
    rise = np.gradient(smooth)
    beats, _ = find_peaks(rise, distance=max(1, int(0.6 * period)), height=0.3 * rise.max())
    lengths = np.diff(beats)
    clean = int(((lengths > 0.6 * period) & (lengths < 1.6 * period)).sum())
    if clean < settings.beats_needed:
        return unknown, clean
    cycles = np.interp(np.arange(envelope.size), beats, np.arange(beats.size))
    before = (np.arange(envelope.size) - beats[0]) / period
    after = (np.arange(envelope.size) - beats[-1]) / period + beats.size - 1
    cycles = np.where(np.arange(envelope.size) < beats[0], before, cycles)
    cycles = np.where(np.arange(envelope.size) > beats[-1], after, cycles)
    return np.floor(np.mod(cycles, 1) * settings.phase_bins).astype(int), clean


def _period(envelope: np.ndarray, frame_s: float) -> float | None:
    """Frames a beat (40 to 150 a minute), or None where nothing repeats."""
    first, last = round(0.4 / frame_s), round(1.5 / frame_s)
    if envelope.size < 2 * last:
        return None
    centered = envelope - envelope.mean()
    spectrum = np.fft.rfft(centered, 2 * envelope.size)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: last + 1]
    if correlation[0] <= 0:
        return None
    peaks, _ = find_peaks(correlation / correlation[0], height=0.25)
    peaks = peaks[(peaks >= first) & (peaks <= last)]
    return float(peaks[np.argmax(correlation[peaks])]) if peaks.size else None
