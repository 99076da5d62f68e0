"""Which rows train, validate and test: whole patients or recordings on one side."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    train_test_split,
)

from emboscope.errors import DataError, SettingsError

VALIDATION_SHARE = 0.15  # of each training part
KINDS = ("patient", "recording", "row")
LEAKAGE_NOTE = "same recordings on both sides"  # what every table says of a row-wise split


@dataclass(frozen=True)
class Fold:
    """One split of the rows of a data set.

    Attributes
    ----------
    train, validation, test : ndarray of int
        Row indices, ascending, disjoint. Validation alone sets epochs, thresholds and weights of
        a fusion; test is read once.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def folds(y: np.ndarray, groups: np.ndarray, kind: str, n_folds: int, seed: int = 0) -> list[Fold]:
    """Folds of cross-validation, shuffled by the seed, with a validation part in each.

    Each labelled row is in the test part of one fold. `patient` and `recording` keep the rows of
    a group together in all three parts, and the classes in proportion as far as groups allow.
    `row` splits single rows: one group then stands on both sides, and figures are too good.

    Parameters
    ----------
    y : ndarray of int, shape (n_samples,)
        Classes; rows of −1, unlabelled, stand in no fold.
    groups : ndarray, shape (n_samples,)
        Patient or recording of each row.
    kind : str
        `patient`, `recording` or `row`.
    n_folds : int
        At least 2.

    Raises
    ------
    SettingsError
        For an unknown kind, or fewer than two folds.
    DataError
        If there are fewer groups, or fewer rows of a class, than the folds need.
    """
    if kind not in KINDS:
        raise SettingsError(f"split '{kind}': unknown; expected {', '.join(KINDS)}. Choose one.")
    if n_folds < 2:
        raise SettingsError(f"folds: {n_folds}; expected at least 2. Raise --folds.")
    y, groups = np.asarray(y), np.asarray(groups)
    rows = np.flatnonzero(y >= 0)
    _check_counts(y[rows], groups[rows], kind, n_folds)
    result = []
    for rest, test in _splitter(y[rows], groups[rows], kind, n_folds, seed):
        train, validation = _hold_out(rows[rest], y, groups, kind, seed)
        result.append(Fold(train, validation, rows[test]))
    return result


def hold_out(
    y: np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train and to validate, 15 % of the rows, of whole groups where they are given.

    Raises
    ------
    DataError
        If fewer than two rows are labelled.
    """
    rows = np.flatnonzero(np.asarray(y) >= 0)
    if rows.size < 2:
        raise DataError(
            f"labels: {rows.size} labelled rows; expected at least 2, to train and to validate. "
            "Label more rows."
        )
    kind = "row" if groups is None else "recording"
    return _hold_out(rows, y, rows if groups is None else np.asarray(groups), kind, seed)


def check_disjoint(fold: Fold, groups: np.ndarray) -> None:
    """Refuse a fold with one group in two of its parts.

    Raises
    ------
    DataError
        It names the first such group.
    """
    parts = {name: set(groups[getattr(fold, name)].tolist()) for name in ("train", "validation")}
    tested = set(groups[fold.test].tolist())
    shared = (parts["train"] | parts["validation"]) & tested | parts["train"] & parts["validation"]
    if shared:
        raise DataError(
            f"split: group '{min(shared)}' stands in two parts; expected one. Split by group."
        )


def _check_counts(y: np.ndarray, groups: np.ndarray, kind: str, n_folds: int) -> None:
    """Refuse what cannot be split so often."""
    if kind != "row" and len(np.unique(groups)) < n_folds + 1:
        raise DataError(
            f"groups: {len(np.unique(groups))}; expected at least {n_folds + 1} for {n_folds} "
            "folds and a validation part. Lower --folds."
        )
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) == 0 or (kind == "row" and counts.min() < n_folds + 2):
        least = counts.min() if len(counts) else 0
        raise DataError(
            f"labels: {least} rows in the smallest class; expected at least {n_folds + 2} for "
            f"{n_folds} folds. Lower --folds or label more."
        )


def _splitter(
    y: np.ndarray, groups: np.ndarray, kind: str, n_folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rest, test) of each fold."""
    if kind == "row":
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        return list(splitter.split(y, y))
    if np.unique(y, return_counts=True)[1].min() < n_folds:
        return list(GroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, groups))
    grouped = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(grouped.split(y, y, groups))


def _hold_out(
    rows: np.ndarray, y: np.ndarray, groups: np.ndarray, kind: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of training and of validation."""
    if kind == "row":
        counts = np.unique(y[rows], return_counts=True)[1]
        enough = counts.min() > 1 and VALIDATION_SHARE * len(rows) >= len(counts)
        stratify = y[rows] if enough else None
        train, validation = train_test_split(
            rows, test_size=VALIDATION_SHARE, random_state=seed, stratify=stratify
        )
        return np.sort(train), np.sort(validation)
    held = _groups_to_hold(y[rows], groups[rows], np.random.default_rng(seed))
    validating = np.isin(groups[rows], held)
    return rows[~validating], rows[validating]


def _groups_to_hold(y: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole groups with about 15 % of the rows of each class: greedy, in random order."""
    names, inverse = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), y.max() + 1))
    np.add.at(counts, (inverse, y), 1)  # (group, class)
    wanted = VALIDATION_SHARE * counts.sum(axis=0)
    share = counts / np.maximum(counts.sum(axis=0), 1)
    held: list[int] = []
    have = np.zeros_like(wanted)
    for index in rng.permutation(len(names)):
        lacking = np.clip((wanted - have) / np.maximum(wanted, 1), 0, None)
        useful = lacking @ share[index]
        surplus = np.clip((have + counts[index] - wanted) / np.maximum(wanted, 1), 0, None)
        if useful > surplus @ share[index] and len(held) < len(names) - 1:
            held.append(index)
            have += counts[index]
    if not held:
        held.append(int(rng.integers(len(names))))
    return names[held]
