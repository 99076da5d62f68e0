"""Ternary weights: TWN, TTQ, aTTQ and pTTQ in their corrected forms."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from emboscope.compression.quantizers.contract import QUANTIZERS, Quantizer
from emboscope.compression.quantizers.settings import QuantizerSettings
from emboscope.errors import SettingsError
from emboscope.learning.architecture import Penalized

_TWN_SHARE = 0.7  # of the mean absolute weight


class _Ternary(torch.autograd.Function):
    """Three levels, with the gradients that `ternarize` tells."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        lower: Tensor,
        upper: Tensor,
        scale_negative: Tensor,
        scale_positive: Tensor,
        steepness: Tensor | None,
    ) -> Tensor:
        positive, negative = weight > upper, weight < lower
        ctx.save_for_backward(
            weight, lower, upper, scale_negative, scale_positive, positive, negative, steepness
        )
        return positive * scale_positive - negative * scale_negative

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weight, lower, upper, left, right, positive, negative, steepness = ctx.saved_tensors
        slope = torch.where(positive, right, torch.where(negative, left, torch.ones_like(right)))
        of_lower = of_upper = None
        if steepness is not None:
            rise = _logistic_slope(steepness * (weight - upper))
            of_upper = -steepness * right * (gradient * rise).sum()
            rise = _logistic_slope(steepness * (lower - weight))
            of_lower = -steepness * left * (gradient * rise).sum()
        of_right, of_left = (gradient * positive).sum(), -(gradient * negative).sum()
        return gradient * slope, of_lower, of_upper, of_left, of_right, None


def _logistic_slope(value: Tensor) -> Tensor:
    """S(x)·(1 − S(x))."""
    share = value.sigmoid()
    return share * (1 - share)


def ternarize(
    weight: Tensor,
    lower: Tensor,
    upper: Tensor,
    scale_negative: Tensor,
    scale_positive: Tensor,
    steepness: Tensor | None = None,
) -> Tensor:
    """Three levels: `-scale_negative` below `lower`, `scale_positive` above `upper`, else 0.

    The scales get their true gradients, the sum of the gradient over the positive weights and minus
    the sum over the negative ones (the authors' code, and the print of [1]_, lack that minus). The
    weight gets a surrogate: the gradient times the scale of its level, and times 1 at level 0.

    With `steepness` k the thresholds learn: their gradients are those of
    W_r·S(k·(w − upper)) − W_l·S(k·(lower − w)), with S the logistic function.

    Parameters
    ----------
    weight : Tensor, any shape
        Full-precision (latent) weights.
    lower, upper : Tensor, scalar
        Thresholds, in the unit of the weights.
    scale_negative, scale_positive : Tensor, scalar
        Positive numbers.
    steepness : Tensor, scalar, optional
        In one over the unit of the weights. Without it no gradient flows to the thresholds.

    Returns
    -------
    ternary : Tensor, shape of `weight`

    References
    ----------
    .. [1] Zhu, C., Han, S., Mao, H., Dally, W. J. (2017). Trained ternary quantization. ICLR.
    """
    arguments = (weight, lower, upper, scale_negative, scale_positive, steepness)
    return _Ternary.apply(*arguments)


