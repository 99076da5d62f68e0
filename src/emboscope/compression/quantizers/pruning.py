"""Zeros without levels: the largest weights are kept, or those beyond learned thresholds."""

import math

import torch
from torch import Tensor, nn

from emboscope.compression.quantizers.contract import QUANTIZERS, Quantizer
from emboscope.compression.quantizers.settings import QuantizerSettings
from emboscope.compression.quantizers.ternary import statistics
from emboscope.learning.architecture import Scheduled

_RISE = 0.75  # of all steps, while zeros become more


class Magnitude(Quantizer, Scheduled):
    """Magnitude pruning: a mask of the largest weights, the others 0 for good.

    In one shot, the mask is that of the trained weights. With `gradual` the share of zeros rises
    during the first three quarters of the fine-tuning as sparsity·(1 − (1 − t)³), fast at first
    [1]_; what is pruned next is the smallest of what has been learned so far.

    References
    ----------
    .. [1] Zhu, M., Gupta, S. (2017). To prune, or not to prune: exploring the efficacy of pruning
       for model compression. Equation 1.
    """

    mask: Tensor

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))
        self.share = 0.0 if self.settings.gradual else self.settings.sparsity  # of zeros, wanted
        self._prune(weight.detach())

    def advance(self, share: float) -> None:
        """Raise the share of zeros, in hundredths of the way."""
        if self.settings.gradual:
            done = min(1.0, math.floor(100 * share / _RISE) / 100)
            self.share = self.settings.sparsity * (1 - (1 - done) ** 3)

    def forward(self, weight: Tensor) -> Tensor:
        """The kept weights; the others are 0 and get no gradient."""
        if self.training:
            self._prune(weight.detach())
        return weight * self.mask

    def _prune(self, weight: Tensor) -> None:
        """Mask the smallest, after those that are masked already."""
        n_zeros = int(self.share * weight.numel())
        if n_zeros > weight.numel() - int(self.mask.sum()):
            size = (weight.abs() * self.mask).flatten()
            mask = torch.ones_like(size, dtype=torch.bool)
            mask[size.argsort(stable=True)[:n_zeros]] = False
            self.mask.copy_(mask.view_as(self.mask))


def pruning_function(weight: Tensor, lower: Tensor, upper: Tensor, alpha: float) -> Tensor:
    """Manessi's function with thresholds of either side, lower = δ_n and upper = δ_x [1]_.

    p(w) = ReLU(w − δ_x) + δ_x·S(α(w − δ_x)) − ReLU(−w − δ_n) − δ_n·S(α(−w − δ_n)).

    References
    ----------
    .. [1] Manessi, F., Rozza, A., Bianco, S., Napoletano, P., Schettini, R. (2018). Automated
       pruning for deep neural network compression. ICPR. Made asymmetric by pTTQ.
    """
    above, below = weight - upper, -weight - lower
    return (
        above.relu()
        + upper * (alpha * above).sigmoid()
        - below.relu()
        - lower * (alpha * below).sigmoid()
    )


class LearnedPruning(Quantizer):
    """Pruning at learned thresholds μ ∓ t·σ, without levels.

    Zeros are those between the thresholds by comparison, not by the underflow of a sigmoid; the
    gradients are those of `pruning_function`.
    """

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        self.log_t = nn.Parameter(weight.detach().new_tensor(self.start(1.0, 1.0)).log())

    def forward(self, weight: Tensor) -> Tensor:
        """The pruned weights."""
        mean, sd = statistics(weight)
        t_min, t_max = self.log_t.exp().unbind()
        below, above = (t_min * sd - mean).clamp_min(0), (mean + t_max * sd).clamp_min(0)
        kept = (weight > above) | (weight < -below)
        return pruning_function(weight, below, above, self.settings.alpha) * kept


QUANTIZERS["magnitude"] = Magnitude
QUANTIZERS["learned_pruning"] = LearnedPruning
