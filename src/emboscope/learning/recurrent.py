"""A recurrent network: convolutions shorten the waveform, an LSTM reads what is left."""

import torch
from torch import Tensor, nn

from emboscope.learning.architecture import Encoder, NetworkSettings

_MOST_STEPS = 128


class Lstm(Encoder):
    """A bidirectional LSTM behind convolutions of stride 2; mean and maximum over time [1]_, [2]_.

    Convolutions halve the waveform, at least once, until at most 128 steps are left: 88 of 1400
    samples, 89 of 178, 94 of 187. Mean and maximum make the output depend on the whole signal, not
    on what the LSTM still knows at its end.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, n_times), at least 16 samples.
    settings : NetworkSettings, optional
        `lstm`: `width` filters of each convolution, `hidden` units in each direction.

    References
    ----------
    .. [1] Hochreiter, S., Schmidhuber, J. (1997). Long short-term memory. Neural Computation, 9(8).
    .. [2] Graves, A., Schmidhuber, J. (2005). Framewise phoneme classification with bidirectional
       LSTM and other neural network architectures. Neural Networks, 18(5-6).
    """

    view = "waveform"
    learning_rate = 3e-3

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(2, 16)
        sizes = self.settings.lstm
        blocks = [_halving(shape[0], sizes.width)]
        n_steps = -(-shape[1] // 2)
        while n_steps > _MOST_STEPS:
            blocks.append(_halving(sizes.width, sizes.width))
            n_steps = -(-n_steps // 2)
        self.stem = nn.Sequential(*blocks)
        self.lstm = nn.LSTM(sizes.width, sizes.hidden, batch_first=True, bidirectional=True)
        self.n_features = 4 * sizes.hidden

    def forward(self, signal: Tensor) -> Tensor:
        """Features (batch, n_features) of signals (batch, channel, time)."""
        steps = self.stem(signal).transpose(1, 2)  # (batch, step, width)
        states, _ = self.lstm(steps)  # (batch, step, 2 hidden)
        return torch.cat([states.mean(1), states.amax(1)], dim=1)


def _halving(n_in: int, n_out: int) -> nn.Sequential:
    """Convolution of 5 with stride 2, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, 5, 2, 2, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()
    )
