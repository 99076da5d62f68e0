"""Encoders: one view in, a vector of features out. Those published here, and all by name."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from emboscope.learning.architecture import Encoder, NetworkSettings, projection_head
from emboscope.learning.compact import Cnn1dCompact, Cnn2dCompact
from emboscope.learning.mlp import Mlp
from emboscope.learning.recurrent import Lstm
from emboscope.learning.resnet import Resnet, Resnet2d
from emboscope.learning.small import Cnn2dSmall
from emboscope.learning.vit import Vit
from emboscope.registry import Registry

_RELEASED_MOMENTUM = 0.99  # the Keras convention in PyTorch: statistics of the last batch
_GUIDE_WIDTH = 64
_LEAK = 0.01  # slope of LeakyReLU below 0
_CLASS_TOKEN_SD = 0.1  # of the start `he`


class Cnn2d(Encoder):
    """The published 2-D CNN: four blocks of convolution, batch norm, LeakyReLU, max-pooling [1]_.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_freqs, n_frames) of the image; each side at least 16.
    settings : NetworkSettings, optional
        `n_filters` of the first block, doubled by each; `profile` released has batch-norm momentum
        0.99, the others 0.1.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). An hybrid
       CNN-Transformer model based on multi-feature extraction and attention fusion mechanism for
       cerebral emboli classification. Machine Learning for Healthcare.
    """

    view = "spectrogram"
    learning_rate = 2e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(3, 16)
        momentum = _RELEASED_MOMENTUM if self.settings.profile == "released" else 0.1
        widths = [shape[0], *(self.settings.n_filters * 2**block for block in range(4))]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(n_in, n_out, 3, padding=1),
                    nn.BatchNorm2d(n_out, eps=1e-3, momentum=momentum),
                    nn.LeakyReLU(),
                    nn.MaxPool2d(2),
                )
                for n_in, n_out in pairwise(widths)
            )
        )
        self.n_features = widths[-1] * (shape[1] // 16) * (shape[2] // 16)

    def forward(self, image: Tensor) -> Tensor:
        """Features (batch, n_features) of images (batch, channel, freq, frame)."""
        return self.blocks(image).flatten(1)


class Cnn1dTransformer(Encoder):
    """The published 1-D CNN-Transformer: its features are the output at the class token [1]_.

    One convolution is applied `n_conv` times with the same weights, as the published counts need.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_times) of the waveform.

    References
    ----------
    .. [1] As `Cnn2d`.
    """

    view = "waveform"
    learning_rate = 1e-3
    positions: Tensor

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        sizes = self.settings.transformer
        self.check_shape(2, 2 ** (sizes.n_conv + 2) + 2)
        width = sizes.width
        self.stem = nn.Sequential(
            nn.Conv1d(shape[0], 128, 3),
            nn.LeakyReLU(),
            nn.Conv1d(128, width, 3, padding=1),
            nn.LeakyReLU(),
        )
        self.shared = nn.Sequential(nn.Conv1d(width, width, 3), nn.LeakyReLU(), nn.MaxPool1d(2))
        self.class_token = nn.Parameter(torch.randn(width))
        self.dropout = nn.Dropout(sizes.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, sizes.n_heads, sizes.hidden, sizes.dropout, batch_first=True
            )
            for _ in range(sizes.n_layers)
        )
        n_tokens = shape[1] - 2
        for _ in range(sizes.n_conv):
            n_tokens = (n_tokens - 2) // 2
        self.register_buffer("positions", sinusoidal_positions(n_tokens + 1, width), False)
        self.n_features = width
        if sizes.init == "he":
            self._start_in_size()

    def head(self, n_classes: int) -> nn.Module:
        """The published head, with a narrow projection."""
        return projection_head(self.n_features, self.settings.transformer.projection, n_classes)

    def guide(self, n_classes: int) -> nn.Module:
        """As the published one: the head with a projection of 64."""
        return projection_head(self.n_features, _GUIDE_WIDTH, n_classes)

    def _start_in_size(self) -> None:
        """Convolutions that keep the variance of a signal, and a class token that is no louder."""
        for part in (*self.stem, *self.shared):
            if isinstance(part, nn.Conv1d) and part.bias is not None:
                nn.init.kaiming_normal_(part.weight, a=_LEAK, nonlinearity="leaky_relu")
                nn.init.zeros_(part.bias)
        nn.init.normal_(self.class_token, std=_CLASS_TOKEN_SD)

    def forward(self, signal: Tensor) -> Tensor:
        """Features (batch, width) of signals (batch, channel, time)."""
        hidden = self.stem(signal)  # (batch, width, time)
        for _ in range(self.settings.transformer.n_conv):
            hidden = self.shared(hidden)
        tokens = hidden.transpose(1, 2)  # (batch, token, width)
        first = self.class_token.expand(len(tokens), 1, -1)
        tokens = torch.cat([first, tokens], dim=1) * math.sqrt(self.n_features)
        tokens = self.dropout(tokens + self.positions)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens[:, 0]


def sinusoidal_positions(n_tokens: int, width: int) -> Tensor:
    """Sines in even, cosines in odd columns, base 10 000; shape (n_tokens, width)."""
    steps = torch.arange(n_tokens, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(n_tokens, width)
    table[:, 0::2] = torch.sin(steps * rates)
    table[:, 1::2] = torch.cos(steps * rates)[:, : width // 2]
    return table


ENCODERS: Registry[type[Encoder]] = Registry("encoder")
ENCODERS["cnn2d"] = Cnn2d
ENCODERS["cnn1d_transformer"] = Cnn1dTransformer
ENCODERS["cnn2d_compact"] = Cnn2dCompact
ENCODERS["cnn1d_compact"] = Cnn1dCompact
ENCODERS["cnn2d_small"] = Cnn2dSmall
ENCODERS["resnet"] = Resnet
ENCODERS["resnet2d"] = Resnet2d
ENCODERS["lstm"] = Lstm
ENCODERS["vit"] = Vit
ENCODERS["mlp"] = Mlp
