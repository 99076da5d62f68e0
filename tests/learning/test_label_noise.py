"""Wrong labels made on purpose follow their transition exactly, and touch nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.learning.label_noise import (
    flip_asymmetric,
    flip_symmetric,
    noise_soft,
    transition_matrix,
)

N = 60_000  # labels of a count: its standard deviation is at most 0.5 / sqrt(N / 4) = 0.0041
FIVE_SD = 0.02


def counted(y, noisy, n_classes):
    """Share of each label (column) among those of a class (row)."""
    pairs = np.zeros((n_classes, n_classes))
    np.add.at(pairs, (y, noisy), 1)
    return pairs / pairs.sum(axis=1, keepdims=True)


def one_hot_noise(y, rate, n_classes, rng):
    return noise_soft(np.eye(n_classes)[y], rate, rng).argmax(axis=1)


@pytest.mark.parametrize(
    ("flip", "kind"),
    [
        (flip_symmetric, "symmetric"),
        (flip_asymmetric, "asymmetric"),
        (one_hot_noise, "symmetric"),
    ],
)
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_shares_are_those_of_the_transition(flip, kind, rate, rng):
    y = np.arange(N) % 4
    shares = counted(y, flip(y, rate, 4, rng), 4)
    expected = transition_matrix(rate, 4, kind)
    assert_allclose(shares, expected, atol=FIVE_SD)
    assert_array_equal(shares[expected == 0], 0)


def test_transitions_by_hand():
    assert_allclose(transition_matrix(0.2, 3), [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    assert_allclose(
        transition_matrix(0.2, 3, "asymmetric"), [[0.8, 0.2, 0], [0, 0.8, 0.2], [0.2, 0, 0.8]]
    )
    assert_allclose(
        transition_matrix(0.2, 3, "asymmetric", to=(0, 2, 1)),
        [[1, 0, 0], [0, 0.8, 0.2], [0, 0.2, 0.8]],
    )


def test_given_map_says_what_a_class_is_mistaken_for(rng):
    """Gaseous for solid and solid for gaseous; an artifact never."""
    y = np.array([0, 1, 2, 2, -1])
    assert flip_asymmetric(y, 1.0, 3, rng, to=(0, 2, 1)).tolist() == [0, 2, 1, 1, -1]


@pytest.mark.parametrize("flip", [flip_symmetric, flip_asymmetric])
@given(y=st.lists(st.integers(-1, 2)), rate=st.floats(0, 1), seed=st.integers(0, 99))
def test_unlabeled_rows_and_the_input_stay(flip, y, rate, seed):
    given_labels = np.array(y, dtype=np.int8)
    noisy = flip(given_labels, rate, 3, np.random.default_rng(seed))
    assert_array_equal(given_labels, np.array(y, dtype=np.int8))
    assert not np.shares_memory(noisy, given_labels)
    assert noisy.dtype == given_labels.dtype
    assert_array_equal(noisy == -1, given_labels == -1)
    assert ((noisy >= -1) & (noisy <= 2)).all()


@pytest.mark.parametrize("flip", [flip_symmetric, flip_asymmetric])
def test_same_seed_gives_the_same_noise_whichever_rows_are_labeled(flip):
    y = np.arange(200) % 3
    some = np.where(np.arange(200) % 2, y, -1)
    all_noisy, some_noisy = (flip(each, 0.4, 3, np.random.default_rng(7)) for each in (y, some))
    assert_array_equal(all_noisy[some >= 0], some_noisy[some >= 0])


@given(seed=st.integers(0, 200), rate=st.floats(0, 1))
def test_soft_noise_keeps_the_shares_of_a_row_and_rows_of_nan(seed, rate):
    rng = np.random.default_rng(seed)
    labels = rng.dirichlet(np.ones(4), size=20).round(1)  # with ties
    labels[3] = np.nan
    before = labels.copy()
    noisy = noise_soft(labels, rate, rng)
    assert_array_equal(labels, before)
    assert_array_equal(np.sort(noisy, axis=1), np.sort(labels, axis=1))
    assert np.isnan(noisy[3]).all()


def test_soft_noise_makes_another_class_the_likeliest(rng):
    labels = rng.dirichlet(np.ones(4), size=500)
    assert (noise_soft(labels, 1.0, rng).argmax(axis=1) != labels.argmax(axis=1)).all()
    tied = np.array([[0.5, 0.5, 0.0]])
    assert noise_soft(tied, 1.0, rng).tolist() == [[0.0, 0.5, 0.5]]
    uniform = np.full((1, 4), 0.25)
    assert_array_equal(noise_soft(uniform, 1.0, rng), uniform)


@pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan])
def test_rate_out_of_range_is_refused(rate, rng):
    y = np.array([0, 1])
    for call in (
        lambda: flip_symmetric(y, rate, 2, rng),
        lambda: flip_asymmetric(y, rate, 2, rng),
        lambda: noise_soft(np.eye(2), rate, rng),
        lambda: transition_matrix(rate, 2),
    ):
        with pytest.raises(SettingsError, match="rate: .*; expected between 0 and 1"):
            call()


def test_one_class_cannot_be_mistaken(rng):
    with pytest.raises(SettingsError, match="n_classes: 1; expected at least 2"):
        flip_symmetric(np.zeros(3, int), 0.1, 1, rng)


def test_map_that_is_none_is_refused(rng):
    for to in ([1], [0, 2], [0.5, 1]):
        with pytest.raises(SettingsError, match=r"to: .*; expected 2 classes of 0 to 1"):
            flip_asymmetric(np.array([0, 1]), 0.1, 2, rng, to=to)
    with pytest.raises(SettingsError, match="to: given with symmetric noise"):
        transition_matrix(0.1, 2, to=[1, 0])
    with pytest.raises(SettingsError, match="label noise 'pair': unknown; expected symmetric"):
        transition_matrix(0.1, 2, "pair")


def test_labels_that_are_no_classes_are_refused(rng):
    with pytest.raises(DataError, match="labels: 3 in row 2, .*expected whole numbers .* 0 to 2"):
        flip_symmetric(np.array([0, -1, 3]), 0.1, 3, rng)
    with pytest.raises(DataError, match=r"labels: \(1, 2\), of type .*; expected whole numbers"):
        flip_symmetric(np.array([[0, 1]]), 0.1, 3, rng)
    with pytest.raises(DataError, match="of type float64; expected whole numbers"):
        flip_asymmetric(np.array([0.0, 1.0]), 0.1, 3, rng)
    with pytest.raises(DataError, match=r"soft labels: shape \(2,\); expected"):
        noise_soft(np.array([0.5, 0.5]), 0.1, rng)
