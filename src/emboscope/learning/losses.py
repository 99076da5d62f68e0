"""Losses of logits and classes, from log-probabilities, so that none is ever log 0."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from emboscope.registry import Registry

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
GCE_Q = 0.7


def cross_entropy(logits: Tensor, y: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Σ w_y·CE / Σ w_y over the batch; logits (batch, class), y (batch,), weights (class,)."""
    return functional.cross_entropy(logits, y, class_weights)


def gce(logits: Tensor, y: Tensor, class_weights: Tensor | None = None, q: float = GCE_Q) -> Tensor:
    """Generalized cross-entropy (1 − p_y^q)/q [1]_: robust to wrong labels.

    q → 0 gives the cross-entropy, q = 1 gives 1 − p_y. Class weights multiply each sample, then
    the plain mean is taken. Where p_y underflows the gradient is 0, never NaN.

    References
    ----------
    .. [1] Zhang, Z., Sabuncu, M. R. (2018). Generalized cross entropy loss for training deep
       neural networks with noisy labels. NeurIPS. Equation 6.
    """
    log_p = functional.log_softmax(logits, dim=1).gather(1, y[:, None])[:, 0]  # (batch,)
    each = -torch.expm1(q * log_p) / q
    if class_weights is not None:
        each = each * class_weights[y]
    return each.mean()


def balanced_weights(y: Tensor, n_classes: int) -> Tensor:
    """n/(K·n_c) of each class c; 0 for a class without rows. Shape (n_classes,)."""
    counts = torch.bincount(y, minlength=n_classes).float()
    return torch.where(counts > 0, len(y) / (n_classes * counts.clamp(min=1)), 0.0)


LOSSES: Registry[Loss] = Registry("loss")
LOSSES["ce"] = cross_entropy
LOSSES["gce"] = gce
