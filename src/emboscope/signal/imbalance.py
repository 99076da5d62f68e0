"""Gain and phase errors between I and Q, which put an image of the flow on the other side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emboscope.errors import DataError

CORRECT_ABOVE_DB = -35.0  # a weaker image is within the error of the estimate
FEWEST_SECONDS = 8
SURE = 4.0
NO_IMBALANCE_ABOVE_DB = -10.0  # such a signal is not quadrature at all


@dataclass(frozen=True)
class Imbalance:
    """Q' = g sin(θ + φ) beside I' = cos θ.

    Attributes
    ----------
    gain_db : float
        20 log10 g.
    phase_deg : float
        φ.
    image_db : float
        Level of the image over the signal: |1 - g exp(-jφ)| / |1 + g exp(jφ)|.
    """

    gain_db: float
    phase_deg: float
    image_db: float

    @property
    def correctable(self) -> bool:
        """Whether the image is above -35 dB, and not so strong that it is no imbalance."""
        return CORRECT_ABOVE_DB < self.image_db < NO_IMBALANCE_ABOVE_DB


def estimate_imbalance(samples: np.ndarray) -> Imbalance:
    """Imbalance of I and Q, by their powers and their correlation, means removed.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        I + jQ of one gate, 10 s or so; high-passed, as strong clutter has few independent samples
        and so a correlation by chance.

    Returns
    -------
    Imbalance

    Raises
    ------
    DataError
        If I or Q is constant.
    """
    i, q = (
        part.astype(np.float64) - part.mean(dtype=float) for part in (samples.real, samples.imag)
    )
    power_i, power_q = np.mean(i * i), np.mean(q * q)
    if power_i == 0 or power_q == 0:
        raise DataError("signal: I or Q is constant; expected both to move. Check the cable.")
    gain = np.sqrt(power_q / power_i)
    phase = np.arcsin(np.clip(np.mean(i * q) / np.sqrt(power_i * power_q), -1, 1))
    return imbalance_of(float(20 * np.log10(gain)), float(np.rad2deg(phase)))


def imbalance_of(gain_db: float, phase_deg: float) -> Imbalance:
    """Gain and phase error with the image that they make."""
    turned = 10 ** (gain_db / 20) * np.exp(1j * np.deg2rad(phase_deg))
    image = np.abs(1 - turned.conjugate()) / np.abs(1 + turned)
    return Imbalance(gain_db, phase_deg, float(20 * np.log10(max(image, 1e-12))))


def correct_imbalance(samples: np.ndarray, imbalance: Imbalance) -> np.ndarray:
    """I + jQ with the imbalance taken out of Q by Gram-Schmidt; the mean stays.

    As it came where the imbalance is not `correctable`.
    """
    if not imbalance.correctable:
        return samples
    gain, phase = 10 ** (imbalance.gain_db / 20), np.deg2rad(imbalance.phase_deg)
    mean = samples.mean(dtype=np.complex128)
    centered = samples.astype(np.complex128) - mean
    q = (centered.imag / gain - np.sin(phase) * centered.real) / np.cos(phase)
    return (centered.real + 1j * q + mean).astype(samples.dtype)


def _moves(samples: np.ndarray) -> bool:
    return bool(np.ptp(samples.real) > 0 and np.ptp(samples.imag) > 0)


def typical_imbalance(seconds: Sequence[np.ndarray]) -> Imbalance | None:
    """Imbalance of a stretch by the medians over its seconds; None where it cannot be told.

    A loud tap, which is the same on both sides, spoils its own second only. At least
    `FEWEST_SECONDS` are needed, and an imbalance over `SURE` standard errors of the medians.

    Parameters
    ----------
    seconds : sequence of ndarray, complex
        I + jQ of one gate, high-passed, a second each.
    """
    found = [estimate_imbalance(part) for part in seconds if _moves(part)]
    if len(found) < FEWEST_SECONDS:
        return None
    # both errors as parts of the amplitude: 1 dB is 11.5 %, 1 degree is 1.75 %
    errors = np.array([(each.gain_db / 8.686, np.deg2rad(each.phase_deg)) for each in found])
    middle = np.median(errors, axis=0)
    spread = 1.4826 * np.median(np.abs(errors - middle), axis=0)  # a standard deviation
    if np.linalg.norm(middle) < SURE * 1.25 * np.linalg.norm(spread) / np.sqrt(len(found)):
        return None
    return imbalance_of(8.686 * float(middle[0]), float(np.rad2deg(middle[1])))
