"""Waveform and spectrogram: the views of a segment that a model sees."""

from typing import Literal, Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt, model_validator

from emboscope.errors import DataError
from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)
from emboscope.representations.spectra import (
    EPSILON,
    SILENCE,
    as_line,
    decibels,
    n_whole_frames,
    whole_frames,
)

RELEASED_DB = 20.0  # on a power, as the released code does: a dB scale of twice the size
LEAST_SD = 1e-9  # under it an image is taken as constant

Profile = Literal["corrected", "paper", "released"]
WaveformScaling = Literal["none", "min_max", "background"]
CLIPS: dict[str, tuple[float, float]] = {
    "corrected": (-1.0, 4.0),
    "paper": (0.0, 9.0),
    "released": (0.0, 9.0),
}


class WaveformSettings(RepresentationSettings):
    """How the signal itself becomes a view.

    `min_max`: each channel of a row to [0, 1]. `background`: over the median magnitude of the row,
    which a short event does not move, so that its height over the flow is what is left.
    """

    kind: Literal["waveform"] = "waveform"
    unit_divisor: PositiveFloat = 1.0  # 100 brings an EEG in µV near 1
    scaling: WaveformScaling = "none"

    @property
    def gain(self) -> Gain:
        """In proportion, unless it is scaled."""
        return "scales" if self.scaling == "none" else "invariant"

    @property
    def direction(self) -> Direction:
        """In the phase of Q to I."""
        return "quadrature"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(n_channels, n_times)."""
        return (n_channels, n_times)


class SpectrogramSettings(RepresentationSettings):
    """How a segment becomes an image of power in dB.

    `image`: clipped to [μ + aσ, μ + bσ] of the image. `background`: dB over the background, spread
    evenly over the rows, clipped to `floor_db`…`ceiling_db`. The background is the power of the
    median frame, unless it is given. Then `z_score` normalizes each image, and `none` keeps the
    dB, and with them the class's cue of intensity.

    Frames stand `hop` apart and lie in the signal; or there are `n_frames` of them, spread evenly
    over the segment, n_times/n_frames apart, of which the outer ones reach into zeros beyond its
    ends, and read at most 3 dB less of a noise.
    """

    kind: Literal["spectrogram"] = "spectrogram"
    profile: Profile = "corrected"
    reference: Literal["image", "background"] = "image"
    n_fft: PositiveInt = 32  # rows
    window_length: PositiveInt | None = None  # at most n_fft, zeros follow; None: n_fft
    hop: PositiveInt = 4
    n_frames: PositiveInt | None = None  # in place of the hop
    window: Literal["blackman", "hann", "hamming"] = "blackman"
    scaling: Literal["none", "min_max"] = "none"  # of a real signal, before the transform
    normalization: Literal["z_score", "none"] = "z_score"  # of dB over the background
    floor_db: float = -20.0
    ceiling_db: float = 30.0

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        if self.frame_length > self.n_fft:
            raise ValueError(
                f"window_length {self.frame_length}; expected at most n_fft, {self.n_fft}. "
                "Enlarge n_fft"
            )
        return self

    @property
    def frame_length(self) -> int:
        """Samples in the window."""
        return self.window_length or self.n_fft

    @property
    def gain(self) -> Gain:
        """None over the background or of a scaled signal, else on the decibel scale."""
        if self.reference == "background" or self.scaling == "min_max":
            return "invariant"
        return "doubled_decibels" if self.profile == "released" else "decibels"

    @property
    def direction(self) -> Direction:
        """Towards in the rows above n_fft/2, away below."""
        return "rows"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(1, n_fft, n_frames)."""
        frames = self.n_frames or n_whole_frames(n_times, self.frame_length, self.hop)
        return (1, self.n_fft, frames)


HITS224 = SpectrogramSettings(  # (1, 224, 96) of a segment of hits, two-sided
    reference="background", window="hamming", window_length=128, n_fft=224, n_frames=96
)


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


