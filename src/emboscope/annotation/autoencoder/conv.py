"""The convolutional auto-encoder that turns images into 32 features without labels."""

import math

import numpy as np
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
from emboscope.annotation.autoencoder.settings import AutoEncoderSettings, FeatureSettings
from emboscope.annotation.autoencoder.training import FeatureMethod, learn
from emboscope.progress import Progress, silent


class ConvAutoEncoder(ImageEncoder):
    """Convolutional auto-encoder for images of one size [1]_.

    Each stage halves both sides, until neither is longer than 4; then a linear layer gives the
    code. The decoder mirrors it, ends in a sigmoid and is resized to the image. At (1, 20, 20) and
    (1, 28, 28) it has the published layers: 131,839 and 160,959 parameters.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, height, width) of an image.
    settings : FeatureSettings
        `latent` is the length of the code.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """

    def __init__(self, shape: Shape, settings: FeatureSettings | None = None) -> None:
        settings = settings or AutoEncoderSettings()
        super().__init__(shape, settings)
        self.folded = folded_shape(shape)
        n_folded = math.prod(self.folded)
        self.encoder = nn.Sequential(
            *down_stages(shape), nn.Linear(n_folded, settings.latent), nn.LeakyReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(settings.latent, n_folded), nn.Unflatten(1, self.folded), *up_stages(shape)
        )
        self.apply(initialize)

    def code(self, images: Tensor) -> Tensor:
        """Codes, (batch, latent), of images that are in [0, 1]."""
        return self.encoder(images)

    def rebuilt(self, codes: Tensor) -> Tensor:
        """Images, (batch, channel, height, width), that codes stand for."""
        decoded = self.decoder(codes).sigmoid()  # (batch, channel, height, width), rounded up
        return functional.interpolate(decoded, size=self.shape[1:], mode="nearest")

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of images that are in [0, 1]."""
        return self.rebuilt(self.code(images))


def reconstruction_loss(network: ConvAutoEncoder, images: Tensor) -> Tensor:
    """Mean squared error of the reconstruction."""
    return functional.mse_loss(network(images), images)


AUTOENCODER = FeatureMethod(
    "auto-encoder", AutoEncoderSettings, ConvAutoEncoder, reconstruction_loss
)


def train_autoencoder(
    images: np.ndarray,
    settings: AutoEncoderSettings | None = None,
    progress: Progress = silent,
) -> ImageEncoder:
    """Learn to rebuild the images (mean squared error, Adamax), without any label.

    Parameters
    ----------
    images : ndarray, shape (n_samples, n_channels, height, width)
        In any unit; the smallest and largest values are brought to 0 and 1. Only of those patients
        whose data may be learned from.
    settings : AutoEncoderSettings, optional
        `PAPER` holds the published ones.
    progress : callable
        Told each epoch.

    Returns
    -------
    model : ConvAutoEncoder
        In evaluation mode. The same input, settings and thread count give the same weights.

    Raises
    ------
    DataError
        If the images are not a finite batch of four dimensions with some contrast.
    """
    return learn(AUTOENCODER, images, settings or AutoEncoderSettings(), progress)
