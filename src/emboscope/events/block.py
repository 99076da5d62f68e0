"""A stretch of signal, and what is known of its recording."""

from dataclasses import dataclass

import numpy as np

from emboscope.errors import SettingsError
from emboscope.signal.doppler import FLOW_SIDES, velocity

EDGE_S = 0.05  # an event this near to the end of a block is reported by both neighbors


@dataclass(frozen=True)
class Block:
    """A stretch of signal, with the part of it whose events count.

    Attributes
    ----------
    gates : ndarray, shape (n_gates, n_times), complex
        I + jQ; events are sought in the first gate.
    start_s : float
        Time of the first sample in the recording.
    from_s, to_s : float
        Events that peak in here, or `EDGE_S` beyond, belong to this block.
    """

    gates: np.ndarray
    start_s: float
    from_s: float
    to_s: float

    @property
    def samples(self) -> np.ndarray:
        """The first gate, shape (n_times,)."""
        return self.gates[0]


@dataclass(frozen=True)
class Acquisition:
    """What the detector needs to know of a recording."""

    sfreq: float
    carrier_hz: float | None = None
    angle_deg: float = 0.0
    sound_speed_m_s: float = 1540.0
    flow: str | None = None  # declared side, or None: found

    def __post_init__(self) -> None:
        """Refuse what cannot be, before any sample is read."""
        if self.flow is not None and self.flow not in FLOW_SIDES:
            raise SettingsError(f"--flow '{self.flow}': unknown; expected towards or away.")
        if self.carrier_hz:
            velocity(0.0, self.carrier_hz, self.angle_deg, self.sound_speed_m_s)
