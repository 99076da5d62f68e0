"""Cells of the studies of models: a network on one fold of a data set."""

import functools
import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.annotation.soft_labels import brier, expected_calibration_error, jensen_shannon
from emboscope.compression.cost import count_macs
from emboscope.datasets import load_dataset
from emboscope.datasets.dataset import Dataset
from emboscope.datasets.hits import load_cohort
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.metrics import mcc, scores
from emboscope.evaluation.protocol import Fold, folds, hold_out
from emboscope.learning.architecture import NetworkSettings, Profile
from emboscope.learning.classical import CLASSICAL, FeatureClassifier
from emboscope.learning.estimator import SignalClassifier, check_refit
from emboscope.learning.fusion import LateFusion
from emboscope.learning.label_noise import flip_asymmetric, flip_symmetric, noise_soft
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.settings import Settings
from emboscope.workflows.cells import register
from emboscope.workflows.evaluate import probabilities
from emboscope.workflows.hits_source import hits_from
from emboscope.workflows.profiled_data import in_profile, with_views

_BASELINE = "gradient_boosting"
_MEMBERS_SHOWN = 4  # of a late fusion
COHORT = "cohort"  # a split in which each repeat simulates patients of its own

_DEFAULT = TrainSettings()

Classifier = SignalClassifier | FeatureClassifier
FIXED = "fixed"  # a split with the test part that the data set has, as published
Split = Literal["patient", "recording", "row", "fixed", "cohort"]


class ModelSettings(Settings):
    """A model, the fold that it is trained and judged on, and how wrong its labels are."""

    data: str = "esr"
    data_profile: Profile = "corrected"  # of the views
    views: dict[str, dict[str, object]] = Field(default_factory=dict)  # further ones, by name
    split: Split | None = None  # None: what the groups of the data are
    folds: PositiveInt = 10
    model: str = "hybrid_late"
    network: NetworkSettings = NetworkSettings()
    training: TrainSettings = TrainSettings()
    labels: Literal["hard", "soft"] = "hard"  # soft: the raters' shares
    noise: float = Field(default=0.0, ge=0, lt=1)  # share of training labels made wrong
    noise_kind: Literal["symmetric", "asymmetric"] = "symmetric"
    drop_noisy: bool = False  # rows whose label is wrong are left out
    refit: bool = False  # trained anew on the validating rows too, when these have set the weights


def trained_model(
    settings: ModelSettings, seed: int, progress: Progress = silent
) -> dict[str, float]:
    """Scores on the test part of one fold; repeat r is fold r, and after all folds a new split.

    With the split `fixed` every repeat tests on the test part that the data set has, and draws
    another validation part; with `cohort`, of simulated patients alone, each has its own patients.

    Numbers are those of the model (`mcc`, `f1_macro`, …), of each member of a late fusion
    (`mcc_member_0`, …), `gain`: MCC less that of the member that was better on the validation part,
    `over_features`: MCC less that of gradient boosting on the same fold, and of the settings
    `noise` and, for GCE, `q`.
    """
    data = loaded(settings, seed)
    fold = fold_of(data, settings, seed)
    if settings.refit:
        check_refit(settings.training)
    first = fitted(data, fold, settings, seed, progress)
    final = _refitted(first, data, fold, settings, seed, progress) if settings.refit else first
    numbers = judged(probabilities(final, data, fold.test), data, fold.test)
    held = _validating(data, fold, settings, seed)
    numbers |= _of_members(first, final, data, fold.test, held, numbers["mcc"])
    numbers |= size_of(final, data)
    numbers |= _of_validation(first)
    baseline = baseline_mcc(settings.data, settings.split, settings.folds, seed, settings.refit)
    numbers |= {"noise": settings.noise, "q": _exponent(settings)}
    return {**numbers, "over_features": numbers["mcc"] - baseline}


def _exponent(settings: ModelSettings) -> float:
    """q of GCE; NaN of any other loss and of a model that has none."""
    is_used = settings.training.loss == "gce" and settings.model not in CLASSICAL
    return settings.training.loss_settings.q if is_used else float("nan")


def loaded(settings: ModelSettings, seed: int = 0) -> Dataset:
    """The data of a cell; the last ones are kept, because cells of a study ask again and again."""
    cohort = seed if settings.split == COHORT else None
    return _loaded(settings.data, settings.data_profile, json.dumps(settings.views), cohort)