def spectrogram(
    signal: np.ndarray, settings: SpectrogramSettings, background: np.ndarray | None = None
) -> np.ndarray:
    """Log power in time and frequency, two-sided, without centring or padding [1]_.

    One channel is a real signal; two are I and Q of one complex signal. Of N samples there are
    1 + ⌊(N − window_length)/hop⌋ frames, or `n_frames`. `released` takes the square of the real
    part for the power and 20·log10 of it; `paper` takes 10·log10(|S|² + 1e-12); `corrected` adds
    1e-12 of the largest power of the image instead, so that the image follows the gain.

    Parameters
    ----------
    signal : ndarray, shape (batch, n_channels, n_times)
        One channel, or two (I, Q).
    background : ndarray, shape (batch,), optional
        Mean power of the background of each segment, in the unit of the signal squared: for I and
        Q, of I² + Q². Estimated from the segment where it is not given.

    Returns
    -------
    view : ndarray of float32, shape (batch, 1, n_fft, n_frames)
        In dB, or z-scored where `reference` is background. Row n_fft/2 is 0 Hz.

    Raises
    ------
    DataError
        If the segment is shorter than one window, or has more than two channels.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2024). Guided deep
       embedded clustering regularization for multifeature medical signal classification.
       Pattern Recognition.
    """
    spectrum = stft(scale(signal, settings.scaling), settings)  # (batch, n_fft, n_frames)
    if settings.reference == "background":
        image = _over_background(spectral_power(spectrum), settings, background)
    else:
        image = np.clip(*level_image(spectrum, settings.profile))
    return image[:, None].astype(np.float32)


REPRESENTATIONS["waveform"] = Representation(waveform, WaveformSettings)
REPRESENTATIONS["spectrogram"] = Representation(spectrogram, SpectrogramSettings)


def window(settings: SpectrogramSettings) -> np.ndarray:
    """The analysis window: symmetric Blackman or Hamming, or periodic Hann."""
    if settings.window == "hann":
        return np.hanning(settings.frame_length + 1)[:-1]
    shape = np.blackman if settings.window == "blackman" else np.hamming
    return shape(settings.frame_length)


def spread_frames(n_times: int, length: int, n_frames: int) -> np.ndarray:
    """First samples of frames that are spread evenly, from −length/2 on, shape (n_frames,)."""
    centers = (np.arange(n_frames) + 0.5) * n_times / n_frames
    return np.round(centers - length / 2).astype(int)


def stft(signal: np.ndarray, settings: SpectrogramSettings) -> np.ndarray:
    """Complex two-sided transform, shape (batch, n_fft, n_frames), rows from −sfreq/2 up."""
    line, length = as_line(signal), settings.frame_length
    if settings.n_frames is None:
        frames = whole_frames(line, length, settings.hop)
    else:
        padded = np.pad(line, ((0, 0), (length, length)))
        starts = spread_frames(line.shape[-1], length, settings.n_frames) + length
        frames = whole_frames(padded, length, 1)[:, starts]
    spectrum = np.fft.fft(frames * window(settings), settings.n_fft, axis=-1)
    return np.fft.fftshift(spectrum, axes=-1).swapaxes(1, 2)


def spectral_power(spectrum: np.ndarray, profile: Profile = "corrected") -> np.ndarray:
    """|S|²; `released` drops the imaginary part, so that a steady tone seems to come and go."""
    real = spectrum.real**2
    return real if profile == "released" else real + spectrum.imag**2


def scale(signal: np.ndarray, scaling: str) -> np.ndarray:
    """Each channel of a row to [0, 1] for `min_max`, where a constant one becomes 0.

    For `background` each row over the median of its magnitude; silence stays silence.
    """
    if scaling == "none":
        return signal
    if scaling == "background":
        level = np.median(np.sqrt(np.square(signal).sum(axis=1)), axis=-1)[:, None, None]
        return signal / np.maximum(level, SILENCE)
    low = signal.min(axis=-1, keepdims=True)
    span = signal.max(axis=-1, keepdims=True) - low
    return (signal - low) / np.where(span > 0, span, 1)


def level_image(
    spectrum: np.ndarray, profile: Profile
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dB, and the limits μ + aσ and μ + bσ of each image, (batch, 1, 1) each."""
    power = spectral_power(spectrum, profile)
    if profile == "released":
        with np.errstate(divide="ignore"):
            image = RELEASED_DB * np.log10(power)
        measured = np.where(np.isfinite(image), image, 0.0)  # as released: −∞ counts as 0 dB
    elif profile == "paper":
        image = measured = 10 * np.log10(power + EPSILON)
    else:
        image = measured = decibels(power)
    mean = measured.mean(axis=(1, 2), keepdims=True)
    sd = measured.std(axis=(1, 2), keepdims=True)
    low, high = CLIPS[profile]
    return image, mean + low * sd, mean + high * sd


def _over_background(
    power: np.ndarray, settings: SpectrogramSettings, background: np.ndarray | None
) -> np.ndarray:
    """dB over the background, clipped, and z-scored in each image unless that is left out."""
    if background is None:
        level = np.median(power.mean(axis=1), axis=1)  # (batch,)
    else:
        level = np.asarray(background) * np.sum(window(settings) ** 2)
    ratio = power / np.maximum(level, SILENCE)[:, None, None]
    image = np.clip(10 * np.log10(ratio + SILENCE), settings.floor_db, settings.ceiling_db)
    if settings.normalization == "none":
        return image
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
