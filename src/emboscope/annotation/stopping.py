"""Whether to go on labeling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from emboscope.annotation.calibration import CalibrationCell
from emboscope.errors import DataError
from emboscope.settings import Settings


class StoppingSettings(Settings):
    """When it is enough. Every default stands here and nowhere else."""

    target_error: NonNegativeFloat = 0.05
    small_gain: NonNegativeFloat = 0.01  # share of the labels that a batch changes
    patience: PositiveInt = 2  # batches of a small gain in a row


DEFAULTS = StoppingSettings()


@dataclass(frozen=True)
class Advice:
    """Whether it is enough, and why, in one sentence."""

    enough: bool
    sentence: str


def changed_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the samples whose label a batch changed, made or took away: its gain.

    Parameters
    ----------
    before, after : ndarray, shape (n_samples,)
        Propagated labels; -1 is unlabeled.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape or not before.size:
        raise DataError(
            f"labels: shapes {before.shape} and {after.shape}; expected two equal ones. Give both "
            "for the same samples."
        )
    return float(np.mean(before != after))


def stopping_advice(
    expected: CalibrationCell,
    gains: Sequence[float],
    settings: StoppingSettings = DEFAULTS,
) -> Advice:
    """Go on, or enough: from the calibrated error and what the last batches changed.

    It is enough when the whole interval of the error is at most the target, or when labels have
    ceased to change: then more of them do not lower the error, and the sentence names what does.

    Parameters
    ----------
    expected : CalibrationCell
        Of the K and τ in use.
    gains : sequence of float
        `changed_share` of each batch so far, the last one last.

    Returns
    -------
    advice : Advice
    """
    upper = expected.error_interval[1]
    target = settings.target_error
    last = list(gains)[-settings.patience :]
    at_rest = len(last) == settings.patience and max(last) <= settings.small_gain
    if upper <= target:
        return Advice(True, f"Enough: the error is at most {upper:.1%}, the target {target:.1%}.")
    if np.isnan(upper):
        return Advice(False, "Go on: nothing can be labeled yet, so no error is known.")
    if not at_rest:
        change = f"; the last batch changed {last[-1]:.1%} of the labels" if last else ""
        return Advice(
            False,
            f"Go on: the error may be as high as {upper:.1%}, the target is {target:.1%}{change}.",
        )
    if expected.error <= target:
        return Advice(
            True,
            f"Enough: the expected error of {expected.error:.1%} meets the target of {target:.1%}, "
            f"though it may be as high as {upper:.1%}, and the labels have ceased to change.",
        )
    return Advice(
        True,
        f"Enough of this map: the expected error of {expected.error:.1%} misses the target of "
        f"{target:.1%}, and the labels have ceased to change; raise the threshold, or choose "
        "another map.",
    )
