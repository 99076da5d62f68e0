"""Link constraints: samples of one class attract, samples of two classes are opposed."""

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-12  # within the square root, whose slope at 0 is infinite


def link_constraints(embeddings: Tensor, y: Tensor) -> Tensor:
    """Mean over the pairs i < j of ½‖e_i − s_ij·e_j‖, s_ij = 1 within a class and −1 between [1]_.

    Embeddings are scaled to length 1 first, since zeros would satisfy every pair; the mean, in
    place of the published sum, keeps the scale whatever the batch. All pairs are one matrix
    product: ‖e_i − s·e_j‖² = 2 − 2s·e_iᵀe_j.

    Parameters
    ----------
    embeddings : Tensor, shape (batch, width)
    y : Tensor of int, shape (batch,)

    References
    ----------
    .. [1] Che, C., Zhang, P., Zhu, M., Qu, Y., Jin, B. (2021). Constrained transformer network for
       ECG signal processing and arrhythmia classification. BMC Medical Informatics and Decision
       Making, 21.
    """
    scaled = functional.normalize(embeddings, dim=1)
    sign = torch.where(y[:, None] == y[None], 1.0, -1.0).to(scaled.dtype)  # (batch, batch)
    squared = (2 - 2 * sign * (scaled @ scaled.T)).clamp(min=0)
    first, second = torch.triu_indices(len(y), len(y), offset=1, device=y.device)
    if not len(first):
        return scaled.sum() * 0
    return (squared[first, second] + _TINY).sqrt().mean() / 2
