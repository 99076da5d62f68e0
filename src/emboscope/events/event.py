"""A high-intensity transient signal as it was measured."""

from dataclasses import dataclass

VERDICTS = ("embolus", "doubtful", "artifact", "too_long")
LABELS = ("artifact", "gaseous", "solid")


@dataclass(frozen=True)
class Event:
    """One candidate, in the terms of `NAME.events.csv`.

    Attributes
    ----------
    onset_s, duration_s, peak_s : float
        Seconds from the start of the recording; the duration is the time over 3 dB less the
        spread of the analysis.
    hbr_db : float
        HITS-to-blood ratio at the peak: power during the event over the flow without it.
    direction_db : float
        Energy on the flow side over energy on the other, background taken off.
    frequency_hz, velocity_cm_s : float or None
        At the peak, aliasing undone, positive towards the probe. No velocity without a carrier.
    saturated, aliased : bool
        Whether samples were clipped, and whether the peak lies beyond half the sampling frequency.
    verdict : str
        What the four criteria say: one of `VERDICTS`.
    label : str
        What a model says: one of `LABELS`, `unknown`, or empty when none was asked.
    probabilities : tuple of float
        Of `LABELS`, or empty.
    """

    onset_s: float
    duration_s: float
    peak_s: float
    hbr_db: float
    direction_db: float
    frequency_hz: float
    velocity_cm_s: float | None
    saturated: bool
    aliased: bool
    verdict: str
    label: str = ""
    probabilities: tuple[float, ...] = ()

    @property
    def is_embolus(self) -> bool:
        """Whether this counts as an embolus: by the class of the model, else by the criteria.

        They decide where no model was asked, and where it does not know.
        """
        if self.label in LABELS:
            return self.label != "artifact"
        return self.verdict == "embolus"
