"""Labels of a study spread over its map: what may be expected, and the labels if wanted."""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.annotation.calibration import Calibration, CalibrationCell, calibrate
from emboscope.annotation.propagators import PROPAGATORS, Propagator
from emboscope.annotation.situation import Situation
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.report.annotation_figures import propagation_figure, risk_coverage_figure
from emboscope.settings import Settings
from emboscope.store.labels import LabelEvent
from emboscope.store.study import Study
from emboscope.workflows.files import versions
from emboscope.workflows.map_study import Training, training_samples, write_pictures

LEAST_LEAD = 1e-6  # of the likeliest class; the log takes closer ones for a tie
GATED = "lq_knn"  # the one method with a K and a threshold to calibrate together


class PropagateSettings(Settings):
    """How labels spread. Every default stands here and nowhere else."""

    method: str = GATED
    k: PositiveInt = 10
    threshold: float = Field(default=0.1, ge=0, le=1)
    target_error: float = Field(default=0.1, gt=0, lt=1)  # of the recommended pair


@dataclass(frozen=True)
class PropagateResult:
    """What was expected and what came of it.

    Attributes
    ----------
    method : str
    given, new, unlabeled : int
        Labels that people gave, labels that spread, samples that stay without one: those too of
        which people are unsure or differ, since their word holds.
    by_class : dict of str to int
        New labels.
    cells : tuple of CalibrationCell
        Expected error and coverage of each (K, τ); empty where the labels are too few.
    recommended : CalibrationCell or None
        The one that labels most within the target error.
    doubts : tuple of str
    batch : str
        To undo; empty after a dry run.
    pictures : tuple of str
    """

    method: str
    given: int
    new: int
    unlabeled: int
    by_class: dict[str, int]
    cells: tuple[CalibrationCell, ...]
    recommended: CalibrationCell | None
    doubts: tuple[str, ...]
    batch: str
    pictures: tuple[str, ...]


def propagate_study(
    path: Path,
    settings: PropagateSettings,
    dry_run: bool = False,
    progress: Progress = silent,
) -> PropagateResult:
    """Calibrate on the labels that people gave, spread them, and write the new ones to the log.

    Labels that people gave are never changed; those of an earlier propagation are replaced. Test
    patients take no part.

    Raises
    ------
    DataError
        If there is no map, no label, or the map lost the neighborhoods.
    """
    PROPAGATORS[settings.method]
    with Study.open(path) as study:
        training = training_samples(study)
        _check_labeled(path, training)
        features, points, quality = _mapped(study, training)
        situation = Situation(features, points, training.given, quality, groups=training.subjects)
        progress("calibration", 0, 1)
        calibration, doubts = _calibrated(situation, settings)
        progress("calibration", 1, 1)
        model = _propagator(settings).fit(
            points, training.given, quality, features, groups=training.subjects
        )
        pictures = _pictures(study, training, points, model, calibration)
        new = ~training.judged & (model.transduction_ >= 0)
        batch = "" if dry_run else _write(study, training, model, settings)
        names = Counter(study.classes[int(label)] for label in model.transduction_[new])
    return PropagateResult(
        method=settings.method,
        given=int((training.given >= 0).sum()),
        new=int(new.sum()),
        unlabeled=int((training.given < 0).sum() - new.sum()),
        by_class=dict(names),
        cells=calibration.cells if calibration else (),
        recommended=calibration.recommend(settings.target_error) if calibration else None,
        doubts=doubts,
        batch=batch,
        pictures=pictures,
    )


def _check_labeled(path: Path, training: Training) -> None:
    if not (training.given >= 0).any():
        raise DataError(
            f"study '{path}': no sample of a training patient has a sure label; expected some. "
            f"List what to label: emboscope labels {path} export FILE.csv --unlabeled"
        )


