"""Soft labels and weights of rows: what losses make of them, and what a classifier refuses."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.testing import assert_close

from emboscope.errors import DataError
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.losses import LOSSES, balanced_weights, cross_entropy, gce, jsd
from emboscope.learning.settings import TrainSettings
from emboscope.learning.targets import read_targets

ONE = TrainSettings(epochs=1, batch=16)
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


@pytest.fixture
def logits():
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def toy(rng, n=64):
    """Images of two classes that differ in level."""
    y = np.arange(n) % 2
    images = rng.standard_normal((n, 1, 16, 16)) + 2 * y[:, None, None, None]
    return {"spectrogram": images.astype(np.float32)}, y


def trained(views, y, training=ONE, **options):
    return SignalClassifier("cnn2d_small", training=training, device="cpu").fit(views, y, **options)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "class weights"])
@pytest.mark.parametrize("name", list(LOSSES))
def test_distribution_on_one_class_is_that_class(name, weights, logits):
    y = torch.tensor([0, 1, 2, 2, 1, 1])
    rows = torch.nn.functional.one_hot(y, 3).float()
    assert_close(LOSSES[name](logits, rows, weights, None), LOSSES[name](logits, y, weights, None))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "class weights"])
@pytest.mark.parametrize("name", list(LOSSES))
def test_equal_weights_of_rows_change_nothing(name, weights, logits):
    y = torch.tensor([0, 1, 2, 2, 1, 1])
    weighted = LOSSES[name](logits, y, weights, torch.ones(6))
    assert_close(weighted, LOSSES[name](logits, y, weights, None))


@pytest.mark.parametrize("name", list(LOSSES))
def test_row_without_weight_has_no_gradient(name, logits):
    logits.requires_grad_()
    y, weight = torch.tensor([0, 1, 2, 2, 1, 1]), torch.tensor([0, 1, 1, 1, 1, 2.0])
    LOSSES[name](logits, y, None, weight).backward()
    assert_array_equal(logits.grad[0], 0)
    assert (logits.grad[1:].abs().sum(dim=1) > 0).all()


def test_losses_of_a_worked_example():
    """p = (0.7, 0.2, 0.1), y = (½, ½, 0)."""
    logits, y = torch.log(torch.tensor([[0.7, 0.2, 0.1]])), torch.tensor([[0.5, 0.5, 0.0]])
    assert cross_entropy(logits, y).item() == pytest.approx(-0.5 * np.log(0.7 * 0.2))
    by_hand = 0.5 * (1 - 0.7**0.7) / 0.7 + 0.5 * (1 - 0.2**0.7) / 0.7
    assert gce(logits, y).item() == pytest.approx(by_hand)
    p, middle = np.array([0.7, 0.2, 0.1]), np.array([0.6, 0.35, 0.05])
    divergence = 0.5 * (0.5 * np.log(0.5 / middle[:2])).sum() + 0.5 * (p * np.log(p / middle)).sum()
    assert jsd(logits, y).item() == pytest.approx(divergence, rel=1e-5)


def test_jsd_is_bounded_and_zero_where_they_agree():
    y = torch.tensor([[1.0, 0.0], [0.3, 0.7]])
    assert jsd(y.clamp(min=1e-30).log(), y).item() == pytest.approx(0, abs=1e-6)
    assert jsd(torch.tensor([[-2000.0, 2000.0]]), y[:1]).item() == pytest.approx(np.log(2))


@pytest.mark.parametrize("name", list(LOSSES))
def test_soft_losses_are_finite_with_finite_gradients_at_certainty(name):
    logits = torch.tensor([[2000.0, -2000.0], [2000.0, -2000.0]], requires_grad=True)
    LOSSES[name](logits, torch.tensor([[0.0, 1.0], [0.5, 0.5]]), None, None).backward()
    assert logits.grad.isfinite().all()


def test_balanced_weights_of_distributions_count_mass():
    rows = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    assert_close(balanced_weights(rows, 3), torch.tensor([2 / (3 * 1.5), 2 / (3 * 0.5), 0.0]))


def test_classifier_learns_from_soft_labels(rng):
    views, y = toy(rng)
    soft = np.where(y[:, None] == np.arange(2), 0.8, 0.2)
    model = trained(views, soft, TrainSettings(epochs=8, batch=16, mixup=0.0))
    assert model.score(views, y) > 0.9
    assert model.classes_.tolist() == [0, 1]


def test_one_hot_rows_train_as_classes_do(rng):
    """The losses are equal, not bit by bit: sums run in another order."""
    views, y = toy(rng)
    hard, soft = trained(views, y), trained(views, np.eye(2)[y])
    assert_allclose(hard.predict_proba(views), soft.predict_proba(views), atol=1e-3)


def test_nan_rows_are_left_out(rng):
    views, y = toy(rng)
    soft = np.eye(2)[y]
    soft[5:30] = np.nan
    kept = np.delete(np.arange(64), np.arange(5, 30))
    only = trained({"spectrogram": views["spectrogram"][kept]}, soft[kept])
    assert_array_equal(trained(views, soft).predict(views), only.predict(views))


def test_class_without_mass_is_no_class(rng):
    views, y = toy(rng)
    model = trained(views, np.insert(np.eye(2)[y], 1, 0.0, axis=1))
    assert model.classes_.tolist() == [0, 2]
    assert set(model.predict(views)) <= {0, 2}


def test_rows_without_weight_are_not_learned_from(rng):
    """Wrong labels that count nothing: the classifier follows the right ones."""
    views, y = toy(rng)
    wrong = np.arange(64) % 4 < 2
    given = np.where(wrong, 1 - y, y)
    model = trained(
        views, given, TrainSettings(epochs=8, batch=16, mixup=0.0), sample_weight=1.0 * ~wrong
    )
    assert model.score(views, y) > 0.9


def test_labels_that_are_no_distribution_are_refused():
    rows = np.array([[0.5, 0.5], [0.9, 0.3], [np.nan, 1.0]])
    with pytest.raises(DataError, match=r"row 1 is \(0.9, 0.3\); expected shares .* sum to 1"):
        read_targets(rows, None, 3)
    with pytest.raises(DataError, match=r"row 1 is \(nan, 1\)"):
        read_targets(rows[[0, 2]], None, 2)
    with pytest.raises(DataError, match=r"row 0 is \(-0.5, 1.5\)"):
        read_targets(np.array([[-0.5, 1.5]]), None, 1)
    with pytest.raises(DataError, match=r"labels: shape \(3, 2\); expected .* the 4 rows"):
        read_targets(rows, None, 4)


def test_weights_that_cannot_be_are_refused(rng):
    views, y = toy(rng)
    for weight in (np.ones(3), np.full(64, -1.0), np.full(64, np.nan)):
        with pytest.raises(DataError, match="sample_weight: .*expected 64 numbers of at least 0"):
            trained(views, y, sample_weight=weight)
    with pytest.raises(DataError, match="sample_weight: 0 in all training rows"):
        trained(views, y, sample_weight=np.zeros(64))


def test_no_validating_rows_means_that_all_train_and_nothing_is_measured(rng):
    views, y = toy(rng)
    model = trained(views, y, validation=np.empty(0, int))
    assert np.isnan(model.history_[0]["validation_mcc"])
    assert not np.array_equal(model.predict_proba(views), trained(views, y).predict_proba(views))
