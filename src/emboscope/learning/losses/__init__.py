"""Losses of logits and targets: robust ones, soft ones, and what they share."""

from emboscope.learning.losses.criterion import (
    LOSSES,
    Criterion,
    criterion,
    cross_entropy,
    gce,
    jsd,
)
from emboscope.learning.losses.selection import small_loss_weights
from emboscope.learning.losses.settings import LossSettings
from emboscope.learning.losses.targets import balanced_weights, distributions, known_rows, smoothed

__all__ = [
    "LOSSES", "Criterion", "LossSettings", "balanced_weights", "criterion", "cross_entropy",
    "distributions", "gce", "jsd", "known_rows", "small_loss_weights", "smoothed",
]  # fmt: skip
