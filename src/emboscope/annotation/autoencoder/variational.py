"""The variational auto-encoder: codes that fill the space without gaps."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emboscope.annotation.autoencoder.network import (
    ImageEncoder,
    Shape,
    down_stages,
    folded_shape,
    initialize,
    up_stages,
)
from emboscope.annotation.autoencoder.settings import VariationalSettings
from emboscope.annotation.autoencoder.training import FeatureMethod


class ConvVariational(ImageEncoder):
    """Variational auto-encoder with the stages of `ConvAutoEncoder` [1]_.

    The code of an image is the mean of its posterior.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, height, width) of an image.
    settings : VariationalSettings, optional

    References
    ----------
    .. [1] Kingma, D. P., Welling, M. (2014). Auto-encoding variational Bayes. ICLR.
    """

    def __init__(self, shape: Shape, settings: VariationalSettings | None = None) -> None:
        settings = settings or VariationalSettings()
        super().__init__(shape, settings)
        folded = folded_shape(shape)
        n_folded = math.prod(folded)
        self.encoder = nn.Sequential(*down_stages(shape))
        self.mean = nn.Linear(n_folded, settings.latent)
        self.log_variance = nn.Linear(n_folded, settings.latent)
        self.decoder = nn.Sequential(
            nn.Linear(settings.latent, n_folded), nn.Unflatten(1, folded), *up_stages(shape)
        )
        self.apply(initialize)
        nn.init.zeros_(self.log_variance.weight)  # every posterior starts with variance 1

    def code(self, images: Tensor) -> Tensor:
        """Means, (batch, latent), of the posteriors of images that are in [0, 1]."""
        return self.mean(self.encoder(images))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The reconstruction from a drawn code, and mean and log variance of the posterior."""
        features = self.encoder(images)  # (batch, features)
        mean, log_variance = self.mean(features), self.log_variance(features)  # (batch, latent)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        decoded = self.decoder(drawn).sigmoid()  # (batch, channel, height, width), rounded up
        rebuilt = functional.interpolate(decoded, size=self.shape[1:], mode="nearest")
        return rebuilt, mean, log_variance


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of normal posteriors from the standard normal prior, in closed form [1]_.

    `½ Σ (μ² + σ² - log σ² - 1)` over the code.

    Parameters
    ----------
    mean, log_variance : Tensor, shape (batch, latent)

    Returns
    -------
    divergence : Tensor, shape (batch,)
        In nats.

    References
    ----------
    .. [1] Kingma, D. P., Welling, M. (2014). Auto-encoding variational Bayes. ICLR. Appendix B.
    """
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1) / 2


def variational_loss(network: ConvVariational, images: Tensor) -> Tensor:
    """Squared error summed over an image, plus β times the divergence; its mean over the batch.

    The squared error is the negative log likelihood of pixels with variance ½, less a constant.
    """
    settings = network.settings
    assert isinstance(settings, VariationalSettings)
    rebuilt, mean, log_variance = network(images)
    error = (rebuilt - images).square().sum(dim=(1, 2, 3))  # (batch,)
    return (error + settings.kl_weight * kl_divergence(mean, log_variance)).mean()


VARIATIONAL = FeatureMethod(
    "variational auto-encoder", VariationalSettings, ConvVariational, variational_loss
)
