"""Deep embedded clustering: codes of an auto-encoder, drawn together into clusters."""

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from emboscope.annotation.autoencoder.conv import ConvAutoEncoder, reconstruction_loss
from emboscope.annotation.autoencoder.settings import ClusteringSettings
from emboscope.annotation.autoencoder.training import FeatureMethod, learn_once
from emboscope.progress import Progress

_TITLE = "clustering"
_AT_ONCE = 256  # images in a pass that needs no gradient
_STARTS = 4  # of k-means


def memberships(codes: Tensor, centers: Tensor) -> Tensor:
    """Share of each cluster in each code, by Student's t kernel of one degree of freedom [1]_.

    Parameters
    ----------
    codes : Tensor, shape (n_samples, latent)
    centers : Tensor, shape (n_clusters, latent)

    Returns
    -------
    q : Tensor, shape (n_samples, n_clusters)
        `1 / (1 + squared distance)`, divided by the sum of the row.

    References
    ----------
    .. [1] Xie, J., Girshick, R., Farhadi, A. (2016). Unsupervised deep embedding for clustering
       analysis. ICML. Equation 1.
    """
    kernel = 1 / (1 + torch.cdist(codes, centers).square())
    return kernel / kernel.sum(dim=1, keepdim=True)


def target_memberships(q: Tensor) -> Tensor:
    """What memberships are drawn to: sure ones surer, and no cluster too large (ibid., eq. 3)."""
    weight = q.square() / q.sum(dim=0)
    return weight / weight.sum(dim=1, keepdim=True)


def refine(
    network: ConvAutoEncoder, optimizer: Optimizer, images: Tensor, progress: Progress
) -> None:
    """Go on training with the clustering term beside the reconstruction [1]_.

    The centers start where k-means on the codes puts them, and are learned. The target is
    computed anew each epoch, from one pass in evaluation mode.

    Parameters
    ----------
    network : ConvAutoEncoder
        Already trained to rebuild the images; its settings are `ClusteringSettings`.
    optimizer : Optimizer
        Of that training.
    images : Tensor, shape (n_samples, n_channels, height, width)
        In [0, 1].
    progress : callable
        Told each epoch.

    References
    ----------
    .. [1] Guo, X., Gao, L., Liu, X., Yin, J. (2017). Improved deep embedded clustering with local
       structure preservation. IJCAI.
    """
    settings = network.settings
    assert isinstance(settings, ClusteringSettings)
    centers = _first_centers(_codes(network, images), settings)
    optimizer.add_param_group({"params": [centers], "weight_decay": 0.0})
    for epoch in range(settings.dec_epochs):
        target = target_memberships(memberships(_codes(network, images), centers.detach()))

        def loss(rows: Tensor, target: Tensor = target) -> Tensor:
            """Reconstruction, and divergence of the memberships from the target."""
            codes = network.code(images[rows])
            rebuilt = functional.mse_loss(network.rebuilt(codes), images[rows])
            q = memberships(codes, centers)
            divergence = functional.kl_div(q.log(), target[rows], reduction="batchmean")
            return rebuilt + settings.dec_weight * divergence

        learn_once(network, optimizer, len(images), loss)
        progress(_TITLE, epoch + 1, settings.dec_epochs)


@torch.no_grad()
def _codes(network: ConvAutoEncoder, images: Tensor) -> Tensor:
    network.eval()
    return torch.cat([network.code(part) for part in images.split(_AT_ONCE)])


def _first_centers(codes: Tensor, settings: ClusteringSettings) -> nn.Parameter:
    """Centers of k-means, (n_clusters, latent)."""
    n_clusters = min(settings.n_clusters, len(codes))
    found = KMeans(n_clusters, n_init=_STARTS, random_state=settings.seed).fit(codes.numpy())
    return nn.Parameter(torch.from_numpy(found.cluster_centers_).to(codes.dtype))


CLUSTERING = FeatureMethod(
    "auto-encoder", ClusteringSettings, ConvAutoEncoder, reconstruction_loss, refine
)