def start_scales(weight: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Mean size of the weights below and above the thresholds, (2,); where none is, of all."""
    fallback = weight.abs().mean().clamp_min(torch.finfo(weight.dtype).tiny)
    sides = (-weight[weight < lower], weight[weight > upper])
    return torch.stack([side.mean() if side.numel() else fallback for side in sides]).abs()


class TWN(Quantizer):
    """Ternary weight network: threshold 0.7·mean|w|, one scale, nothing learned but the weights.

    References
    ----------
    .. [1] Li, F., Liu, B. (2016). Ternary weight networks.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """The ternary weights; the gradient passes as if they were the latent ones."""
        size = weight.detach().abs()
        delta = _TWN_SHARE * size.mean()
        over = size > delta
        scale = (size * over).sum() / over.sum().clamp_min(1)
        ternary = scale * over * weight.detach().sign()
        return ternary + (weight - weight.detach())  # the second term is exactly 0


class TTQ(Quantizer):
    """Trained ternary quantization in its corrected form, one threshold and two scales a tensor.

    The threshold is a share of the largest absolute weight. The scales start at the mean of the
    weights that they stand for (at the mean absolute weight where a side is empty) and are learned
    as logarithms, so that they stay positive. With `normalize` the latent weights are divided by
    their largest size once, at the start; the scales are not.

    References
    ----------
    .. [1] Zhu, C., Han, S., Mao, H., Dally, W. J. (2017). Trained ternary quantization. ICLR.
    """

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__(weight, settings)
        weight = weight.detach()
        latent = self.right_inverse(weight)
        self._prepare(latent)
        scales = start_scales(latent, *self.thresholds(latent)) * _ratio(weight, latent)
        self.log_scales = nn.Parameter(scales.log())  # of the negative, the positive

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The latent weights from which a layer starts."""
        if not self.settings.normalize:
            return weight
        return weight / weight.abs().max().clamp_min(torch.finfo(weight.dtype).tiny)

    def _prepare(self, weight: Tensor) -> None:
        """Set up what `thresholds` reads."""

    def thresholds(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper, in the unit of the weights."""
        delta = self.settings.threshold * weight.detach().abs().max()
        return -delta, delta

    def steepness(self, weight: Tensor) -> Tensor | None:
        """Of the slope at the thresholds; None where they are not learned."""
        return None

    def forward(self, weight: Tensor) -> Tensor:
        """The ternary weights, in training and evaluation alike."""
        lower, upper = self.thresholds(weight)
        left, right = self.log_scales.exp().unbind()
        return ternarize(weight, lower, upper, left, right, self.steepness(weight))


class ATTQ(TTQ):
    """Asymmetric TTQ in its corrected form: thresholds μ + t_min·σ and μ + t_max·σ, not learned.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2023). Asymmetric
       trained ternary quantization.
    """

    def _prepare(self, weight: Tensor) -> None:
        self.t_min, self.t_max = self.start(-1.0, 0.5)
        if self.t_min >= self.t_max:
            raise SettingsError(
                f"attq: t_min {self.t_min} is not below t_max {self.t_max}; expected a lower and "
                "an upper threshold. Published: -1 and 0.5."
            )

    def thresholds(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """μ + t_min·σ and μ + t_max·σ."""
        mean, sd = statistics(weight)
        return mean + self.t_min * sd, mean + self.t_max * sd


class PTTQ(TTQ, Penalized):
    """Trained pruned ternary quantization in its corrected form: the thresholds learn.

    lower = min(μ − t_min·σ, 0), upper = max(μ + t_max·σ, 0), where the logarithms of t_min and
    t_max are learned with the gradient of the loss (the released code leaves the loss out of it),
    at slopes of steepness κ/σ. `pressure` adds λ·share·(Q(t_min) + Q(t_max)) to the loss, the
    density that is expected of Gaussian weights, by the layer's share of all multiply-adds.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2024). Trained pruned
       ternary quantization for learning accurate and compact deep neural networks.
    """

    def _prepare(self, weight: Tensor) -> None:
        t_min, t_max = self.start(1.0, 1.0)
        if min(t_min, t_max) <= 0:
            raise SettingsError(
                f"pttq: t_min {t_min}, t_max {t_max}; expected positive numbers of standard "
                "deviations. Published: 1 to 4.5."
            )
        values = [t_max] if self.settings.symmetric else [t_min, t_max]
        self.log_t = nn.Parameter(weight.new_tensor(values).log())
        self.share = 1.0  # of the multiply-adds of all quantized layers

    @property
    def t(self) -> tuple[Tensor, Tensor]:
        """t_min and t_max."""
        values = self.log_t.exp()
        return values[0], values[-1]

    def thresholds(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """μ − t_min·σ and μ + t_max·σ, kept on their sides of 0."""
        t_min, t_max = self.t
        if not self.settings.statistics:
            return -t_min, t_max
        mean, sd = statistics(weight)
        return (mean - t_min * sd).clamp_max(0), (mean + t_max * sd).clamp_min(0)

    def steepness(self, weight: Tensor) -> Tensor:
        """κ/σ."""
        _, sd = statistics(weight)
        return self.settings.steepness / sd.clamp_min(torch.finfo(sd.dtype).tiny)

    @property
    def pressed(self) -> bool:
        """Whether there is a pressure."""
        return self.settings.pressure > 0

    def penalty(self) -> Tensor:
        """What the training adds to its loss."""
        density = torch.stack([0.5 * torch.erfc(t / math.sqrt(2)) for t in self.t]).sum()
        return self.settings.pressure * self.share * density


def _ratio(weight: Tensor, latent: Tensor) -> Tensor:
    """How much larger weights are than the latent ones; 1 where all are 0."""
    largest, of_latent = weight.abs().max(), latent.abs().max()
    return torch.where(of_latent > 0, largest / of_latent, torch.ones_like(largest))


def statistics(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation, taken as constants; one weight deviates by 0."""
    weight = weight.detach()
    sd = weight.std() if weight.numel() > 1 else torch.zeros_like(weight.sum())
    return weight.mean(), sd


QUANTIZERS["twn"] = TWN
QUANTIZERS["ttq"] = TTQ
QUANTIZERS["attq"] = ATTQ
QUANTIZERS["pttq"] = PTTQ
