"""Bit-pulse waveform: the bits of the samples as binary series."""

from typing import Literal

import numpy as np

from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)

_LARGEST = 32767  # of a signed number of 16 bits


class BitPulseSettings(RepresentationSettings):
    """How a segment becomes binary series.

    `peak`: the largest |sample| of a segment, over all its channels, becomes 1. `full_scale`: the
    signal is taken as fractions of full scale, and clipped to ±1.
    """

    kind: Literal["bit_pulse"] = "bit_pulse"
    n_bits: Literal[8, 16] = 16  # 8: the upper byte of each sample
    scaling: Literal["peak", "full_scale"] = "peak"

    @property
    def gain(self) -> Gain:
        """None, where the peak is scaled to 1."""
        return "invariant" if self.scaling == "peak" else "other"

    @property
    def direction(self) -> Direction:
        """In the bits of Q against those of I."""
        return "quadrature"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(n_channels * n_bits, n_times)."""
        return (n_channels * self.n_bits, n_times)


def bit_pulse(signal: np.ndarray, settings: BitPulseSettings) -> np.ndarray:
    """The bits of each sample as a signed number of 16 bits, in two's complement.

    Samples are scaled to −1..1, times 32767, and rounded. Bit 0 is the least significant; the
    last one is the sign. Of 8 bits, bit 0 is bit 8 of the 16.

    Parameters
    ----------
    signal : ndarray, shape (batch, n_channels, n_times)
        Fractions of full scale, or any unit where the peak is scaled.

    Returns
    -------
    view : ndarray of float32, shape (batch, n_channels * n_bits, n_times)
        0 or 1; all bits of the first channel from bit 0 up, then those of the next.
    """
    if settings.scaling == "peak":
        peak = np.abs(signal).max(axis=(1, 2), keepdims=True)
        signal = signal / np.where(peak > 0, peak, 1)
    values = np.round(np.clip(signal, -1, 1) * _LARGEST).astype(np.int16)
    places = np.arange(16 - settings.n_bits, 16)[:, None]
    bits = (values[:, :, None, :] >> places) & 1  # (batch, channel, bit, time)
    shape = settings.shape(*signal.shape[1:])
    return bits.reshape(len(signal), *shape).astype(np.float32)


REPRESENTATIONS["bit_pulse"] = Representation(bit_pulse, BitPulseSettings)
