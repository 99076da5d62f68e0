"""One soft label from the votes of several raters."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from emboscope.annotation.agreement import vote_counts
from emboscope.errors import DataError, SettingsError


def soft_of_votes(votes: np.ndarray, n_classes: int) -> np.ndarray:
    """The share of the votes that each class got: disagreement becomes a soft label.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        Classes from 0; -1 where a rater gave none.
    n_classes : int

    Returns
    -------
    distributions : ndarray, shape (n_samples, n_classes)
        Rows of sum 1; NaN where nobody voted.
    """
    return _shares(vote_counts(votes, n_classes))


def majority_vote(votes: np.ndarray, n_classes: int) -> np.ndarray:
    """1 for the class with most votes; classes that tie share it equally.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        Classes from 0; -1 where a rater gave none.
    n_classes : int

    Returns
    -------
    distributions : ndarray, shape (n_samples, n_classes)
        Rows of sum 1; NaN where nobody voted.
    """
    counts = vote_counts(votes, n_classes)
    most = counts.max(axis=1, keepdims=True)
    return _shares((counts == most) & (most > 0))


@dataclass(frozen=True)
class DawidSkene:
    """Consensus of raters who err each in their own way.

    Attributes
    ----------
    distributions : ndarray, shape (n_samples, n_classes)
        Probability of each class; NaN where nobody voted.
    confusions : ndarray, shape (n_raters, n_classes, n_classes)
        [r, c, v]: how often rater r says v when the class is c. Rows of sum 1.
    priors : ndarray, shape (n_classes,)
        Share of each class.
    objective : ndarray, shape (n_iterations,)
        Log-likelihood plus log prior of the parameters, before each step; it never falls.
    converged : bool
        Whether it rose by less than the tolerance at last.
    """

    distributions: np.ndarray
    confusions: np.ndarray
    priors: np.ndarray
    objective: np.ndarray
    converged: bool


def dawid_skene(
    votes: np.ndarray,
    n_classes: int,
    smoothing: float = 0.1,
    max_iterations: int = 500,
    tolerance: float = 1e-8,
) -> DawidSkene:
    """Consensus that weighs each rater by an estimated confusion matrix [1]_.

    Expectation-maximization from the shares of the votes. Raters are taken to err independently
    given the class, which is too good to be true for hard samples: probabilities come out surer
    than the raters are. With two raters the data hardly tell who is right; use three.

    Parameters
    ----------
    votes : ndarray of int, shape (n_samples, n_raters)
        Classes from 0; -1 where a rater gave none.
    n_classes : int
    smoothing : float
        Imagined votes in each cell of a confusion matrix and of the shares of classes: a Dirichlet
        prior with parameter 1 + smoothing. More than 0, so that an unused class divides nothing
        by 0.
    max_iterations : int
    tolerance : float
        Relative rise of the objective at which the iterations end.

    Returns
    -------
    consensus : DawidSkene

    Raises
    ------
    DataError
        If there are no votes, or a single rater.
    SettingsError
        If a parameter is out of range.

    References
    ----------
    .. [1] Dawid, A. P., Skene, A. M. (1979). Maximum likelihood estimation of observer error-rates
       using the EM algorithm. Applied Statistics, 28. The Dirichlet prior is ours.
    """
    if not smoothing > 0 or max_iterations < 1:
        raise SettingsError(
            f"consensus: smoothing is {smoothing} and max_iterations {max_iterations}; expected "
            "more than 0, and at least 1. Leave them out for 0.1 and 500."
        )
    soft = soft_of_votes(votes, n_classes)
    given = np.asarray(votes)[:, :, None] == np.arange(n_classes)  # (sample, rater, class)
    if given.shape[1] < 2:
        raise DataError("votes: 1 rater; expected at least 2. Ask another.")
    voted = given.any(axis=(1, 2))
    one_hot, posterior = given[voted].astype(np.float64), soft[voted]
    objective: list[float] = []
    converged = False
    while not converged and len(objective) < max_iterations:
        confusions, priors = _rates(posterior, one_hot, smoothing)
        posterior, value = _posterior(one_hot, confusions, priors, smoothing)
        converged = bool(objective) and value - objective[-1] <= tolerance * abs(value)
        objective.append(value)
    soft[voted] = posterior
    return DawidSkene(soft, confusions, priors, np.array(objective), converged)


def _rates(
    posterior: np.ndarray, one_hot: np.ndarray, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """M step: confusion matrices and shares of the classes."""
    counts = np.einsum("ic,irv->rcv", posterior, one_hot) + smoothing
    shares = posterior.sum(axis=0) + smoothing
    return counts / counts.sum(axis=2, keepdims=True), shares / shares.sum()


def _posterior(
    one_hot: np.ndarray, confusions: np.ndarray, priors: np.ndarray, smoothing: float
) -> tuple[np.ndarray, float]:
    """E step: the probability of each class, and the objective at these rates."""
    joint = np.log(priors) + np.einsum("irv,rcv->ic", one_hot, np.log(confusions))
    evidence = logsumexp(joint, axis=1, keepdims=True)
    belief = smoothing * (np.log(confusions).sum() + np.log(priors).sum())
    return np.exp(joint - evidence), float(evidence.sum() + belief)


def _shares(counts: np.ndarray) -> np.ndarray:
    """Rows of sum 1; NaN for a row of zeros."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)
