"""Levels that are learned, rounding by chance, and zeros that become more as training goes on."""

import numpy as np
import pytest
import torch

from emboscope.compression.quantizers import QUANTIZERS, QuantizerSettings
from emboscope.compression.quantizers.levels import kmeans_levels


def test_levels_of_the_worked_example_are_the_means_of_their_clusters():
    weight = torch.tensor([-1.0, -0.9, 0.0, 0.1, 0.2, 1.0])
    assert kmeans_levels(weight, 3).tolist() == pytest.approx([-0.95, 0.1, 1.0])
    shown = QUANTIZERS["codebook"](weight, QuantizerSettings(n_levels=3))(weight)
    assert shown.tolist() == pytest.approx([-0.95, -0.95, 0.1, 0.1, 0.1, 1.0])


def test_levels_that_no_weight_is_near_are_left_out():
    assert kmeans_levels(torch.tensor([1.0, 1.0, 5.0]), 16).tolist() == [1, 5]
    assert kmeans_levels(torch.full((9,), 0.5), 16).tolist() == [0.5]


def test_kmeans_ends_where_each_level_is_the_mean_of_the_values_nearest_to_it(rng):
    weight = torch.from_numpy(rng.standard_normal(3000))
    levels = kmeans_levels(weight, 8, n_rounds=10_000)
    nearest = (weight[:, None] - levels).abs().argmin(1)
    means = [weight[nearest == index].mean().item() for index in range(8)]
    assert levels.tolist() == pytest.approx(means)


def test_levels_get_the_sum_of_the_gradients_of_their_weights(rng):
    weight = torch.from_numpy(rng.standard_normal(40))
    quantizer = QUANTIZERS["codebook"](weight, QuantizerSettings(n_levels=4))
    gradient = torch.from_numpy(rng.standard_normal(40))
    latent = weight.clone().requires_grad_()
    shown = quantizer(latent)
    shown.backward(gradient)
    expected = [
        gradient[shown.detach() == level].sum().item() for level in quantizer.levels.detach()
    ]
    assert quantizer.levels.grad.tolist() == pytest.approx(expected)
    assert torch.equal(latent.grad, gradient)


def test_a_weight_shows_the_nearest_level_whatever_order_they_have_learned():
    weight = torch.tensor([-1.0, 0.0, 2.0])
    quantizer = QUANTIZERS["codebook"](weight, QuantizerSettings(n_levels=3))
    with torch.no_grad():
        quantizer.levels.copy_(torch.tensor([2.5, -0.5, 0.25]))
    assert quantizer(weight).tolist() == [-0.5, 0.25, 2.5]


@pytest.mark.parametrize("method", ["int4", "int8"])
def test_rounding_by_chance_has_the_weight_as_its_mean_and_is_off_in_evaluation(method, rng):
    weight = torch.from_numpy(rng.uniform(-1, 1, (3, 20)))
    quantizer = QUANTIZERS[method](weight, QuantizerSettings(rounding="stochastic")).train()
    torch.manual_seed(1)
    drawn = torch.stack([quantizer(weight) for _ in range(4000)])
    step = weight.abs().amax(1, keepdim=True) / (7 if method == "int4" else 127)
    assert ((drawn - weight).abs() < 1.001 * step).all()
    assert ((drawn.mean(0) - weight).abs() < 5 * 0.5 * step / np.sqrt(4000)).all()  # five errors
    assert len(drawn.unique(dim=0)) > 100
    evaluated = quantizer.eval()(weight)
    assert torch.equal(evaluated, QUANTIZERS[method](weight)(weight))


def test_zeros_become_more_by_the_cubic_law_and_never_come_back(rng):
    weight = torch.from_numpy(rng.standard_normal(1000))
    quantizer = QUANTIZERS["magnitude"](weight, QuantizerSettings(sparsity=0.8, gradual=True))
    before = torch.ones(1000, dtype=torch.bool)
    for share, zeros in ((0.0, 0), (0.375, 700), (0.75, 800), (0.9, 800)):
        quantizer.advance(share)  # 0.8·(1 − 0.5³) = 0.7 halfway up
        kept = quantizer.train()(weight) != 0
        assert int((~kept).sum()) == zeros
        assert not (kept & ~before).any()
        before, weight = kept, weight + 0.3 * torch.from_numpy(rng.standard_normal(1000))
    quantizer.eval()(torch.ones(1000, dtype=torch.float64))
    assert int(quantizer.mask.sum()) == 200


def test_what_is_pruned_next_is_the_smallest_that_has_been_learned():
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4])
    settings = QuantizerSettings(sparsity=0.5, gradual=True)
    quantizer = QUANTIZERS["magnitude"](weight, settings).train()
    quantizer.advance(0.9)
    assert quantizer.eval()(weight).ne(0).all()  # only training prunes
    quantizer.train()
    assert quantizer(torch.tensor([0.5, 0.2, 0.3, 0.1])).ne(0).tolist() == [
        True,
        False,
        True,
        False,
    ]
