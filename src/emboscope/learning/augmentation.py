"""Changes of a waveform that leave its class alone; the other views are then made of it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from emboscope.registry import Registry

_LOG_SCALE_SD = 0.2
_JITTER = 1 / 56  # of the length: 25 of the 1400 samples of HITS, within the 6 ms of their peak

AUGMENTATIONS: Registry[Callable[[Tensor], Tensor]] = Registry("augmentation")


def flip_sign(waveform: Tensor) -> Tensor:
    """Half of the rows times −1: polarity, or half a turn of the phase of I and Q."""
    sign = torch.randint(0, 2, (len(waveform), 1, 1), device=waveform.device) * 2 - 1
    return waveform * sign


def reverse_time(waveform: Tensor) -> Tensor:
    """Half of the rows backwards; Q is negated too, so that frequencies keep their sign."""
    backwards = waveform.flip(-1)
    if waveform.shape[1] == 2:
        backwards = backwards * torch.tensor([[1.0], [-1.0]], device=waveform.device)
    chosen = torch.rand(len(waveform), 1, 1, device=waveform.device) < 0.5
    return torch.where(chosen, backwards, waveform)


def shift(waveform: Tensor) -> Tensor:
    """Each row rolled by up to a tenth of its length, either way."""
    return _rolled(waveform, waveform.shape[-1] // 10)


def jitter(waveform: Tensor) -> Tensor:
    """Each row rolled by up to a 56th of its length, so that a peak stays about where it was."""
    return _rolled(waveform, int(_JITTER * waveform.shape[-1]))


def _rolled(waveform: Tensor, most: int) -> Tensor:
    """Each row rolled by a number of samples of its own, at most `most` either way."""
    n_times = waveform.shape[-1]
    by = torch.randint(-most, most + 1, (len(waveform), 1), device=waveform.device)
    index = (torch.arange(n_times, device=waveform.device) - by) % n_times  # (batch, time)
    return waveform.gather(2, index[:, None].expand_as(waveform))


def scale(waveform: Tensor) -> Tensor:
    """Each row times exp(0.2·z), z normal: about 20 % louder or softer."""
    z = torch.randn(len(waveform), 1, 1, device=waveform.device)
    return waveform * torch.exp(_LOG_SCALE_SD * z)


def turn_phase(waveform: Tensor) -> Tensor:
    """Each row of I and Q turned by a phase of its own; a real signal has none, and stays."""
    if waveform.shape[1] != 2:
        return waveform
    phase = 2 * math.pi * torch.rand(len(waveform), 1, device=waveform.device)
    cosine, sine = phase.cos(), phase.sin()
    i, q = waveform[:, 0], waveform[:, 1]
    return torch.stack([cosine * i - sine * q, sine * i + cosine * q], dim=1)


def reverse_flow(waveform: Tensor) -> Tensor:
    """Half of the rows with Q negated: as from a probe on the other side of the flow.

    Only where the classes do not know the side, as those of HITS. A real signal stays.
    """
    if waveform.shape[1] != 2:
        return waveform
    sign = torch.randint(0, 2, (len(waveform), 1), device=waveform.device) * 2 - 1
    return torch.stack([waveform[:, 0], waveform[:, 1] * sign], dim=1)


AUGMENTATIONS["flip_sign"] = flip_sign
AUGMENTATIONS["reverse_time"] = reverse_time
AUGMENTATIONS["shift"] = shift
AUGMENTATIONS["jitter"] = jitter
AUGMENTATIONS["scale"] = scale
AUGMENTATIONS["turn_phase"] = turn_phase
AUGMENTATIONS["reverse_flow"] = reverse_flow
