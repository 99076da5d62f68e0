"""How far raters agree, beyond chance and class by class."""

from collections.abc import Callable

import numpy as np

from emboscope.errors import DataError
from emboscope.evaluation.statistics import Estimate, bootstrap_groups


def vote_counts(votes: np.ndarray, n_classes: int | None = None) -> np.ndarray:
    """How often each sample was given each class.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        Classes from 0; -1 where a rater gave none.
    n_classes : int, optional
        Without it as many as the largest vote needs.

    Returns
    -------
    counts : ndarray of int64, shape (n_samples, n_classes)

    Raises
    ------
    DataError
        If votes are not a table of whole numbers, or none is given, or one is out of range.
    """
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.dtype.kind not in "iu":
        raise DataError(
            f"votes: {votes.dtype} of shape {votes.shape}; expected whole numbers of shape "
            "(n_samples, n_raters). Use -1 where a rater gave no vote."
        )
    largest = int(votes.max(initial=-1))
    if largest < 0:
        raise DataError("votes: every one is -1; expected some. Collect votes first.")
    if n_classes is not None and largest >= n_classes:
        raise DataError(
            f"votes: class {largest}; expected classes below {n_classes}. Raise n_classes."
        )
    n_classes = n_classes or largest + 1
    rows, _ = np.nonzero(votes >= 0)
    cells = rows * n_classes + votes[votes >= 0]
    return np.bincount(cells, minlength=len(votes) * n_classes).reshape(len(votes), n_classes)


def cohen_kappa(votes: np.ndarray) -> float:
    """Cohen's κ of two raters: (agreement - chance) / (1 - chance).

    Chance is that of two raters who keep their own shares of the classes.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, 2)
        -1 where a rater gave no vote; such samples are left out.

    Returns
    -------
    kappa : float
        1 is perfect, 0 chance. NaN without a sample that both rated, or if both always give one
        and the same class.

    References
    ----------
    .. [1] Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and
       Psychological Measurement, 20.
    """
    n_classes = vote_counts(votes).shape[1]
    votes = np.asarray(votes)
    if votes.shape[1] != 2:
        raise DataError(
            f"votes: {votes.shape[1]} raters; expected 2 for Cohen's κ. Choose two columns, or use "
            "krippendorff_alpha."
        )
    first, second = votes[(votes >= 0).all(axis=1)].T
    if not len(first):
        return float("nan")
    shares = [np.bincount(one, minlength=n_classes) / len(first) for one in (first, second)]
    return _beyond_chance(float(np.mean(first == second)), float(shares[0] @ shares[1]))


def fleiss_kappa(votes: np.ndarray) -> float:
    """Fleiss' κ of any number of raters, the same number for every sample.

    Raters need not be the same persons from sample to sample: only the counts matter.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        -1 where a rater gave no vote; samples without any are left out.

    Returns
    -------
    kappa : float
        1 is perfect, 0 chance; NaN if only one class was ever given.

    Raises
    ------
    DataError
        If samples have different numbers of votes, or a single one.

    References
    ----------
    .. [1] Fleiss, J. L. (1971). Measuring nominal scale agreement among many raters. Psychological
       Bulletin, 76.
    """
    counts = vote_counts(votes)
    counts = counts[counts.sum(axis=1) > 0]
    n_votes = np.unique(counts.sum(axis=1))
    if len(n_votes) > 1 or n_votes[0] < 2:
        raise DataError(
            f"votes: {n_votes.min()} to {n_votes.max()} a sample; expected the same number, at "
            "least 2, for Fleiss' κ. Use krippendorff_alpha."
        )
    n = int(n_votes[0])
    observed = (counts * (counts - 1)).sum(axis=1).mean() / (n * (n - 1))
    chance = (counts.sum(axis=0) / counts.sum()) ** 2
    return _beyond_chance(float(observed), float(chance.sum()))


def krippendorff_alpha(votes: np.ndarray) -> float:
    """Krippendorff's α for classes without an order; votes may be missing.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        -1 where a rater gave no vote; samples with fewer than two votes are left out.

    Returns
    -------
    alpha : float
        1 is perfect, 0 chance. NaN if no sample has two votes, or only one class was ever given.

    References
    ----------
    .. [1] Krippendorff, K. (2004). Content analysis: an introduction to its methodology, 2nd ed.
       Sage. Chapter 11.
    """
    counts = vote_counts(votes)
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return float("nan")
    n_votes = counts.sum(axis=1)
    agreeing = ((counts * (counts - 1)).sum(axis=1) / (n_votes - 1)).sum()
    totals, total = counts.sum(axis=0), counts.sum()
    chance = (totals * (totals - 1)).sum() / (total * (total - 1))
    return _beyond_chance(float(agreeing / total), float(chance))


def specific_agreement(votes: np.ndarray, n_classes: int | None = None) -> np.ndarray:
    """Given that one rater names a class, the chance that another names it too.

    With two raters 2a / (2a + b + c): a both, b and c only one of them. With more, all pairs of
    votes on a sample count.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        -1 where a rater gave no vote.
    n_classes : int, optional

    Returns
    -------
    agreement : ndarray, shape (n_classes,)
        In [0, 1]; NaN for a class that nobody named on a sample of two votes.

    References
    ----------
    .. [1] Cicchetti, D. V., Feinstein, A. R. (1990). High agreement but low kappa: II. Resolving
       the paradoxes. Journal of Clinical Epidemiology, 43.
    """
    counts = vote_counts(votes, n_classes)
    agreeing = (counts * (counts - 1)).sum(axis=0)
    possible = (counts * (counts.sum(axis=1, keepdims=True) - 1)).sum(axis=0)
    return np.where(possible > 0, agreeing / np.maximum(possible, 1), np.nan)


def agreement_interval(
    statistic: Callable[[np.ndarray], float],
    votes: np.ndarray,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    n_draws: int = 1000,
) -> Estimate:
    """A statistic of agreement with its 95 % interval, by bootstrap over samples or patients.

    Parameters
    ----------
    statistic : callable
        One of this module: votes in, a number out.
    votes : ndarray of int, shape (n_samples, n_raters)
    groups : ndarray, shape (n_samples,), optional
        Patients, which are then drawn whole; without them samples are drawn.

    Returns
    -------
    estimate : Estimate
        Its interval is NaN where the statistic is. Draws on which it is NaN are left out.
    """
    votes = np.asarray(votes)
    whole = float(statistic(votes))
    if np.isnan(whole):
        return Estimate(whole, (whole, whole), "undefined", (whole,))
    drawn = np.arange(len(votes)) if groups is None else np.asarray(groups)
    return bootstrap_groups(lambda rows: statistic(votes[rows]), drawn, rng, n_draws)


def _beyond_chance(observed: float, chance: float) -> float:
    """(observed - chance) / (1 - chance); NaN where chance is certain."""
    return (observed - chance) / (1 - chance) if chance < 1 else float("nan")
