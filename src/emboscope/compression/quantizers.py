"""Quantizers: parametrizations that show a layer ternary weights and learn the full ones."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from emboscope.errors import SettingsError
from emboscope.registry import Registry

QUANTIZERS: Registry[type[nn.Module]] = Registry("quantizer")


def ternarize(
    weight: Tensor, lower: Tensor, upper: Tensor, scale_negative: Tensor, scale_positive: Tensor
) -> Tensor:
    """Three levels: `-scale_negative` below `lower`, `scale_positive` above `upper`, else 0.

    The scales get their true gradients, the sum of the gradient over the positive weights and minus
    the sum over the negative ones (the authors' code, and the print of [1]_, lack that minus). The
    weight gets a surrogate: the gradient times the scale of its level, and times 1 at level 0.

    Parameters
    ----------
    weight : Tensor, any shape
        Full-precision (latent) weights.
    lower, upper : Tensor, scalar
        Thresholds, in the unit of the weights; no gradient flows to them.
    scale_negative, scale_positive : Tensor, scalar
        Positive numbers.

    Returns
    -------
    ternary : Tensor, shape of `weight`

    References
    ----------
    .. [1] Zhu, C., Han, S., Mao, H., Dally, W. J. (2017). Trained ternary quantization. ICLR.
    """
    positive = (weight > upper).to(weight.dtype)
    negative = (weight < lower).to(weight.dtype)
    slope = positive * scale_positive + negative * scale_negative + (1 - positive - negative)
    ternary = positive * scale_positive - negative * scale_negative
    return ternary + slope.detach() * (weight - weight.detach())  # the second term is exactly 0


class TTQ(nn.Module):
    """Trained ternary quantization in its corrected form, one threshold and two scales a tensor.

    The threshold is a share of the largest absolute weight. The scales start at the mean of the
    weights that they stand for (at the mean absolute weight where a side is empty) and are learned
    as logarithms, so that they stay positive.

    Parameters
    ----------
    weight : Tensor, any shape
        The trained weights, from which the scales start.
    threshold : float
        Share of the largest absolute weight, in [0, 1).

    References
    ----------
    .. [1] Zhu, C., Han, S., Mao, H., Dally, W. J. (2017). Trained ternary quantization. ICLR.
    """

    def __init__(self, weight: Tensor, threshold: float = 0.05) -> None:
        super().__init__()
        if not 0 <= threshold < 1:
            raise SettingsError(
                f"ttq: threshold is {threshold}; expected a share of the largest weight, from 0 "
                "to below 1. The paper uses 0.05."
            )
        self.threshold = threshold
        weight = weight.detach()
        delta = self.delta(weight)
        fallback = weight.abs().mean().clamp_min(torch.finfo(weight.dtype).tiny)
        sides = (-weight[weight < -delta], weight[weight > delta])
        scales = [side.mean() if side.numel() else fallback for side in sides]
        self.log_scales = nn.Parameter(torch.stack(scales).log())  # of the negative, the positive

    def delta(self, weight: Tensor) -> Tensor:
        """The threshold in the unit of the weights."""
        return self.threshold * weight.detach().abs().max()

    def forward(self, weight: Tensor) -> Tensor:
        """The ternary weights, in training and evaluation alike."""
        delta = self.delta(weight)
        scale_negative, scale_positive = self.log_scales.exp().unbind()
        return ternarize(weight, -delta, delta, scale_negative, scale_positive)


QUANTIZERS["ttq"] = TTQ


def weighted_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The convolution and linear layers of a network, by name, in the order of its modules."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    return {name: module for name, module in network.named_modules() if isinstance(module, kinds)}


def quantize(network: nn.Module, names: Iterable[str], method: str = "ttq") -> nn.Module:
    """Parametrize the weights of the named layers, in place; the rest stays as it is.

    The state dict then holds the latent weights and the scales of each of these layers.

    Raises
    ------
    SettingsError
        If the method is unknown, or a layer is none that can be quantized.
    """
    quantizer = QUANTIZERS[method]
    layers = weighted_layers(network)
    for name in names:
        if name not in layers or parametrize.is_parametrized(layers[name], "weight"):
            raise SettingsError(
                f"layer '{name}': not there, or already quantized; expected one of "
                f"{', '.join(layers)}. Name a full-precision convolution or linear layer."
            )
        weight = layers[name].weight
        assert isinstance(weight, Tensor)
        parametrize.register_parametrization(layers[name], "weight", quantizer(weight))
    return network


def quantized_layers(network: nn.Module) -> list[str]:
    """Names of the layers that are parametrized."""
    layers = weighted_layers(network).items()
    return [name for name, layer in layers if parametrize.is_parametrized(layer, "weight")]


def settle(network: nn.Module) -> nn.Module:
    """Replace each parametrization by the weights that it shows, in place.

    The network computes the same, its state dict has the names of the original, and nothing of the
    latent weights is left.
    """
    for name in quantized_layers(network):
        layer = network.get_submodule(name)
        weight = layer.weight
        assert isinstance(weight, Tensor)
        # By hand: PyTorch's removal edits the class, which a deep copy shares with its original.
        del layer.parametrizations
        layer.__class__ = type(layer).__bases__[0]
        layer.weight = nn.Parameter(weight.detach().clone())
    return network
