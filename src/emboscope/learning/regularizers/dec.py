"""Deep embedded clustering as a regularizer: one center a class, around which embeddings gather."""

import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional

from emboscope.errors import DataError
from emboscope.learning.regularizers.settings import RegularizerSettings

_N_INIT = 10  # restarts of k-means


def log_assignments(embeddings: Tensor, centers: Tensor, degrees: float = 1.0) -> Tensor:
    """log q_ij, q_ij ∝ (1 + ‖h_i − μ_j‖²/ν)^(−(ν+1)/2): a Student kernel, in log space [1]_.

    Parameters
    ----------
    embeddings : Tensor, shape (batch, width)
    centers : Tensor, shape (cluster, width)
    degrees : float
        ν.

    Returns
    -------
    log_q : Tensor, shape (batch, cluster)
        In single precision at least.

    References
    ----------
    .. [1] Xie, J., Girshick, R., Farhadi, A. (2016). Unsupervised deep embedding for clustering
       analysis. ICML. Equation 1.
    """
    wide = torch.promote_types(embeddings.dtype, torch.float32)
    apart = embeddings.to(wide)[:, None] - centers.to(wide)[None]  # (batch, cluster, width)
    squared = apart.square().sum(dim=2)
    return functional.log_softmax(-(degrees + 1) / 2 * torch.log1p(squared / degrees), dim=1)


def target_of(log_q: Tensor, frequencies: Tensor | None = None) -> Tensor:
    """p_ij ∝ q_ij²/f_j, rows of sum 1 [1]_: sharper than q, and no cluster is favored.

    Parameters
    ----------
    log_q : Tensor, shape (batch, cluster)
    frequencies : Tensor, shape (cluster,), optional
        f_j up to a factor; Σ_i q_ij of this batch without.

    References
    ----------
    .. [1] Xie, J., Girshick, R., Farhadi, A. (2016). Unsupervised deep embedding for clustering
       analysis. ICML. Equation 3.
    """
    log_f = log_q.logsumexp(dim=0) if frequencies is None else frequencies.log()
    return functional.softmax(2 * log_q - log_f, dim=1)


def clustering_loss(log_q: Tensor, target: Tensor) -> Tensor:
    """KL(P ‖ Q), the mean over the batch."""
    return (torch.xlogy(target, target) - target * log_q).sum(dim=1).mean()


class DeepEmbeddedClustering(nn.Module):
    """The clustering loss with its centers, which are learned, and its cluster frequencies.

    The target is a constant: letting the gradient through it, as the released code of [1]_ does,
    turns the direction of every uncertain sample (`dec_detach`). Frequencies are those of the whole
    training part, counted while an epoch passes and used in the next (`dec_frequencies`).

    Attributes
    ----------
    centers : Parameter, shape (cluster, width)
    frequencies : Tensor, shape (cluster,)
        Share of each cluster in the last epoch; rows of sum 1.
    started : Tensor of bool, shape ()

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
       embedded clustering regularization for multifeature medical signal classification. Pattern
       Recognition, 143.
    """

    frequencies: Tensor
    counted: Tensor
    started: Tensor

    def __init__(self, n_clusters: int, width: int, settings: RegularizerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.centers = nn.Parameter(torch.zeros(n_clusters, width))
        self.register_buffer("frequencies", torch.full((n_clusters,), 1 / n_clusters))
        self.register_buffer("counted", torch.zeros(n_clusters))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def start(self, embeddings: Tensor, y: Tensor, seed: int) -> None:
        """Place the centers by k-means, or at the class means, and count the clusters.

        Parameters
        ----------
        embeddings : Tensor, shape (n_samples, width)
            Of the training part, in evaluation mode.
        y : Tensor of int, shape (n_samples,)
            Classes; used by class means alone.
        seed : int
            Of k-means.
        """
        n_clusters = len(self.centers)
        if self.settings.dec_centers == "class_means":
            found = _class_means(embeddings, y, n_clusters)
        else:
            points = embeddings.double().cpu().numpy()
            if len(points) < n_clusters:
                raise DataError(
                    f"clustering: {len(points)} training rows; expected at least {n_clusters}, one "
                    "a cluster. Label more rows, or set regularizers.dec to 0."
                )
            means = KMeans(n_clusters, n_init=_N_INIT, random_state=seed % 2**31).fit(points)
            found = torch.from_numpy(np.asarray(means.cluster_centers_))
        self.centers.copy_(found)
        assigned = log_assignments(embeddings.to(self.centers), self.centers).exp()
        self.frequencies.copy_(assigned.mean(dim=0))
        self.counted.zero_()
        self.started.fill_(True)

    def forward(self, embeddings: Tensor) -> Tensor:
        """The loss of a batch of embeddings (batch, width); counts its clusters."""
        log_q = log_assignments(embeddings, self.centers)
        if self.training:
            self.counted += log_q.detach().exp().sum(dim=0)
        by_batch = self.settings.dec_frequencies == "batch"
        target = target_of(log_q, None if by_batch else self.frequencies)
        return clustering_loss(log_q, target.detach() if self.settings.dec_detach else target)

    @torch.no_grad()
    def end_epoch(self) -> float:
        """Take over the counts of the epoch; the share of the smallest cluster, NaN before."""
        if not bool(self.started) or not float(self.counted.sum()):
            return math.nan
        self.frequencies.copy_(self.counted / self.counted.sum())
        self.counted.zero_()
        return float(self.frequencies.min())


def _class_means(embeddings: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Mean embedding of each class, (class, width); of a class without rows, of all rows."""
    belongs = functional.one_hot(y, n_classes).to(embeddings)  # (n_samples, class)
    belongs[:, belongs.sum(dim=0) == 0] = 1.0
    return belongs.T @ embeddings / belongs.sum(dim=0)[:, None]
