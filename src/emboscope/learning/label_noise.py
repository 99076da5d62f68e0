"""Wrong labels made on purpose, to measure what a training makes of them."""

from collections.abc import Callable, Sequence

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.registry import Registry

UNLABELED = -1


def flip_symmetric(
    y: np.ndarray, rate: float, n_classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Give each label, with probability `rate`, another class: any of the others alike.

    Parameters
    ----------
    y : ndarray of int, shape (n_samples,)
        -1 is unlabeled, and stays so.
    rate : float
        Chance of a wrong label, 0 to 1. (Some authors draw among all classes, the right one
        included; their rate r is r·(K − 1)/K here.)
    n_classes : int
        K, at least 2.
    rng : Generator

    Returns
    -------
    noisy : ndarray of int, shape (n_samples,)
        A copy.

    Raises
    ------
    SettingsError
        If `rate` or `n_classes` is out of range.
    DataError
        If a label is no class.
    """
    y = _checked(y, rate, n_classes)
    wrong = _drawn(y, rate, rng)
    steps = rng.integers(1, n_classes, size=y.shape)
    return np.where(wrong, (y + steps) % n_classes, y).astype(y.dtype)


def flip_asymmetric(
    y: np.ndarray,
    rate: float,
    n_classes: int,
    rng: np.random.Generator,
    to: Sequence[int] | None = None,
) -> np.ndarray:
    """Give each label, with probability `rate`, the class that it is mistaken for.

    Parameters
    ----------
    y, rate, n_classes, rng
        As in `flip_symmetric`.
    to : sequence of int, length n_classes, optional
        What each class is mistaken for; itself: never mistaken. Default: the next class, and the
        last one for the first.

    Returns
    -------
    noisy : ndarray of int, shape (n_samples,)
        A copy.

    Raises
    ------
    SettingsError
        If `rate`, `n_classes` or `to` is out of range.
    DataError
        If a label is no class.
    """
    y = _checked(y, rate, n_classes)
    mistaken = _mistaken(n_classes, to)
    return np.where(_drawn(y, rate, rng), mistaken[y], y).astype(y.dtype)


def noise_soft(labels: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Make, with probability `rate`, another class the likeliest of a soft label.

    The likeliest class (the first of several) changes places with one drawn from those of less
    mass, each alike: the row keeps its shares, hence its sum and its entropy. One-hot rows become
    those of `flip_symmetric`. A uniform row has no such class, and stays.

    Parameters
    ----------
    labels : ndarray, shape (n_samples, n_classes)
        Rows of sum 1; a row of NaN is unlabeled, and stays so.
    rate : float
        Chance of a wrong row, 0 to 1.
    rng : Generator

    Returns
    -------
    noisy : ndarray, shape (n_samples, n_classes)
        A copy.

    Raises
    ------
    SettingsError
        If `rate` is out of range.
    DataError
        If `labels` has not two dimensions.
    """
    _check_rate(rate)
    noisy = np.array(labels)
    if noisy.ndim != 2:
        raise DataError(
            f"soft labels: shape {noisy.shape}; expected (n_samples, n_classes). Give one row a "
            "sample, or flip classes by flip_symmetric."
        )
    largest = noisy.max(axis=1, keepdims=True)
    less = noisy < largest  # nowhere in a row of NaN
    draws = np.where(less, rng.random(noisy.shape), -1)
    wrong = np.flatnonzero(rng.random(len(noisy)) < rate)
    # where no class has less, both are the first: nothing moves
    first, other = noisy[wrong].argmax(axis=1), draws[wrong].argmax(axis=1)
    noisy[wrong, first], noisy[wrong, other] = noisy[wrong, other], noisy[wrong, first]
    return noisy


def transition_matrix(
    rate: float, n_classes: int, kind: str = "symmetric", to: Sequence[int] | None = None
) -> np.ndarray:
    """Chance that the true class i is labeled j, in row i and column j.

    Parameters
    ----------
    rate : float
        Chance of a wrong label, 0 to 1.
    n_classes : int
        At least 2.
    kind : str
        `symmetric`, as `flip_symmetric` makes it, or `asymmetric`, as `flip_asymmetric`.
    to : sequence of int, length n_classes, optional
        Of `asymmetric`: what each class is mistaken for.

    Returns
    -------
    transition : ndarray, shape (n_classes, n_classes)
        Rows of sum 1.

    Raises
    ------
    SettingsError
        If `rate`, `n_classes`, `kind` or `to` cannot be.
    """
    _check_rate(rate)
    _check_classes(n_classes)
    return (1 - rate) * np.eye(n_classes) + rate * WRONG[kind](n_classes, to)


def _uniform(n_classes: int, to: Sequence[int] | None) -> np.ndarray:
    """Every other class alike."""
    if to is not None:
        raise SettingsError("to: given with symmetric noise; expected asymmetric. Leave it out.")
    return (1 - np.eye(n_classes)) / (n_classes - 1)


def _to_one(n_classes: int, to: Sequence[int] | None) -> np.ndarray:
    """The class that each is mistaken for."""
    return np.eye(n_classes)[_mistaken(n_classes, to)]


# chance of each label (column) where the label of a class (row) is wrong
WRONG: Registry[Callable[[int, Sequence[int] | None], np.ndarray]] = Registry("label noise")
WRONG["symmetric"] = _uniform
WRONG["asymmetric"] = _to_one


def _drawn(y: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Which labels become wrong; one draw a row, labeled or not."""
    return (rng.random(y.shape) < rate) & (y != UNLABELED)


def _mistaken(n_classes: int, to: Sequence[int] | None) -> np.ndarray:
    mistaken = (np.arange(n_classes) + 1) % n_classes if to is None else np.asarray(to)
    if mistaken.shape != (n_classes,) or not np.isin(mistaken, np.arange(n_classes)).all():
        raise SettingsError(
            f"to: {mistaken.tolist()}; expected {n_classes} classes of 0 to {n_classes - 1}, one "
            "for each class. Name a class itself where it is never mistaken."
        )
    return mistaken


def _checked(y: np.ndarray, rate: float, n_classes: int) -> np.ndarray:
    """The labels, as an array of classes."""
    _check_rate(rate)
    _check_classes(n_classes)
    y = np.asarray(y)
    wrong = np.flatnonzero(~np.isin(y, np.arange(UNLABELED, n_classes)))
    if y.ndim != 1 or wrong.size or y.dtype.kind not in "iu":
        found = f"{y[wrong[0]]} in row {wrong[0]}" if y.ndim == 1 and wrong.size else y.shape
        raise DataError(
            f"labels: {found}, of type {y.dtype}; expected whole numbers (n_samples,) of 0 to "
            f"{n_classes - 1}, or -1 where unlabeled. Raise n_classes, or number the classes so."
        )
    return y


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise SettingsError(f"rate: {rate}; expected between 0 and 1. 0.1 is a tenth wrong.")


def _check_classes(n_classes: int) -> None:
    if n_classes < 2:
        raise SettingsError(
            f"n_classes: {n_classes}; expected at least 2, so that there is another. Raise it."
        )
