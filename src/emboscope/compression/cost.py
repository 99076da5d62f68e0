"""What a network costs: bits before and after, sparsity of quantized weights, multiplications."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from emboscope.compression.encodings import FLOAT_BITS, is_ternary, stored_bits
from emboscope.compression.quantizers import weight_name, weight_of, weighted_layers
from emboscope.errors import SettingsError

_COORDINATE_BITS = 34  # of a non-zero, published: an index of 32 bits and a value of 2
_Convolution = nn.modules.conv._ConvNd
_TransposedConvolution = nn.modules.conv._ConvTransposeNd  # a kind of the former


@dataclass(frozen=True)
class LayerCost:
    """Size of one quantized weight tensor."""

    name: str
    n_weights: int
    n_zeros: int
    encoding: str
    bits: int  # its scales included

    @property
    def bits_before(self) -> int:
        """Bits in full precision."""
        return FLOAT_BITS * self.n_weights


@dataclass(frozen=True)
class Cost:
    """Size of a network, as it is and as it was in full precision."""

    layers: tuple[LayerCost, ...]  # those with quantized weights
    other_bits: int  # everything that stayed in full precision

    @property
    def bits(self) -> int:
        """Bits of the whole network."""
        return self.other_bits + sum(layer.bits for layer in self.layers)

    @property
    def bits_before(self) -> int:
        """Bits of the same network in full precision."""
        return self.other_bits + sum(layer.bits_before for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """SRQW: zeros among the quantized weights, in [0, 1]; NaN without any."""
        zeros = sum(layer.n_zeros for layer in self.layers)
        return _ratio(zeros, sum(layer.n_weights for layer in self.layers))

    @property
    def gain(self) -> float:
        """CR_G^T: share of all bits that is saved; negative when the network grew."""
        return 1 - self.bits / self.bits_before

    @property
    def gain_quantized(self) -> float:
        """CR_G^Q: the same over the quantized tensors alone; NaN without any."""
        after = sum(layer.bits for layer in self.layers)
        return 1 - _ratio(after, sum(layer.bits_before for layer in self.layers))


def cost(network: nn.Module, profile: Literal["honest", "slides"] = "honest") -> Cost:
    """Count the bits of a network whose quantized layers are found by their values.

    Parameters
    ----------
    network : Module
        With or without parametrizations.
    profile : {"honest", "slides"}
        "honest" takes for each tensor the smallest form of `encodings.stored_bits`, and counts the
        statistics of batch normalization. "slides" is the published rule: 34 bits a non-zero
        weight of ternary tensors, 1 bit of those of two levels, and parameters only.

    Returns
    -------
    cost : Cost

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2023). Trained pruned
       ternary quantization. Its compression rate CR and sparsity rate SRQW.
    """
    if profile not in {"honest", "slides"}:
        raise SettingsError(
            f"cost: profile is '{profile}'; expected 'honest' or 'slides'. Leave it out for "
            "'honest'."
        )
    layers, hidden = [], set()
    for name, layer in weighted_layers(network).items():
        size = _layer_cost(name, weight_of(layer).detach(), profile)
        if size is not None:
            layers.append(size)
            hidden.add((name, weight_name(layer)))
    kept = _full_precision(network, hidden, with_buffers=profile == "honest")
    return Cost(tuple(layers), FLOAT_BITS * kept)


def ternary_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights, by layer, that take at most one positive and one negative value beside 0."""
    found = {}
    for name, layer in weighted_layers(network).items():
        weight = weight_of(layer).detach()
        if is_ternary(weight):
            found[name] = weight
    return found


