"""Forms in which quantized weights are stored, and how many bits each takes."""

import math

import torch
from torch import Tensor

FLOAT_BITS = 32
SKIP = 127  # the longest run of zeros that one byte of a gap list tells
_SMALLEST = 8  # weights; fewer are not called quantized, whatever their values
_MOST_LEVELS = 256
_ROUNDING = 1e-5  # of a step: how far single precision is from whole numbers


def ternary_bits(weight: Tensor) -> dict[str, int]:
    """Bits of the signs of a ternary tensor by form, its two scales not included.

    ==============  =============================================================================
    1-bit           where no weight is zero
    2-bit           a sign in two bits
    5 trits a byte  3⁵ = 243 of 256 values
    bitmap          a bit a weight, and the sign of each non-zero
    gap lists       a byte a non-zero: its sign and up to 126 zeros before it; or 127 zeros alone
    ==============  =============================================================================
    """
    flat = weight.flatten()
    places = flat.nonzero()[:, 0]
    n, m = flat.numel(), places.numel()
    before = torch.cat([places.new_tensor([-1]), places[:-1]])
    skips = int(((places - before - 1) // SKIP).sum())
    found = {
        "2-bit": 2 * n,
        "5 trits a byte": 8 * math.ceil(n / 5),
        "bitmap": n + m,
        "gap lists": 8 * (m + skips),
    }
    return {"1-bit": n, **found} if m == n else found


def stored_bits(weight: Tensor) -> dict[str, int]:
    """Bits of a weight tensor by each form that gives it back, with the constants it needs.

    Found by the values: those of ternary weights; `8-bit` and `4-bit`, whole numbers times a step
    of each output channel; `codebook`, at most 256 different values; `sparse`, a bitmap and the
    non-zeros in single precision. Empty for a tensor that is best kept as it is.

    Parameters
    ----------
    weight : Tensor, shape (n_out, …)
    """
    weight = weight.detach()
    n, m = weight.numel(), int(torch.count_nonzero(weight))
    if n < _SMALLEST:
        return {}
    if is_ternary(weight):
        return {name: bits + 2 * FLOAT_BITS for name, bits in ternary_bits(weight).items()}
    found = {
        f"{n_bits}-bit": n_bits * n + FLOAT_BITS * len(weight)
        for n_bits in (4, 8)
        if is_uniform(weight, n_bits)
    }
    levels = weight.unique().numel()
    if levels <= _MOST_LEVELS:
        found["codebook"] = math.ceil(math.log2(levels)) * n + FLOAT_BITS * levels
    found["sparse"] = n + FLOAT_BITS * m
    return {name: bits for name, bits in found.items() if bits < FLOAT_BITS * n}


def is_ternary(weight: Tensor) -> bool:
    """At most one value on each side of 0, of eight weights or more."""
    if weight.numel() < _SMALLEST:
        return False
    sides = (weight[weight > 0], weight[weight < 0])
    return all(side.numel() == 0 or bool(side.max() == side.min()) for side in sides)


def is_uniform(weight: Tensor, n_bits: int) -> bool:
    """Whole numbers times largest |w| over 2^(bits − 1) − 1, in each output channel."""
    rows = weight.flatten(1).double()
    step = rows.abs().amax(1, keepdim=True) / (2 ** (n_bits - 1) - 1)
    codes = rows / step.clamp_min(torch.finfo(torch.float64).tiny)
    return bool((codes - codes.round()).abs().max() < _ROUNDING * 2 ** (n_bits - 1))
