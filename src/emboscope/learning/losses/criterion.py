"""The losses by name, each with its settings: logits and targets in, one number out.

Targets are classes (batch,) or distributions over the classes (batch, class); a distribution with
all its mass on one class gives the loss of that class. A row of class -1, or of NaN throughout, is
masked: it has no part in a sum or a mean. All is computed from log-probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from emboscope.learning.losses import hard, soft
from emboscope.learning.losses.settings import LossSettings
from emboscope.learning.losses.targets import distributions, known_rows, smoothed
from emboscope.registry import Registry

# log-probabilities (batch, class), labels (batch, class), class weights (class,) → (batch,)
Rows = Callable[[Tensor, Tensor, Tensor | None, LossSettings], Tensor]

# so that KL(Q ‖ P) is finite for hard labels; normalized, so that no gradient leads off the label
_SMOOTHING, _SMOOTHING_NORMALIZED = 1e-3, 0.05


@dataclass(frozen=True)
class Criterion:
    """A loss with its settings.

    Attributes
    ----------
    rows : callable
        Loss of each row, of log-probabilities, labels, class weights and settings.
    smoothing : float
        Label smoothing where the settings leave it open.
    by_weight : bool
        Whether the sum is divided by the class weights of the rows, as the cross-entropy of
        PyTorch is, or by their number.
    settings : LossSettings
    """

    rows: Rows
    smoothing: float = 0.0
    by_weight: bool = False
    settings: LossSettings = field(default_factory=LossSettings)

    def each(self, logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Loss of each row, (batch,); 0 for a masked row.

        Parameters
        ----------
        logits : Tensor, shape (batch, class)
        targets : Tensor, shape (batch,) or (batch, class)
        class_weights : Tensor, shape (class,), optional
            Multiply the terms of their class, or, where a loss has no such terms, the row by
            Σ_k P_k w_k.
        """
        share = self.smoothing if self.settings.smoothing is None else self.settings.smoothing
        labels = smoothed(distributions(targets, logits.shape[1], logits.dtype), share)
        each = self.rows(logits.log_softmax(dim=1), labels, class_weights, self.settings)
        return torch.where(known_rows(targets), each, 0.0)

    def __call__(
        self,
        logits: Tensor,
        targets: Tensor,
        class_weights: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Mean over the rows that are not masked; 0, with a gradient of 0, if all are.

        Parameters
        ----------
        sample_weight : Tensor, shape (batch,), optional
            Multiplies each row, and does not divide: a mean of 1 over all batches is expected.
        """
        each = self.each(logits, targets, class_weights)
        if sample_weight is not None:
            each = each * sample_weight
        counted = known_rows(targets).to(each.dtype)  # (batch,)
        if self.by_weight and class_weights is not None:
            counted = distributions(targets, logits.shape[1], each.dtype) @ class_weights
        total = counted.sum()
        return each.sum() / torch.where(total > 0, total, 1.0)


def of_classes(cost: Callable[[Tensor, LossSettings], Tensor]) -> Rows:
    """Rows of a loss that is linear in the target: Σ_k P_k w_k cost_k."""

    def rows(
        log_p: Tensor, labels: Tensor, class_weights: Tensor | None, settings: LossSettings
    ) -> Tensor:
        weighted = labels if class_weights is None else labels * class_weights
        return (weighted * cost(log_p, settings)).sum(dim=1)

    return rows


def of_distributions(divergence: Callable[[Tensor, Tensor, LossSettings], Tensor]) -> Rows:
    """Rows of a loss of two distributions: (Σ_k P_k w_k) · divergence."""

    def rows(
        log_p: Tensor, labels: Tensor, class_weights: Tensor | None, settings: LossSettings
    ) -> Tensor:
        each = divergence(log_p, labels, settings)
        return each if class_weights is None else each * (labels @ class_weights)

    return rows


def criterion(name: str, settings: LossSettings) -> Criterion:
    """A loss of the registry with settings of one's own; SettingsError for an unknown name."""
    return replace(LOSSES[name], settings=settings)


cross_entropy = Criterion(of_classes(hard.log_cost), by_weight=True)
gce = Criterion(of_classes(hard.power_cost))
jsd = Criterion(of_distributions(soft.jensen_shannon))

LOSSES: Registry[Criterion] = Registry("loss")
LOSSES["ce"] = cross_entropy
LOSSES["soft_ce"] = cross_entropy  # of distributions: not a copy, the same object
LOSSES["gce"] = gce
LOSSES["forward"] = Criterion(of_classes(hard.forward_cost))
LOSSES["sym_ce"] = Criterion(of_distributions(soft.symmetric_cross_entropy))
LOSSES["jsd"] = jsd
LOSSES["geo_jsd"] = Criterion(of_distributions(soft.geometric_jensen_shannon), smoothing=_SMOOTHING)
LOSSES["geo_jsd_normalized"] = Criterion(
    of_distributions(soft.normalized_geometric_jensen_shannon), smoothing=_SMOOTHING_NORMALIZED
)
