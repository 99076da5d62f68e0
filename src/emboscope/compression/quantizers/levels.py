"""Weights of few bits: DoReFa, whole numbers of 4 or 8 bits, and levels that are learned."""

import torch
from torch import Tensor, nn

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
    """Whole numbers times a scale of each output channel: largest |w| over 2^(bits − 1) − 1.

    With `rounding` stochastic, training sees a weight rounded up as often as it lies near the upper
    number, so that its mean is the weight [1]_; evaluation rounds to the nearest.

    References
    ----------
    .. [1] Gupta, S., Agrawal, A., Gopalakrishnan, K., Narayanan, P. (2015). Deep learning with
       limited numerical precision. ICML.
    """

    n_bits = 8

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weights; the gradient passes as if they were not."""
        most = 2 ** (self.n_bits - 1) - 1
        exact = weight.detach()
        largest = exact.abs().flatten(1).amax(1).clamp_min(torch.finfo(exact.dtype).tiny)
        step = (largest / most).reshape(-1, *[1] * (exact.dim() - 1))
        return self._rounded(exact / step).clamp(-most, most) * step + (weight - exact)

    def _rounded(self, numbers: Tensor) -> Tensor:
        if self.training and self.settings.rounding == "stochastic":
            return (numbers + torch.rand_like(numbers)).floor()
        return numbers.round()


class Uniform4(Uniform):
    """The same with 4 bits."""

    n_bits = 4


class Codebook(Quantizer):
    """At most `n_levels` values in a layer, which are learned: each weight shows the nearest one.

    The levels start at the means of k-means, from equal steps between the extremes, and get the
    sum of the gradients of their weights [1]_. There the assignment stays; here latent weights
    learn too, as if they were not rounded, and may go over to another level.

    References
    ----------
    .. [1] Han, S., Mao, H., Dally, W. J. (2016). Deep compression: compressing deep neural networks
       with pruning, trained quantization and Huffman coding. ICLR. Section 3.
    """

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        self.levels = nn.Parameter(kmeans_levels(weight.detach(), self.settings.n_levels))

    def forward(self, weight: Tensor) -> Tensor:
        """The level nearest to each weight."""
        levels = self.levels.sort().values
        nearest = torch.bucketize(weight.detach(), _middles(levels.detach()))
        return levels[nearest] + (weight - weight.detach())


def kmeans_levels(weight: Tensor, n_levels: int, n_rounds: int = 50) -> Tensor:
    """Means of k-means over the values of a tensor, in order, at most `n_levels` of them.

    Parameters
    ----------
    weight : Tensor, any shape
    n_levels : int
        As many start at equal steps; those that no value is nearest to are left out at the end.
    n_rounds : int
        At most.
    """
    values = weight.flatten().double().sort().values
    sums = torch.cat([values.new_zeros(1), values.cumsum(0)])
    levels = torch.linspace(float(values[0]), float(values[-1]), n_levels, dtype=values.dtype)
    for _ in range(n_rounds):
        edges = torch.searchsorted(values, _middles(levels), right=False)
        bounds = torch.cat([edges.new_zeros(1), edges, edges.new_tensor([len(values)])])
        counts = bounds.diff()
        means = sums[bounds].diff() / counts.clamp_min(1)
        moved = torch.where(counts > 0, means, levels)
        if torch.equal(moved, levels):
            break
        levels = moved
    return levels[counts > 0].to(weight.dtype)


def _middles(levels: Tensor) -> Tensor:
    """Halfway between neighbors."""
    return (levels[1:] + levels[:-1]) / 2


QUANTIZERS["dorefa"] = DoReFa
QUANTIZERS["int8"] = Uniform
QUANTIZERS["int4"] = Uniform4
QUANTIZERS["codebook"] = Codebook
