"""Which rows of a batch to learn from."""

import torch
from torch import Tensor

from emboscope.errors import SettingsError


def small_loss_weights(each: Tensor, keep_share: float, known: Tensor | None = None) -> Tensor:
    """Weights that keep the rows of small loss, as co-teaching does, here by one network [1]_.

    Networks learn right labels before they learn wrong ones by heart: for some epochs a large loss
    is a hint of a wrong label.

    Parameters
    ----------
    each : Tensor, shape (batch,)
        Loss of each row, before class weights.
    keep_share : float
        Of the known rows, above 0 and at most 1. Their number is rounded, and is at least 1; of
        equal losses the first stay.
    known : Tensor of bool, shape (batch,), optional
        Rows that are not masked (`known_rows`): a masked row has a loss of 0 and is never kept.
        All by default.

    Returns
    -------
    weights : Tensor, shape (batch,)
        0, or one positive value, with a mean of 1 over the known rows; without a gradient.

    Raises
    ------
    SettingsError
        If `keep_share` is out of range.

    References
    ----------
    .. [1] Han, B., Yao, Q., Yu, X., Niu, G., Xu, M., Hu, W., Tsang, I., Sugiyama, M. (2018).
       Co-teaching: robust training of deep neural networks with extremely noisy labels. NeurIPS.
    """
    if not 0 < keep_share <= 1:
        raise SettingsError(
            f"keep_share: {keep_share}; expected above 0 and at most 1. 0.9 leaves out a tenth."
        )
    known = torch.ones_like(each, dtype=torch.bool) if known is None else known
    n_known = int(known.sum())
    n_kept = min(n_known, max(1, round(keep_share * n_known)))
    order = torch.where(known, each, torch.inf).argsort(stable=True)
    weights = torch.zeros_like(each)  # no part of the graph of `each`
    if n_kept:
        weights[order[:n_kept]] = n_known / n_kept
    return weights
