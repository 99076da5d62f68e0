"""What a detection is worth on a simulated patient: shared by the benchmarks of detection."""

from dataclasses import dataclass, field

import numpy as np

from emboscope.events.scoring import EBR_BANDS_DB, match
from emboscope.events.stream import Detection
from emboscope.simulation.recording import SimulatedRecording

TOLERANCE_S = 0.05
ALONE_S = 0.15  # emboli closer than this to another are counted as a shower, not one by one


@dataclass
class Tally:
    """Counts over patients.

    Attributes
    ----------
    found, total : ndarray of int, shape (n_bands,)
        Emboli that pass alone in evaluable time, by embolus-to-blood ratio.
    shower_found, shower_total : int
        Emboli that overlap others.
    false, blood : int
        Emboli reported where none is; those of them where no artifact is either.
    artifacts, reported : int
        Artifacts put in, and those reported as emboli.
    hours : float
        Evaluable time.
    """

    found: np.ndarray = field(default_factory=lambda: np.zeros(len(EBR_BANDS_DB), int))
    total: np.ndarray = field(default_factory=lambda: np.zeros(len(EBR_BANDS_DB), int))
    shower_found: int = 0
    shower_total: int = 0
    false: int = 0
    blood: int = 0
    artifacts: int = 0
    reported: int = 0
    hours: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def sensitivity(self, from_db: float = 3.0) -> float:
        """Share of the lone emboli of at least a ratio that were found."""
        rows = [k for k, (low, _) in enumerate(EBR_BANDS_DB) if low >= from_db]
        return float(self.found[rows].sum() / max(self.total[rows].sum(), 1))

    @property
    def false_per_hour(self) -> float:
        """False emboli an evaluable hour."""
        return self.false / self.hours if self.hours else float("nan")


def tally(simulated: SimulatedRecording, detection: Detection) -> Tally:
    """Counts of one patient."""
    emboli = [event for event in simulated.events if event.label != "artifact"]
    artifacts = [event for event in simulated.events if event.label == "artifact"]
    true_s = np.array([event.peak_s for event in emboli])
    peaks = np.array([event.peak_s for event in detection.events if event.is_embolus])
    pairs = match(peaks, true_s, TOLERANCE_S)
    hit = np.zeros(true_s.size, bool)
    hit[pairs[:, 1]] = True
    alone = _alone(true_s)
    judged = ~_inside(true_s, [(each.start_s, each.stop_s) for each in detection.unusable])
    ebr = np.array([event.ebr_db for event in emboli])
    bands = [(ebr >= low) & (ebr < high) & alone & judged for low, high in EBR_BANDS_DB]
    false = np.delete(peaks, pairs[:, 0])
    false = false[~_near(false, true_s[~alone], 0.2)]
    spans = [(e.onset_s - TOLERANCE_S, e.onset_s + e.duration_s + TOLERANCE_S) for e in artifacts]
    return Tally(
        found=np.array([int((band & hit).sum()) for band in bands]),
        total=np.array([int(band.sum()) for band in bands]),
        shower_found=int((hit & ~alone & judged).sum()),
        shower_total=int((~alone & judged).sum()),
        false=false.size,
        blood=int((~_inside(false, spans)).sum()),
        artifacts=len(spans),
        reported=sum(bool(((false >= start) & (false <= stop)).any()) for start, stop in spans),
        hours=detection.evaluable_s / 3600,
    )


def _alone(times_s: np.ndarray) -> np.ndarray:
    gaps = np.diff(np.sort(times_s), prepend=-np.inf, append=np.inf)
    lone = np.minimum(gaps[:-1], gaps[1:]) >= ALONE_S
    back = np.empty(times_s.size, bool)
    back[np.argsort(times_s, kind="stable")] = lone
    return back


def _inside(times_s: np.ndarray, spans: list[tuple[float, float]]) -> np.ndarray:
    within = np.zeros(times_s.size, bool)
    for start, stop in spans:
        within |= (times_s >= start) & (times_s <= stop)
    return within


def _near(times_s: np.ndarray, others_s: np.ndarray, within_s: float) -> np.ndarray:
    if others_s.size == 0:
        return np.zeros(times_s.size, bool)
    return np.abs(times_s[:, None] - others_s).min(axis=1) <= within_s
