"""Clinical groups: how often emboli come, and of which kind."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emboscope.registry import Registry

RateLaw = Callable[[np.random.Generator], float]  # draws emboli an hour of one patient

OPERATION_HOURS = 3.0  # over which the bubbles of one operation are spread


def never(rng: np.random.Generator) -> float:
    """No emboli."""
    return 0.0


def gamma(mean_h: float, shape: float) -> RateLaw:
    """Rates of negative binomial counts: P(none in T h) = (1 + mean T / shape)^-shape."""

    def law(rng: np.random.Generator) -> float:
        return float(rng.gamma(shape, mean_h / shape))

    return law


def log_uniform(low_h: float, high_h: float) -> RateLaw:
    """Rates of which each decade is as frequent."""

    def law(rng: np.random.Generator) -> float:
        return float(np.exp(rng.uniform(np.log(low_h), np.log(high_h))))

    return law


def mixture(*parts: tuple[float, RateLaw]) -> RateLaw:
    """One of several laws, by its share."""

    def law(rng: np.random.Generator) -> float:
        place = rng.choice(len(parts), p=[share for share, _ in parts])
        return parts[place][1](rng)

    return law


def prevalence(share: float, law: RateLaw) -> RateLaw:
    """A law that holds for a share of the patients; the others have no emboli."""
    return mixture((share, law), (1 - share, never))


# 58 % positive in 30 min and 92 % in 150 min at 2 an hour (Mackinnon 2004): shape 2.5 gives 57, 94
SYMPTOMATIC = gamma(2.0, 2.5)
# 16.5 % positive in 2 × 1 h (ACES 2010)
ASYMPTOMATIC = gamma(0.21, 0.12)
# 7 % positive (Brazil 2020), here within 1 h
STROKE = gamma(0.107, 0.1)
# 156 [112-204], 2 [1-4], 2 [1-4] an hour in 89, 50, 53 % (Georgiadis 1994); 11 without and 60 with
# earlier events (Carbomedics 1995); the shares of the valves are ours
BJORK_SHILEY = prevalence(0.89, gamma(156.0, 5.2))
MEDTRONIC_HALL = prevalence(0.50, gamma(2.7, 1.2))
BIOPROSTHESIS = prevalence(0.53, gamma(2.7, 1.2))
CARBOMEDICS = mixture((2 / 3, gamma(14.0, 1.5)), (1 / 3, gamma(77.0, 1.5)))
VALVES = mixture(
    (0.15, BJORK_SHILEY), (0.25, MEDTRONIC_HALL), (0.30, BIOPROSTHESIS), (0.30, CARBOMEDICS)
)
# 371 ... 6476 bubbles an operation (Chung 2015)
OPERATION = log_uniform(371 / OPERATION_HOURS, 6476 / OPERATION_HOURS)


@dataclass(frozen=True)
class Indication:
    """Why a patient is examined, and what that means for the emboli.

    Attributes
    ----------
    share : float
        Of all patients, before the case mix of a center.
    rate : callable
        Draws the emboli an hour of a patient.
    gas_share : float
        Of gaseous emboli among those outside showers; in showers all are.
    shower_share : float
        Of emboli that come in showers.
    diathermy_h : float
        Bursts of the electric knife, an hour.
    """

    share: float
    rate: RateLaw
    gas_share: float
    shower_share: float = 0.0
    diathermy_h: float = 0.0


INDICATIONS: Registry[Indication] = Registry("indication")
INDICATIONS["carotid"] = Indication(0.45, mixture((0.6, SYMPTOMATIC), (0.4, ASYMPTOMATIC)), 0.02)
INDICATIONS["surgical_valve"] = Indication(0.15, VALVES, 0.97, 0.10)
INDICATIONS["transcatheter_valve"] = Indication(0.08, BIOPROSTHESIS, 0.60, 0.10)
INDICATIONS["cardiac_surgery"] = Indication(0.12, OPERATION, 0.85, 0.50, diathermy_h=20.0)
INDICATIONS["acute_stroke"] = Indication(0.10, STROKE, 0.05)
INDICATIONS["none"] = Indication(0.10, never, 0.0)