@torch.no_grad()
def count_macs(network: nn.Module, inputs: object) -> dict[str, int]:
    """Multiply-accumulate operations of one pass, by layer, counted while it runs.

    Counted are convolutions, linear layers on all tokens, recurrent layers on all steps, and in
    attention the four projections and both products, of queries with keys and of weights with
    values. Left out are biases, normalizations, activations and pooling, as is usual, and any
    product outside of these layers. A layer that runs several times counts as often. Where weights
    are zero nothing is saved.

    Parameters
    ----------
    network : Module
        It runs in evaluation mode and is left as it was. PyTorch computes transformer layers with
        hooks, as are set here, step by step and not in one fused kernel, so that all are seen.
    inputs : object
        What the network takes: a tensor, or a dict of views. A batch of one gives the count of one
        sample.

    Returns
    -------
    macs : dict of int
        By name of the layer, in the order in which they run; the sum is that of the network.
    """
    found: Counter[str] = Counter()

    def add(
        name: str, count: _Count, layer: nn.Module, given: tuple, named: dict, result: object
    ) -> None:
        given += tuple(named[key] for key in _ARGUMENTS if key in named)
        found[name] += count(layer, given, result)

    with ExitStack() as stack:
        stack.enter_context(evaluating(network))
        for name, layer in network.named_modules():
            count = next((each for kind, each in _COUNTS.items() if isinstance(layer, kind)), None)
            if count:
                hook = partial(add, name, count)
                stack.callback(layer.register_forward_hook(hook, with_kwargs=True).remove)
        network(inputs)
    return dict(found)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, each module back in its own afterwards."""
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


def _convolution_macs(layer: _Convolution, given: tuple, result: Tensor) -> int:
    """One kernel over the channels of its group for each value that comes out."""
    return result.numel() * layer.weight[0].numel()


def _transposed_macs(layer: _Convolution, given: tuple, result: Tensor) -> int:
    """One kernel over the channels of its group for each value that goes in."""
    return given[0].numel() * layer.weight[0].numel()


def _linear_macs(layer: nn.Linear, given: tuple, result: Tensor) -> int:
    """One row of weights for each value that comes out."""
    return result.numel() * layer.in_features


def _recurrent_macs(layer: nn.RNNBase, given: tuple, result: tuple) -> int:
    """Every weight once a step: of all gates, layers and directions."""
    n_steps = result[0].numel() // result[0].shape[-1]  # of all samples
    weights = (value for name, value in layer.named_parameters() if name.startswith("weight"))
    return n_steps * sum(weight.numel() for weight in weights)


def _attention_macs(layer: nn.MultiheadAttention, given: tuple, result: tuple) -> int:
    """Projections of queries, keys, values and output, and both products over all heads."""
    queries, keys, values = given[:3]
    width = layer.embed_dim
    n_queries = queries.numel() // width  # of all samples, like the next
    n_keys = keys.numel() // keys.shape[-1]
    length = keys.shape[1 if layer.batch_first else 0] if keys.dim() == 3 else n_keys
    projections = 2 * n_queries * width**2 + (keys.numel() + values.numel()) * width
    return projections + 2 * n_queries * length * width


_ARGUMENTS = ("input", "query", "key", "value")  # that may be given by name
_Count = Callable[..., int]
_COUNTS: dict[type[nn.Module], _Count] = {  # the first kind that fits
    _TransposedConvolution: _transposed_macs,
    _Convolution: _convolution_macs,
    nn.Linear: _linear_macs,
    nn.RNNBase: _recurrent_macs,
    nn.MultiheadAttention: _attention_macs,
}


def _layer_cost(name: str, weight: Tensor, profile: str) -> LayerCost | None:
    """Size of one quantized tensor by the rule of the profile; None in full precision."""
    n_weights, n_kept = weight.numel(), int(torch.count_nonzero(weight))
    forms = stored_bits(weight)
    if not forms:
        return None
    if profile == "slides" and is_ternary(weight):
        scale = n_kept == n_weights  # of two levels: one bit, one scale, as published for DoReFa
        bits = n_weights + FLOAT_BITS if scale else _COORDINATE_BITS * n_kept + 2 * FLOAT_BITS
        return LayerCost(name, n_weights, n_weights - n_kept, "published", bits)
    bits, encoding = min((size, form) for form, size in forms.items())
    return LayerCost(name, n_weights, n_weights - n_kept, encoding, bits)


def _full_precision(network: nn.Module, quantized: set[tuple[str, str]], with_buffers: bool) -> int:
    """How many numbers stay in full precision, beside the quantized attributes of layers."""
    weights = {f"{layer}.{name}" for layer, name in quantized}
    latent = {f"{layer}.parametrizations.{name}" for layer, name in quantized}
    numbers = sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if name not in weights and not any(name.startswith(f"{start}.") for start in latent)
    )
    if with_buffers:
        numbers += sum(
            module.running_mean.numel() + module.running_var.numel()
            for module in network.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and module.running_mean is not None
            and module.running_var is not None
        )
    return numbers


def _ratio(part: int, whole: int) -> float:
    """Part of a whole; NaN of nothing."""
    return part / whole if whole else float("nan")
