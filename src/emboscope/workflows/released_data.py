"""The views of a data set as the released code made them."""

from dataclasses import replace

from emboscope.datasets.dataset import Dataset
from emboscope.errors import SettingsError
from emboscope.representations.views import SpectrogramSettings, WaveformSettings


def as_released(data: Dataset) -> Dataset:
    """Rows scaled to [0, 1] one by one, spectrograms of the real part in doubled decibels.

    Raises
    ------
    SettingsError
        If the views are not a waveform and a spectrogram of single signals.
    """
    waveform = data.front_end.views.get("waveform")
    spectrogram = data.front_end.views.get("spectrogram")
    if (
        data.front_end.n_channels != 1
        or not isinstance(waveform, WaveformSettings)
        or not isinstance(spectrogram, SpectrogramSettings)
    ):
        raise SettingsError(
            f"data set '{data.name}': no released form; expected waveform and spectrogram of one "
            "channel. Use data_profile = 'corrected'."
        )
    views = {
        "waveform": WaveformSettings(scaling="min_max"),
        "spectrogram": spectrogram.model_copy(update={"profile": "released", "scaling": "min_max"}),
    }
    front_end = data.front_end.model_copy(update={"views": views})
    signal = data.front_end.signal_of(data.views["waveform"])
    return replace(data, views=front_end.compute(signal), front_end=front_end)
