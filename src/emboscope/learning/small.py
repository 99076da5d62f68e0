"""The small CNN with which the effect of propagated labels was published."""

import torch
from torch import Tensor, nn

from emboscope.learning.architecture import Encoder, LinearHead, NetworkSettings

_KERNEL = 5
_WIDTHS = (10, 20)
_HIDDEN = 50
_DROPOUT = 0.5
_LARGEST_SIDE = 4  # of the last feature map
_SMALLEST_UNPADDED = 16


class Cnn2dSmall(Encoder):
    """Two convolutions of 5 × 5, each pooled, and a layer of 50: the published classifier [1]_.

    At (1, 20, 20) with 10 classes and (1, 28, 28) with 11 it has the published 9840 and 21,891
    parameters. In larger images the second pooling is widened until no side of the feature map is
    longer than 4, so that no image costs more; images with a side under 16 are padded.

    Dropout acts while training only. In the published code that of the hidden layer acts on the
    test part too, which lowers its figures and makes them vary.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_freqs, n_frames), sides of at least 4.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """

    view = "spectrogram"
    learning_rate = 5e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(3, 4)
        padding = _KERNEL // 2 if min(shape[1:]) < _SMALLEST_UNPADDED else 0
        lost = _KERNEL - 1 - 2 * padding  # of a side, by a convolution
        sides = [(side - lost) // 2 - lost for side in shape[1:]]  # before the second pooling
        windows = [max(2, -(-side // _LARGEST_SIDE)) for side in sides]
        self.blocks = nn.Sequential(
            nn.Conv2d(shape[0], _WIDTHS[0], _KERNEL, padding=padding),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(*_WIDTHS, _KERNEL, padding=padding),
            nn.Dropout2d(_DROPOUT),
            nn.MaxPool2d((windows[0], windows[1])),
            nn.ReLU(),
        )
        last = [side // window for side, window in zip(sides, windows, strict=True)]
        self.hidden = nn.Linear(_WIDTHS[1] * last[0] * last[1], _HIDDEN)
        self.n_features = _HIDDEN

    def head(self, n_classes: int) -> nn.Module:
        """The published head: half of the features dropped, and a linear layer."""
        return LinearHead(self.n_features, n_classes, _DROPOUT, "corrected")

    def forward(self, image: Tensor) -> Tensor:
        """Features (batch, 50) of images (batch, channel, freq, frame)."""
        maps = self.blocks(image)  # (batch, 20, at most 4, at most 4)
        return torch.relu(self.hidden(maps.flatten(1)))
