"""What a recording sounds like: forward and reverse audio, and stereo clips."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from emboscope.errors import DataError
from emboscope.signal.layout import hilbert_transform

PEAK = 0.9  # of full scale, of a clip


def forward_reverse_audio(samples: np.ndarray, sfreq: float) -> np.ndarray:
    """Real audio of the flow towards and away from the probe.

    The real parts of the positive and of the negative frequencies, by the phasing filter of
    `layout.hilbert_filter`: 60 dB apart from 150 Hz to 150 Hz under half the rate, less beyond.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        I + jQ of one gate.
    sfreq : float
        In Hz.

    Returns
    -------
    audio : ndarray, shape (2, n_times), float32
        Row 0 towards, row 1 away, without delay.
    """
    turned = hilbert_transform(samples.imag, sfreq)
    return np.stack([samples.real - turned, samples.real + turned]).astype(np.float32) / 2


def stereo_clip(samples: np.ndarray, sfreq: float, rate: int = 44100) -> np.ndarray:
    """A clip to listen to: towards left, away right.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        I + jQ of one gate.
    sfreq : float
        In Hz.
    rate : int
        Of the clip, in Hz; resampled by a polyphase filter.

    Returns
    -------
    clip : ndarray, shape (n_clip_times, 2), float32
        The larger side peaks at 0.9; silence stays silent.

    Raises
    ------
    DataError
        If there are no samples, or one is not finite.
    """
    if not samples.size or not np.isfinite(samples).all():
        raise DataError(
            "clip: no samples, or not all finite; expected some. Choose a good stretch."
        )
    ratio = Fraction(rate / sfreq).limit_denominator(10000)
    audio = forward_reverse_audio(samples, sfreq)
    clip = resample_poly(audio, ratio.numerator, ratio.denominator, axis=1).T
    loudest = np.abs(clip).max()
    return (clip * (PEAK / loudest if loudest > 0 else 1)).astype(np.float32)


def write_clip(path: Path, samples: np.ndarray, sfreq: float, rate: int = 44100) -> None:
    """Write `stereo_clip` as a WAV of 16 bits; see there.

    A clip can carry speech: treat it as personal data.
    """
    aside = path.with_name(f".{path.name}.part")
    soundfile.write(str(aside), stereo_clip(samples, sfreq, rate), rate, "PCM_16", format="WAV")
    aside.replace(path)
