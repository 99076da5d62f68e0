"""Solid and gaseous emboli that travel through the beam with the blood."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emboscope.registry import Registry

RIPPLE_DB = 3.0  # of the resonances, by size
RIPPLE_PER_MM = 8.0  # resonances a millimeter of diameter
EDDY_SHARE = 0.03  # of bubbles that are caught in slow flow
REACH_S = 0.6  # before and after the peak, outside which an embolus is not followed


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
    curvature_per_mm : float
        Relative fall of the Doppler frequency along the path, where the vessel bends.
    size_mm : float, optional
        Diameter, where the strength was drawn from it.
    """

    label: str
    ebr_db: float
    velocity_ratio: float
    fm_type: str
    fm_hz: float
    asymmetry: float
    modulation: float
    modulation_hz: float
    curvature_per_mm: float = 0.0
    size_mm: float | None = None


@dataclass(frozen=True)
class EmbolusLaw:
    """What emboli of one patient have in common.

    Attributes
    ----------
    offset_db : float
        Of the patient's embolus-to-blood ratios.
    fm_propensity : float
        Odds of frequency modulation over those of the population.
    curvature_per_mm : float
        Of the vessel.
    gas_law : str
        `ratio` or `size`, an entry of `GAS_RATIOS`.
    """

    offset_db: float = 0.0
    fm_propensity: float = 1.0
    curvature_per_mm: float = 0.0
    gas_law: str = "ratio"


def draw_embolus(label: str, law: EmbolusLaw, rng: np.random.Generator) -> Embolus:
    """Draw one embolus."""
    return EMBOLI[label](law, rng)


def _solid(law: EmbolusLaw, rng: np.random.Generator) -> Embolus:
    ebr, size = _solid_ratio(rng)
    fm_type = _fm_type({"I": 0.715, "II": 0.285}, law, rng)
    return Embolus(
        label="solid",
        ebr_db=float(np.clip(ebr + law.offset_db, 3, 28)),
        velocity_ratio=0.45 + 0.55 * float(rng.beta(3.5, 2.4)),
        fm_type=fm_type,
        fm_hz=float(rng.choice([-1, 1]) * rng.uniform(50, 300)) if fm_type == "II" else 0.0,
        asymmetry=float(rng.uniform(0.9, 1.1)),
        modulation=float(rng.uniform(0.05, 0.20)),
        modulation_hz=float(rng.uniform(20, 80)),
        curvature_per_mm=law.curvature_per_mm,
        size_mm=size,
    )


def _gaseous(law: EmbolusLaw, rng: np.random.Generator) -> Embolus:
    ebr, size = GAS_RATIOS[law.gas_law](rng)
    fm_type = _fm_type({"I": 0.19, "II": 0.38, "III": 0.43}, law, rng)
    span = {"I": (0.0, 0.0), "II": (100, 600), "III": (100, 800)}[fm_type]
    eddy = rng.uniform(0.2, 0.5) if rng.random() < EDDY_SHARE else 1.0
    return Embolus(
        label="gaseous",
        ebr_db=float(np.clip(ebr + law.offset_db, 4, 57)),
        velocity_ratio=eddy * (0.55 + 0.45 * float(rng.beta(4.5, 2.0))),
        fm_type=fm_type,
        fm_hz=float(rng.choice([-1, 1]) * rng.uniform(*span)),
        asymmetry=float(np.exp(rng.uniform(np.log(0.5), np.log(2)))),
        modulation=float(rng.uniform(0.3, 0.6) if rng.random() < 0.2 else rng.uniform(0, 0.1)),
        modulation_hz=float(rng.uniform(20, 60)),
        curvature_per_mm=law.curvature_per_mm,
        size_mm=size,
    )


EMBOLI: Registry[Callable[[EmbolusLaw, np.random.Generator], Embolus]] = Registry("embolus")
EMBOLI["solid"] = _solid
EMBOLI["gaseous"] = _gaseous


def _solid_ratio(rng: np.random.Generator) -> tuple[float, float]:
    """EBR in dB and diameter in mm: it rises with the size, and ripples by resonance."""
    strong = rng.random() < 0.10
    while True:
        smooth = rng.normal(14, 4) if strong else rng.normal(6.5, 3.5)
        size = 0.35 * 10 ** ((smooth - 6.5) / 30)
        ebr = smooth + RIPPLE_DB * np.sin(2 * np.pi * RIPPLE_PER_MM * size)
        if 3 <= ebr <= 25:
            return float(ebr), float(size)


def _gas_ratio(rng: np.random.Generator) -> tuple[float, None]:
    """EBR in dB of its own law, with a share that overloads the receiver."""
    overload = rng.random() < 0.08
    return float(rng.uniform(35, 55)) if overload else _truncated(rng, 16, 8, 4, 45), None


def _gas_size(rng: np.random.Generator) -> tuple[float, float]:
    """EBR in dB of the diameter in mm: median 33 µm, quartiles 18 and 69 µm (Chung 2015)."""
    micrometers = float(np.clip(33 * np.exp(rng.normal(0, 0.996)), 5, 3500))
    ebr = 20 + 20 * np.log10(micrometers / 33) + rng.uniform(-RIPPLE_DB, RIPPLE_DB)
    return float(ebr), micrometers / 1000


GAS_RATIOS: Registry[Callable[[np.random.Generator], tuple[float, float | None]]] = Registry(
    "law of gas"
)
GAS_RATIOS["ratio"] = _gas_ratio
GAS_RATIOS["size"] = _gas_size


def _fm_type(shares: dict[str, float], law: EmbolusLaw, rng: np.random.Generator) -> str:
    """Type of frequency modulation (Smith 1997); the patient's propensity scales II and III."""
    weights = np.array([
        share * (1.0 if name == "I" else law.fm_propensity) for name, share in shares.items()
    ])
    return str(rng.choice(list(shares), p=weights / weights.sum()))


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
        Index of `samples[0]`.
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
    sample volume's length: duration and chirp follow from the velocity, and where the vessel
    bends from the angle along the path, cos θ(s) = cos θ0 (1 - κ s).

    Parameters
    ----------
    embolus : Embolus
    peak_s : float
        In seconds.
    largest_hz : ndarray, shape (n_times,)
        Doppler frequency of the largest velocity, at every sample from time 0 on.
    hz_per_cm_s : float
        Doppler shift of 1 cm/s (with the angle).
    sample_volume_mm : float
        Axial length of the sample volume.
    sfreq : float
    rng : Generator
        For the phases.
    """
    center = round(peak_s * sfreq)
    reach = int(REACH_S * sfreq)
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
    bend = np.clip(1 - embolus.curvature_per_mm * path, 0.5, 1.5)
    frequency = frequency * bend + _modulation(embolus, position, rng)
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
