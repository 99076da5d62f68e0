"""Zeros without levels: the largest weights are kept, or those beyond learned thresholds."""

import torch
from torch import Tensor, nn

from emboscope.compression.quantizers.contract import QUANTIZERS, Quantizer
from emboscope.compression.quantizers.settings import QuantizerSettings
from emboscope.compression.quantizers.ternary import statistics


class Magnitude(Quantizer):
    """Magnitude pruning in one shot: the mask of the largest trained weights stays."""

    mask: Tensor

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        size = weight.detach().abs().flatten()
        n_zeros = int(self.settings.sparsity * size.numel())
        mask = torch.ones_like(size, dtype=torch.bool)
        mask[size.argsort(stable=True)[:n_zeros]] = False
        self.register_buffer("mask", mask.reshape(weight.shape))

    def forward(self, weight: Tensor) -> Tensor:
        """The kept weights; the others are 0 and get no gradient."""
        return weight * self.mask


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
