"""Features by hand as a view: what a network reads beside signals and images."""

from typing import Literal

import numpy as np

from emboscope.errors import DataError
from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)
from emboscope.representations.handcrafted import EEG_BANDS_HZ, N_SHAPE, handcrafted_features
from emboscope.representations.hits_features import FEATURES, hits_features
from emboscope.representations.hits_frames import LEAST_SAMPLES


class MeasuresSettings(RepresentationSettings):
    """What is measured follows from the signal: HITS features of I and Q, else bands and shape."""

    kind: Literal["measures"] = "measures"

    @property
    def gain(self) -> Gain:
        """Some of them are levels."""
        return "other"

    @property
    def direction(self) -> Direction:
        """None: what is measured of I and Q is along the flow, wherever it goes."""
        return "none"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(30,) of I and Q, (12,) of one channel."""
        return (len(FEATURES) if n_channels == 2 else len(EEG_BANDS_HZ) + N_SHAPE,)


def measures(signal: np.ndarray, settings: MeasuresSettings, sfreq: float) -> np.ndarray:
    """`hits_features` of I and Q, `handcrafted_features` of one channel.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        I and Q of at least 256 samples, the event in their middle; or a real signal, as the EEG.

    Returns
    -------
    view : ndarray of float32, shape (batch, 30) or (batch, 12)

    Raises
    ------
    DataError
        If I and Q are too short.
    """
    if signal.shape[1] == 2:
        if signal.shape[2] < LEAST_SAMPLES:
            raise DataError(
                f"signal: {signal.shape[2]} samples; expected at least {LEAST_SAMPLES} of I and Q "
                "to be measured. Cut longer segments, or leave the view out."
            )
        return hits_features(signal, sfreq).astype(np.float32)
    return handcrafted_features(signal, sfreq).astype(np.float32)


REPRESENTATIONS["measures"] = Representation(measures, MeasuresSettings, needs_sfreq=True)
