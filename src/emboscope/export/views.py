"""The front end, written down as the first steps of a program."""

from collections.abc import Mapping

import numpy as np
import pywt
from scipy.signal import get_window

from emboscope.errors import DataError, SettingsError
from emboscope.export.builder import Builder, Values
from emboscope.export.program import Buffer
from emboscope.representations.front_end import FrontEnd, ViewSettings
from emboscope.representations.hits_features import FEATURES
from emboscope.representations.hits_frames import WINDOW
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.spectra import n_whole_frames
from emboscope.representations.views import (
    CLIPS,
    SpectrogramSettings,
    WaveformSettings,
    spread_frames,
    window,
)

_OF_IMAGE, _ABSOLUTE, _OVER_BACKGROUND = 0.0, 1.0, 2.0  # what decibels refer to


def signal_shape(front_end: FrontEnd) -> tuple[int, int]:
    """(channels, samples) of the segment that the views are made of."""
    return front_end.n_channels, front_end.n_times


def signals(
    front_end: FrontEnd, views: Mapping[str, np.ndarray] | None, n_rows: int
) -> tuple[np.ndarray, bool]:
    """Segments for a check: those of the waveforms, repeated where there are fewer, or noise.

    Parameters
    ----------
    front_end : FrontEnd
        Of the classifier, with all of its views.
    views : mapping of ndarray, optional
    n_rows : int

    Returns
    -------
    segments : ndarray of float32, shape (n_rows, n_channels, n_times)
    real : bool
        Whether they are those of the waveforms, which tell the signal unless they are scaled.
    """
    shape = (n_rows, front_end.n_channels, front_end.n_times)
    if views is not None and front_end.waveform_is_signal and len(views.get("waveform", ())):
        given = front_end.signal_of(views["waveform"][:n_rows])
        return np.resize(given, shape).astype(np.float32), True
    settings = front_end.views.get("waveform")
    unit = settings.unit_divisor if isinstance(settings, WaveformSettings) else 1.0
    noise = np.random.default_rng(0).standard_normal(shape)
    return (unit * noise).astype(np.float32), False


def signals_of(
    front_end: FrontEnd, views: Mapping[str, np.ndarray] | None, n_rows: int
) -> np.ndarray:
    """The same, where views that are given have to tell the signal.

    Raises
    ------
    DataError
        If they do not.
    """
    segments, real = signals(front_end, views, n_rows)
    if views is not None and not real:
        raise DataError(
            "views: waveform missing, or scaled; expected it as it is, to make the signal of it. "
            "Give it, or none."
        )
    return segments


def add_view(builder: Builder, front_end: FrontEnd, name: str, signal: Buffer) -> Buffer:
    """Add the steps that make a view of the signal.

    Parameters
    ----------
    builder : Builder
    front_end : FrontEnd
    name : str
        Of the view.
    signal : Buffer
        (channels, 1, samples), in the unit of the recordings, after the high-pass.

    Raises
    ------
    SettingsError
        If the view has no form in C.
    """
    settings = front_end.views.get(name)
    if isinstance(settings, WaveformSettings):
        return _waveform(settings, signal, builder)
    if isinstance(settings, SpectrogramSettings) and settings.profile != "released":
        return _spectrogram(settings, signal, builder)
    if isinstance(settings, MeasuresSettings) and front_end.n_channels == 2:
        return _measures(front_end.sfreq, signal, builder)
    raise SettingsError(
        f"export: view '{name}' ({_kind(settings)}) has no form in C; expected waveform and "
        "spectrogram, corrected or paper, and measures of I and Q. Leave --front-end out."
    )


def _kind(settings: ViewSettings | None) -> str:
    if settings is None:
        return "not of the front end"
    return "released" if isinstance(settings, SpectrogramSettings) else settings.kind


def _waveform(settings: WaveformSettings, signal: Buffer, builder: Builder) -> Buffer:
    if settings.unit_divisor != 1.0:
        tensors = {"scale": _values(1 / settings.unit_divisor), "shift": _values(0)}
        signal = builder.add("affine", builder.new(signal.shape), signal, tensors=tensors)
    return _scaled(settings.scaling, signal, builder)


def _scaled(scaling: str, signal: Buffer, builder: Builder) -> Buffer:
    if scaling == "none":
        return signal
    kind = "min_max" if scaling == "min_max" else "over_median"
    return builder.add(kind, builder.new(signal.shape), signal)


def _spectrogram(settings: SpectrogramSettings, signal: Buffer, builder: Builder) -> Buffer:
    signal = _scaled(settings.scaling, signal, builder)
    _, n_rows, n_frames = settings.shape(signal.shape[0], signal.shape[2])
    angle = 2 * np.pi * np.arange(n_rows) / n_rows
    tensors: Mapping[str, Values] = {
        "weight": window(settings).astype(np.float32),
        "scale": np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32),
        "shift": _starts(settings, signal.shape[2]).astype(np.float32),
    }
    power = builder.add("spectrum", builder.new((1, n_rows, n_frames)), signal, tensors=tensors,
                kernel=(1, settings.frame_length))  # fmt: skip
    return builder.add(
        "decibels", power, power, tensors={"weight": _rule(settings)}
    )  # in its place


def _measures(sfreq: float, signal: Buffer, builder: Builder) -> Buffer:
    """Features by hand of HITS, with the constants that they need."""
    angle = 2 * np.pi * np.arange(WINDOW) / WINDOW
    shape = get_window("hann", WINDOW)
    wavelet = pywt.Wavelet("db8")
    tensors: Mapping[str, Values] = {
        "weight": (shape / shape.sum()).astype(np.float32),
        "scale": np.stack([np.cos(angle), np.sin(angle)], axis=1).ravel().astype(np.float32),
        "shift": _values(*wavelet.dec_lo, *wavelet.dec_hi, sfreq),
    }
    return builder.add("measures", builder.new((1, 1, len(FEATURES))), signal, tensors=tensors)


def _starts(settings: SpectrogramSettings, n_times: int) -> np.ndarray:
    """First sample of each frame."""
    if settings.n_frames is not None:
        return spread_frames(n_times, settings.frame_length, settings.n_frames)
    return settings.hop * np.arange(n_whole_frames(n_times, settings.frame_length, settings.hop))


def _rule(settings: SpectrogramSettings) -> np.ndarray:
    """What decibels refer to, their limits, and whether they are z-scored."""
    if settings.reference == "background":
        scored = settings.normalization == "z_score"
        return _values(_OVER_BACKGROUND, settings.floor_db, settings.ceiling_db, scored)
    reference = _OF_IMAGE if settings.profile == "corrected" else _ABSOLUTE
    return _values(reference, *CLIPS[settings.profile], 0)


def _values(*values: float) -> np.ndarray:
    return np.array(values, np.float32)
