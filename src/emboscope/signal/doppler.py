"""What a Doppler frequency means: velocity, flow side, baseline shift."""

from dataclasses import dataclass

import numpy as np

from emboscope.errors import SettingsError
from emboscope.signal.spectrum import Spectrum

FLOW_SIDES = ("towards", "away")


def velocity(
    frequency_hz: np.ndarray | float,
    carrier_hz: float,
    angle_deg: float = 0.0,
    sound_speed_m_s: float = 1540.0,
) -> np.ndarray | float:
    """Velocity along the vessel, in cm/s, of a Doppler shift in Hz; the sign stays.

    v = 100 c f / (2 f0 cos θ).
    """
    if carrier_hz <= 0 or not 0 <= abs(angle_deg) < 90:
        raise SettingsError(
            f"carrier {carrier_hz} Hz at {angle_deg}°: no velocity; expected a positive carrier "
            "and an angle under 90°. Correct --carrier-mhz or the sidecar."
        )
    cosine = np.cos(np.deg2rad(angle_deg))
    return 100 * sound_speed_m_s * frequency_hz / (2 * carrier_hz * cosine)


@dataclass(frozen=True)
class FlowBand:
    """The frequencies that count as flow, after the baseline shift.

    Attributes
    ----------
    side : str
        `towards` (positive frequencies) or `away`.
    low_hz, high_hz : float
        Limits on the flow side, positive; `high_hz` beyond half the sampling frequency means
        that the flow aliases, and how far the baseline is shifted.
    sfreq : float
        In Hz.
    """

    side: str
    low_hz: float
    high_hz: float
    sfreq: float

    def unwrap(self, freqs: np.ndarray) -> np.ndarray:
        """Frequencies along the flow, positive on the flow side, aliasing undone."""
        along = freqs if self.side == "towards" else -freqs
        return np.where(along < self.high_hz - self.sfreq, along + self.sfreq, along)

    def masks(self, freqs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which bins are forward flow, and which reverse."""
        along = self.unwrap(freqs)
        return (along > self.low_hz) & (along <= self.high_hz), along < -self.low_hz

    @property
    def aliased(self) -> bool:
        """Whether the flow crosses half the sampling frequency."""
        return self.high_hz > self.sfreq / 2


def flow_side(spectrum: Spectrum, low_hz: float, margin_db: float = 6.0) -> str | None:
    """The side with more power above the high-pass, or None within `margin_db`.

    The median over frames, less the noise, is compared, so that transients do not decide. Where
    the sides are alike the slow flow alone is, up to a quarter of half the sampling frequency:
    fast flow that aliases fills both sides, but slow flow stays on its own.
    """
    power = np.median(spectrum.power, axis=1)
    noise = np.percentile(power[np.abs(spectrum.freqs) > low_hz], 12.5)
    power = np.maximum(power - noise, 0.05 * noise)
    slow = max(3 * low_hz, np.abs(spectrum.freqs).max() / 4)
    for high_hz in (np.inf, slow):
        towards = power[(spectrum.freqs > low_hz) & (spectrum.freqs < high_hz)].sum()
        away = power[(spectrum.freqs < -low_hz) & (spectrum.freqs > -high_hz)].sum()
        if max(towards, away) >= 10 ** (margin_db / 10) * min(towards, away):
            return "towards" if towards > away else "away"
    return None


def flow_band(spectrum: Spectrum, side: str, low_hz: float, sfreq: float) -> FlowBand:
    """Flow band with the baseline moved just past the fastest flow.

    From the high-pass upward, round the fold if need be, the band ends where the upper decile of
    the power falls to within 3 dB of the noise (the lowest quarter of the bins), and never under
    half the sampling frequency.
    """
    level = np.percentile(spectrum.power, 90, axis=1)
    along = spectrum.freqs if side == "towards" else -spectrum.freqs
    turn = np.mod(along, sfreq)
    order = np.argsort(turn)
    turn, level = turn[order], level[order]
    inside = (turn > low_hz) & (turn < sfreq - low_hz)
    turn, level = turn[inside], level[inside]
    noise = np.percentile(level, 25)
    quiet = np.flatnonzero((level < 2 * noise) & (turn > 2 * low_hz))
    edge = turn[quiet[0]] if quiet.size else sfreq / 2
    step = spectrum.freqs[1] - spectrum.freqs[0]
    high = max(sfreq / 2, min(edge + 2 * step, sfreq - 4 * low_hz))
    return FlowBand(side, low_hz, float(high), sfreq)
