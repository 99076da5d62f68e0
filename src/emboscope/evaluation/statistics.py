"""How sure a score is: intervals over folds, and over the groups of one split."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from emboscope.errors import DataError

CORRECTED_T = "corrected resampled t"
BOOTSTRAP = "bootstrap over groups"


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval.

    Attributes
    ----------
    mean : float
        NaN where one of the values is.
    interval : tuple of float
        Lower and upper end, at 95 % unless told otherwise.
    method : str
        How the interval was found.
    values : tuple of float
        One a fold or repeat.
    """

    mean: float
    interval: tuple[float, float]
    method: str
    values: tuple[float, ...]


def corrected_t(values: np.ndarray, test_share: float, confidence: float = 0.95) -> Estimate:
    """Interval of a mean over folds, whose training parts overlap [1]_.

    The variance of the mean is (1/J + n_test/n_train)·s², where plain t would take s²/J.

    Parameters
    ----------
    values : ndarray, shape (n_folds,)
        One score a fold, or one difference of two scores.
    test_share : float
        n_test / n_train.

    References
    ----------
    .. [1] Nadeau, C., Bengio, Y. (2003). Inference for the generalization error. Machine
       Learning, 52. Section 4, the corrected resampled t-test.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size < 2:
        raise DataError(f"scores: shape {values.shape}; expected at least 2 folds. Use more folds.")
    half = student.ppf(0.5 + confidence / 2, values.size - 1) * np.sqrt(
        (1 / values.size + test_share) * values.var(ddof=1)
    )
    mean = float(values.mean())
    ends = (float(mean - half), float(mean + half))
    return Estimate(mean, ends, CORRECTED_T, tuple(values.tolist()))


def paired_difference(
    values: np.ndarray, others: np.ndarray, test_share: float, confidence: float = 0.95
) -> Estimate:
    """`values` − `others` fold by fold, with the corrected interval."""
    return corrected_t(np.subtract(values, others), test_share, confidence)


def bootstrap_groups(
    score: Callable[[np.ndarray], float],
    groups: np.ndarray,
    rng: np.random.Generator,
    n_draws: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Percentile interval of a score on one test part: groups are drawn with replacement.

    Parameters
    ----------
    score : callable
        Takes row indices, with repetition, and gives a score; NaN draws are left out.
    groups : ndarray, shape (n_samples,)
        Patient or recording of each row of the test part.
    """
    names, inverse = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"groups: {len(names)}; expected at least 2. Test on more groups.")
    rows = [np.flatnonzero(inverse == index) for index in range(len(names))]
    whole = float(score(np.arange(len(groups))))
    drawn = [
        score(np.concatenate([rows[index] for index in rng.integers(len(names), size=len(names))]))
        for _ in range(n_draws)
    ]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(whole, (float(low), float(high)), BOOTSTRAP, (whole,))
