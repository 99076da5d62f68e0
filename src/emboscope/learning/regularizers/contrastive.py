"""Supervised contrastive loss: a sample is nearer to those of its class than to all others."""

import torch
from torch import Tensor
from torch.nn import functional

_LEAST = -1e30  # of the logarithm of a share of nothing; finite, so that no gradient is NaN


def supervised_contrastive(embeddings: Tensor, y: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean of −1/|P(i)| Σ_{p∈P(i)} log [exp(z_iᵀz_p/τ) / Σ_{a≠i} exp(z_iᵀz_a/τ)] [1]_.

    P(i) are the other samples of i's class, z are embeddings of length 1. Samples that are alone
    in their class are left out.

    Parameters
    ----------
    embeddings : Tensor, shape (batch, width)
    y : Tensor of int, shape (batch,)
    temperature : float
        τ.

    References
    ----------
    .. [1] Khosla, P., et al. (2020). Supervised contrastive learning. NeurIPS. Equation 2.
    """
    scaled = functional.normalize(embeddings, dim=1)
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    alike = (scaled @ scaled.T).float() if scaled.dtype == torch.half else scaled @ scaled.T
    alike = (alike / temperature).masked_fill(itself, _LEAST)
    log_share = functional.log_softmax(alike, dim=1).masked_fill(itself, 0.0)  # (batch, batch)
    friends = (y[:, None] == y[None]) & ~itself
    n_friends = friends.sum(dim=1)
    each = -(log_share * friends).sum(dim=1) / n_friends.clamp(min=1)
    kept = n_friends > 0
    return each[kept].sum() / kept.sum().clamp(min=1)
