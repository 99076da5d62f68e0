"""Every form gives its weights back, and has the size that the cost says."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.compression.encodings import FLOAT_BITS, stored_bits
from emboscope.export.forms import FORMS, pack, unpack

SHAPE = (6, 5, 3, 3)


def ternary(rng, density, shape=SHAPE):
    kept = rng.random(shape) < density
    return (kept * rng.choice([-0.4, 0.7], shape)).astype(np.float32)


WEIGHTS = {
    "dense signs": lambda rng: ternary(rng, 0.9),
    "half": lambda rng: ternary(rng, 0.5),
    "few": lambda rng: ternary(rng, 0.004, (10, 500)),
    "none": lambda rng: np.zeros(SHAPE, np.float32),
    "positive alone": lambda rng: np.abs(ternary(rng, 0.3)),
    "two levels": lambda rng: rng.choice([-0.5, 0.5], SHAPE).astype(np.float32),
    "bytes": lambda rng: whole(rng, 127),
    "nibbles": lambda rng: whole(rng, 7),
    "levels": lambda rng: rng.choice(np.float32([-3, -0.1, 0.2, 5, 9]), SHAPE),
    "pruned": lambda rng: (rng.standard_normal(SHAPE) * (rng.random(SHAPE) < 0.1)).astype("f4"),
    "full": lambda rng: rng.standard_normal(SHAPE).astype(np.float32),
}


def whole(rng, most):
    codes = rng.integers(-most, most + 1, SHAPE)
    codes[:, 0, 0, 0] = most
    return (codes * rng.uniform(0.001, 0.1, (6, 1, 1, 1))).astype(np.float32)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_form_that_fits_gives_the_weights_back(kind, rng):
    weight = WEIGHTS[kind](rng)
    forms = stored_bits(torch.from_numpy(weight))
    assert set(forms) <= set(FORMS)
    for form in ("float32", *forms):
        packed = pack(weight, form)
        found = unpack(packed).reshape(weight.shape)
        if packed.row_scales is not None:
            found = found * packed.row_scales.reshape(-1, *[1] * (weight.ndim - 1))
            assert_allclose(found, weight, rtol=2e-6)
        else:
            assert_array_equal(found, weight)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_the_bytes_are_as_many_as_the_cost_says(kind, rng):
    weight = WEIGHTS[kind](rng)
    for form, bits in stored_bits(torch.from_numpy(weight)).items():
        packed = pack(weight, form)
        constants = 2 * FLOAT_BITS
        if packed.row_scales is not None:
            constants = FLOAT_BITS * packed.row_scales.size
        elif form in ("codebook", "sparse"):
            constants = 0
        found = 8 * len(packed.content) + constants
        assert bits <= found <= bits + 64, form  # whole bytes, and a head of 4 of the codebook


@pytest.mark.parametrize("gap", [0, 1, 125, 126, 127, 128, 253, 254, 255, 381])
def test_gaps_at_their_limits(gap):
    weight = np.zeros((1, 500), np.float32)
    weight[0, gap], weight[0, gap + 1] = -1.5, 2.5
    packed = pack(weight, "gap lists")
    assert len(packed.content) == 2 + gap // 127
    assert_array_equal(unpack(packed).reshape(weight.shape), weight)
