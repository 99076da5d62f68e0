"""What the two channels of a gate are: I and Q, or forward and reverse audio.

Forward and reverse audio are real signals, one a direction. As F and R, the parts of the complex
signal with positive and negative frequencies, are each given by their real part, the complex
signal is a(forward) + conj(a(reverse)), where a(x) = x + jH(x) is the analytic signal.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import csd, oaconvolve, welch
from scipy.signal.windows import kaiser

from emboscope.errors import DataError
from emboscope.signal.source import Read

LAYOUTS = ("iq", "forward_reverse")
LOOK_S = 10.0  # of the start, by which the layout is told
UNEQUAL_DB = 3.0
COHERENT = 0.2
DEAD_DB = 90.0
ISOLATED_HZ = 150.0


@lru_cache(maxsize=8)
def hilbert_filter(sfreq: float) -> np.ndarray:
    """Linear-phase Hilbert transformer of odd length, 129 taps at least, (n_taps,).

    Kaiser-windowed; the image of a tone from 150 Hz to 150 Hz under half the rate is 60 dB down.
    Its delay is half its length, which `oaconvolve(..., "same")` takes out.

    References
    ----------
    .. [1] doi 10.1007/s11517-014-1224-0, which names the phasing filters of Doppler.
    """
    half = max(64, int(np.ceil(2.2 * sfreq / ISOLATED_HZ)))
    order = np.arange(-half, half + 1)
    odd = order % 2 != 0
    taps = np.where(odd, 2 / (np.pi * np.where(odd, order, 1)), 0.0)
    return taps * kaiser(taps.size, 6.0)


def hilbert_transform(signal: np.ndarray, sfreq: float) -> np.ndarray:
    """Hilbert transform along time, (..., n_times); zeros are taken to lie beyond the ends."""
    taps = hilbert_filter(sfreq)
    shaped = taps.reshape((1,) * (signal.ndim - 1) + (-1,))
    whole = oaconvolve(signal.astype(np.float64), shaped, axes=-1)
    half = taps.size // 2
    return whole[..., half : half + signal.shape[-1]]


def complex_from_directions(channels: np.ndarray, sfreq: float) -> np.ndarray:
    """Complex signal of forward + j reverse audio, (..., n_times), complex64."""
    forward, reverse = channels.real, channels.imag
    turned = hilbert_transform(forward - reverse.astype(np.float64), sfreq)
    return (forward + reverse + 1j * turned).astype(np.complex64)


def read_directions(read: Read, n_times: int, sfreq: float) -> Read:
    """Reads forward and reverse audio as a complex signal; no block size changes a sample."""
    half = hilbert_filter(sfreq).size // 2

    def read_complex(start: int, stop: int) -> np.ndarray:
        first, last = max(0, start - half), min(n_times, stop + half)
        block = complex_from_directions(read(first, last), sfreq)
        return block[:, start - first : stop - first]

    return read_complex


def recognize_layout(samples: np.ndarray, sfreq: float) -> str:
    """`iq` or `forward_reverse`, by the first seconds of one gate.

    I and Q have the same power. Forward and reverse audio have not (3 dB at least), and have
    nothing in common: their mean squared coherence, weighted by power, is near zero. Whatever
    cannot be told, a flow of both directions alike, is `iq`.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        Channel 1 + j channel 2.
    sfreq : float
        In Hz.

    Returns
    -------
    layout : str
    """
    samples = np.nan_to_num(samples[: int(LOOK_S * sfreq)], posinf=0, neginf=0)
    n_fft = 256
    if samples.size < 8 * n_fft:
        return "iq"
    pair = samples.real.astype(np.float64), samples.imag.astype(np.float64)
    first, second = (welch(each, sfreq, nperseg=n_fft)[1] for each in pair)
    cross = np.abs(csd(*pair, sfreq, nperseg=n_fft)[1]) ** 2
    powers = first.sum(), second.sum()
    if min(powers) <= 0 or 10 * np.log10(max(powers) / min(powers)) < UNEQUAL_DB:
        return "iq"
    product = first * second
    return "forward_reverse" if cross.sum() < COHERENT * product.sum() else "iq"


def check_alive(path: Path, samples: np.ndarray) -> None:
    """DataError if one channel of a gate, (n_gates, n_times), is dead and the other is not."""
    if not samples.size:
        return
    samples = np.nan_to_num(samples, posinf=0, neginf=0)
    power = np.stack([samples.real.var(axis=1), samples.imag.var(axis=1)], axis=1)
    for gate, pair in enumerate(power):
        if pair.min() <= 10 ** (-DEAD_DB / 10) * pair.max() and pair.max() > 0:
            channel = 2 * gate + int(np.argmin(pair)) + 1
            raise DataError(
                f"recording '{path}': channel {channel} is dead; expected a signal in I and in Q. "
                "Check the cable, or pass --layout forward_reverse if it is directional audio."
            )
