"""The device: lines, errors of I and Q, offset, limiter, converter, dropouts, faults."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from emboscope.registry import Registry
from emboscope.simulation.patient import Center, Session

HARMONICS = ((1, 0.0), (2, -8.0), (3, -4.0), (5, -10.0))  # (multiple of the mains, dB)
RADIO_SHARE = 0.2  # of sessions with a line of a radio

LIMITERS: Registry[Callable[[np.ndarray], np.ndarray]] = Registry("limiter")
FAULTS: Registry[Callable[[np.ndarray], np.ndarray]] = Registry("fault")
MIRRORED = frozenset({
    "swap",
    "q_negative",
})  # faults after which flow towards the probe is at f < 0


def _hard(parts: np.ndarray) -> np.ndarray:
    """Leave the values to the converter, which cuts them off."""
    return parts


def _soft(parts: np.ndarray) -> np.ndarray:
    """Compress what is above half of full scale, and stay below full scale."""
    size = np.abs(parts)
    bent = 0.5 + 0.5 * np.tanh(2 * size - 1)
    return np.where(size > 0.5, np.sign(parts) * bent, parts).astype(np.float32)


LIMITERS["hard"] = _hard
LIMITERS["soft"] = _soft


def _swap(parts: np.ndarray) -> np.ndarray:
    return parts[..., ::-1]


def _scale(in_phase: float, quadrature: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda parts: parts * np.array([in_phase, quadrature], np.float32)


FAULTS["none"] = _scale(1, 1)
FAULTS["swap"] = _swap
FAULTS["q_negative"] = _scale(1, -1)
FAULTS["dead_i"] = _scale(0, 1)
FAULTS["dead_q"] = _scale(1, 0)


@dataclass(frozen=True)
class Line:
    """A line of the mains or of a radio, with the same size at both signs of the frequency."""

    frequency_hz: float
    amplitude: float
    offset: float


def draw_lines(center: Center, session: Session, rng: np.random.Generator) -> tuple[Line, ...]:
    """Mains with harmonics, and in some sessions a radio line anywhere."""
    lines = [
        Line(
            multiple * center.mains_hz,
            10 ** ((session.level_db + session.mains_db + below) / 20),
            float(rng.uniform(0, 2 * np.pi)),
        )
        for multiple, below in HARMONICS
    ]
    radio = 10 ** ((session.level_db + rng.uniform(-35, -20)) / 20)
    frequency, offset = rng.uniform(300, 1900), rng.uniform(0, 2 * np.pi)
    if rng.random() < RADIO_SHARE:
        lines.append(Line(float(frequency), float(radio), float(offset)))
    return tuple(lines)


@dataclass(frozen=True)
class Device:
    """What happens to the signal between the transducer and the file.

    Attributes
    ----------
    center : Center
        Whose errors of gain and phase, and whose converter.
    offset : tuple of float
        Of I and Q, in fractions of full scale, around which it drifts by a tenth.
    lines : tuple of Line
    silent_s : ndarray, shape (n, 2)
        Onset and end of spans in which nothing but zeros is recorded.
    limiter, fault : str
        Entries of `LIMITERS` and `FAULTS`.
    sfreq : float
    """

    center: Center
    offset: tuple[float, float]
    lines: tuple[Line, ...]
    silent_s: np.ndarray
    limiter: str
    fault: str
    sfreq: float

    def record(self, samples: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """What the file holds, and which samples were clipped.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times), complex64
            As they arrive; changed in place.
        first : int
            Index of the first of them in the recording.

        Returns
        -------
        recorded : ndarray, shape (n_channels, n_times), complex64
        clipped : ndarray, shape (n_times,), bool
            In any channel.
        """
        samples += self._lines(samples.shape[1], first)
        parts = samples.view(np.float32).reshape(*samples.shape, 2)
        self._mix(parts)
        parts += self._drift(samples.shape[1], first)
        parts = LIMITERS[self.limiter](parts)
        clipped = np.maximum(np.abs(parts[..., 0]), np.abs(parts[..., 1])).max(axis=0) >= 1
        parts = _convert(FAULTS[self.fault](parts), self.center.adc_bits)
        for onset, end in np.round(self.silent_s * self.sfreq).astype(int) - first:
            parts[:, max(onset, 0) : max(end, 0)] = 0
        return np.ascontiguousarray(parts).view(np.complex64)[..., 0], clipped

    def _lines(self, n: int, first: int) -> np.ndarray:
        """Sum of the lines, real; the phase comes from whole cycles, exact at any time."""
        steps = np.array([line.frequency_hz / self.sfreq for line in self.lines])
        start = 2 * np.pi * ((steps * first) % 1.0) + [line.offset for line in self.lines]
        size = np.array([line.amplitude for line in self.lines])
        weights = np.concatenate([size * np.cos(start), -size * np.sin(start)]).astype(np.float32)
        return weights @ _turns(tuple(steps), n)

    def _mix(self, parts: np.ndarray) -> None:
        """I' = I, Q' = g (Q cos φ + I sin φ), in place."""
        gain = 10 ** (self.center.iq_gain_db / 20)
        turn = np.deg2rad(self.center.iq_phase_deg)
        parts[..., 1] *= np.float32(gain * np.cos(turn))
        parts[..., 1] += np.float32(gain * np.sin(turn)) * parts[..., 0]

    def _drift(self, n: int, first: int) -> np.ndarray:
        """Offset of I and Q, (n, 2), on a slow wave of 10 minutes, straight within a chunk."""
        start, end = np.sin(2 * np.pi * np.array([first, first + n]) / (600 * self.sfreq))
        wave = np.linspace(1 + 0.1 * start, 1 + 0.1 * end, n, dtype=np.float32)
        return wave[:, None] * np.array(self.offset, np.float32)


@lru_cache(maxsize=4)
def _turns(steps: tuple[float, ...], n: int) -> np.ndarray:
    """Cosine, then sine, of lines of these cycles a sample, (2 n_lines, n) float32."""
    turn = 2 * np.pi * np.multiply.outer(steps, np.arange(n))
    return np.concatenate([np.cos(turn), np.sin(turn)]).astype(np.float32)


def _convert(parts: np.ndarray, bits: int) -> np.ndarray:
    """Cut off at full scale and round to the steps of the converter."""
    limit = np.float32(2.0 ** (bits - 1))
    parts = np.rint(parts * limit)
    np.clip(parts, -limit, limit - 1, out=parts)
    return parts / limit
