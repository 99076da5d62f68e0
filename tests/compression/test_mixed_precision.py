"""Traces against known curvature, and allocations against all that are possible."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from emboscope.compression.mixed_precision import (
    FLOAT,
    Choice,
    allocate,
    layer_choices,
    layer_traces,
)
from emboscope.compression.quantizers import QuantizerSettings, weighted_layers
from emboscope.errors import SettingsError
from emboscope.learning.architecture import Network, NetworkSettings, Outputs
from emboscope.learning.models import build_network

SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}


class Linear(Network):
    """Logits that are linear in the weights: the Hessian is known."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3, bias=False)

    def outputs(self, views, present=None):
        logits = self.layer(views["x"])
        return Outputs((logits,), (logits,), (logits,), logits)


def exact_trace(network, x):
    """Σ_rows |x|²·Σ_k p_k(1 − p_k), the trace of a softmax regression, per row."""
    p = network.layer(x).softmax(1)
    return float((x.square().sum(1) * (p * (1 - p)).sum(1)).mean().detach())


def test_the_trace_of_a_softmax_regression():
    torch.manual_seed(0)
    network, x, y = Linear(), torch.randn(50, 6), torch.arange(50) % 3
    found = layer_traces(network, ["layer"], {"x": x}, y, n_probes=400)
    assert found["layer"] == pytest.approx(exact_trace(network, x), rel=0.05)


@pytest.mark.parametrize("model", ["hybrid_late", "cnn1d_transformer", "vit"])
def test_traces_equal_the_sum_of_second_differences(model):
    torch.manual_seed(0)
    narrow = NetworkSettings(compact_width=4)
    network = build_network(model, SHAPES, 2, narrow).double().eval()
    views = {name: torch.randn(12, *shape).double() for name, shape in SHAPES.items()}
    y = torch.arange(12) % 2
    name = list(weighted_layers(network))[-1]  # small: each weight is moved
    found = layer_traces(network, [name], views, y, n_probes=3000)[name]
    weight, total, step = network.get_submodule(name).weight, 0.0, 1e-3

    def loss():
        logits = network.outputs(views).logits
        return sum(nn.functional.cross_entropy(each, y) for each in logits).item()

    with torch.no_grad():
        middle = loss()
        for place in np.ndindex(*weight.shape):
            value = weight[place].item()
            sides = []
            for moved in (value + step, value - step):
                weight[place] = moved
                sides.append(loss())
            weight[place] = value
            total += (sum(sides) - 2 * middle) / step**2
    assert found == pytest.approx(total, rel=0.1)


def test_choices_have_the_size_and_the_distance_of_their_weights():
    torch.manual_seed(0)
    network = build_network("cnn2d_compact", SHAPES, 2, NetworkSettings(compact_width=8))
    name = "branch.encoder.blocks.2.0"
    weight = network.get_submodule(name).weight.detach()
    n = weight.numel()
    options = layer_choices(network, {name: 3.0}, ("twn", "int8", FLOAT), QuantizerSettings())[name]
    assert [each.method for each in options] == ["twn", "int8", FLOAT]
    assert options[2] == Choice(FLOAT, 32 * n, 0.0, n)
    assert options[1].bits == 8 * n + 32 * len(weight)
    assert n < options[0].bits < 2 * n + 64
    step = weight.abs().flatten(1).amax(1)[:, None] / 127
    rounded = (weight.flatten(1) / step).round() * step
    distance = (rounded - weight.flatten(1)).square().sum().item()
    assert options[1].perturbation == pytest.approx(3.0 / n * distance, rel=1e-4)
    assert options[0].perturbation > 50 * options[1].perturbation
    assert layer_choices(network, {name: -1.0}, ("twn",))[name][0].perturbation == 0


def test_the_allocation_is_the_best_of_all(rng):
    choices = {
        f"layer {index}": [
            Choice(method, int(bits), float(omega))
            for method, bits, omega in zip(
                "abcd", rng.integers(1, 60, 4), rng.random(4), strict=True
            )
        ]
        for index in range(6)
    }
    for budget in (110, 140, 200):
        every = [
            (sum(each.perturbation for each in taken), taken)
            for taken in itertools.product(*choices.values())
            if sum(each.bits for each in taken) <= budget
        ]
        least = min(total for total, _ in every)
        found = allocate(choices, budget)
        assert list(found) == list(choices)
        assert sum(each.bits for each in found.values()) <= budget
        assert sum(each.perturbation for each in found.values()) == pytest.approx(least)


def test_a_budget_that_nothing_fits_is_refused():
    choices = {"a": [Choice("ttq", 800, 1.0)], "b": [Choice("ttq", 80, 1.0)]}
    with pytest.raises(SettingsError, match="100 bytes; expected at least 110"):
        allocate(choices, 800)
