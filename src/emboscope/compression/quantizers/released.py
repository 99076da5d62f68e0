"""TTQ, aTTQ and pTTQ as their released code computes them: for comparison alone.

What is kept on purpose: scales that start at 1, the wrong sign of the gradient of the negative
scale, two positive levels at the start of aTTQ, zeros of pTTQ by the underflow of a sigmoid in
single precision, and gradients of its thresholds that do not know the loss.
"""

from typing import Any

import torch
from torch import Tensor, nn

from emboscope.compression.quantizers.contract import Quantizer
from emboscope.compression.quantizers.pruning import pruning_function
from emboscope.compression.quantizers.settings import QuantizerSettings
from emboscope.compression.quantizers.ternary import statistics

_LEAST_T = 1e-8


class _ReleasedTernary(torch.autograd.Function):
    """Levels −W_l, 0, W_r with the released gradients; `sign` is that of the level W_l."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, positive: Tensor, negative: Tensor, scales: Tensor, sign: int
    ) -> Tensor:
        ctx.save_for_backward(positive, negative, scales)
        left, right = scales.unbind()
        return positive * right + sign * negative * left

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        positive, negative, scales = ctx.saved_tensors
        left, right = scales.unbind()
        slope = torch.where(positive, right, torch.where(negative, left, torch.ones_like(right)))
        of_scales = torch.stack([(gradient * negative).sum(), (gradient * positive).sum()])
        return gradient * slope, None, None, of_scales, None


class ReleasedTTQ(Quantizer):
    """TTQ: scales from 1, and +Σ g over the negative weights as gradient of W_l.

    With `normalize` the levels, not the latent weights, are divided by the larger one, and only
    while training, so that other weights are evaluated than trained.
    """

    sign = -1

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        self.scales = nn.Parameter(weight.detach().new_ones(2))  # of the negative, the positive

    def masks(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Which weights are positive, and which negative."""
        delta = self.settings.threshold * weight.abs().max()
        return weight > delta, weight < -delta

    def forward(self, weight: Tensor) -> Tensor:
        """The ternary weights."""
        positive, negative = self.masks(weight.detach())
        levels = _ReleasedTernary.apply(weight, positive, negative, self.scales, self.sign)
        assert isinstance(levels, Tensor)
        if not (self.settings.normalize and self.training):
            return levels
        largest = levels.detach().abs().max().clamp_min(torch.finfo(levels.dtype).tiny)
        return levels + (levels / largest - levels).detach()


class ReleasedATTQ(ReleasedTTQ):
    """aTTQ: both levels start at +1."""

    sign = 1

    def masks(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Beyond μ + t_min·σ and μ + t_max·σ."""
        mean, sd = statistics(weight)
        t_min, t_max = self.start(-1.0, 0.5)
        return weight > mean + t_max * sd, weight < mean + t_min * sd


class _Drift(torch.autograd.Function):
    """Nothing but a gradient for the thresholds: the sum of that of p, without the loss."""

    @staticmethod
    def forward(ctx: Any, levels: Tensor, t: Tensor, gradient_of_t: Tensor) -> Tensor:
        ctx.save_for_backward(gradient_of_t)
        return levels.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_of_t,) = ctx.saved_tensors
        return gradients[0], gradient_of_t, None


class ReleasedPTTQ(ReleasedTTQ):
    """pTTQ: δ = |μ + t·σ| on both sides, and the sign of p in single precision."""

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        self.t = nn.Parameter(weight.new_tensor(self.start(1.0, 1.0)))

    def pruned(self, weight: Tensor, t: Tensor) -> Tensor:
        """p(w) at thresholds t_min, t_max."""
        mean, sd = statistics(weight)
        below, above = (mean + t.clamp_min(_LEAST_T) * sd).abs().unbind()
        return pruning_function(weight, below, above, self.settings.alpha)

    def masks(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """By the sign of p, whose zeros stem from underflow."""
        pruned = self.pruned(weight.float(), self.t.detach().float())
        return pruned > 0, pruned < 0

    def forward(self, weight: Tensor) -> Tensor:
        """The ternary weights."""
        levels = super().forward(weight)
        if not torch.is_grad_enabled():
            return levels
        with torch.enable_grad():
            t = self.t.detach().requires_grad_()
            (drift,) = torch.autograd.grad(self.pruned(weight.detach(), t).sum(), t)
        drifted = _Drift.apply(levels, self.t, drift)
        assert isinstance(drifted, Tensor)
        return drifted


RELEASED: dict[str, type[Quantizer]] = {
    "ttq": ReleasedTTQ,
    "attq": ReleasedATTQ,
    "pttq": ReleasedPTTQ,
}