def _mapped(study: Study, training: Training) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, points and quality of the newest map, for all training samples."""
    if not study.arrays("map"):
        raise DataError(f"study '{study.path}': no map. Run: emboscope map {study.path}")
    try:
        arrays = [
            np.asarray(study.array(kind, ids=training.ids))
            for kind in ("features", "map", "local_quality")
        ]
    except DataError as error:
        raise DataError(
            f"study '{study.path}': its map lacks some samples ({error}) "
            f"Run again: emboscope map {study.path}"
        ) from error
    return arrays[0], arrays[1], arrays[2]


def _propagator(settings: PropagateSettings, k: int = 0, threshold: float = -1) -> Propagator:
    """The method with those settings that it knows."""
    kind = PROPAGATORS[settings.method]
    values = {
        "k": k or settings.k,
        "threshold": settings.threshold if threshold < 0 else threshold,
    }
    known = kind().get_params()
    return kind(**{name: value for name, value in values.items() if name in known})


def _calibrated(
    situation: Situation, settings: PropagateSettings
) -> tuple[Calibration | None, tuple[str, ...]]:
    """What may be expected of each K and τ; where the labels are too few, that they are."""
    make: Callable[[int, float], Propagator] = lambda k, tau: _propagator(settings, k, tau)  # noqa: E731
    try:
        calibration = calibrate(situation, make=make)
    except DataError as error:
        return None, (f"Not calibrated: {error}",)
    return calibration, calibration.doubts


def _write(study: Study, training: Training, model: Propagator, settings: PropagateSettings) -> str:
    """The new labels as one batch of the log; what an earlier propagation said goes."""
    batch = f"propagated-{uuid.uuid4().hex[:8]}"
    source = study.arrays("map")[-1]
    details = {
        **settings.model_dump(mode="json"),
        "map": source.settings_hash,
        "version": versions()["emboscope"],
    }
    before = study.labels().source
    stale = dict(zip(study.samples().ids.tolist(), before == "propagated", strict=True))
    events = []
    for row in np.flatnonzero(~training.judged):
        sample = int(training.ids[row])
        labeled = model.transduction_[row] >= 0
        if not labeled and not stale[sample]:
            continue
        shares = _over_all_classes(model, int(row), len(study.classes)) if labeled else None
        events.append(
            LabelEvent(
                sample, "emboscope", "propagated", shares, details=dict(details), batch=batch
            )
        )
    if events:
        study.append(events)
    study.record_run("propagate", details, {"batch": batch, "labels": len(events)})
    return batch if events else ""


def _over_all_classes(model: Propagator, row: int, n_classes: int) -> tuple[float, ...]:
    """The distribution of a sample over the classes of the study, its label the likeliest.

    The label of LQ-KNN is that of the best source, which the votes may contradict, and votes may
    tie: then the label and the votes weigh half each, so that the log says what the method said.
    """
    shares = np.zeros(n_classes)
    shares[model.classes_.astype(int)] = model.label_distributions_[row]
    label = np.arange(n_classes) == model.transduction_[row]
    if shares[label] <= shares[~label].max() + LEAST_LEAD:
        shares = (shares + label) / 2
    return tuple((shares / shares.sum()).tolist())


def _pictures(
    study: Study,
    training: Training,
    points: np.ndarray,
    model: Propagator,
    calibration: Calibration | None,
) -> tuple[str, ...]:
    """Before and after; expected error against coverage."""
    figures = {
        "propagation.png": propagation_figure(
            points, training.given, model.transduction_, study.classes
        )
    }
    cells = calibration.cells if calibration else ()
    curves = {}
    for k in dict.fromkeys(cell.k for cell in cells):
        own = sorted((c.coverage, c.error) for c in cells if c.k == k and c.error == c.error)
        if own:
            coverage, error = np.array(own).T
            curves[f"K = {k}"] = (coverage, error)
    if curves:
        figures["risk-coverage.png"] = risk_coverage_figure(curves)
    return write_pictures(study.path / "reports", figures)