@functools.lru_cache(maxsize=2)
def _loaded(name: str, profile: Profile, views: str, cohort: int | None) -> Dataset:
    if cohort is None:
        data = source(name)
    elif name == "hits":
        data = load_cohort(cohort)
    else:
        raise SettingsError(
            f"split 'cohort': data '{name}' cannot be simulated anew; expected hits. "
            "Leave split out."
        )
    return with_views(in_profile(data, profile), json.loads(views))


def source(name: str) -> Dataset:
    """A data set by its name or path; a study folder gives its HITS."""
    return hits_from(name) if Path(name).is_dir() else load_dataset(name)


def fold_of(data: Dataset, settings: ModelSettings, seed: int) -> Fold:
    """The fold of a repeat; of a cohort, and with the split `fixed`, the fixed test part."""
    if settings.split in {COHORT, FIXED}:
        if not data.is_test.any():
            raise DataError(
                f"split '{settings.split}': data set '{data.name}' has no fixed test part; "
                "expected one. Leave split out."
            )
        rest = np.flatnonzero(~data.is_test)
        groups = None if data.group_kind == "row" else data.groups[rest]
        train, validation = hold_out(data.y[rest], groups, seed)
        test = np.flatnonzero(data.is_test & (data.y >= 0))
        return Fold(rest[train], rest[validation], test)
    split = settings.split or data.group_kind
    round_, index = divmod(seed, settings.folds)
    return folds(data.y, data.groups, split, settings.folds, seed=round_)[index]


def fitted(
    data: Dataset, fold: Fold, settings: ModelSettings, seed: int, progress: Progress = silent
) -> Classifier:
    """A model that learned from the training part, with the labels that the settings ask for."""
    rows, y, kept = _given(data, fold, settings, seed)
    classifier = unfitted(settings.model, data, settings.network, settings.training, seed)
    position = np.full(len(rows), -1)
    position[kept] = np.arange(kept.sum())
    held = position[len(fold.train) :]
    return classifier.fit(
        data.rows(rows[kept]),
        y[kept],
        validation=held[held >= 0],
        progress=progress,
    )


def unfitted(
    model: str, data: Dataset, network: NetworkSettings, training: TrainSettings, seed: int
) -> Classifier:
    """A classical model on features by hand, or a network; by its name."""
    if model in CLASSICAL:
        return FeatureClassifier(model, data.front_end, seed)
    return SignalClassifier(model, data.front_end, network, training, seed, "cpu")


