"""Read the test parts of a run once: figures with intervals, and a baseline on the same folds."""

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.annotation.soft_labels import brier, expected_calibration_error
from emboscope.datasets.dataset import Dataset
from emboscope.evaluation.metrics import confusion_matrix, scores
from emboscope.evaluation.protocol import LEAKAGE_NOTE, Fold
from emboscope.evaluation.statistics import Estimate, corrected_t, paired_difference
from emboscope.learning.classical import CLASSICAL, model_features
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.uncertainty import threshold_for
from emboscope.progress import Progress, silent
from emboscope.workflows.files import FORMAT_VERSION, NOTICE, read_json, write_json
from emboscope.workflows.fold_models import Fitted, FoldJob, kind_of
from emboscope.workflows.interpretation import (
    check_projection,
    interpret,
    latent_name,
    read_weights,
)
from emboscope.workflows.run_settings import RunSettings
from emboscope.workflows.train import fold_folder, read_run, run_folds, same_data

BASELINE = "gradient_boosting"
_PICTURES = "figures"  # folder of a run
WANTED_RIGHT = 0.95  # of the answers, where the model may say "unknown"


@dataclass(frozen=True)
class EvaluateResult:
    """Figures of a run on its test parts.

    Attributes
    ----------
    data, split, model : str
    note : str
        What every table has to say of this split.
    scores : dict of model to dict of metric to Estimate
        Of the model and of the baseline.
    difference : Estimate
        MCC of the model less that of the baseline, fold by fold.
    confusion : tuple of tuple of int
        Of the model, summed over the folds; rows are true.
    classes : tuple of str
    calibration : dict of str to Estimate
        Of the model: `calibration_error` and `brier` of its probabilities; `answered`, the share
        of the test part of which it is surer than the threshold that made 95 % of the validation
        part's answers right, and `right_when_answered`.
    stored : bool
        Whether the figures were there already.
    """

    data: str
    split: str
    model: str
    note: str
    scores: Mapping[str, Mapping[str, Estimate]]
    difference: Estimate
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    calibration: Mapping[str, Estimate]
    stored: bool


def evaluate(
    run: Path,
    data: Dataset | None,
    progress: Progress = silent,
    figures: bool = True,
    projection: str = "tsne",
) -> EvaluateResult:
    """Evaluate each fold's model on its test part.

    Parameters
    ----------
    run : Path
        A finished run.
    data : Dataset, optional
        What it was trained on; not needed where the figures are stored.
    progress : callable
    figures : bool
        Draw what a network sees into `figures/` of the run.
    projection : str
        A name in `PROJECTIONS`, of the latent spaces.

    Raises
    ------
    SettingsError
        For a projection that is unknown or not installed.
    DataError
        If the data is not what the run was trained on.
    """
    there = latent_picture(run, projection).is_file()
    check_projection(projection, figures and not there)  # before anything is read
    settings, request = read_run(run)
    if (run / "metrics.json").is_file():
        result = _stored(read_json(run / "metrics.json"))
        if data is not None:
            same_data(run, data, request)
        if figures and data is not None and not there:
            _draw_again(run, data, settings, projection, progress)
        return result
    data = same_data(run, data, request)
    parts = run_folds(data, settings)
    baseline_name = _baseline_name(settings.model)
    predicted = {name: np.full(len(data.y), -1) for name in (settings.model, baseline_name)}
    features = model_features(BASELINE, data.front_end, data.views)
    classifiers: list[SignalClassifier] = []
    calibrated: list[dict[str, float]] = []
    for index, fold in enumerate(parts):
        job = FoldJob(data, fold, fold_folder(run, index), settings)
        classifier = kind_of(settings.model).load(job)
        if isinstance(classifier, SignalClassifier):
            classifiers.append(classifier)
        p = probabilities(classifier, data, fold.test)
        predicted[settings.model][fold.test] = p.argmax(axis=1)
        calibrated.append(_calibration(classifier, p, data, fold))
        known = np.concatenate([fold.train, fold.validation])
        baseline = CLASSICAL[BASELINE].build(0)
        baseline.fit(features[known], data.y[known])
        predicted[baseline_name][fold.test] = baseline.predict(features[fold.test])
        progress("evaluating folds", index + 1, len(parts))
    tests = [fold.test for fold in parts]
    result = _figures(data, settings.split, predicted, tests, calibrated)
    np.savez(
        run / "predictions.npz",
        truth=data.y,
        model=predicted[settings.model],
        baseline=predicted[baseline_name],
    )
    write_json(run / "metrics.json", _content(result, settings.seed, len(parts)))
    if classifiers and figures:
        _draw(classifiers, data, parts, run, projection, progress)
    return result


def drawn_weights(run: Path) -> list[dict[str, str | float]]:
    """Weights of the fusion of a run, as its pictures tell them: a line a member and class."""
    return read_weights(run / _PICTURES)


def latent_picture(run: Path, projection: str) -> Path:
    """Where the maps of the latent spaces of a run are drawn."""
    return run / _PICTURES / latent_name(projection)


def _draw_again(
    run: Path, data: Dataset, settings: RunSettings, projection: str, progress: Progress
) -> None:
    """The pictures of a run whose figures are stored, and whose pictures are lost."""
    parts = run_folds(data, settings)
    loaded = [
        kind_of(settings.model).load(FoldJob(data, fold, fold_folder(run, index), settings))
        for index, fold in enumerate(parts)
    ]
    networks = [each for each in loaded if isinstance(each, SignalClassifier)]
    if networks:
        _draw(networks, data, parts, run, projection, progress)


