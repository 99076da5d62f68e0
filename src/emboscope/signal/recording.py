"""A recording in memory."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recording:
    """Samples of one session, with what is needed to read them.

    Attributes
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Doppler I/Q: one complex channel a gate, in fractions of full scale. EEG, ECG: real, in V.
    sfreq : float
        Sampling frequency, in Hz; of Doppler the pulse repetition frequency.
    channels : tuple of str
        One name a channel.
    unit : str
        `full scale` or `V`.
    subject_id : str
        A pseudonym, or empty.
    carrier_hz : float, optional
        Transmitted frequency of Doppler; without it there is no velocity.
    angle_deg : float
        Insonation angle.
    sound_speed_m_s : float
        In tissue.
    name : str
        Stem of the file.
    """

    samples: np.ndarray
    sfreq: float
    channels: tuple[str, ...]
    unit: str
    subject_id: str = ""
    carrier_hz: float | None = None
    angle_deg: float = 0.0
    sound_speed_m_s: float = 1540.0
    name: str = ""

    @property
    def n_times(self) -> int:
        """Samples a channel."""
        return self.samples.shape[1]

    @property
    def duration_s(self) -> float:
        """Length, in seconds."""
        return self.n_times / self.sfreq
