"""Segments of signal as arrays that a model learns from."""

from emboscope.representations.front_end import FrontEnd
from emboscope.representations.handcrafted import handcrafted_features
from emboscope.representations.views import (
    REPRESENTATIONS,
    SpectrogramSettings,
    WaveformSettings,
    spectrogram,
    waveform,
)

__all__ = [
    "REPRESENTATIONS",
    "FrontEnd",
    "SpectrogramSettings",
    "WaveformSettings",
    "handcrafted_features",
    "spectrogram",
    "waveform",
]