def training_labels(
    data: Dataset, rows: np.ndarray, settings: ModelSettings, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the rows of the training and validation parts, and which rows are kept.

    Raises
    ------
    DataError
        If soft labels are asked for and the data has none.
    """
    if settings.labels == "soft":
        check_learns_soft(settings.model, "labels", "hard")
    if settings.labels == "soft" and settings.noise_kind != "symmetric":
        raise SettingsError(
            "noise_kind 'asymmetric': of classes alone; expected 'symmetric' for soft labels. "
            "Leave it out."
        )
    rng = np.random.default_rng([seed, 11])
    n_classes = len(data.classes)
    if settings.labels == "soft":
        if data.soft_labels is None:
            raise DataError(
                f"labels 'soft': data set '{data.name}' has no raters; expected several. Use hits."
            )
        soft = data.soft_labels[rows]
        wrong = noise_soft(soft, settings.noise, rng)
        changed = wrong.argmax(axis=1) != soft.argmax(axis=1)
        return wrong, ~changed if settings.drop_noisy else np.ones(len(rows), bool)
    flip = flip_symmetric if settings.noise_kind == "symmetric" else flip_asymmetric
    y = flip(data.y[rows], settings.noise, n_classes, rng)
    kept = (y == data.y[rows]) | (not settings.drop_noisy)
    return y, kept


def _given(
    data: Dataset, fold: Fold, settings: ModelSettings, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that train, then those that validate; their labels as given, and which are kept."""
    rows = np.concatenate([fold.train, fold.validation])
    return rows, *training_labels(data, rows, settings, seed)


def check_learns_soft(model: str, name: str, instead: str) -> None:
    """Refuse a classical model where a setting asks it to learn from soft labels."""
    if model in CLASSICAL:
        raise SettingsError(
            f"{name} 'soft': '{model}' learns from classes alone; expected a network. "
            f"Use {name} = '{instead}'."
        )


def judged(full: np.ndarray, data: Dataset, rows: np.ndarray) -> dict[str, float]:
    """Scores, recall of each class, calibration, and distance from the raters where there are some.

    Parameters
    ----------
    full : ndarray, shape (n_rows, n_classes)
        Probability of every class of the data.
    """
    y, predicted = data.y[rows], full.argmax(axis=1)
    numbers = scores(y, predicted)
    for index in range(len(data.classes)):
        of_class = y == index
        numbers[f"recall_{index}"] = (
            float((predicted[of_class] == index).mean()) if of_class.any() else float("nan")
        )
    numbers["calibration_error"] = expected_calibration_error(full, y)
    numbers["brier"] = brier(full, np.eye(len(data.classes))[y])
    if data.soft_labels is not None:
        raters = data.soft_labels[rows]
        numbers["jsd_raters"] = float(np.mean(jensen_shannon(full, raters)))
        numbers["brier_raters"] = brier(full, raters)
    return numbers


@functools.lru_cache(maxsize=64)
def baseline_mcc(
    name: str, split: Split | None, n_folds: int, seed: int, refit: bool = False
) -> float:
    """MCC of gradient boosting, with true labels, on the fold of a repeat."""
    settings = ModelSettings(data=name, split=split, folds=n_folds, model=_BASELINE)
    data = loaded(settings, seed)
    if "waveform" not in data.views:
        return float("nan")
    fold = fold_of(data, settings, seed)
    classifier = fitted(data, fold, settings, 0)
    if refit:
        classifier = _refitted(classifier, data, fold, settings, 0)
    return mcc(data.y[fold.test], classifier.predict(data.rows(fold.test)))


def _refitted(
    classifier: Classifier,
    data: Dataset,
    fold: Fold,
    settings: ModelSettings,
    seed: int,
    progress: Progress = silent,
) -> Classifier:
    """One that learned from the validation part too, with the labels of the first training."""
    rows, y, kept = _given(data, fold, settings, seed)
    return classifier.refitted(data.rows(rows[kept]), y[kept], progress)


def _validating(
    data: Dataset, fold: Fold, settings: ModelSettings, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that validate, and their classes as they are given: wrong where labels are made so."""
    rows, y, kept = _given(data, fold, settings, seed)
    kept[: len(fold.train)] = False
    return rows[kept], y[kept].argmax(axis=1) if y.ndim == 2 else y[kept]


def _of_members(
    first: Classifier,
    final: Classifier,
    data: Dataset,
    test: np.ndarray,
    held: tuple[np.ndarray, np.ndarray],
    reached: float,
) -> dict[str, float]:
    """MCC of the members of a late fusion, and the gain over the one that validation prefers.

    The final ones are tested; those that the validating rows did not train are validated on `held`,
    rows and classes. Of any other model, and of a member that is not there, NaN; so is the gain
    where no member can be preferred.
    """
    numbers = {f"mcc_member_{index}": float("nan") for index in range(_MEMBERS_SHOWN)}
    is_late = isinstance(first, SignalClassifier) and isinstance(first.network_, LateFusion)
    if not is_late:
        return {**numbers, "gain": float("nan")}

    def members(classifier: Classifier, rows: np.ndarray, y: np.ndarray) -> list[float]:
        of_members = classifier.member_proba(data.rows(rows))
        chosen = classifier.classes_[of_members.argmax(axis=2)]
        return [mcc(y, chosen[:, index]) for index in range(chosen.shape[1])]

    tested = members(final, test, data.y[test])
    numbers |= {f"mcc_member_{index}": value for index, value in enumerate(tested)}
    validated = members(first, *held) if held[0].size else [float("nan")]
    if not np.isfinite(validated).all():  # no rows, or rows of one class
        return {**numbers, "gain": float("nan")}
    return {**numbers, "gain": reached - tested[int(np.argmax(validated))]}


def _of_validation(classifier: Classifier) -> dict[str, float]:
    """Loss and MCC of the validation part in the epoch that was kept; NaN where there is none."""
    history = list(classifier.history_)
    if (
        isinstance(classifier, SignalClassifier)
        and (classifier.training or _DEFAULT).keep == "best"
    ):
        history.sort(key=lambda entry: -entry["validation_loss"])
    last = history[-1] if history else {}
    names = ("validation_mcc", "validation_loss")
    return {name: float(last.get(name, float("nan"))) for name in names}


def size_of(classifier: Classifier, data: Dataset) -> dict[str, float]:
    """Parameters and millions of multiply-adds of a sample; NaN of a model without a network."""
    if not isinstance(classifier, SignalClassifier):
        return {"parameters": float("nan"), "macs_m": float("nan")}
    one = classifier.tensors(data.rows(np.arange(1)))
    return {
        "parameters": float(sum(each.numel() for each in classifier.network_.parameters())),
        "macs_m": sum(count_macs(classifier.network_, one).values()) / 1e6,
    }


register("model", ModelSettings, trained_model)
