"""The four sets of Gaussians, and that clustering is wired to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.testing import assert_close

from emboscope.learning import toy
from emboscope.learning.architecture import Branch
from emboscope.learning.models import EncoderClassifier
from emboscope.learning.regularizers import RegularizerSettings
from emboscope.learning.toy import TOY_SETS, ToyEncoder, by_bayes_rule, draw, toy_scores


@pytest.mark.parametrize("name", list(TOY_SETS))
def test_sets_have_the_published_sizes_means_and_spread(name, rng):
    chosen = TOY_SETS[name]
    points, y = draw(chosen, rng)
    assert tuple(np.bincount(y)) == chosen.sizes
    for each in range(3):
        own = points[y == each]
        assert own.mean(axis=0) == pytest.approx(np.full(3, chosen.means[each]), abs=0.12)
        assert own.std(axis=0) == pytest.approx(np.full(3, chosen.sds[each]), abs=0.06)


@pytest.mark.parametrize("name", list(TOY_SETS))
def test_bayes_rule_weighs_densities_by_priors(name, rng):
    chosen = TOY_SETS[name]
    points, _ = draw(chosen, rng)
    joint = [
        size * multivariate_normal([mean] * 3, sd**2 * np.eye(3)).pdf(points)
        for mean, sd, size in zip(chosen.means, chosen.sds, chosen.sizes, strict=True)
    ]
    assert np.array_equal(by_bayes_rule(chosen, points), np.argmax(joint, axis=0))


def test_a_network_without_clustering_leaves_nothing_to_gain(monkeypatch):
    """Classes are uneven, and it comes to within a point of the best possible classifier."""
    monkeypatch.setitem(
        TOY_SETS, "mixed_imbalanced", replace(TOY_SETS["mixed_imbalanced"], epochs=8)
    )
    found = toy_scores("mixed_imbalanced", None, 0)
    assert found["mcc"] > found["mcc_bayes"] - 0.01
    assert 0.96 < found["mcc_bayes"] < 1


def test_separable_classes_are_told_apart_and_seeds_repeat():
    scores = toy_scores("separable_balanced", RegularizerSettings(), 0)
    assert scores["mcc"] > 0.98
    assert toy_scores("separable_balanced", RegularizerSettings(), 0) == scores


@pytest.mark.slow
@pytest.mark.parametrize("name", ["separable_balanced", "separable_imbalanced"])
def test_clustering_does_no_harm_where_classes_are_apart(name):
    """Without it they are told apart already, once the softmax is over the classes."""
    for seed in range(2):
        assert toy_scores(name, RegularizerSettings(), seed)["mcc"] > 0.98


@pytest.mark.parametrize(("given", "expected"), [(0.0, 10.0), (0.1, 0.1)])
def test_the_weight_of_clustering_is_that_of_the_set_unless_another_is_given(
    given, expected, monkeypatch
):
    told = []

    def trained(task, settings, device):
        told.append((settings.regularizers.dec, settings.regularizers.dec_start))

    monkeypatch.setattr(toy, "fit_network", trained)
    toy_scores("separable_imbalanced", RegularizerSettings(dec=given), 0)
    toy_scores("separable_imbalanced", None, 0)
    assert told == [(expected, 1), (0.0, None)]


def test_a_softmax_over_the_batch_finds_a_rare_class_where_there_is_none(monkeypatch):
    """The published figures without clustering are those of the head, not of the classes."""
    whole = TOY_SETS["separable_imbalanced"]
    small = replace(whole, sizes=(200, 30, 800), learning_rate=5e-2, epochs=12)
    monkeypatch.setitem(TOY_SETS, "separable_imbalanced", small)
    released, mended = (
        toy_scores("separable_imbalanced", None, 0, released) for released in (True, False)
    )
    assert mended["mcc"] > 0.98
    assert released["mcc"] < 0.96
    assert released["balanced_accuracy"] > released["accuracy"]  # of the many, some are taken


def test_what_a_released_head_says_of_a_row_depends_on_the_others(rng):
    network = EncoderClassifier(Branch(ToyEncoder(released=True)), 3)
    points = torch.from_numpy(rng.standard_normal((8, 3)).astype(np.float32))
    whole = network({"point": points})
    assert_close(whole.sum(dim=0), torch.ones(3))
    assert not torch.allclose(network({"point": points[:4]}), whole[:4])
