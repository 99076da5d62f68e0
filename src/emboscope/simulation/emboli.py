"""Solid and gaseous emboli that travel through the beam with the blood."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Embolus:
    """What is drawn for one embolus, before the flow gives it a frequency and a duration.

    Attributes
    ----------
    label : str
        `gaseous` or `solid`.
    ebr_db : float
        Its power on the beam axis over the blood's in the same sample volume.
    velocity_ratio : float
        Its velocity over the largest in the vessel.
    fm_type : str
        I none, II gradual, III rapid (Smith 1997).
    fm_hz : float
        Size of the modulation, signed.
    asymmetry : float
        Rise over fall of the envelope.
    modulation, modulation_hz : float
        Depth and rate of the amplitude modulation.
    """

    label: str
    ebr_db: float
    velocity_ratio: float
    fm_type: str
    fm_hz: float
    asymmetry: float
    modulation: float
    modulation_hz: float


def draw_embolus(label: str, offset_db: float, rng: np.random.Generator) -> Embolus:
    """Draw one embolus; `offset_db` is the patient's."""
    return _solid(offset_db, rng) if label == "solid" else _gaseous(offset_db, rng)


def _solid(offset_db: float, rng: np.random.Generator) -> Embolus:
    strong = rng.random() < 0.10
    ebr = _truncated(rng, 14, 4, 3, 25) if strong else _truncated(rng, 6.5, 3.5, 3, 25)
    gradual = rng.random() < 0.285
    return Embolus(
        label="solid",
        ebr_db=float(np.clip(ebr + offset_db, 3, 28)),
        velocity_ratio=0.45 + 0.55 * float(rng.beta(3.5, 2.4)),
        fm_type="II" if gradual else "I",
        fm_hz=float(rng.choice([-1, 1]) * rng.uniform(50, 300)) if gradual else 0.0,
        asymmetry=float(rng.uniform(0.9, 1.1)),
        modulation=float(rng.uniform(0.05, 0.20)),
        modulation_hz=float(rng.uniform(20, 80)),
    )


def _gaseous(offset_db: float, rng: np.random.Generator) -> Embolus:
    overload = rng.random() < 0.08
    ebr = rng.uniform(35, 55) if overload else _truncated(rng, 16, 8, 4, 45)
    fm_type = str(rng.choice(["I", "II", "III"], p=[0.19, 0.38, 0.43]))
    size = {"I": 0.0, "II": rng.uniform(100, 600), "III": rng.uniform(100, 800)}[fm_type]
    return Embolus(
        label="gaseous",
        ebr_db=float(np.clip(ebr + offset_db, 4, 57)),
        velocity_ratio=0.55 + 0.45 * float(rng.beta(4.5, 2.0)),
        fm_type=fm_type,
        fm_hz=float(rng.choice([-1, 1]) * size),
        asymmetry=float(np.exp(rng.uniform(np.log(0.5), np.log(2)))),
        modulation=float(rng.uniform(0.3, 0.6) if rng.random() < 0.2 else rng.uniform(0, 0.1)),
        modulation_hz=float(rng.uniform(20, 60)),
    )


def _truncated(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal draw, drawn again until it lies inside."""
    while True:
        value = rng.normal(mean, sd)
        if low <= value <= high:
            return float(value)


@dataclass(frozen=True)
class Passage:
    """An embolus on its way through the beam.

    Attributes
    ----------
    samples : ndarray, shape (n_times,), complex
        Relative to a blood amplitude of 1.
    first : int
        Index of `samples[0]` in the recording.
    frequency_hz : float
        On the beam axis.
    onset_s, duration_s : float
        While it is stronger than the blood.
    """

    samples: np.ndarray
    first: int
    frequency_hz: float
    onset_s: float
    duration_s: float


def passage(
    embolus: Embolus,
    peak_s: float,
    largest_hz: np.ndarray,
    hz_per_cm_s: float,
    sample_volume_mm: float,
    sfreq: float,
    rng: np.random.Generator,
) -> Passage:
    """The Doppler signal of an embolus that crosses the beam axis at a time.

    e(t) = 10^(EBR/20) A(s) exp(j 2π ∫ f_e dt), with s the path travelled and A a Gaussian of the
    sample volume's length: duration and chirp follow from the velocity.

    Parameters
    ----------
    embolus : Embolus
    peak_s : float
        In seconds.
    largest_hz : ndarray, shape (n_times,)
        Doppler frequency of the largest velocity, at every sample of the recording.
    hz_per_cm_s : float
        Doppler shift of 1 cm/s (with the angle).
    sample_volume_mm : float
        Axial length of the sample volume.
    sfreq : float
    rng : Generator
        For the phases.
    """
    center = round(peak_s * sfreq)
    reach = int(0.6 * sfreq)
    first, last = max(center - reach, 0), min(center + reach, largest_hz.size)
    frequency = embolus.velocity_ratio * largest_hz[first:last]
    speed_mm_s = 10 * frequency / hz_per_cm_s
    path = np.cumsum(speed_mm_s) / sfreq
    path -= path[min(center - first, path.size - 1)]
    width = sample_volume_mm / 2.355 * np.where(path < 0, embolus.asymmetry**0.5,
                                                embolus.asymmetry**-0.5)  # fmt: skip
    position = path / width
    times = np.arange(path.size) / sfreq
    wave = np.cos(2 * np.pi * embolus.modulation_hz * times + rng.uniform(0, 2 * np.pi))
    shape = np.exp(-(position**2) / 2) * (1 + embolus.modulation * wave) / (1 + embolus.modulation)
    frequency = frequency + _modulation(embolus, position, rng)
    phase = 2 * np.pi * np.cumsum(frequency) / sfreq + rng.uniform(0, 2 * np.pi)
    amplitude = 10 ** (embolus.ebr_db / 20) * shape
    over = np.flatnonzero(amplitude >= 1)
    over = over if over.size else np.array([center - first])
    inside = slice(*(np.flatnonzero(amplitude >= 0.01)[[0, -1]] + (0, 1)))
    return Passage(
        samples=(amplitude * np.exp(1j * phase))[inside],
        first=first + inside.start,
        frequency_hz=float(frequency[np.argmax(amplitude)]),
        onset_s=float((first + over[0]) / sfreq),
        duration_s=float((over[-1] - over[0] + 1) / sfreq),
    )


def _modulation(embolus: Embolus, position: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Frequency modulation along the dwell, which spans ±1.5 of the beam's width, in Hz."""
    dwell = np.clip((position + 1.5) / 3, 0, 1)
    if embolus.fm_type == "III":
        middle, width = rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.2)
        return embolus.fm_hz * np.clip((dwell - middle) / width + 0.5, 0, 1)
    return embolus.fm_hz * (dwell - 0.5)
