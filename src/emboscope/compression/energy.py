"""What one decision costs in energy, by a model of operations and of memory."""

import math
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from emboscope.compression.cost import cost, count_macs, evaluating
from emboscope.compression.encodings import FLOAT_BITS, is_ternary
from emboscope.compression.quantizers import weight_name, weight_of, weighted_layers
from emboscope.errors import SettingsError

Mode = Literal["honest", "slides", "legacy"]

MULTIPLY_J = 3.7e-12  # of two numbers in single precision, 45 nm (Horowitz 2014)
ADD_J = 0.9e-12
TRANSFER_J = 1e-9  # of 32 bits from memory, an order of magnitude (Molka 2010, as the talk has it)
_LEGACY_TRANSFER_J = 4e-9  # what the released code has instead


@dataclass(frozen=True)
class Energy:
    """Of one decision on one sample.

    Attributes
    ----------
    operations : int
        N_MA, multiply-adds; in `honest` mode those that have a non-zero weight.
    transfers : int
        Words of 32 bits from memory.
    compute_j, transfers_j : float
        EC_MA and EC_DT, in joules.
    """

    operations: int
    transfers: int
    compute_j: float
    transfers_j: float

    @property
    def total_j(self) -> float:
        """EC_T."""
        return self.compute_j + self.transfers_j

    def gain_over(self, reference: "Energy") -> float:
        """EC_G^T: share of the energy of a reference that is saved; negative where more is used."""
        return 1 - self.total_j / reference.total_j


@torch.no_grad()
def energy(
    network: nn.Module,
    inputs: object,
    mode: Mode = "honest",
    quantizable: Collection[str] = (),
) -> Energy:
    """Estimate the energy of one decision [1]_.

    ``slides``: N_MA·3.7 pJ + 1 nJ a transfer. N_MA counts non-zero weights of convolutions at
    each place, of linear layers once, weights and biases of normalizations once, both products of
    attention, residual sums. A tensor in full precision is a transfer a non-zero number, a ternary
    one ⌈2·n_nonzero/32⌉ + 2, one of two levels ⌈n/32⌉ + 1.

    ``legacy``: as the published tables: 4 nJ a transfer, ⌊ ⌋ for ⌈ ⌉, and tensors of full
    precision named in `quantizable` counted as if they were ternary.

    ``honest``: multiply-adds on all tokens, 3.7 + 0.9 pJ with full weights, 0.9 pJ with a non-zero
    ternary one and 2·3.7 pJ an output for its scales; transfers of all bits of the smallest form
    in which the network can be stored, statistics of normalizations included. No activation is
    counted as a transfer in any mode.

    Parameters
    ----------
    network : Module
        Quantizers settled or not.
    inputs : object
        One sample, as `count_macs` takes it.
    mode : {"honest", "slides", "legacy"}
    quantizable : collection of str
        For `legacy`: layers that the compressed form has quantized.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2024). Trained pruned
       ternary quantization for learning accurate and compact deep neural networks.
    """
    if mode not in ("honest", "slides", "legacy"):
        raise SettingsError(
            f"energy: mode is '{mode}'; expected honest, slides or legacy. Leave it out."
        )
    if mode == "honest":
        return _honest(network, inputs)
    operations = sum(published_operations(network, inputs).values())
    transfers = _published_transfers(network, mode, quantizable)
    price = _LEGACY_TRANSFER_J if mode == "legacy" else TRANSFER_J
    return Energy(operations, transfers, operations * MULTIPLY_J, transfers * price)


def _honest(network: nn.Module, inputs: object) -> Energy:
    layers = weighted_layers(network)
    outputs = _outputs(network, inputs)
    operations, joules = 0, 0.0
    for name, macs in count_macs(network, inputs).items():
        for weight, part, n_outputs in _products(layers.get(name), macs, outputs.get(name, 0)):
            if weight is not None and is_ternary(weight):
                kept = round(part * int(torch.count_nonzero(weight)) / weight.numel())
                joules += kept * ADD_J + 2 * n_outputs * MULTIPLY_J
            else:
                kept = part
                joules += kept * (MULTIPLY_J + ADD_J)
            operations += kept
    transfers = math.ceil(cost(network).bits / FLOAT_BITS)
    return Energy(operations, transfers, joules, transfers * TRANSFER_J)


