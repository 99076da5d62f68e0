"""Artifacts: what the probe, the patient and the room add to the signal.

Each function returns complex samples whose largest power is 1 before its level is applied.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emboscope.registry import Registry

TAP_MODES = 8
TAP_RISE_S = 0.0004

Maker = Callable[[float, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ArtifactKind:
    """A kind of artifact.

    Attributes
    ----------
    level_db : tuple of float
        Least and largest level over the blood.
    duration_s : tuple of float
        Least and largest duration; logarithmically uniform between them.
    make : callable (sfreq, duration_s, rng) -> ndarray
        The waveform, of any level.
    loss_db : tuple of float
        By how much the flow is weaker meanwhile, least and largest.
    flow_change : float
        Largest relative change of the velocity meanwhile, of either sign.
    burst : tuple of float
        Mean number in a burst, and seconds that a burst spans.
    """

    level_db: tuple[float, float]
    duration_s: tuple[float, float]
    make: Maker
    loss_db: tuple[float, float] = (0.0, 0.0)
    flow_change: float = 0.0
    burst: tuple[float, float] = (1.0, 0.0)


def _tap(sfreq: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Many strongly damped modes under 400 Hz that start at once, both signs.

    The sudden start spreads the power as 1 / f^2, and the fast modes fade first, as in taps on a
    real probe: 15 dB less at 0.4 to 0.8 kHz than below, 20 to 30 dB less above 1.2 kHz.
    """
    times = np.arange(round(2 * duration_s * sfreq)) / sfreq
    signal = np.zeros(times.size, complex)
    lean = 10 ** (rng.uniform(-4, 4) / 20)
    for _ in range(TAP_MODES):
        frequency = rng.uniform(10, 400)
        decay = np.exp(-times / (duration_s * rng.uniform(0.1, 0.4)))
        for sign, weight in ((1, lean), (-1, 1 / lean)):
            size = rng.uniform(0.5, 1) * weight * 150 / (150 + frequency)
            turn = rng.uniform(0, 2 * np.pi)
            signal += size * decay * np.exp(1j * (sign * 2 * np.pi * frequency * times + turn))
    return signal * np.minimum(1, times / TAP_RISE_S)


def _low_noise(cutoff_hz: float) -> Maker:
    """Noise under a frequency, both signs alike, with a smooth rise and fall."""

    def make(sfreq: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
        n = max(round(duration_s * sfreq), 32)
        spectrum = np.fft.fft(rng.standard_normal((n, 2)) @ (1, 1j))
        freqs = np.abs(np.fft.fftfreq(n, 1 / sfreq))
        spectrum *= np.exp(-((freqs / cutoff_hz) ** 4))
        return np.fft.ifft(spectrum) * np.hanning(n)

    return make


def _speech(voice_hz: float) -> Maker:
    """Harmonics of a voice at both signs, in syllables."""

    def make(sfreq: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
        times = np.arange(round(duration_s * sfreq)) / sfreq
        pitch = voice_hz * (1 + 0.04 * np.sin(2 * np.pi * rng.uniform(1, 3) * times))
        turn = 2 * np.pi * np.cumsum(pitch) / sfreq
        signal = np.zeros(times.size, complex)
        for harmonic in range(1, int(min(1500, 0.45 * sfreq) / voice_hz)):
            weight = rng.uniform(0.3, 1) / harmonic
            balance = 10 ** (rng.uniform(-1.5, 1.5) / 20)
            signal += weight * np.exp(1j * (harmonic * turn + rng.uniform(0, 2 * np.pi)))
            signal += weight * balance * np.exp(-1j * (harmonic * turn + rng.uniform(0, 6.28)))
        syllables = 0.5 - 0.5 * np.cos(2 * np.pi * rng.uniform(3, 6) * times)
        return signal * syllables * np.hanning(times.size) ** 0.5

    return make


def _step(sfreq: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Broadband click of a gate or robot step."""
    n = max(round(duration_s * sfreq), 16)
    return (rng.standard_normal((n, 2)) @ (1, 1j)) * np.exp(-np.arange(n) / (n / 3))


def _hard(sfreq: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """A band of noise that leans to the forward side, as an embolus would."""
    n = max(round(2 * duration_s * sfreq), 64)
    freqs = np.fft.fftfreq(n, 1 / sfreq)
    middle, width = rng.uniform(250, 900), rng.uniform(60, 200)
    lean = 10 ** (-rng.uniform(2, 8) / 20)
    shape = np.exp(-(((freqs - middle) / width) ** 2) / 2)
    shape += lean * np.exp(-(((freqs + middle) / width) ** 2) / 2)
    noise = np.fft.fft(rng.standard_normal((n, 2)) @ (1, 1j))
    return np.fft.ifft(noise * shape) * np.hanning(n)


def _diathermy(sfreq: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """An electric knife: a flat spectrum, or a few lines at both signs, switched on and off."""
    n = max(round(duration_s * sfreq), 16)
    signal = rng.standard_normal((n, 2)) @ (1, 1j)
    if rng.random() < 0.5:
        times = np.arange(n) / sfreq
        signal *= 0.1
        for _ in range(rng.integers(2, 6)):
            turn = 2 * np.pi * rng.uniform(50, 0.45 * sfreq) * times
            signal += rng.uniform(0.3, 1) * np.cos(turn + rng.uniform(0, 2 * np.pi))
    edge = np.clip(np.minimum(np.arange(n) + 1, np.arange(n, 0, -1)) / 8, 0, 1)
    return signal * edge


def artifact_kinds(voice_hz: float) -> Registry[ArtifactKind]:
    """All kinds, for a patient with this voice; levels and durations of the specification."""
    kinds: Registry[ArtifactKind] = Registry("artifact")
    kinds["tap"] = ArtifactKind((10, 45), (0.01, 0.08), _tap)
    kinds["motion"] = ArtifactKind(
        (5, 35), (0.1, 3.0), _low_noise(300), loss_db=(3, 15), burst=(3.0, 10.0)
    )
    kinds["speech"] = ArtifactKind((3, 25), (0.2, 5.0), _speech(voice_hz), burst=(2.0, 15.0))
    kinds["blink"] = ArtifactKind((3, 12), (0.08, 0.25), _low_noise(250))
    kinds["cough"] = ArtifactKind((5, 30), (0.2, 1.0), _low_noise(400), flow_change=0.3)
    kinds["step"] = ArtifactKind((30, 50), (0.005, 0.05), _step)
    kinds["hard"] = ArtifactKind((4, 15), (0.015, 0.06), _hard)
    kinds["diathermy"] = ArtifactKind((10, 50), (0.005, 10.0), _diathermy)
    return kinds


def scaled(signal: np.ndarray, level_db: float) -> np.ndarray:
    """A waveform whose largest power over 16 samples is `level_db` over 1."""
    peak = np.sqrt(np.convolve(np.abs(signal) ** 2, np.full(16, 1 / 16), "same").max())
    return signal / peak * 10 ** (level_db / 20)
