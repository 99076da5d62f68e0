"""Two-sided spectra of complex Doppler signals."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import fft, fftfreq, fftshift
from scipy.signal import butter, get_window, sosfilt, sosfilt_zi

from emboscope.errors import DataError

EPSILON = 1e-12  # of full scale squared: the floor of every decibel figure


@dataclass(frozen=True)
class Spectrum:
    """A complex two-sided short-time Fourier transform.

    Attributes
    ----------
    values : ndarray, shape (n_freqs, n_frames), complex64
        A tone of amplitude A on a bin has modulus A.
    freqs : ndarray, shape (n_freqs,)
        Ascending from -sfreq / 2, in Hz; positive is flow towards the probe.
    times : ndarray, shape (n_frames,)
        Centre of each frame, in seconds.
    """

    values: np.ndarray
    freqs: np.ndarray
    times: np.ndarray

    @property
    def power(self) -> np.ndarray:
        """Squared modulus, shape (n_freqs, n_frames)."""
        return self.values.real**2 + self.values.imag**2


def stft(
    samples: np.ndarray,
    sfreq: float,
    window_length: int = 64,
    hop: int = 16,
    n_fft: int | None = None,
    window: str = "hann",
) -> Spectrum:
    """Short-time Fourier transform of whole frames, without padding at the ends.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        I + jQ in fractions of full scale.
    sfreq : float
        Pulse repetition frequency, in Hz.
    window_length, hop : int
        Frame length and step, in samples.
    n_fft : int, optional
        Zero-padded length; the window's by default.
    window : str
        A periodic window of `scipy.signal.get_window`.

    Returns
    -------
    Spectrum

    Raises
    ------
    DataError
        If the signal is shorter than one window.
    """
    if samples.size < window_length:
        raise DataError(
            f"signal: {samples.size} time points; expected at least {window_length}, one window. "
            "Give a longer recording."
        )
    shape = get_window(window, window_length).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window_length)[::hop]
    n_fft = n_fft or window_length
    values = fft(frames * (shape / shape.sum()), n_fft, axis=1)
    return Spectrum(
        values=fftshift(values, axes=1).T,
        freqs=fftshift(fftfreq(n_fft, 1 / sfreq)),
        times=(np.arange(len(frames)) * hop + window_length / 2) / sfreq,
    )


def decibel(power: np.ndarray) -> np.ndarray:
    """10 log10 of a power in fractions of full scale squared; silence reads -120 dB."""
    return 10 * np.log10(power + EPSILON)


class HighPass:
    """Causal Butterworth high-pass of I and Q alike, which goes on from block to block.

    Parameters
    ----------
    sfreq : float
        In Hz.
    cutoff_hz : float
        150 Hz is 5.8 cm/s at 2 MHz.
    order : int
        Of the filter.
    """

    def __init__(self, sfreq: float, cutoff_hz: float = 150.0, order: int = 4) -> None:
        self._sections = butter(order, cutoff_hz, "highpass", fs=sfreq, output="sos")
        self._state: np.ndarray | None = None

    @property
    def sections(self) -> np.ndarray:
        """b0, b1, b2, 1, a1, a2 of each second-order section."""
        return self._sections

    @property
    def rest(self) -> np.ndarray:
        """The state of each section, of a constant input of 1 that has lasted, (section, 2)."""
        return sosfilt_zi(self._sections)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Filter the next samples, shape (n_times,), complex."""
        if self._state is None:  # at rest at the first sample, so that an offset makes no step
            self._state = self.rest * samples[0]
        filtered, self._state = sosfilt(self._sections, samples, zi=self._state)
        return filtered.astype(np.complex64)


def side_power(spectrum: Spectrum, low_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Power of each frame above +low_hz (towards) and below -low_hz (away), (n_frames,) each."""
    power = spectrum.power
    return (
        power[spectrum.freqs > low_hz].sum(axis=0),
        power[spectrum.freqs < -low_hz].sum(axis=0),
    )
