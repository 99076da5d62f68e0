"""A vision transformer: patches of an image as tokens."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emboscope.learning.architecture import Encoder, NetworkSettings

_POSITION_SD = 0.02


class Vit(Encoder):
    """Patches of the image, each a token with a learned position, and pre-norm layers [1]_.

    The features are the mean of the tokens, which does as well as a class token [2]_. The image is
    padded with zeros, the mean of the training part, below and on the right to whole patches.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_freqs, n_frames), sides of at least 8.
    settings : NetworkSettings, optional
        `vit`: side of a patch, sizes of the layers, dropout.

    References
    ----------
    .. [1] Dosovitskiy, A., et al. (2021). An image is worth 16x16 words: Transformers for image
       recognition at scale. ICLR.
    .. [2] Beyer, L., Zhai, X., Kolesnikov, A. (2022). Better plain ViT baselines for ImageNet-1k.
       arXiv:2205.01580.
    """

    view = "spectrogram"
    learning_rate = 1e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(3, 8)
        sizes = self.settings.vit
        below, right = (-side % sizes.patch for side in shape[1:])
        self.padding = (0, right, 0, below)
        n_tokens = math.prod(-(-side // sizes.patch) for side in shape[1:])
        self.patches = nn.Conv2d(shape[0], sizes.width, sizes.patch, sizes.patch)
        self.positions = nn.Parameter(_POSITION_SD * torch.randn(n_tokens, sizes.width))
        self.dropout = nn.Dropout(sizes.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                sizes.width,
                sizes.n_heads,
                sizes.hidden,
                sizes.dropout,
                "gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(sizes.n_layers)
        )
        self.norm = nn.LayerNorm(sizes.width)
        self.n_features = sizes.width

    def forward(self, image: Tensor) -> Tensor:
        """Features (batch, width) of images (batch, channel, freq, frame)."""
        patches = self.patches(functional.pad(image, self.padding))  # (batch, width, row, column)
        tokens = self.dropout(patches.flatten(2).transpose(1, 2) + self.positions)
        for layer in self.layers:
            tokens = layer(tokens)  # (batch, token, width)
        return self.norm(tokens).mean(1)
