"""The truth about a simulated recording."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emboscope.simulation.raters import LABELS, rate_events, soft_labels


@dataclass(frozen=True)
class Draft:
    """An event before the raters have seen it; the fields are those of `TrueEvent`."""

    onset_s: float
    duration_s: float
    peak_s: float
    label: str
    ebr_db: float
    frequency_hz: float
    kind: str
    saturated: bool
    delay_ms: float | None
    second_ebr_db: float | None


@dataclass(frozen=True)
class TrueEvent:
    """An embolus or artifact that was put in, in the terms of the truth sidecar.

    Attributes
    ----------
    onset_s, duration_s, peak_s : float
        Of an embolus: while it is stronger than the blood, and when it crosses the beam's axis.
    label : str
        `artifact`, `gaseous` or `solid`.
    p_artifact, p_gaseous, p_solid : float
        Shares of the raters.
    raters : tuple of str
        What each rater decides.
    ebr_db, hbr_db : float
        Power over that of the blood in the same sample volume at the peak, alone, and with the
        blood: 10 log10(1 + 10^(EBR / 10)). Of an artifact: its level.
    frequency_hz : float
        At the peak, before aliasing.
    fm_type, artifact_type : str
        Of emboli I, II or III; of artifacts the kind.
    saturated : bool
        Whether samples were clipped meanwhile.
    unsure : tuple of bool
        Which raters said `unknown` before they were made to decide.
    delay_ms : float, optional
        From the first gate to the second; None with one gate, or where the second missed it.
    second_ebr_db : float, optional
        At the second carrier; derived.
    """

    onset_s: float
    duration_s: float
    peak_s: float
    label: str
    p_artifact: float
    p_gaseous: float
    p_solid: float
    raters: tuple[str, ...]
    ebr_db: float
    hbr_db: float
    frequency_hz: float
    fm_type: str
    artifact_type: str
    saturated: bool
    unsure: tuple[bool, ...] = ()
    delay_ms: float | None = None
    second_ebr_db: float | None = None


def judge(drafts: Sequence[Draft], rng: np.random.Generator) -> tuple[TrueEvent, ...]:
    """The events in the order of their peaks, each seen by the raters."""
    ordered = sorted(drafts, key=lambda draft: draft.peak_s)
    if not ordered:
        return ()
    labels = np.array([LABELS.index(draft.label) for draft in ordered])
    levels = np.array([draft.ebr_db for draft in ordered])
    hard = np.array([draft.kind == "hard" for draft in ordered])
    votes, unsure = rate_events(labels, levels, hard, rng)
    shares = soft_labels(votes)
    return tuple(
        _true_event(draft, votes[row], unsure[row], shares[row])
        for row, draft in enumerate(ordered)
    )


def _true_event(
    draft: Draft, votes: np.ndarray, unsure: np.ndarray, shares: np.ndarray
) -> TrueEvent:
    is_artifact = draft.label == "artifact"
    return TrueEvent(
        onset_s=draft.onset_s,
        duration_s=draft.duration_s,
        peak_s=draft.peak_s,
        label=draft.label,
        p_artifact=float(shares[0]),
        p_gaseous=float(shares[1]),
        p_solid=float(shares[2]),
        raters=tuple(LABELS[vote] for vote in votes),
        ebr_db=draft.ebr_db,
        hbr_db=float(10 * np.log10(1 + 10 ** (draft.ebr_db / 10))),
        frequency_hz=draft.frequency_hz,
        fm_type="" if is_artifact else draft.kind,
        artifact_type=draft.kind if is_artifact else "",
        saturated=draft.saturated,
        unsure=tuple(bool(each) for each in unsure),
        delay_ms=draft.delay_ms,
        second_ebr_db=draft.second_ebr_db,
    )
