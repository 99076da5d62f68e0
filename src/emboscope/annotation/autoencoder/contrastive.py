"""The contrastive encoder: two views of an image have like codes, other images unlike ones."""

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
)
from emboscope.annotation.autoencoder.settings import ContrastiveSettings
from emboscope.annotation.autoencoder.training import FeatureMethod

_HEAD = 64  # width of both layers of the projection, which is used in training only


class ConvContrastive(ImageEncoder):
    """The encoder of `ConvAutoEncoder`, with a projection head instead of a decoder [1]_.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, height, width) of an image.
    settings : ContrastiveSettings, optional

    References
    ----------
    .. [1] Chen, T., Kornblith, S., Norouzi, M., Hinton, G. (2020). A simple framework for
       contrastive learning of visual representations. ICML.
    """

    def __init__(self, shape: Shape, settings: ContrastiveSettings | None = None) -> None:
        settings = settings or ContrastiveSettings()
        super().__init__(shape, settings)
        self.encoder = nn.Sequential(
            *down_stages(shape),
            nn.Linear(math.prod(folded_shape(shape)), settings.latent),
            nn.LeakyReLU(),
        )
        self.head = nn.Sequential(
            nn.Linear(settings.latent, _HEAD), nn.ReLU(), nn.Linear(_HEAD, _HEAD)
        )
        self.apply(initialize)

    def code(self, images: Tensor) -> Tensor:
        """Codes, (batch, latent), of images that are in [0, 1]."""
        return self.encoder(images)

    def forward(self, images: Tensor) -> Tensor:
        """Projections, (batch, 64), in which the loss compares views."""
        return self.head(self.code(images))


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalized temperature-scaled cross entropy of pairs of views [1]_.

    Of each view, its partner is to be found among all other views of the batch by the cosine.

    Parameters
    ----------
    first, second : Tensor, shape (batch, dim)
        Row i of both is of one image.
    temperature : float
        By which cosines are divided.

    Returns
    -------
    loss : Tensor, scalar
        Mean over both views, in nats; log(2 batch - 1) when nothing tells the views apart.

    References
    ----------
    .. [1] Chen, T., Kornblith, S., Norouzi, M., Hinton, G. (2020). A simple framework for
       contrastive learning of visual representations. ICML. Equation 1.
    """
    views = functional.normalize(torch.cat([first, second]), dim=1)  # (2 batch, dim)
    similarity = views @ views.T / temperature  # (2 batch, 2 batch)
    similarity = similarity.fill_diagonal_(-math.inf)
    partner = torch.arange(len(views)).roll(len(first))
    return functional.cross_entropy(similarity, partner)


def augmented(images: Tensor, settings: ContrastiveSettings) -> Tensor:
    """A view of each image: shifted and cropped, with another amplitude, and noise.

    Never mirrored; see `ContrastiveSettings`. What comes in over the edge repeats the edge.

    Parameters
    ----------
    images : Tensor, shape (batch, n_channels, height, width)
        In [0, 1].
    settings : ContrastiveSettings
        How large each change may be; 0 leaves it out.

    Returns
    -------
    views : Tensor, of the same shape
        In [0, 1].
    """
    moved = _shifted_and_cropped(images, settings)
    gain = 1 + settings.gain * _signed(len(images), 1, 1, 1)
    noise = settings.noise * torch.randn_like(moved)
    return (gain * moved + noise).clamp(0, 1)


def contrastive_loss(network: ConvContrastive, images: Tensor) -> Tensor:
    """NT-Xent of two views of each image."""
    settings = network.settings
    assert isinstance(settings, ContrastiveSettings)
    views = torch.cat([augmented(images, settings), augmented(images, settings)])
    first, second = network(views).chunk(2)  # both (batch, 64)
    return nt_xent(first, second, settings.temperature)


def _shifted_and_cropped(images: Tensor, settings: ContrastiveSettings) -> Tensor:
    """Every image through a window of its own, (batch, n_channels, height, width)."""
    crop = torch.tensor([settings.horizontal_crop, settings.vertical_crop])
    shift = torch.tensor([settings.horizontal_shift, settings.vertical_shift])
    size = 1 - crop * torch.rand(len(images), 2)  # of the window, in sides
    place = (1 - size) * _signed(len(images), 2)  # of its middle; ±1 are the edges
    place = place + 2 * shift * _signed(len(images), 2)
    window = torch.cat([torch.diag_embed(size), place[:, :, None]], dim=2)  # (batch, 2, 3)
    grid = functional.affine_grid(window, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _signed(*shape: int) -> Tensor:
    """Uniform in [-1, 1]."""
    return 2 * torch.rand(*shape) - 1


CONTRASTIVE = FeatureMethod(
    "contrastive encoder", ContrastiveSettings, ConvContrastive, contrastive_loss
)
