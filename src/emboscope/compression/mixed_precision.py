"""Bits for each layer: how much the loss minds its rounding (HAWQ-v2), under a budget of bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from emboscope.compression.encodings import FLOAT_BITS, stored_bits
from emboscope.compression.quantizers import (
    QUANTIZERS,
    QuantizerSettings,
    weight_of,
    weighted_layers,
)
from emboscope.errors import SettingsError
from emboscope.learning.architecture import Network
from emboscope.settings import Settings

FLOAT = "float"  # a choice: the layer stays as it is


class MixedSettings(Settings):
    """How bits are shared out among layers."""

    choices: tuple[str, ...] = ("ttq", "int4", "int8", FLOAT)  # of QUANTIZERS, or float
    share: float = Field(default=0.1, gt=0, le=1)  # of the bytes of all chosen layers in float
    n_probes: PositiveInt = 32  # of the trace
    n_samples: PositiveInt = 256  # of the training part


@dataclass(frozen=True)
class Choice:
    """One form of a layer.

    Attributes
    ----------
    method : str
        A name in `QUANTIZERS`, or `float`.
    bits : int
        Of the smallest form in which the quantized weights can be stored.
    perturbation : float
        Ω = mean curvature × squared distance from the trained weights: about twice the rise of the
        loss before fine-tuning.
    n_weights : int
    """

    method: str
    bits: int
    perturbation: float
    n_weights: int = 0


def layer_traces(
    network: Network,
    names: Sequence[str],
    views: Mapping[str, Tensor],
    y: Tensor,
    n_probes: int = 32,
    seed: int = 0,
) -> dict[str, float]:
    """Trace of the Hessian of the loss in the weights of each layer, by Hutchinson's estimator.

    With v of random signs, E[v·Hv] is the trace; one product Hv serves all layers, whose other
    blocks average out. In evaluation mode, of the cross-entropy of every trained logit.

    Parameters
    ----------
    network : Network
        Trained.
    names : sequence of str
        Layers with weights.
    views : mapping of Tensor
    y : Tensor of int, shape (n_samples,)
    n_probes : int
    seed : int

    Returns
    -------
    traces : dict of float
    """
    layers = weighted_layers(network)
    weights = [weight_of(layers[name]) for name in names]
    generator = torch.Generator().manual_seed(seed)
    was_training = network.training
    network.eval()
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
        logits = network.outputs(views).logits
        loss = torch.stack([nn.functional.cross_entropy(each, y) for each in logits]).sum()
        slopes = torch.autograd.grad(loss, weights, create_graph=True)
        sums = [0.0] * len(names)
        for _ in range(n_probes):
            signs = [_signs(weight, generator) for weight in weights]
            along = torch.stack([(g * v).sum() for g, v in zip(slopes, signs, strict=True)]).sum()
            curved = torch.autograd.grad(along, weights, retain_graph=True)
            for index, (v, hv) in enumerate(zip(signs, curved, strict=True)):
                sums[index] += float((v * hv).sum())
    network.train(was_training)
    return {name: total / n_probes for name, total in zip(names, sums, strict=True)}


def _signs(weight: Tensor, generator: torch.Generator) -> Tensor:
    """−1 or 1, each as likely."""
    drawn = torch.randint(0, 2, weight.shape, generator=generator)
    return (2 * drawn - 1).to(weight.dtype)


def layer_choices(
    network: Network,
    traces: Mapping[str, float],
    methods: Iterable[str],
    settings: QuantizerSettings | None = None,
) -> dict[str, list[Choice]]:
    """What each method makes of each layer: its size, and Ω = Tr(H)/n·‖Q(w) − w‖² [1]_.

    References
    ----------
    .. [1] Dong, Z., et al. (2020). HAWQ-v2: Hessian aware trace-weighted quantization of neural
       networks. NeurIPS. Negative estimates of a trace count as 0.
    """
    layers, found = weighted_layers(network), {}
    for name, trace in traces.items():
        weight = weight_of(layers[name]).detach()
        curvature = max(trace, 0.0) / weight.numel()
        found[name] = [_choice(weight, method, curvature, settings) for method in methods]
    return found


def _choice(
    weight: Tensor, method: str, curvature: float, settings: QuantizerSettings | None
) -> Choice:
    if method == FLOAT:
        return Choice(FLOAT, FLOAT_BITS * weight.numel(), 0.0, weight.numel())
    with torch.no_grad():
        shown = QUANTIZERS[method](weight, settings)(weight)
    bits = min(stored_bits(shown).values(), default=FLOAT_BITS * weight.numel())
    perturbation = curvature * float((shown - weight).square().sum())
    return Choice(method, bits, perturbation, weight.numel())


def allocate(choices: Mapping[str, Sequence[Choice]], budget_bits: int) -> dict[str, Choice]:
    """The choice of each layer with the least sum of Ω that fits the budget; exact.

    Layer by layer, the totals are kept that no other total beats in both size and Ω.

    Raises
    ------
    SettingsError
        If even the smallest choices do not fit.
    """
    best: list[tuple[int, float, tuple[Choice, ...]]] = [(0, 0.0, ())]
    for options in choices.values():
        grown = [
            (bits + option.bits, omega + option.perturbation, (*taken, option))
            for bits, omega, taken in best
            for option in options
        ]
        best = _undominated(each for each in grown if each[0] <= budget_bits)
        if not best:
            least = sum(min(each.bits for each in all_of) for all_of in choices.values())
            raise SettingsError(
                f"mixed: a budget of {budget_bits // 8} bytes; expected at least "
                f"{-(-least // 8)} for these layers. Raise mixed.share, or add a smaller choice."
            )
    return dict(zip(choices, best[-1][2], strict=True))


def _undominated(
    totals: Iterable[tuple[int, float, tuple[Choice, ...]]],
) -> list[tuple[int, float, tuple[Choice, ...]]]:
    """By rising size, those whose Ω is smaller than of all that are smaller."""
    kept: list[tuple[int, float, tuple[Choice, ...]]] = []
    for each in sorted(totals, key=lambda total: total[:2]):
        if not kept or each[1] < kept[-1][1]:
            kept.append(each)
    return kept
