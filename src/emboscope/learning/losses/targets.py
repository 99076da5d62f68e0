"""Targets as distributions: classes, masked rows, smoothing, weights of classes."""

import torch
from torch import Tensor
from torch.nn import functional

UNLABELED = -1


def known_rows(targets: Tensor) -> Tensor:
    """Which rows are not masked, (batch,): neither the class -1 nor NaN throughout."""
    return targets != UNLABELED if targets.ndim == 1 else ~targets.isnan().all(dim=1)


def distributions(targets: Tensor, n_classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Targets as (batch, class): classes become one-hot rows, masked rows become zeros."""
    known = known_rows(targets)
    if targets.ndim == 2:
        return torch.where(known[:, None], targets, 0.0).to(dtype)
    rows = functional.one_hot(torch.where(known, targets, 0), n_classes)  # (batch, class)
    return (rows * known[:, None]).to(dtype)


def smoothed(labels: Tensor, share: float) -> Tensor:
    """Label smoothing (1 − ε)·P + ε/K [1]_, (batch, class).

    References
    ----------
    .. [1] Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J., Wojna, Z. (2016). Rethinking the
       Inception architecture for computer vision. CVPR. Section 7.
    """
    return (1 - share) * labels + share / labels.shape[1] if share else labels


def balanced_weights(y: Tensor, n_classes: int) -> Tensor:
    """n/(K·n_c) of each class c, n_c its rows or its mass; 0 where there is none. (n_classes,).

    Masked rows do not count.
    """
    y = y[known_rows(y)]
    counts = torch.bincount(y, minlength=n_classes).float() if y.ndim == 1 else y.sum(dim=0)
    least = 1.0 if y.ndim == 1 else torch.finfo(counts.dtype).tiny
    return torch.where(counts > 0, len(y) / (n_classes * counts.clamp(min=least)), 0.0)
