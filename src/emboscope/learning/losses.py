"""Losses of logits and targets, from log-probabilities, so that none is ever log 0.

Targets are classes (batch,) or distributions over the classes (batch, class). A distribution with
all its mass on one class gives the loss of that class.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from emboscope.registry import Registry

# logits (batch, class), targets, weights (class,), weights (batch,) of mean 1 over all batches
Loss = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], Tensor]
GCE_Q = 0.7


def cross_entropy(
    logits: Tensor,
    y: Tensor,
    class_weights: Tensor | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Σ s·w·CE / Σ w over the batch, where w = Σ_k y_k w_k and s is the weight of the sample."""
    if y.ndim == 1 and sample_weight is None:
        return functional.cross_entropy(logits, y, class_weights)
    targets = distributions(y, logits.shape[1])
    if class_weights is not None:
        targets = targets * class_weights
    each = -(targets * functional.log_softmax(logits, dim=1)).sum(dim=1)  # (batch,)
    return _weighted(each, sample_weight).sum() / targets.sum()


def gce(
    logits: Tensor,
    y: Tensor,
    class_weights: Tensor | None = None,
    sample_weight: Tensor | None = None,
    q: float = GCE_Q,
) -> Tensor:
    """Generalized cross-entropy Σ_k y_k (1 − p_k^q)/q [1]_: robust to wrong labels.

    q → 0 gives the cross-entropy, q = 1 gives 1 − p_y. Class weights multiply the terms of their
    class, then the plain mean is taken. Where p underflows the gradient is 0, never NaN.

    References
    ----------
    .. [1] Zhang, Z., Sabuncu, M. R. (2018). Generalized cross entropy loss for training deep
       neural networks with noisy labels. NeurIPS. Equation 6.
    """
    log_p = functional.log_softmax(logits, dim=1)  # (batch, class)
    if y.ndim == 1:
        each = -torch.expm1(q * log_p.gather(1, y[:, None])[:, 0]) / q  # (batch,)
        each = each if class_weights is None else each * class_weights[y]
    else:
        terms = -torch.expm1(q * log_p) / q
        terms = terms if class_weights is None else terms * class_weights
        each = (y * terms).sum(dim=1)
    return _weighted(each, sample_weight).mean()


def jsd(
    logits: Tensor,
    y: Tensor,
    class_weights: Tensor | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Jensen–Shannon divergence of target and prediction [1]_, in nats: 0 to ln 2.

    ½ KL(y ‖ m) + ½ KL(p ‖ m) with m = ½ (y + p). Bounded, so that a wrong label costs little more
    than an uncertain one. Class weights, averaged by the target, multiply each sample.

    References
    ----------
    .. [1] Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
       Information Theory, 37(1).
    """
    targets = distributions(y, logits.shape[1])
    log_p = functional.log_softmax(logits, dim=1)  # (batch, class)
    log_m = torch.logaddexp(targets.log(), log_p) - math.log(2)
    to_target = torch.xlogy(targets, targets) - targets * log_m
    to_prediction = log_p.exp() * (log_p - log_m)
    each = (to_target + to_prediction).sum(dim=1) / 2  # (batch,)
    if class_weights is not None:
        each = each * (targets @ class_weights)
    return _weighted(each, sample_weight).mean()


def distributions(y: Tensor, n_classes: int) -> Tensor:
    """Targets as (batch, class): classes become one-hot rows."""
    return y if y.ndim == 2 else functional.one_hot(y, n_classes).float()


def balanced_weights(y: Tensor, n_classes: int) -> Tensor:
    """n/(K·n_c) of each class c, n_c its rows or its mass; 0 where there is none. (n_classes,)."""
    counts = torch.bincount(y, minlength=n_classes).float() if y.ndim == 1 else y.sum(dim=0)
    least = 1.0 if y.ndim == 1 else torch.finfo(counts.dtype).tiny
    return torch.where(counts > 0, len(y) / (n_classes * counts.clamp(min=least)), 0.0)


def _weighted(each: Tensor, sample_weight: Tensor | None) -> Tensor:
    return each if sample_weight is None else sample_weight * each


LOSSES: Registry[Loss] = Registry("loss")
LOSSES["ce"] = cross_entropy
LOSSES["gce"] = gce
LOSSES["jsd"] = jsd
