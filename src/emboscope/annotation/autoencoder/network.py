"""What encoders of images share: the range of the values, and the convolutional blocks."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from emboscope.annotation.autoencoder.settings import FeatureSettings

_CHANNELS = (16, 32, 64)  # further stages keep the last
_LARGEST_CODE_SIDE = 4  # stages are added until both sides of the feature map fit

Shape = tuple[int, int, int]  # (n_channels, height, width)


class ImageEncoder(nn.Module):
    """A network with one code an image.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, height, width) of an image.
    settings : FeatureSettings
        What it is built and trained with.

    Attributes
    ----------
    low, high : Tensor, scalar
        Image values that the network sees as 0 and 1; outside is clipped.
    """

    low: Tensor
    high: Tensor

    def __init__(self, shape: Shape, settings: FeatureSettings) -> None:
        super().__init__()
        self.shape = shape
        self.settings = settings
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(1.0))

    def scaled(self, images: Tensor) -> Tensor:
        """Image values brought to [0, 1]."""
        return ((images - self.low) / (self.high - self.low)).clamp(0, 1)

    def code(self, images: Tensor) -> Tensor:
        """Codes, (batch, latent), of images that are in [0, 1]."""
        raise NotImplementedError


def stage_widths(shape: Shape) -> list[int]:
    """Channels before and after each stage; a stage halves both sides, until neither exceeds 4."""
    side, widths = max(shape[1:]), [shape[0]]
    while side > _LARGEST_CODE_SIDE:
        widths.append(_CHANNELS[min(len(widths), len(_CHANNELS)) - 1])
        side = math.ceil(side / 2)
    return widths


def folded_shape(shape: Shape) -> Shape:
    """Shape of the feature map after the last stage."""
    widths = stage_widths(shape)
    shrink = 2 ** (len(widths) - 1)
    return widths[-1], math.ceil(shape[1] / shrink), math.ceil(shape[2] / shrink)


def down_stages(shape: Shape) -> list[nn.Module]:
    """From an image to its feature map, made flat: (batch, prod(folded_shape(shape)))."""
    pairs = pairwise(stage_widths(shape))
    stages = [layer for pair in pairs for layer in (_down(*pair), nn.LeakyReLU())]
    return [*stages, nn.Flatten()]


def up_stages(shape: Shape) -> list[nn.Module]:
    """From a feature map to an image, both sides rounded up; no activation at the end."""
    pairs = pairwise(stage_widths(shape)[::-1])
    stages = [layer for pair in pairs for layer in (_up(*pair), nn.LeakyReLU())]
    return [*stages[:-1]]


def initialize(module: nn.Module) -> None:
    """Xavier-normal weights of gain √2; biases of linear layers start at 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_normal_(module.weight, gain=math.sqrt(2))
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def _down(n_in: int, n_out: int) -> nn.Sequential:
    """Half the size, rounded up."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=2, padding=1),
        _batch_norm(n_out),
        nn.LeakyReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1),
        _batch_norm(n_out),
    )


def _up(n_in: int, n_out: int) -> nn.Sequential:
    """Twice the size."""
    return nn.Sequential(
        nn.ConvTranspose2d(n_in, n_out, 2, stride=2),
        _batch_norm(n_out),
        nn.LeakyReLU(),
        nn.ConvTranspose2d(n_out, n_out, 3, padding=1),
        _batch_norm(n_out),
    )


def _batch_norm(n_channels: int) -> nn.BatchNorm2d:
    """With the published eps; the published momentum of 0.99 is meant in the Keras convention."""
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.1)
