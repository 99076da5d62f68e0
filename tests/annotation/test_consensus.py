import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from emboscope.annotation.consensus import dawid_skene, majority_vote, soft_of_votes
from emboscope.errors import DataError, SettingsError
from twins import raters as twin

NAN = [np.nan] * 3


def planted(rng, n, accuracies):
    """Truth, and votes of raters who are right as often as told."""
    truth = rng.choice(3, n, p=(0.3, 0.3, 0.4))
    wrong = (truth[:, None] + rng.integers(1, 3, (n, len(accuracies)))) % 3
    return truth, np.where(rng.random(wrong.shape) < accuracies, truth[:, None], wrong)


def test_shares_and_majority_by_hand():
    votes = np.array([[0, 0, 2, -1], [1, 2, -1, -1], [-1] * 4, [1, 1, 1, 1]])
    assert_allclose(soft_of_votes(votes, 3), [[2 / 3, 0, 1 / 3], [0, 0.5, 0.5], NAN, [0, 1, 0]])
    assert_allclose(majority_vote(votes, 3), [[1, 0, 0], [0, 0.5, 0.5], NAN, [0, 1, 0]])


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 15), st.integers(2, 4), st.integers(1, 3), st.integers(0, 10_000))
def test_consensus_never_falls_and_sums_to_one(n, n_raters, n_classes, seed):
    votes = np.random.default_rng(seed).integers(-1, n_classes, (n, n_raters))
    votes[0, 0] = 0
    found = dawid_skene(votes, n_classes, smoothing=0.01)
    assert (np.diff(found.objective) >= -1e-9 * np.abs(found.objective[1:])).all()  # rounding
    assert_allclose(found.confusions.sum(axis=2), 1)
    voted = (votes >= 0).any(axis=1)
    assert_allclose(found.distributions[voted].sum(axis=1), 1)
    assert np.isnan(found.distributions[~voted]).all()


def test_the_end_is_a_fixed_point_of_the_slow_step(rng):
    _, votes = planted(rng, 60, (0.9, 0.8, 0.6))
    votes[rng.random(votes.shape) < 0.2] = -1
    votes[:, 0] = np.maximum(votes[:, 0], 0)
    found = dawid_skene(votes, 3, tolerance=1e-14)
    posterior, confusions, priors = twin.dawid_skene_step(votes, found.distributions, 0.1)
    # EM ends where steps are small, not zero
    assert_allclose(posterior, found.distributions, atol=1e-4)
    assert_allclose(confusions, found.confusions, atol=1e-4)
    assert_allclose(priors, found.priors, atol=1e-4)


def test_a_single_step_equals_the_slow_one(rng):
    _, votes = planted(rng, 30, (0.9, 0.7))
    found = dawid_skene(votes, 3, max_iterations=1)
    posterior, confusions, priors = twin.dawid_skene_step(votes, soft_of_votes(votes, 3), 0.1)
    assert_allclose(found.distributions, posterior)
    assert_allclose(found.confusions, confusions)
    assert_allclose(found.priors, priors)
    assert not found.converged


def test_permuting_the_raters_changes_nothing_but_their_order(rng):
    _, votes = planted(rng, 100, (0.9, 0.7, 0.6, 0.5))
    order = [2, 0, 3, 1]
    straight, permuted = dawid_skene(votes, 3), dawid_skene(votes[:, order], 3)
    assert_allclose(permuted.distributions, straight.distributions, atol=1e-9)
    assert_allclose(permuted.confusions, straight.confusions[order], atol=1e-9)


def test_one_good_rater_among_poor_ones_is_found_out(rng):
    truth, votes = planted(rng, 400, (0.95, 0.8, 0.55, 0.55, 0.55))
    found = dawid_skene(votes, 3)
    right = [
        np.mean(p.argmax(axis=1) == truth) for p in (found.distributions, majority_vote(votes, 3))
    ]
    assert found.converged
    assert right[0] > right[1] + 0.03  # 95 against 87 % over many draws
    hit = found.confusions[:, np.arange(3), np.arange(3)].mean(axis=1)
    assert_allclose(hit, [0.95, 0.8, 0.55, 0.55, 0.55], atol=0.1)  # 2.5 standard errors


def test_refuses_what_gives_no_consensus():
    with pytest.raises(DataError, match="1 rater; expected at least 2"):
        dawid_skene(np.zeros((3, 1), int), 2)
    with pytest.raises(DataError, match="class 2; expected classes below 2"):
        soft_of_votes(np.array([[2, 0]]), 2)
    with pytest.raises(SettingsError, match="smoothing is 0"):
        dawid_skene(np.zeros((3, 2), int), 2, smoothing=0)
