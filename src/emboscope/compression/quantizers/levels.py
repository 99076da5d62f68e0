"""Weights of few bits: DoReFa, and whole numbers of 4 or 8 bits."""

import torch
from torch import Tensor

from emboscope.compression.quantizers.contract import QUANTIZERS, Quantizer
from emboscope.compression.quantizers.settings import QuantizerSettings


def dorefa_levels(weight: Tensor, n_bits: int) -> Tensor:
    """2·quantize(tanh w / (2·max|tanh w|) + ½) − 1, in [−1, 1], of two bits or more [1]_.

    The gradient passes the rounding as if it were not there; the largest is a constant.

    References
    ----------
    .. [1] Zhou, S., et al. (2016). DoReFa-Net: training low bitwidth convolutional neural networks
       with low bitwidth gradients. Eq. 9.
    """
    squashed = weight.tanh()
    largest = squashed.detach().abs().max().clamp_min(torch.finfo(weight.dtype).tiny)
    steps = 2**n_bits - 1
    share = squashed / (2 * largest) + 0.5
    return 2 * (share + ((steps * share).round() / steps - share).detach()) - 1


class DoReFa(Quantizer):
    """One bit: mean|w|·sign(w). More: levels of tanh w, at the scale that fits best.

    The released code has one bit alone. The levels of the paper have no scale; here it is the
    least-squares one of the trained weights, so that a network without normalizations works too.
    """

    scale: Tensor

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        weight, scale = weight.detach(), weight.detach().new_ones(())
        if self.settings.n_bits > 1:
            levels = dorefa_levels(weight, self.settings.n_bits)
            scale = (levels * weight).sum() / levels.square().sum()
        self.register_buffer("scale", scale)

    def forward(self, weight: Tensor) -> Tensor:
        """The weights on 2^bits levels."""
        if self.settings.n_bits > 1:
            return self.scale * dorefa_levels(weight, self.settings.n_bits)
        sign = torch.where(weight.detach() >= 0, 1.0, -1.0).to(weight.dtype)
        return weight.detach().abs().mean() * sign + (weight - weight.detach())


class Uniform(Quantizer):
    """Whole numbers times a scale of each output channel: largest |w| over 2^(bits − 1) − 1."""

    n_bits = 8

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weights; the gradient passes as if they were not."""
        most = 2 ** (self.n_bits - 1) - 1
        exact = weight.detach()
        largest = exact.abs().flatten(1).amax(1).clamp_min(torch.finfo(exact.dtype).tiny)
        step = (largest / most).reshape(-1, *[1] * (exact.dim() - 1))
        return (exact / step).round() * step + (weight - exact)


class Uniform4(Uniform):
    """The same with 4 bits."""

    n_bits = 4


QUANTIZERS["dorefa"] = DoReFa
QUANTIZERS["int8"] = Uniform
QUANTIZERS["int4"] = Uniform4
