"""Spectra of HITS segments along their flow: what features by hand are measured on."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import fft, fftfreq, fftshift
from scipy.ndimage import binary_closing, uniform_filter1d
from scipy.signal import get_window

from emboscope.errors import DataError

WINDOW, HOP = 64, 8  # samples: 14.6 ms and 1.8 ms at 4385 Hz
SMOOTH_FRAMES = 5  # of the power of either side
LOW_HZ = 150.0  # slower is wall, not flow
GAP_S = 0.015  # that does not end an event
SEARCH_S = 0.006  # how far from the middle of the segment the peak may lie
LEAST_SAMPLES = 256
TINY = 1e-12  # of the mean power of a segment: added to both sides of each ratio


@dataclass(frozen=True)
class HitsFrames:
    """Short-time power of segments, each with its own flow on the positive side.

    Every power is in units of the mean power of its segment, so that gain cancels.

    Attributes
    ----------
    signal : ndarray, shape (n, n_times), complex
        Of mean power 1; the flow is on the side of positive frequencies.
    along : ndarray, shape (n, n_freqs)
        Frequency along the flow in Hz, ascending, aliasing undone.
    power : ndarray, shape (n, n_freqs, n_frames)
        By frequency along the flow.
    background : ndarray, shape (n, n_freqs)
        Mean power without the event: the median over frames, over ln 2 as of complex noise.
    flow, against : ndarray, shape (n, n_frames)
        Power along the flow and against it, beyond 150 Hz, mean of five frames.
    flow_level, against_level : ndarray, shape (n,)
        Medians of both over the segment.
    peak : ndarray, shape (n,), int
        Frame of most flow within 6 ms of the middle.
    box : ndarray, shape (n, n_frames), bool
        Frames about the peak over 3 dB above `flow_level`, gaps of 15 ms bridged.
    frame_s : float
        Step of the frames.
    """

    signal: np.ndarray
    along: np.ndarray
    power: np.ndarray
    background: np.ndarray
    flow: np.ndarray
    against: np.ndarray
    flow_level: np.ndarray
    against_level: np.ndarray
    peak: np.ndarray
    box: np.ndarray
    frame_s: float

    @property
    def forward(self) -> np.ndarray:
        """Which bins are flow, (n, n_freqs)."""
        return self.along > LOW_HZ

    @property
    def reverse(self) -> np.ndarray:
        """Which bins are against the flow, (n, n_freqs)."""
        return self.along < -LOW_HZ

    @property
    def peak_spectrum(self) -> np.ndarray:
        """Power of the peak frame, (n, n_freqs)."""
        return np.take_along_axis(self.power, self.peak[:, None, None], axis=2)[:, :, 0]

    @property
    def peak_flow(self) -> np.ndarray:
        """Flow power of the peak frame, (n,)."""
        return np.take_along_axis(self.flow, self.peak[:, None], axis=1)[:, 0]


def hits_frames(segments: np.ndarray, sfreq: float) -> HitsFrames:
    """Analyze segments whose event peaks in the middle.

    The flow lies on the side with more median power beyond 150 Hz, noise taken off. Where it
    passes half the sampling frequency, the baseline is moved to the first frequency beyond at which
    the median power is within 3 dB of the noise, the lowest quarter.

    Parameters
    ----------
    segments : ndarray, shape (n, 2, n_times)
        I and Q after the high-pass, at least 256 samples.
    sfreq : float
        In Hz.

    Raises
    ------
    DataError
        If the shape is another, or a sample is not finite.
    """
    signal = _unit(check_iq(segments))
    power = _power(signal)
    freqs = fftshift(fftfreq(WINDOW, 1 / sfreq))
    middle = np.median(power, axis=2)
    away = _flows_away(middle, freqs)
    signal[away] = signal[away].conj()
    bins, along = _order_along(middle, away, freqs)
    power = np.take_along_axis(power, bins[:, :, None], axis=1)
    flow = _side(power, along > LOW_HZ)
    against = _side(power, along < -LOW_HZ)
    flow_level = np.median(flow, axis=1)
    peak = _peak(flow, signal.shape[1], sfreq)
    over = _bridged(flow > 2 * flow_level[:, None], round(GAP_S * sfreq / HOP))
    return HitsFrames(
        signal=signal,
        along=along,
        power=power,
        background=np.take_along_axis(middle, bins, axis=1) / np.log(2),
        flow=flow,
        against=against,
        flow_level=flow_level,
        against_level=np.median(against, axis=1),
        peak=peak,
        box=run_around(over, peak),
        frame_s=HOP / sfreq,
    )


def check_iq(segments: np.ndarray) -> np.ndarray:
    """Segments as float64, or a refusal."""
    segments = np.asarray(segments, dtype=np.float64)
    if segments.ndim != 3 or segments.shape[1] != 2 or segments.shape[2] < LEAST_SAMPLES:
        raise DataError(
            f"segments: shape {segments.shape}; expected (n, 2, n_times), I and Q of at least "
            f"{LEAST_SAMPLES} samples. Cut them with the front end of 'hits'."
        )
    bad = np.argwhere(~np.isfinite(segments))
    if bad.size:
        row, channel, time = bad[0]
        raise DataError(
            f"segments: [{row}, {channel}, {time}] is {segments[row, channel, time]}; expected "
            "finite numbers. Repair or drop that segment."
        )
    return segments


def run_around(mask: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """The run of True about the peak, which is always in it; (n, n_frames) of bool."""
    frames = np.arange(mask.shape[1])
    outside_left = np.where(~mask & (frames < peak[:, None]), frames, -1).max(axis=1)
    outside_right = np.where(~mask & (frames > peak[:, None]), frames, frames.size).min(axis=1)
    return (frames > outside_left[:, None]) & (frames < outside_right[:, None])


def ratio_db(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """10·log10 of a ratio of powers; 0 dB where both are nothing."""
    return 10 * np.log10((above + TINY) / (below + TINY))


def _unit(segments: np.ndarray) -> np.ndarray:
    """Complex signal of mean power 1; silence stays silence."""
    signal = segments[:, 0] + 1j * segments[:, 1]
    level = np.sqrt((signal.real**2 + signal.imag**2).mean(axis=1))
    return signal / np.where(level > 0, level, 1)[:, None]


def _power(signal: np.ndarray) -> np.ndarray:
    """Short-time power, (n, n_freqs, n_frames), frequencies ascending; a tone has its own power."""
    window = get_window("hann", WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW, axis=1)[:, ::HOP]
    values = fftshift(fft(frames * (window / window.sum()), axis=2), axes=2)
    return (values.real**2 + values.imag**2).swapaxes(1, 2)


def _flows_away(level: np.ndarray, freqs: np.ndarray) -> np.ndarray:
    """Whether more flow lies at negative frequencies, (n,) of bool."""
    noise = np.percentile(level[:, np.abs(freqs) > LOW_HZ], 12.5, axis=1, keepdims=True)
    flow = np.maximum(level - noise, 0)
    return flow[:, freqs < -LOW_HZ].sum(axis=1) > flow[:, freqs > LOW_HZ].sum(axis=1)


def _order_along(
    middle: np.ndarray, away: np.ndarray, freqs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Order of the bins along the flow, and their frequencies, (n, n_freqs) each."""
    count = np.arange(freqs.size)
    bins = np.where(away[:, None], -count, count) % freqs.size  # of the conjugate
    beyond = _beyond_fold(np.take_along_axis(middle, bins, axis=1), freqs)
    turned = count + beyond[:, None]
    along = freqs[0] + (freqs[1] - freqs[0]) * turned
    return np.take_along_axis(bins, turned % freqs.size, axis=1), along


