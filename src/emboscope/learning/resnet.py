"""Residual networks: of three convolutions a block on the waveform, of two on an image."""

from torch import Tensor, nn

from emboscope.learning.architecture import Encoder, NetworkSettings

_KERNELS_1D = (7, 5, 3)
_KERNELS_2D = (3, 3)
_LONG = 512  # samples; longer signals begin with a stride of 4
_LARGE = 64  # rows or frames; larger images begin with a stride of 2


class Resnet(Encoder):
    """Three residual blocks on the waveform, and the mean over time [1]_.

    It departs from the published network, of 64, 128 and 128 filters without a stride, to be
    affordable: half of the filters, a stride of 2 in the second and third block, and one of 4 in
    the first where signals have over 512 samples. Kernels are 7, 5 and 3 instead of 8, 5 and 3, so
    that each has a middle.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_times), at least 16 samples.
    settings : NetworkSettings, optional
        `resnet_width` filters in the first block, twice as many in the others.

    References
    ----------
    .. [1] Wang, Z., Yan, W., Oates, T. (2017). Time series classification from scratch with deep
       neural networks: A strong baseline. IJCNN.
    """

    view = "waveform"
    learning_rate = 3e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(2, 16)
        width = self.settings.resnet_width
        step = 4 if shape[1] > _LONG else 1
        self.blocks = nn.Sequential(
            _residual1d(shape[0], width, step),
            _residual1d(width, 2 * width, 2),
            _residual1d(2 * width, 2 * width, 2),
        )
        self.n_features = 2 * width

    def forward(self, signal: Tensor) -> Tensor:
        """Features (batch, n_features) of signals (batch, channel, time)."""
        return self.blocks(signal).mean(2)


class Resnet2d(Encoder):
    """The residual network of eight layers for small images, and the mean over the image [1]_.

    A convolution and three blocks, the second and third of stride 2 and with twice the filters of
    the one before. It departs from the published family in its shortcuts, which are convolutions
    of 1 where the size changes, and in a first stride of 2 where a side of the image is over 64.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_freqs, n_frames), sides of at least 8.
    settings : NetworkSettings, optional
        Half of `resnet_width` filters in the first block.

    References
    ----------
    .. [1] He, K., Zhang, X., Ren, S., Sun, J. (2016). Deep residual learning for image
       recognition. CVPR. Section 4.2, with n = 1.
    """

    view = "spectrogram"
    learning_rate = 3e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(3, 8)
        width = max(1, self.settings.resnet_width // 2)
        step = 2 if max(shape[1:]) > _LARGE else 1
        self.stem = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, step, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            _residual2d(width, width, 1),
            _residual2d(width, 2 * width, 2),
            _residual2d(2 * width, 4 * width, 2),
        )
        self.n_features = 4 * width

    def forward(self, image: Tensor) -> Tensor:
        """Features (batch, n_features) of images (batch, channel, freq, frame)."""
        return self.blocks(self.stem(image)).mean((2, 3))


class _Residual(nn.Module):
    """A main path beside a shortcut, and a ReLU after their sum."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, hidden: Tensor) -> Tensor:
        return (self.main(hidden) + self.shortcut(hidden)).relu()


def _residual1d(n_in: int, n_out: int, stride: int) -> nn.Module:
    """Convolutions of 7, 5 and 3 beside one of 1; the time divided by the stride, rounded up."""
    return _residual(nn.Conv1d, nn.BatchNorm1d, (n_in, n_out), _KERNELS_1D, stride)


def _residual2d(n_in: int, n_out: int, stride: int) -> nn.Module:
    """Two convolutions of 3 × 3 beside one of 1; both sides divided by the stride, rounded up."""
    return _residual(nn.Conv2d, nn.BatchNorm2d, (n_in, n_out), _KERNELS_2D, stride)


def _residual(
    conv: type[nn.Conv1d] | type[nn.Conv2d],
    norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d],
    widths: tuple[int, int],
    kernels: tuple[int, ...],
    stride: int,
) -> nn.Module:
    """Convolutions with batch norm, the first with the stride; the shortcut where it can be."""
    n_in, n_out = widths
    layers: list[nn.Module] = []
    for at, kernel in enumerate(kernels):
        first = at == 0
        layers += [
            conv(n_in if first else n_out, n_out, kernel, stride if first else 1, kernel // 2,
                 bias=False),
            norm(n_out),
            nn.ReLU(),
        ]  # fmt: skip
    same = n_in == n_out and stride == 1
    shortcut = nn.Sequential(conv(n_in, n_out, 1, stride, bias=False), norm(n_out))
    return _Residual(nn.Sequential(*layers[:-1]), nn.Identity() if same else shortcut)