def _draw(
    networks: list[SignalClassifier],
    data: Dataset,
    parts: list[Fold],
    run: Path,
    projection: str,
    progress: Progress,
) -> None:
    """All pictures or none: they are drawn aside, so that a stop leaves no folder of a few."""
    with tempfile.TemporaryDirectory(dir=run) as place:
        drawn = interpret(networks, data, parts, Path(place) / _PICTURES, projection, progress)
        if not (run / _PICTURES).is_dir():
            (Path(place) / _PICTURES).replace(run / _PICTURES)
            return
        for path in drawn:
            path.replace(run / _PICTURES / path.name)


def _calibration(classifier: Fitted, p: np.ndarray, data: Dataset, fold: Fold) -> dict[str, float]:
    """How far the probabilities of a fold can be trusted; the threshold is of its validation part.

    Without a validation part nothing is answered or withheld: NaN.
    """
    y = data.y[fold.test]
    numbers = {
        "calibration_error": expected_calibration_error(p, y),
        "brier": brier(p, np.eye(len(data.classes))[y]),
    }
    answered, right = math.nan, math.nan
    if len(fold.validation):
        held = probabilities(classifier, data, fold.validation)
        least = threshold_for(held, data.y[fold.validation], WANTED_RIGHT)
        sure = p.max(axis=1) >= least
        answered = float(sure.mean())
        right = float((p.argmax(axis=1) == y)[sure].mean()) if sure.any() else math.nan
    return {**numbers, "answered": answered, "right_when_answered": right}


def probabilities(classifier: Fitted, data: Dataset, rows: np.ndarray) -> np.ndarray:
    """Of every class of the data, (n_rows, n_classes); 0 of one that was not learned."""
    p = np.zeros((len(rows), len(data.classes)))
    p[:, classifier.classes_] = classifier.predict_proba(data.rows(rows))
    return p


def _of_folds(name: str, calibrated: list[dict[str, float]], share: float) -> Estimate:
    """Over the folds in which it could be measured."""
    values = np.array([fold[name] for fold in calibrated])
    known = values[~np.isnan(values)]
    return corrected_t(known if known.size > 1 else values, share)


def _baseline_name(model: str) -> str:
    """Gradient boosting by its name, beside a run of itself as `baseline`: that has more rows."""
    return "baseline" if model == BASELINE else BASELINE


def _figures(
    data: Dataset,
    split: str,
    predicted: dict[str, np.ndarray],
    tests: list[np.ndarray],
    calibrated: list[dict[str, float]],
) -> EvaluateResult:
    share = 1 / (len(tests) - 1)
    values = {
        name: [scores(data.y[rows], own[rows]) for rows in tests] for name, own in predicted.items()
    }
    estimates = {
        name: {
            metric: corrected_t(np.array([fold[metric] for fold in own]), share)
            for metric in own[0]
        }
        for name, own in values.items()
    }
    model = next(iter(predicted))
    rows = np.concatenate(tests)
    matrix = confusion_matrix(data.y[rows], predicted[model][rows], len(data.classes))
    return EvaluateResult(
        data=data.name,
        split=split,
        model=model,
        note=LEAKAGE_NOTE if split == "row" else "",
        scores=estimates,
        difference=paired_difference(
            np.array(estimates[model]["mcc"].values),
            np.array(estimates[_baseline_name(model)]["mcc"].values),
            share,
        ),
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        classes=data.classes,
        calibration={name: _of_folds(name, calibrated, share) for name in calibrated[0]},
        stored=False,
    )


def _plain(estimate: Estimate) -> dict:
    return {
        "mean": estimate.mean,
        "interval": list(estimate.interval),
        "method": estimate.method,
        "values": list(estimate.values),
    }


def _content(result: EvaluateResult, seed: int, n_folds: int) -> dict:
    """`metrics.json`."""
    return {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "data": result.data,
        "split": result.split,
        "note": result.note,
        "model": result.model,
        "folds": n_folds,
        "seed": seed,
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "classes": list(result.classes),
        "scores": {name: _plain(each) for name, each in result.scores[result.model].items()},
        "baseline": {
            name: _plain(each) for name, each in result.scores[_baseline_name(result.model)].items()
        },
        "mcc_difference": _plain(result.difference),
        "calibration": {name: _plain(each) for name, each in result.calibration.items()},
        "confusion": [list(row) for row in result.confusion],
    }


def _number(stored: float | None) -> float:
    """What could not be measured is null in the file."""
    return math.nan if stored is None else stored


def _stored(content: dict) -> EvaluateResult:
    """Figures that were written before."""

    def estimate(plain: dict) -> Estimate:
        low, high = map(_number, plain["interval"])
        values = tuple(map(_number, plain["values"]))
        return Estimate(_number(plain["mean"]), (low, high), plain["method"], values)

    return EvaluateResult(
        data=content["data"],
        split=content["split"],
        model=content["model"],
        note=content["note"],
        scores={
            content["model"]: {name: estimate(each) for name, each in content["scores"].items()},
            _baseline_name(content["model"]): {
                name: estimate(each) for name, each in content["baseline"].items()
            },
        },
        difference=estimate(content["mcc_difference"]),
        confusion=tuple(tuple(row) for row in content["confusion"]),
        classes=tuple(content["classes"]),
        calibration={name: estimate(each) for name, each in content.get("calibration", {}).items()},
        stored=True,
    )
