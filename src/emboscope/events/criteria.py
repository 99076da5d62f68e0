"""The four criteria of an embolic signal, measured on a candidate.

Consensus of the Ninth International Cerebral Hemodynamics Symposium, Stroke 1995;26:1123:
transient, intense, unidirectional, and of a musical sound.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat

from emboscope.settings import Settings


class CriteriaSettings(Settings):
    """The limits of the four criteria."""

    minimum_s: NonNegativeFloat = 0.004
    maximum_s: PositiveFloat = 0.3
    minimum_db: PositiveFloat = 3.0
    direction_db: PositiveFloat = 6.0  # unidirectional
    doubtful_db: PositiveFloat = 3.0  # below: bidirectional
    coincidence_db: PositiveFloat = 6.0  # a rise of the reverse side that makes an artifact ...
    coincident_under_db: PositiveFloat = 10.0  # ... of an event of less direction than this
    crest_db: PositiveFloat = 9.0  # strongest bin over the mean bin of the flow band


def direction_db(
    forward: np.ndarray,
    reverse: np.ndarray,
    forward_background: float,
    reverse_background: float,
) -> float:
    """Energy along the flow over energy against it, background taken off both, within ±40 dB.

    Parameters
    ----------
    forward, reverse : ndarray, shape (n_frames,)
        Power of the two sides during the event.
    forward_background, reverse_background : float
        The same without the event.
    """
    along = max(float((forward - forward_background).sum()), 0.0)
    against = max(float((reverse - reverse_background).sum()), 0.0)
    floor = 1e-4 * (along + against) + 1e-30
    return float(10 * np.log10((along + floor) / (against + floor)))


def crest_db(spectrum: np.ndarray) -> float:
    """Strongest bin over the mean bin, in dB: high for a tone, low for a click."""
    return float(10 * np.log10(spectrum.max() / (spectrum.mean() + 1e-30) + 1e-30))


@dataclass(frozen=True)
class Measures:
    """What the verdict rests on.

    Attributes
    ----------
    duration_s : float
        Time over 3 dB, without the spread of the analysis.
    hbr_db : float
        HITS-to-blood ratio at the peak.
    direction_db : float
        Energy along the flow over energy against it.
    reverse_rise_db : float
        Power against the flow during the event, over the same without it.
    crest_db : float
        Tonality of the peak frame.
    """

    duration_s: float
    hbr_db: float
    direction_db: float
    reverse_rise_db: float
    crest_db: float


def verdict(measures: Measures, settings: CriteriaSettings) -> str:
    """What the criteria say: embolus, doubtful, artifact or too_long."""
    if measures.direction_db < settings.doubtful_db:
        return "artifact"
    coincident = measures.reverse_rise_db >= settings.coincidence_db
    if coincident and measures.direction_db < settings.coincident_under_db:
        return "artifact"
    if measures.duration_s > settings.maximum_s:
        return "too_long"
    sure = (
        measures.direction_db >= settings.direction_db
        and measures.hbr_db >= settings.minimum_db
        and measures.duration_s >= settings.minimum_s
        and measures.crest_db >= settings.crest_db
    )
    return "embolus" if sure else "doubtful"
