"""Segments of signal as arrays that a model learns from."""

from emboscope.representations.adms import AdmsImageSettings, adms_image, read_adms_png
from emboscope.representations.bit_pulse import BitPulseSettings, bit_pulse
from emboscope.representations.cochleagram import CochleagramSettings, cochleagram
from emboscope.representations.contract import REPRESENTATIONS
from emboscope.representations.front_end import FrontEnd, ViewSettings
from emboscope.representations.guepie_features import guepie_features
from emboscope.representations.handcrafted import handcrafted_features
from emboscope.representations.hits_features import hits_features
from emboscope.representations.measures import MeasuresSettings, measures
from emboscope.representations.mel import ChromaSettings, MelSettings, chroma, mel
from emboscope.representations.series_images import (
    GafSettings,
    MtfSettings,
    RpSettings,
    gaf,
    mtf,
    rp,
)
from emboscope.representations.spectra import flow_directions
from emboscope.representations.views import (
    HITS224,
    SpectrogramSettings,
    WaveformSettings,
    spectrogram,
    waveform,
)
from emboscope.representations.wavelet import WaveletSettings, wavelet

__all__ = [
    "HITS224",
    "REPRESENTATIONS",
    "AdmsImageSettings",
    "BitPulseSettings",
    "ChromaSettings",
    "CochleagramSettings",
    "FrontEnd",
    "GafSettings",
    "MeasuresSettings",
    "MelSettings",
    "MtfSettings",
    "RpSettings",
    "SpectrogramSettings",
    "ViewSettings",
    "WaveformSettings",
    "WaveletSettings",
    "adms_image",
    "bit_pulse",
    "chroma",
    "cochleagram",
    "flow_directions",
    "gaf",
    "guepie_features",
    "handcrafted_features",
    "hits_features",
    "measures",
    "mel",
    "mtf",
    "read_adms_png",
    "rp",
    "spectrogram",
    "waveform",
    "wavelet",
]
