"""Soft labels: how certain, how far apart, how well calibrated, and how to combine them."""

from collections.abc import Sequence

import numpy as np
from scipy.special import rel_entr

from emboscope.annotation.propagation import margins
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.calibration import fit_temperature as evaluation_temperature

__all__ = [
    "brier", "checked_distributions", "expected_calibration_error", "fit_temperature",
    "jensen_shannon", "keep_most_certain", "margins", "mean_distribution", "tempered",
    "weigh_by_prior",
]  # fmt: skip

_SUM_ERROR = 1e-6  # by which a row may miss the sum of 1
_FLOOR = 0.01  # share of the uniform distribution mixed in, so that a vote of 0 may be wrong


def checked_distributions(p: np.ndarray, name: str = "soft labels") -> np.ndarray:
    """Soft labels as float64, or a refusal.

    Parameters
    ----------
    p : ndarray, shape (n_samples, n_classes)
        Rows of sum 1; a row of NaN is unlabeled.

    Raises
    ------
    DataError
        If a row is neither; it names the first.
    """
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 1:
        raise DataError(
            f"{name}: shape {p.shape}; expected (n_samples, n_classes). Give one row a sample."
        )
    empty = np.isnan(p).all(axis=1)
    sums = np.abs(p.sum(axis=1) - 1) <= _SUM_ERROR
    wrong = ~empty & ~(sums & (p >= 0).all(axis=1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{name}: row {row} sums to {p[row].sum():.3g}, or is negative or partly NaN; expected "
            "a sum of 1, or NaN throughout. Normalize the rows."
        )
    return p


def keep_most_certain(labels: np.ndarray, margins: np.ndarray, share: float) -> np.ndarray:
    """The labels with the largest margins; the others become unlabeled.

    Parameters
    ----------
    labels : ndarray of int, shape (n_samples,)
        -1 is unlabeled, and stays so.
    margins : ndarray, shape (n_samples,)
        Certainty of each label.
    share : float
        Of the labels to keep, in [0, 1]; their number is rounded. Of equal margins the first stay.

    Returns
    -------
    labels : ndarray of int, shape (n_samples,)
        A copy.
    """
    labels, margins = _pair("labels and margins", labels, margins)
    if not 0 <= share <= 1:
        raise SettingsError(f"share: {share}; expected between 0 and 1. 0.9 drops a tenth.")
    labeled = np.flatnonzero(labels >= 0)
    order = labeled[np.argsort(-margins[labeled], kind="stable")]  # NaN stands last
    kept = labels.copy()
    kept[order[round(share * len(order)) :]] = -1
    return kept


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of each pair of rows, in bits: 0 is equal, 1 is disjoint.

    Parameters
    ----------
    p, q : ndarray, shape (n_samples, n_classes)
        Soft labels.

    Returns
    -------
    divergence : ndarray, shape (n_samples,)
        NaN where one of the two is unlabeled.

    References
    ----------
    .. [1] Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
       Information Theory, 37.
    """
    p, q = _pair("soft labels", checked_distributions(p), checked_distributions(q))
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / (2 * np.log(2))
    return np.clip(divergence, 0, 1)


def brier(p: np.ndarray, q: np.ndarray) -> float:
    """Mean squared distance of two sets of soft labels, over the samples that both label.

    Parameters
    ----------
    p, q : ndarray, shape (n_samples, n_classes)
        Predicted and true soft labels; the true ones may be 0 and 1.

    Returns
    -------
    score : float
        0 is equal, 2 is sure and wrong throughout; NaN when no sample is labeled by both.

    References
    ----------
    .. [1] Brier, G. W. (1950). Verification of forecasts expressed in terms of probability.
       Monthly Weather Review, 78.
    """
    p, q = _pair("soft labels", checked_distributions(p), checked_distributions(q))
    distances = ((p - q) ** 2).sum(axis=1)
    return _mean(distances[~np.isnan(distances)])


def expected_calibration_error(p: np.ndarray, y: np.ndarray, n_bins: int = 15) -> float:
    """How far the probability of the likeliest class is from the share that is right.

    Samples are sorted into bins of equal width by that probability; the result is the mean over
    samples of |accuracy - mean probability| of their bin.

    Parameters
    ----------
    p : ndarray, shape (n_samples, n_classes)
        Soft labels; rows of NaN are left out.
    y : ndarray of int, shape (n_samples,)
        True classes, columns of `p`; samples of -1 are left out.
    n_bins : int

    Returns
    -------
    error : float
        In [0, 1]; NaN when nothing is left.

    References
    ----------
    .. [1] Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
       networks. ICML. Equation 3.
    """
    p, y = _scored(p, y)
    if not len(y):
        return float("nan")
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, right - confidence, n_bins)
    return float(np.abs(gaps).sum() / len(y))


def fit_temperature(p: np.ndarray, y: np.ndarray) -> float:
    """The temperature that makes soft labels as certain as they are right [1]_.

    Fit it on samples whose label was hidden from the propagation (`calibration.hold_out_labels`):
    a given label is certain of itself, which tells nothing.

    Parameters
    ----------
    p : ndarray, shape (n_samples, n_classes)
        Soft labels; rows of NaN are left out.
    y : ndarray of int, shape (n_samples,)
        True classes; samples of -1 are left out.

    Returns
    -------
    temperature : float
        Minimum of the negative log-likelihood plus (log T)² / 2, which keeps T near 1 when the
        samples are few. Above 1 makes labels less certain.

    Raises
    ------
    DataError
        If no sample is left.

    References
    ----------
    .. [1] Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
       networks. ICML. Section 4.2. The penalty is ours.
    """
    p, y = _scored(p, y)
    if not len(y):
        raise DataError(
            "temperature: no sample has both a soft label and a class; expected some. Label more."
        )

    return evaluation_temperature(_log_mixed(p), y)


def tempered(p: np.ndarray, temperature: float) -> np.ndarray:
    """Soft labels to the power of 1 / temperature, normalized; rows of NaN stay.

    A hundredth of the uniform distribution is mixed in first, because votes of exactly 0 and 1
    could not change otherwise.

    Parameters
    ----------
    p : ndarray, shape (n_samples, n_classes)
    temperature : float
        From `fit_temperature`; infinity makes every row uniform.

    Returns
    -------
    distributions : ndarray, shape (n_samples, n_classes)
    """
    p = checked_distributions(p)
    if not temperature > 0:
        raise SettingsError(f"temperature: {temperature}; expected more than 0. 1 changes little.")
    return _normalized(_log_mixed(p) / temperature)


def mean_distribution(distributions: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of the soft labels of several maps or methods.

    Parameters
    ----------
    distributions : sequence of ndarray, each of shape (n_samples, n_classes)
        The same samples and classes; a row of NaN has no say.

    Returns
    -------
    mean : ndarray, shape (n_samples, n_classes)
        NaN where fewer than half of them label the sample.
    """
    if not len(distributions):
        raise DataError("soft labels: none to combine; expected at least one set. Propagate first.")
    first = checked_distributions(distributions[0])
    rows = np.stack([
        _pair("soft labels", first, checked_distributions(p))[1] for p in distributions
    ])
    n_given = (~np.isnan(rows[:, :, 0])).sum(axis=0)
    mean = np.nansum(rows, axis=0) / np.maximum(n_given, 1)[:, None]
    mean[2 * n_given < len(distributions)] = np.nan
    return mean


def weigh_by_prior(p: np.ndarray, prior: np.ndarray, weight: float = 1.0) -> np.ndarray:
    """Soft labels times a prior to the power of `weight`, normalized.

    Parameters
    ----------
    p : ndarray, shape (n_samples, n_classes)
        From a propagator. Where it is NaN the prior alone speaks.
    prior : ndarray, shape (n_samples, n_classes)
        From `rules.weak_labels`. Where it is NaN `p` stays as it is.
    weight : float
        0 leaves the prior out, except where it alone speaks.

    Returns
    -------
    distributions : ndarray, shape (n_samples, n_classes)
    """
    p, prior = _pair("soft labels", checked_distributions(p), checked_distributions(prior))
    if not weight >= 0:
        raise SettingsError(f"weight: {weight}; expected at least 0. 1 is Bayes' rule.")
    with np.errstate(divide="ignore", invalid="ignore"):
        log_prior = np.log(prior)
        joint = np.log(p) + weight * np.where(prior > 0, log_prior, -np.inf if weight else 0)
    possible = np.isfinite(joint).any(axis=1)
    combined = np.where(np.isnan(p), prior, p)
    combined[possible] = _normalized(joint[possible])
    return combined


def _log_mixed(p: np.ndarray) -> np.ndarray:
    """Logarithms, with a hundredth of the uniform distribution mixed in."""
    return np.log((1 - _FLOOR) * p + _FLOOR / p.shape[1])


def _normalized(logarithms: np.ndarray) -> np.ndarray:
    """Rows of sum 1 from their logarithms."""
    rows = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return rows / rows.sum(axis=1, keepdims=True)


def _scored(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have both a soft label and a class."""
    p, y = checked_distributions(p), np.asarray(y)
    if y.shape != (len(p),) or y.max(initial=-1) >= p.shape[1]:
        raise DataError(
            f"classes: shape {y.shape}, up to {y.max(initial=-1)}, for soft labels of shape "
            f"{p.shape}; expected one column number a row. Give the codes of the classes."
        )
    both = ~np.isnan(p).any(axis=1) & (y >= 0)
    return p[both], y[both]


def _pair(name: str, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of one shape, or a refusal."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        raise DataError(
            f"{name}: shapes {one.shape} and {other.shape}; expected equal ones. Give both for "
            "the same samples and classes."
        )
    return one, other


def _mean(values: np.ndarray) -> float:
    """The mean; NaN of nothing."""
    return float(values.mean()) if len(values) else float("nan")
