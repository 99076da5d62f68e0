"""Small encoders for two cores and for devices: strides, batch norm, global pooling."""

import torch
from torch import Tensor, nn

from emboscope.learning.architecture import Encoder, NetworkSettings

_COMPRESSION = 4.0  # of the logarithmic channel, in standard deviations of the training part


class Cnn2dCompact(Encoder):
    """Four convolutions of an image, the first and third of stride 2; mean and maximum pooled.

    Images with a side over 64 pass a stride of 2 in the second and fourth too, so that the cost
    stays small.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_freqs, n_frames), sides of at least 4.
    settings : NetworkSettings, optional
        `compact_width` filters in the first half; the second has twice as many.
    """

    view = "spectrogram"
    learning_rate = 6e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(3, 4)
        width = self.settings.compact_width
        step = 2 if max(shape[1:]) > 64 else 1
        self.blocks = nn.Sequential(
            _block2d(shape[0], width, 2),
            _block2d(width, width, step),
            _block2d(width, 2 * width, 2),
            _block2d(2 * width, 2 * width, step),
        )
        self.norm = nn.BatchNorm1d(4 * width)
        self.n_features = 4 * width

    def forward(self, image: Tensor) -> Tensor:
        """Features (batch, n_features) of images (batch, channel, freq, frame)."""
        hidden = self.blocks(image)  # (batch, 2 width, freq, frame)
        return self.norm(torch.cat([hidden.mean((2, 3)), hidden.amax((2, 3))], dim=1))


class Cnn1dCompact(Encoder):
    """A stem and residual blocks of stride 2 on the waveform; mean and maximum pooled.

    The waveform is seen twice, as it is and as sign(x)·log(1 + 4|x|), so that both small and
    large amplitudes are resolved. Signals over 512 samples pass a stem of stride 4.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_times), at least 16 samples.
    settings : NetworkSettings, optional
        `compact_width` filters in the stem.
    """

    view = "waveform"
    learning_rate = 6e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(2, 16)
        width = self.settings.compact_width
        step = 4 if shape[1] > 512 else 2
        self.stem = nn.Sequential(
            nn.Conv1d(2 * shape[0], width, 9, step, 4, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        widths = [width, width, 2 * width, 2 * width + width // 2]
        self.blocks = nn.Sequential(
            *(_Residual1d(widths[index], widths[index + 1]) for index in range(3))
        )
        self.norm = nn.BatchNorm1d(2 * widths[-1])
        self.n_features = 2 * widths[-1]

    def forward(self, signal: Tensor) -> Tensor:
        """Features (batch, n_features) of signals (batch, channel, time)."""
        compressed = signal.sign() * torch.log1p(_COMPRESSION * signal.abs())
        hidden = self.stem(torch.cat([signal, compressed], dim=1))  # (batch, width, time)
        hidden = self.blocks(hidden)  # (batch, 2.5 width, time)
        return self.norm(torch.cat([hidden.mean(2), hidden.amax(2)], dim=1))


class _Residual1d(nn.Module):
    """Two convolutions of 5, the first of stride 2, beside an averaged shortcut."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv1d(n_in, n_out, 5, 2, 2, bias=False),
            nn.BatchNorm1d(n_out),
            nn.ReLU(),
            nn.Conv1d(n_out, n_out, 5, 1, 2, bias=False),
            nn.BatchNorm1d(n_out),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool1d(2, ceil_mode=True),
            nn.Conv1d(n_in, n_out, 1, bias=False),
            nn.BatchNorm1d(n_out),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.relu(self.main(hidden) + self.shortcut(hidden))  # (batch, n_out, ⌈time/2⌉)


def _block2d(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
    )
