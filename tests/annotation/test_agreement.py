import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from emboscope.annotation.agreement import (
    agreement_interval,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    specific_agreement,
    vote_counts,
)
from emboscope.errors import DataError
from twins import raters as twin

# Fleiss (1971), table 1: 30 patients, six psychiatrists each, five diagnoses; counts of votes.
FLEISS = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)
# Krippendorff (2004), four observers, twelve units; "." where an observer gave nothing.
KRIPPENDORFF = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def fleiss_votes():
    return np.array([np.repeat(np.arange(5), [int(n) for n in row]) for row in FLEISS.split()])


def krippendorff_votes():
    return np.array([[-1 if v == "." else int(v) - 1 for v in row] for row in KRIPPENDORFF]).T


def test_the_table_of_fleiss_gives_his_kappa():
    votes = fleiss_votes()
    assert vote_counts(votes).sum(axis=0).tolist() == [26, 26, 30, 55, 43]  # as he prints them
    assert_allclose(fleiss_kappa(votes), 0.430, atol=5e-4)


def test_the_example_of_krippendorff_gives_his_alpha():
    assert_allclose(krippendorff_alpha(krippendorff_votes()), 0.743, atol=5e-4)


def test_cohen_kappa_by_hand():
    # agree on 20 + 15 of 50; chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5; (0.7 - 0.5) / 0.5
    votes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [20, 5, 10, 15], axis=0)
    assert_allclose(cohen_kappa(votes), 0.4)


def test_specific_agreement_by_hand():
    # two raters: both 0 on 3 samples, one of them on 2; both 1 on 5: 6 / 8 and 10 / 12
    votes = np.repeat([[0, 0], [0, 1], [1, 1]], [3, 2, 5], axis=0)
    assert_allclose(specific_agreement(votes, 3), [6 / 8, 10 / 12, np.nan])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(2, 5), st.integers(1, 4), st.integers(0, 10_000))
def test_they_equal_their_twins_with_missing_votes(n, n_raters, n_classes, seed):
    votes = np.random.default_rng(seed).integers(-1, n_classes, (n, n_raters))
    votes[0, :2] = 0
    assert_allclose(krippendorff_alpha(votes), twin.krippendorff_alpha(votes), atol=1e-12)
    assert_allclose(
        specific_agreement(votes, n_classes), twin.specific_agreement(votes, n_classes), atol=1e-12
    )


@pytest.mark.parametrize("statistic", [cohen_kappa, fleiss_kappa, krippendorff_alpha])
def test_limits_and_symmetries(statistic, rng):
    votes = rng.integers(0, 3, (4000, 2))
    assert abs(statistic(votes)) < 0.05  # chance; 3 standard errors are 0.035
    assert_allclose(statistic(np.repeat(votes[:, :1], 2, axis=1)), 1)
    assert_allclose(statistic(votes[:, ::-1]), statistic(votes))
    assert_allclose(statistic((votes + 1) % 3), statistic(votes))
    assert np.isnan(statistic(np.zeros((5, 2), int)))  # chance is certain


def test_samples_without_a_pair_say_nothing():
    votes = krippendorff_votes()
    single = np.vstack([votes, [[4, -1, -1, -1]] * 3])
    assert_allclose(krippendorff_alpha(single), krippendorff_alpha(votes))
    assert_allclose(specific_agreement(single), specific_agreement(votes))
    assert np.isnan(krippendorff_alpha(np.array([[0, -1], [-1, 1]])))
    assert np.isnan(cohen_kappa(np.array([[0, -1], [-1, 1]])))


def test_the_interval_holds_the_statistic_and_widens_with_whole_patients(rng):
    votes = np.repeat(fleiss_votes(), 4, axis=0)  # four copies tell no more than one
    free = agreement_interval(krippendorff_alpha, votes, np.random.default_rng(0), n_draws=200)
    groups = np.repeat(np.arange(30), 4)
    whole = agreement_interval(krippendorff_alpha, votes, rng, groups, n_draws=200)
    assert free.interval[0] < free.mean < free.interval[1]
    assert np.diff(whole.interval) > 1.5 * np.diff(free.interval)  # twice, but for chance
    nothing = agreement_interval(krippendorff_alpha, np.zeros((5, 2), int), rng)
    assert np.isnan(nothing.interval).all()


def test_refuses_what_cannot_be_compared():
    with pytest.raises(DataError, match="3 raters; expected 2 for Cohen"):
        cohen_kappa(np.zeros((4, 3), int))
    with pytest.raises(DataError, match="1 to 2 a sample; expected the same number"):
        fleiss_kappa(np.array([[0, 1], [0, -1]]))
    with pytest.raises(DataError, match="every one is -1"):
        krippendorff_alpha(np.full((3, 2), -1))
    with pytest.raises(DataError, match="class 3; expected classes below 3"):
        specific_agreement(np.array([[3, 0]]), 3)
    with pytest.raises(DataError, match="expected whole numbers of shape"):
        vote_counts(np.zeros((3, 2)))
