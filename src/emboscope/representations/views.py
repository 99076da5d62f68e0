"""Waveform and spectrogram: the views of a segment that a model sees."""

from typing import Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from emboscope.errors import DataError
from emboscope.registry import Registry
from emboscope.settings import Settings

EPSILON = 1e-12  # of the largest power of an image, for corrected; of unit power, for paper
RELEASED_DB = 20.0  # on a power, as the released code does: a dB scale of twice the size
SILENCE = 1e-30  # the least power whose logarithm is taken
LEAST_SD = 1e-9  # under it an image is taken as constant

Profile = Literal["corrected", "paper", "released"]
CLIPS: dict[str, tuple[float, float]] = {
    "corrected": (-1.0, 4.0),
    "paper": (0.0, 9.0),
    "released": (0.0, 9.0),
}


class WaveformSettings(Settings):
    """How the signal itself becomes a view."""

    kind: Literal["waveform"] = "waveform"
    unit_divisor: PositiveFloat = 1.0  # 100 brings an EEG in µV near 1
    scaling: Literal["none", "min_max"] = "none"  # min_max: each channel of a row to [0, 1]


class SpectrogramSettings(Settings):
    """How a segment becomes an image of power in dB.

    `image`: clipped to [μ + aσ, μ + bσ] of the image. `background`: dB over the background, which
    is the power of the median frame spread evenly over its rows, clipped to
    `floor_db`…`ceiling_db`, then z-scored in each image.
    """

    kind: Literal["spectrogram"] = "spectrogram"
    profile: Profile = "corrected"
    reference: Literal["image", "background"] = "image"
    n_fft: PositiveInt = 32
    hop: PositiveInt = 4
    window: Literal["blackman", "hann"] = "blackman"
    scaling: Literal["none", "min_max"] = "none"  # of the signal, before the transform
    floor_db: float = -20.0
    ceiling_db: float = 30.0


ViewSettings = WaveformSettings | SpectrogramSettings


def waveform(signal: np.ndarray, settings: WaveformSettings) -> np.ndarray:
    """The signal as a view.

    Parameters
    ----------
    signal : ndarray, shape (batch, n_channels, n_times)
        In any unit; divided by `unit_divisor`, then scaled.

    Returns
    -------
    view : ndarray of float32, shape (batch, n_channels, n_times)
    """
    return scale(signal / settings.unit_divisor, settings.scaling).astype(np.float32)


def spectrogram(signal: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """Log power in time and frequency, two-sided, without centring or padding [1]_.

    One channel is a real signal; two are I and Q of one complex signal. Of N samples there are
    1 + ⌊(N − n_fft)/hop⌋ frames. `released` takes the square of the real part for the power and
    20·log10 of it; `paper` takes 10·log10(|S|² + 1e-12); `corrected` adds 1e-12 of the largest
    power of the image instead, so that the image follows the gain of the signal.

    Parameters
    ----------
    signal : ndarray, shape (batch, n_channels, n_times)
        One channel, or two (I, Q).

    Returns
    -------
    view : ndarray of float32, shape (batch, 1, n_fft, n_frames)
        In dB, or z-scored where `reference` is background. Row n_fft/2 is 0 Hz.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2024). Guided deep
       embedded clustering regularization for multifeature medical signal classification.
       Pattern Recognition.
    """
    spectrum = stft(scale(signal, settings.scaling), settings)  # (batch, n_fft, n_frames)
    if settings.reference == "background":
        image = _over_background(np.abs(spectrum) ** 2, settings)
    else:
        image = _clipped_image(spectrum, settings.profile)
    return image[:, None].astype(np.float32)


REPRESENTATIONS: Registry = Registry("representation")
REPRESENTATIONS["waveform"] = waveform
REPRESENTATIONS["spectrogram"] = spectrogram


def window(settings: SpectrogramSettings) -> np.ndarray:
    """The analysis window: symmetric Blackman, or periodic Hann."""
    if settings.window == "blackman":
        return np.blackman(settings.n_fft)
    return np.hanning(settings.n_fft + 1)[:-1]


def stft(signal: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """Complex two-sided transform, shape (batch, n_fft, n_frames), rows from −sfreq/2 up."""
    n_channels, n_times = signal.shape[1:]
    if n_channels > 2:
        raise DataError(
            f"signal: {n_channels} channels; expected 1 (real) or 2 (I and Q). Choose channels."
        )
    if n_times < settings.n_fft:
        raise DataError(
            f"signal: {n_times} samples; expected at least {settings.n_fft}, one window. Take a "
            "longer segment or a smaller n_fft."
        )
    line = signal[:, 0] if n_channels == 1 else signal[:, 0] + 1j * signal[:, 1]
    frames = np.lib.stride_tricks.sliding_window_view(line, settings.n_fft, axis=-1)
    frames = frames[:, :: settings.hop]  # (batch, n_frames, n_fft)
    spectrum = np.fft.fft(frames * window(settings), axis=-1)
    return np.fft.fftshift(spectrum, axes=-1).swapaxes(1, 2)


def scale(signal: np.ndarray, scaling: str) -> np.ndarray:
    """Each channel of a row to [0, 1] for `min_max`; a constant one becomes 0."""
    if scaling == "none":
        return signal
    low = signal.min(axis=-1, keepdims=True)
    span = signal.max(axis=-1, keepdims=True) - low
    return (signal - low) / np.where(span > 0, span, 1)


def _clipped_image(spectrum: np.ndarray, profile: str) -> np.ndarray:
    """dB, clipped to [μ + aσ, μ + bσ] of each image."""
    low, high = CLIPS[profile]
    if profile == "released":
        with np.errstate(divide="ignore"):
            image = RELEASED_DB * np.log10(spectrum.real**2)
        measured = np.where(np.isfinite(image), image, 0.0)  # as released: −∞ counts as 0 dB
    else:
        power = np.abs(spectrum) ** 2
        floor = power.max(axis=(1, 2), keepdims=True) if profile == "corrected" else 1.0
        image = measured = 10 * np.log10(power + np.maximum(EPSILON * floor, SILENCE))
    mean = measured.mean(axis=(1, 2), keepdims=True)
    sd = measured.std(axis=(1, 2), keepdims=True)
    return np.clip(image, mean + low * sd, mean + high * sd)


def _over_background(power: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """dB over the background, clipped, z-scored in each image."""
    background = np.median(power.mean(axis=1), axis=1)[:, None, None]  # (batch, 1, 1)
    ratio = power / np.maximum(background, SILENCE)
    image = 10 * np.log10(ratio + SILENCE)
    image = np.clip(image, settings.floor_db, settings.ceiling_db)
    centred = image - image.mean(axis=(1, 2), keepdims=True)
    return centred / np.maximum(image.std(axis=(1, 2), keepdims=True), LEAST_SD)


def check_segment(signal: np.ndarray, n_channels: int, n_times: int) -> np.ndarray:
    """The batch as float64 (batch, n_channels, n_times), or a refusal."""
    signal = np.asarray(signal, dtype=np.float64)
    if signal.shape[1:] != (n_channels, n_times):
        raise DataError(
            f"signal: shape {signal.shape}; expected (batch, {n_channels}, {n_times}). Cut "
            "segments of the front end's length."
        )
    bad = ~np.isfinite(signal).all(axis=(1, 2))
    if bad.any():
        raise DataError(
            f"signal: row {int(np.argmax(bad))} is not finite; expected finite samples. Remove "
            "that row or mend the recording."
        )
    return signal