def _beyond_fold(middle: np.ndarray, freqs: np.ndarray) -> np.ndarray:
    """By how many bins the flow passes half the sampling frequency, (n,) of int."""
    level = uniform_filter1d(middle, 3, axis=1, mode="wrap")
    noise = np.percentile(level[:, np.abs(freqs) > LOW_HZ], 25, axis=1, keepdims=True)
    candidates = freqs < -4 * LOW_HZ  # from half the sampling frequency on
    return (level[:, candidates] < 2 * noise).argmax(axis=1)


def _side(power: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Power of some bins of each row, smoothed over frames, (n, n_frames)."""
    whole = np.einsum("nft,nf->nt", power, bins.astype(float))
    return np.maximum(uniform_filter1d(whole, SMOOTH_FRAMES, axis=1), 0)


def _peak(flow: np.ndarray, n_times: int, sfreq: float) -> np.ndarray:
    """Frame of most flow near the middle."""
    middle = round((n_times / 2 - WINDOW / 2) / HOP)
    reach = round(SEARCH_S * sfreq / HOP)
    return middle - reach + flow[:, middle - reach : middle + reach + 1].argmax(axis=1)


def _bridged(mask: np.ndarray, gap_frames: int) -> np.ndarray:
    """Gaps of some frames filled, row by row."""
    padded = np.pad(mask, ((0, 0), (gap_frames, gap_frames)))
    return binary_closing(padded, np.ones((1, gap_frames + 1)))[:, gap_frames:-gap_frames]
