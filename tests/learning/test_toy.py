"""The four sets of Gaussians, and that clustering is wired to them."""

import numpy as np
import pytest

from emboscope.learning.regularizers import RegularizerSettings
from emboscope.learning.toy import TOY_SETS, draw, toy_scores


@pytest.mark.parametrize("name", list(TOY_SETS))
def test_sets_have_the_published_sizes_means_and_spread(name, rng):
    toy = TOY_SETS[name]
    points, y = draw(toy, rng)
    assert tuple(np.bincount(y)) == toy.sizes
    for each in range(3):
        own = points[y == each]
        assert own.mean(axis=0) == pytest.approx(np.full(3, toy.means[each]), abs=0.12)
        assert own.std(axis=0) == pytest.approx(np.full(3, toy.sds[each]), abs=0.06)


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
