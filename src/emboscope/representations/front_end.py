"""From a segment of signal to the views of a model, by one frozen group of settings."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from emboscope.errors import DataError, SettingsError
from emboscope.representations.adms import AdmsImageSettings
from emboscope.representations.bit_pulse import BitPulseSettings
from emboscope.representations.cochleagram import CochleagramSettings
from emboscope.representations.contract import REPRESENTATIONS
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.mel import ChromaSettings, MelSettings
from emboscope.representations.series_images import GafSettings, MtfSettings, RpSettings
from emboscope.representations.views import SpectrogramSettings, WaveformSettings, check_segment
from emboscope.representations.wavelet import WaveletSettings
from emboscope.settings import Settings
from emboscope.signal.spectrum import HighPass

ViewSettings = (
    WaveformSettings
    | SpectrogramSettings
    | MelSettings
    | ChromaSettings
    | CochleagramSettings
    | BitPulseSettings
    | WaveletSettings
    | GafSettings
    | MtfSettings
    | RpSettings
    | AdmsImageSettings
    | MeasuresSettings
)

_IN_TORCH = (WaveformSettings, SpectrogramSettings)

_DEFAULT_VIEWS: dict[str, ViewSettings] = {
    "waveform": WaveformSettings(),
    "spectrogram": SpectrogramSettings(),
}


class FrontEnd(Settings):
    """All that stands between a signal and a model, and is stored with the model.

    Standardization by the training part is not here: it is part of the network, as buffers, so
    that weights and statistics cannot be parted.
    """

    sfreq: PositiveFloat  # Hz
    n_channels: PositiveInt = 1  # 2: I and Q of a complex signal
    n_times: PositiveInt  # samples of a segment
    peak_sample: NonNegativeInt = 0  # where the peak of an event stands in its segment
    high_pass_hz: NonNegativeFloat = 0.0  # of the recording, before a segment is cut; 0: none
    views: dict[str, Annotated[ViewSettings, Field(discriminator="kind")]] = _DEFAULT_VIEWS

    def compute(self, signal: np.ndarray) -> dict[str, np.ndarray]:
        """The views of a batch of segments.

        Parameters
        ----------
        signal : ndarray, shape (batch, n_channels, n_times)
            In the unit of the recordings: µV for the EEG, fractions of full scale for Doppler.

        Returns
        -------
        views : dict of ndarray of float32
            By name; each `(batch, *shapes[name])`.

        Raises
        ------
        DataError
            If the segments have another shape, are too short for a view, or are not finite.
        SettingsError
            If a view reaches above half the sampling frequency.
        """
        signal = check_segment(signal, self.n_channels, self.n_times)
        return {
            name: REPRESENTATIONS[settings.kind](signal, settings, self.sfreq)
            for name, settings in self.views.items()
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each view of one segment."""
        return {
            name: settings.shape(self.n_channels, self.n_times)
            for name, settings in self.views.items()
        }

    @property
    def waveform_is_signal(self) -> bool:
        """Whether the view `waveform` tells all the others, which min-max scaling can bar."""
        settings = self.views.get("waveform")
        if not isinstance(settings, WaveformSettings):
            return False
        rest = [view for view in self.views.values() if not isinstance(view, WaveformSettings)]
        return settings.scaling == "none" or all(
            isinstance(view, SpectrogramSettings) and view.scaling == settings.scaling
            for view in rest
        )

    @property
    def follows_waveform(self) -> bool:
        """Whether a graph in torch can make all views of the view `waveform`."""
        return self.waveform_is_signal and all(
            isinstance(view, _IN_TORCH) for view in self.views.values()
        )

    def high_pass(self) -> HighPass | None:
        """The filter of the recording, at rest; None where there is none."""
        return HighPass(self.sfreq, self.high_pass_hz) if self.high_pass_hz else None

    def signal_of(self, waveform: np.ndarray) -> np.ndarray:
        """The segments of which `waveform` is the view, in the unit of the recordings."""
        settings = self.views["waveform"]
        if not (isinstance(settings, WaveformSettings) and self.waveform_is_signal):
            raise SettingsError(
                "front_end.views: min-max scaling of 'waveform' alone; expected the same of every "
                "view. Give all views, or scale them alike."
            )
        return np.asarray(waveform, dtype=np.float64) * settings.unit_divisor

    def complete(self, views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All views; those of the front end that are missing are made of the waveform.

        Views that the front end does not make stay as they are.
        """
        if set(self.views) <= set(views):
            return dict(views)
        if "waveform" not in views:
            raise DataError(
                f"views: {', '.join(views) or 'none'}; expected 'waveform' or all of "
                f"{', '.join(self.views)}. Compute them with the front end."
            )
        made = self.compute(self.signal_of(views["waveform"]))
        return {**made, **views}

    def cut(self, samples: np.ndarray, peaks: Sequence[int] | np.ndarray) -> np.ndarray:
        """Segments of a recording around the peaks of its events.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            Complex Doppler (one channel) becomes I and Q. Zeros stand beyond the ends.
        peaks : sequence of int
            Samples of the recording which stand at `peak_sample` of each segment.

        Returns
        -------
        segments : ndarray of float32, shape (n_events, n_channels, n_times)
        """
        if np.iscomplexobj(samples):
            line = samples[0]
            chain = self.high_pass()
            if chain is not None:
                line = chain(line)
            samples = np.stack([line.real, line.imag])
        padded = np.pad(samples, ((0, 0), (self.n_times, self.n_times)))
        starts = np.asarray(peaks, dtype=int) - self.peak_sample + self.n_times
        columns = starts[:, None] + np.arange(self.n_times)
        return padded[:, columns].swapaxes(0, 1).astype(np.float32)
