"""What the raters of a simulated recording say of its candidates, for studies of method."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.events.event import LABELS
from emboscope.events.scoring import match
from emboscope.simulation.raters import N_RATERS
from emboscope.store.labels import LabelEvent
from emboscope.workflows.files import read_json

TOLERANCE_S = 0.05  # of a candidate to a true event, as in the data set `hits`
NOTHING = ("artifact",) * N_RATERS  # what raters say where nothing was put in


def truth_events(
    recording: Path, sha256: str, ids: Sequence[int], peaks_s: np.ndarray
) -> list[LabelEvent]:
    """Labels of the three raters, as annotators `rater1` to `rater3`.

    Each has an identity of its own, so that they stand in the log once however often they are
    imported.

    Parameters
    ----------
    recording : Path
        Beside it lies the truth.
    sha256 : str
        Of the recording.
    ids, peaks_s : sequence of int, ndarray, shape (n,)
        The samples of the recording.

    Raises
    ------
    DataError
        If the recording is not simulated, or its truth cannot be read.
    """
    votes = rater_votes(peaks_s, read_raters(recording.with_suffix(".json")))
    events = []
    for sample, said in zip(ids, votes, strict=True):
        for number, label in enumerate(said, start=1):
            identity = f"truth of {sha256}, sample {sample}, rater {number}"
            events.append(
                LabelEvent(
                    sample_id=int(sample),
                    annotator=f"rater{number}",
                    source="import",
                    probabilities=tuple(float(label == name) for name in LABELS),
                    details={"simulated": True},
                    batch=f"truth-{sha256[:16]}",
                    uuid=hashlib.sha256(identity.encode()).hexdigest()[:32],
                )
            )
    return events


def read_raters(path: Path) -> list[tuple[float, str, tuple[str, ...]]]:
    """Peak, true label and what the raters say of each event of a truth sidecar."""
    content = read_json(path) if path.is_file() else {}
    if content.get("simulated") is not True:
        raise DataError(
            f"truth '{path}': not of a simulated recording; expected what emboscope simulate "
            "writes. Leave out --truth."
        )
    try:
        return [
            (float(each["peak_s"]), str(each["label"]), _known(each["raters"]))
            for each in content["events"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"truth '{path}': {error}; expected events with peak_s, label and {N_RATERS} raters. "
            "Simulate it again."
        ) from error


def _known(raters: Sequence[str]) -> tuple[str, ...]:
    if len(raters) != N_RATERS or not set(raters) <= set(LABELS):
        raise ValueError(f"raters {raters}")
    return tuple(raters)


def rater_votes(
    peaks_s: np.ndarray, truth: Sequence[tuple[float, str, tuple[str, ...]]]
) -> list[tuple[str, ...]]:
    """What the raters say of each candidate: emboli are matched first, then artifacts.

    A candidate where nothing was put in is an artifact to all of them.
    """
    votes = [NOTHING] * len(peaks_s)
    free = np.ones(len(peaks_s), bool)
    for embolus in (True, False):
        part = [each for each in truth if (each[1] != "artifact") is embolus]
        rows = np.flatnonzero(free)
        times = np.array([each[0] for each in part])
        for left, right in match(peaks_s[rows], times, TOLERANCE_S):
            votes[rows[left]] = part[right][2]
            free[rows[left]] = False
    return votes