def _products(
    layer: nn.Module | None, macs: int, n_outputs: int
) -> list[tuple[Tensor | None, int, int]]:
    """Weights, multiply-adds and outputs of each product of a layer; of an attention its three.

    They are the projections that come in, those that go out, and what has no weights.
    """
    if not isinstance(layer, nn.MultiheadAttention):
        return [(None if layer is None else weight_of(layer), macs, n_outputs)]
    into, out_of = 3 * n_outputs * layer.embed_dim, n_outputs * layer.embed_dim
    return [
        (layer.in_proj_weight, into, 3 * n_outputs),
        (layer.out_proj.weight, out_of, n_outputs),
        (None, macs - into - out_of, 0),
    ]


def _outputs(network: nn.Module, inputs: object) -> dict[str, int]:
    """How many values come out of each weighted layer."""
    return _counted(network, inputs, dict.fromkeys(_WEIGHTED, _n_outputs))


def published_operations(network: nn.Module, inputs: object) -> dict[str, int]:
    """N_MA of each layer by the rules of the released counter.

    What is not reproduced: that it takes the weights of one transformer layer for those of all.
    """
    return _counted(network, inputs, _RULES)


def _counted(
    network: nn.Module, inputs: object, rules: dict[type[nn.Module], "_Rule"]
) -> dict[str, int]:
    """What the rules give for each layer, summed over its runs."""
    found: dict[str, int] = {}

    def hook_of(name: str, rule: "_Rule") -> Callable[..., None]:
        def hook(layer: nn.Module, given: tuple, named: dict, result: object) -> None:
            first = given[0] if given else next(iter(named.values()))
            value = result[0] if isinstance(result, tuple) else result
            assert isinstance(value, Tensor)
            found[name] = found.get(name, 0) + rule(layer, first, value)

        return hook

    with ExitStack() as stack:
        stack.enter_context(evaluating(network))
        for name, layer in network.named_modules():
            rule = next((each for kind, each in rules.items() if isinstance(layer, kind)), None)
            if rule is not None:
                handle = layer.register_forward_hook(hook_of(name, rule), with_kwargs=True)
                stack.callback(handle.remove)
        network(inputs)
    return found


def _n_outputs(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    return result.numel()


def _numbers(layer: nn.Module) -> int:
    """Non-zero weights, and all biases."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    n_biases = bias.numel() if isinstance(bias, Tensor) else 0
    return int(torch.count_nonzero(weight)) + n_biases


def _of_convolution(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    """Once at each place of the output."""
    return _numbers(layer) * result[0, 0].numel()


def _once(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    """Once, whatever the number of tokens or pixels."""
    return _numbers(layer)


def _of_attention(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    """Projections once, and 2·L²·d for both products."""
    assert isinstance(layer, nn.MultiheadAttention)
    parts = (layer.in_proj_weight, layer.in_proj_bias, layer.out_proj.weight, layer.out_proj.bias)
    numbers = sum(int(torch.count_nonzero(part)) for part in parts if part is not None)
    n_tokens = result.numel() // layer.embed_dim
    return numbers + 2 * n_tokens**2 * layer.embed_dim


def _of_residuals(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    """Two sums a transformer layer."""
    return 2 * result.numel()


_Rule = Callable[[nn.Module, Tensor, Tensor], int]
_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.MultiheadAttention)
_RULES: dict[type[nn.Module], _Rule] = {
    nn.Conv1d: _of_convolution,
    nn.Conv2d: _of_convolution,
    nn.Linear: _once,
    nn.modules.batchnorm._BatchNorm: _once,
    nn.LayerNorm: _once,
    nn.MultiheadAttention: _of_attention,
    nn.TransformerEncoderLayer: _of_residuals,
}


def _published_transfers(network: nn.Module, mode: str, quantizable: Collection[str]) -> int:
    """Σ(⌈n_nonzero·B/32⌉ + N_SF) over all tensors of parameters."""
    rounded = math.floor if mode == "legacy" else math.ceil
    layers, total, counted = weighted_layers(network), 0, set()
    for name, layer in layers.items():
        weight = weight_of(layer).detach()
        kept, ternary = int(torch.count_nonzero(weight)), is_ternary(weight)
        if ternary and kept == weight.numel():
            total += rounded(kept / FLOAT_BITS) + 1
        elif ternary or (mode == "legacy" and name in quantizable):
            total += rounded(2 * kept / FLOAT_BITS) + 2
        else:
            total += kept
        counted.add(f"{name}.{weight_name(layer)}")
    return total + sum(
        int(torch.count_nonzero(parameter))
        for name, parameter in network.named_parameters()
        if name not in counted and ".parametrizations." not in name
    )
