"""Optimizers, and how the learning rate goes over the steps of a training."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from emboscope.learning.architecture import Branch, Network
from emboscope.learning.settings import TrainSettings
from emboscope.registry import Registry

_FIRST_RATE = 1 / 25  # of the peak rate
_LAST_RATE = 1e-4
_NOAM_EPS = 1e-16  # of Adam, as published


@dataclass(frozen=True)
class Step:
    """Where a training is.

    Attributes
    ----------
    number : int
        Steps that are done.
    of : int
        Steps in all.
    settings : TrainSettings
    """

    number: int
    of: int
    settings: TrainSettings


def one_cycle(step: Step) -> float:
    """Share of the peak rate: a cosine up from 1/25, then one down to 1e-4 [1]_.

    References
    ----------
    .. [1] Smith, L. N., Topin, N. (2019). Super-convergence: very fast training of neural networks
       using large learning rates. SPIE 11006.
    """
    peak = step.settings.warmup_share * step.of
    if step.number < peak:
        low, part = _FIRST_RATE, 1 - step.number / peak
    else:
        low, part = _LAST_RATE, (step.number - peak) / (step.of - peak)
    return low + (1 - low) * (1 + math.cos(math.pi * part)) / 2


def constant(step: Step) -> float:
    """The peak rate at every step."""
    return 1.0


def noam(step: Step) -> float:
    """Share of the peak rate: linear up to `warmup_steps`, then 1/√t [1]_.

    References
    ----------
    .. [1] Vaswani, A., et al. (2017). Attention is all you need. NeurIPS. Equation 3.
    """
    share = (step.number + 1) / step.settings.warmup_steps
    return min(share, share**-0.5)


def noam_peak(base: float, width: int, warmup_steps: int) -> float:
    """base·d^(−1/2)·warmup^(−1/2): the rate of `noam` at the end of its warm-up."""
    return base * width**-0.5 * warmup_steps**-0.5


def adam_of_noam(groups: list[dict], weight_decay: float) -> torch.optim.Optimizer:
    """Adam as published beside `noam`: ε 1e-16, and no weight decay, whatever was asked for."""
    return torch.optim.Adam(groups, eps=_NOAM_EPS)


def optimizer_of(
    network: Network, others: list[nn.Parameter], settings: TrainSettings
) -> torch.optim.Optimizer:
    """The optimizer of a network and of what is trained beside it.

    Each encoder, with its head where that is its own, learns at the rate that suits it; all else
    learns at the lowest of these. `learning_rate` overrides all; for `noam` it is the base
    that is scaled by the width of the transformer.

    Parameters
    ----------
    network : Network
    others : list of Parameter
        Of training only: guiding heads, cluster centers.
    settings : TrainSettings
    """
    groups, taken = [], set()
    for part in network.modules():
        branch = getattr(part, "branch", part)
        if isinstance(branch, Branch) and id(branch) not in taken:
            parameters = [
                each for each in part.parameters() if each.requires_grad and id(each) not in taken
            ]
            groups.append(_group(parameters, _peak(branch, settings)))
            taken.update([id(branch), *map(id, parameters)])
    rest = [
        each
        for each in [*network.parameters(), *others]
        if each.requires_grad and id(each) not in taken
    ]
    if rest:
        groups.append(_group(rest, min(group["peak"] for group in groups)))
    return OPTIMIZERS[settings.optimizer](groups, weight_decay=settings.weight_decay)


def _group(parameters: list[nn.Parameter], peak: float) -> dict:
    return {"params": parameters, "lr": peak, "peak": peak}


def _peak(branch: Branch, settings: TrainSettings) -> float:
    """Peak rate of an encoder."""
    encoder = branch.encoder
    if settings.schedule == "noam":
        base = settings.learning_rate or 1.0
        return noam_peak(base, encoder.settings.transformer.width, settings.warmup_steps)
    return settings.learning_rate or encoder.learning_rate


SCHEDULES: Registry[Callable[[Step], float]] = Registry("schedule")
SCHEDULES["one_cycle"] = one_cycle
SCHEDULES["constant"] = constant
SCHEDULES["noam"] = noam
OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")
OPTIMIZERS["adamw"] = torch.optim.AdamW
OPTIMIZERS["adam"] = torch.optim.Adam
OPTIMIZERS["adamax"] = torch.optim.Adamax
OPTIMIZERS["adam_noam"] = adam_of_noam
