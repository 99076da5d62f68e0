"""Every loss of the registry: one signature, one treatment of targets, finite everywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.nn import functional
from torch.testing import assert_close

from emboscope.errors import SettingsError
from emboscope.learning.losses import LOSSES, LossSettings, balanced_weights, criterion, known_rows
from twins import losses as twins

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"
NAMES = list(LOSSES)
Y = torch.tensor([0, 1, 2, 2, 1, 1])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
NAN = [float("nan")] * 3

each_loss = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, generator=generator, dtype=torch.float64)


@pytest.fixture
def rows():
    """Distributions, among them one with a zero and one with all its mass on one class."""
    rows = torch.rand(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows[0], rows[1] = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.5, 0.5, 0.0])
    return rows / rows.sum(dim=1, keepdim=True)


def loss_and_gradient(name, logits, *targets, **options):
    logits = logits.detach().clone().requires_grad_()
    loss = LOSSES[name](logits, *targets, **options)
    return loss, torch.autograd.grad(loss, logits)[0]


@each_loss
def test_documentation_lists_every_loss(name):
    assert f"| `{name}` |" in PAGE.read_text(encoding="utf-8")


@each_loss
def test_loss_equals_its_definition(name, logits, rows):
    assert set(NAMES) == set(twins.LOSSES)
    rows[3] = torch.tensor(NAN)
    expected = twins.mean(name, rows.tolist(), logits.tolist(), WEIGHTS.tolist())
    assert LOSSES[name](logits, rows, WEIGHTS).item() == pytest.approx(expected, rel=1e-12)


@each_loss
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "class weights"])
def test_hard_and_one_hot_targets_agree(name, weights, logits):
    one_hot = functional.one_hot(Y, 3).double()
    hard, soft = (loss_and_gradient(name, logits, targets, weights) for targets in (Y, one_hot))
    assert_close(hard, soft)


@each_loss
def test_gradient_is_that_of_finite_differences(name, logits, rows):
    logits.requires_grad_()
    of_row = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.5, 1.0], dtype=torch.float64)
    for targets in (Y, rows):
        assert torch.autograd.gradcheck(
            lambda z, y=targets: LOSSES[name](z, y, WEIGHTS, of_row), logits
        )


@each_loss
@pytest.mark.parametrize("smoothing", [None, 0.0, 0.1])
@pytest.mark.parametrize("size", [1e4, 200.0, 30.0])  # in 32 bits p is 0 and 1 exactly, or nearly
def test_loss_and_gradient_are_finite_at_certainty(name, smoothing, size):
    logits = size * torch.tensor([[1.0, -1, -1], [1, -1, -1], [1, 1, -1], [0, 0, 0], [1, 0, -1]])
    logits.requires_grad_()
    loss = criterion(name, LossSettings(smoothing=smoothing))
    soft = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0.3, 0.3, 0.4], [1e-30, 0, 1]])
    for targets in (torch.tensor([0, 1, 2, 1, 2]), soft):
        value = loss(logits, targets)
        assert value.isfinite()
        assert torch.autograd.grad(value, logits)[0].isfinite().all()


@each_loss
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "class weights"])
def test_masked_rows_are_as_if_left_out(name, weights, logits, rows):
    masked, kept = [1, 4], [0, 2, 3, 5]
    y, soft = Y.clone(), rows.clone()
    y[masked], soft[masked] = -1, torch.nan
    of_row = torch.linspace(0.5, 1.5, 6, dtype=torch.float64)
    for targets in (y, soft):
        loss, gradient = loss_and_gradient(name, logits, targets, weights, of_row)
        only = loss_and_gradient(name, logits[kept], targets[kept], weights, of_row[kept])
        assert_close((loss, gradient[kept]), only)
        assert_array_equal(gradient[masked], 0)
        assert_array_equal(LOSSES[name].each(logits, targets, weights)[masked], 0)


@each_loss
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "class weights"])
def test_nothing_known_costs_nothing(name, weights, logits):
    for targets in (torch.full((6,), -1), torch.full((6, 3), torch.nan)):
        loss, gradient = loss_and_gradient(name, logits, targets, weights)
        assert loss.item() == 0
        assert_array_equal(gradient, 0)


@each_loss
def test_mean_is_that_of_the_rows(name, logits, rows):
    of_row = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.5, 1.0], dtype=torch.float64)
    each = LOSSES[name].each(logits, rows)
    assert each.shape == (6,)
    assert_close(LOSSES[name](logits, rows), each.mean())
    assert_close(LOSSES[name](logits, rows, sample_weight=of_row), (of_row * each).mean())


@each_loss
def test_best_prediction_of_a_certain_label_is_that_label(name):
    """Of all predictions that share the rest evenly; smoothing and noise leave a margin."""
    certainty = torch.linspace(-4, 8, 25)
    logits = torch.stack([certainty, torch.zeros(25), torch.zeros(25)], dim=1)
    each = LOSSES[name].each(logits, torch.zeros(25, dtype=torch.long))
    assert each.diff()[certainty[1:] <= 3].max() < 0


@each_loss
def test_label_smoothing_equals_smoothed_labels(name, logits, rows):
    loss, plain = (criterion(name, LossSettings(smoothing=share)) for share in (0.2, 0.0))
    assert_close(loss.each(logits, rows), plain.each(logits, 0.8 * rows + 0.2 / 3))
    one_hot = functional.one_hot(Y, 3).double()
    assert_close(loss.each(logits, Y), plain.each(logits, 0.8 * one_hot + 0.2 / 3))


def test_unknown_loss_is_refused():
    with pytest.raises(SettingsError, match="loss 'gcee': unknown; expected ce, .*mean 'gce'"):
        criterion("gcee", LossSettings())


def test_class_that_does_not_exist_is_not_taken_for_masked(logits):
    with pytest.raises(RuntimeError, match="non-negative"):
        LOSSES["ce"](logits, torch.tensor([0, 1, 2, 2, 1, -2]))


def test_row_that_is_partly_nan_is_not_taken_for_masked(logits, rows):
    rows[2, 0] = torch.nan
    assert known_rows(rows).all()
    assert LOSSES["ce"](logits, rows).isnan()


def test_balanced_weights_do_not_count_masked_rows(rows):
    hard = torch.tensor([0, -1, 1, 1, 1, -1])
    assert_close(balanced_weights(hard, 3), balanced_weights(hard[hard >= 0], 3))
    soft = rows.clone()
    soft[[0, 3]] = torch.nan
    assert_close(balanced_weights(soft, 3), balanced_weights(soft[[1, 2, 4, 5]], 3))
    assert_array_equal(balanced_weights(torch.full((2,), -1), 3), np.zeros(3))
