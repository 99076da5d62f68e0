"""Quantizers on the layers of a network, and off again."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

from emboscope.compression.quantizers.contract import QUANTIZERS, Quantizer
from emboscope.compression.quantizers.released import RELEASED
from emboscope.compression.quantizers.settings import QuantizerSettings
from emboscope.compression.quantizers.ternary import PTTQ
from emboscope.errors import SettingsError


def weighted_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The layers of a network whose weights may be quantized, by name, in the order of its modules.

    They are convolutions, linear layers, and attentions, whose projections of queries, keys and
    values are one tensor; that of the output is a linear layer of its own.
    """
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.MultiheadAttention)
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, kinds) and getattr(module, weight_name(module)) is not None
    }


def weight_name(layer: nn.Module) -> str:
    """The attribute that holds the weights of a layer."""
    return "in_proj_weight" if isinstance(layer, nn.MultiheadAttention) else "weight"


def weight_of(layer: nn.Module) -> Tensor:
    """The weights of a layer, as it computes with them."""
    weight = getattr(layer, weight_name(layer))
    assert isinstance(weight, Tensor)
    return weight


def quantize(
    network: nn.Module,
    names: Iterable[str],
    method: str = "ttq",
    settings: QuantizerSettings | None = None,
    macs: Mapping[str, int] | None = None,
) -> nn.Module:
    """Parametrize the weights of the named layers, in place; the rest stays as it is.

    The state dict then holds the latent weights, scales and thresholds of each of these layers.

    Parameters
    ----------
    network : Module
    names : iterable of str
        In `weighted_layers`.
    method : str
        A name in `QUANTIZERS`.
    settings : QuantizerSettings, optional
    macs : mapping of str to int, optional
        Multiply-adds of each layer, by which the pressure towards zeros is shared out; equal
        without.

    Raises
    ------
    SettingsError
        If the method is unknown, or a layer is none that can be quantized.
    """
    settings = settings or QuantizerSettings()
    kind = _kind(method, settings)
    layers, made = weighted_layers(network), {}
    for name in names:
        if name not in layers or parametrize.is_parametrized(layers[name]):
            raise SettingsError(
                f"layer '{name}': not there, or already quantized; expected one of "
                f"{', '.join(layers)}. Name a full-precision convolution or linear layer."
            )
        layer = layers[name]
        made[name] = kind(weight_of(layer), settings)
        parametrize.register_parametrization(layer, weight_name(layer), made[name])
    learned = {name: each for name, each in made.items() if isinstance(each, PTTQ)}
    counts = {name: 1 if macs is None else macs.get(name, 0) for name in learned}
    for name, quantizer in learned.items():
        quantizer.share = counts[name] / max(sum(counts.values()), 1)
        if settings.shared:
            quantizer.log_t = next(iter(learned.values())).log_t
    return network


def _kind(method: str, settings: QuantizerSettings) -> type[Quantizer]:
    """The class of a method in its profile."""
    corrected = QUANTIZERS[method]
    if settings.profile == "corrected":
        return corrected
    if method not in RELEASED:
        raise SettingsError(
            f"quantizer.profile: '{method}' has no released form; expected {', '.join(RELEASED)}. "
            "Leave the profile out."
        )
    return RELEASED[method]


def quantized_layers(network: nn.Module) -> list[str]:
    """Names of the layers that are parametrized."""
    layers = weighted_layers(network).items()
    return [name for name, layer in layers if parametrize.is_parametrized(layer)]


def settle(network: nn.Module) -> nn.Module:
    """Replace each parametrization by the weights that it shows, in place.

    The network computes the same, its state dict has the names of the original, and nothing of the
    latent weights is left.
    """
    for name in quantized_layers(network):
        layer = network.get_submodule(name)
        weight = weight_of(layer)
        # By hand: PyTorch's removal edits the class, which a deep copy shares with its original.
        del layer.parametrizations
        layer.__class__ = type(layer).__bases__[0]
        setattr(layer, weight_name(layer), nn.Parameter(weight.detach().clone()))
    return network
