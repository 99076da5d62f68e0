"""The whole chain on simulated patients, with a report at the end."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import PositiveInt

from emboscope.annotation.figures import AnnotationFigures
from emboscope.compression.cost import Cost, cost
from emboscope.compression.finetune import CompressSettings, FineTuningSettings, compress
from emboscope.datasets.dataset import Dataset
from emboscope.datasets.hits import Hits, HitsSettings, dataset_of, simulated_hits
from emboscope.errors import SettingsError
from emboscope.evaluation.metrics import METRICS, confusion_matrix
from emboscope.evaluation.statistics import Estimate, bootstrap_groups
from emboscope.export.onnx import export_onnx
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.settings import Settings
from emboscope.simulation.recording import SimulationSettings
from emboscope.workflows.annotate import (
    AnnotateSettings,
    Annotation,
    annotate,
    annotation_quality,
)
from emboscope.workflows.demo_report import DemoFigures, write_report
from emboscope.workflows.files import read_json
from emboscope.workflows.measures import standard_measures
from emboscope.workflows.scan import ScanOptions, ScanResult, scan
from emboscope.workflows.score import ScoreResult, score
from emboscope.workflows.simulate import simulate_folder

MARK = ".emboscope-demo"
# a few hundred events with uneven classes and some wrong labels; I/Q of two events do not mix
_FEW = {"batch": 32, "loss": "gce", "class_weights": True, "augment": (), "mixup": 0.0}


class DemoSettings(Settings):
    """What the demo does. Events are those that the scan finds with its defaults."""

    simulation: SimulationSettings = SimulationSettings(
        n_patients=12, minutes=15, rate_factor=60, seed=1
    )
    test_patients: PositiveInt = 4
    annotation: AnnotateSettings = AnnotateSettings()
    training: TrainSettings = TrainSettings.parse({"epochs": 30, **_FEW})
    fine_tuning: FineTuningSettings = FineTuningSettings.parse({"epochs": 20, **_FEW})


QUICK = DemoSettings(
    simulation=SimulationSettings(n_patients=12, minutes=4, rate_factor=120, seed=1),
    training=TrainSettings.parse({"epochs": 8, **_FEW}),
    fine_tuning=FineTuningSettings.parse({"epochs": 4, **_FEW}),
)


@dataclass(frozen=True)
class DemoResult:
    """The table of the demo, and where the report lies."""

    rows: tuple[tuple[str, str], ...]
    report: str
    seconds: float


def demo(out: Path, quick: bool = False, progress: Progress = silent) -> DemoResult:
    """Simulate, scan, score, annotate, train, compress, export, report.

    Scales of the measures, map, propagation and models see the training patients only; the four
    test patients are read once, at the end.

    Parameters
    ----------
    out : Path
        A new folder, or that of an earlier demo, which is made again.
    quick : bool
        Shorter recordings and trainings.

    Raises
    ------
    SettingsError
        If the folder holds something else.
    """
    started = time.perf_counter()
    settings = QUICK if quick else DemoSettings()
    _claim(out)
    simulate_folder(out / "recordings", settings.simulation, progress)
    scanned = scan([out / "recordings"], out / "events", ScanOptions(), progress)
    scored = score(out / "events", out / "recordings")
    hits = simulated_hits(HitsSettings(simulation=settings.simulation, threshold_db=5.0), progress)
    data = dataset_of(hits)
    train = data.groups < settings.simulation.n_patients - settings.test_patients
    annotation = annotate(
        standard_measures(hits.segments[train]), hits.expert[train], settings.annotation, progress
    )
    models = _models(data, annotation, train, settings, progress)
    stages = (scanned, scored, annotation)
    figures = _figures(stages, hits, train, settings.annotation.k, models, data)
    export_onnx(
        models["ternary"],
        out / "export",
        data.rows(train),
        data.classes,
    )
    check = read_json(out / "export" / "check.json")
    seconds = time.perf_counter() - started
    rows = _rows(figures, check, seconds)
    report = write_report(out, figures, check, rows, settings.model_dump(mode="json"))
    return DemoResult(rows, str(report), seconds)


def _claim(out: Path) -> None:
    """A new folder, or an earlier demo's, emptied."""
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise SettingsError(f"folder '{out}': not empty. Choose another with --out.")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _models(
    data: Dataset,
    annotation: Annotation,
    train: np.ndarray,
    settings: DemoSettings,
    progress: Progress,
) -> dict[str, SignalClassifier]:
    """A model of the expert's labels alone, of all labels, and the latter made ternary."""
    rows = np.flatnonzero(train)
    views = data.rows(rows)
    groups = data.groups[rows]
    asked = np.where(annotation.asked, annotation.labels, -1)
    models = {}
    for name, y in (("expert labels", asked), ("propagated", annotation.labels)):
        models[name] = SignalClassifier(
            "hybrid_late", data.front_end, training=settings.training, device="cpu"
        ).fit(views, y, groups, progress=_named(progress, name))
    models["ternary"] = compress(
        models["propagated"],
        views=views,
        y=annotation.labels,
        settings=CompressSettings(training=settings.fine_tuning),
        progress=_named(progress, "ternary"),
    )
    return models


def _named(progress: Progress, name: str) -> Progress:
    return lambda what, done, total: progress(f"{what} ({name})", done, total)


def _figures(
    stages: tuple[ScanResult, ScoreResult, Annotation],
    hits: Hits,
    train: np.ndarray,
    k: int,
    models: Mapping[str, SignalClassifier],
    data: Dataset,
) -> DemoFigures:
    """Everything the report shows; the test patients are read here, once."""
    scanned, scored, annotation = stages
    views = data.rows(~train)
    truth, groups = hits.y[~train], hits.groups[~train]
    predicted = {name: model.predict(views) for name, model in models.items()}
    return DemoFigures(
        scanned=scanned,
        scored=scored,
        classes=data.classes,
        annotation=annotation,
        quality=annotation_quality(annotation, hits.y[train], k),
        scores={name: _estimates(truth, own, groups) for name, own in predicted.items()},
        confusion={
            name: confusion_matrix(truth, predicted[name], len(data.classes))
            for name in ("propagated", "ternary")
        },
        cost=cost(models["ternary"].network_),
    )


def _estimates(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> dict[str, Estimate]:
    """Each metric with a bootstrap over the test patients."""
    return {
        name: bootstrap_groups(
            lambda rows, metric=metric: metric(truth[rows], predicted[rows]),  # type: ignore[misc]
            groups,
            np.random.default_rng(0),
        )
        for name, metric in METRICS.items()
    }


def _rows(figures: DemoFigures, check: dict, seconds: float) -> tuple[tuple[str, str], ...]:
    """The table that the command prints and the report begins with."""
    total = figures.scored.total.score
    spread: AnnotationFigures = figures.quality["LQ-KNN"]
    size: Cost = figures.cost

    def mcc(name: str) -> str:
        estimate = figures.scores[name]["mcc"]
        low, high = estimate.interval
        return f"{100 * estimate.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"

    return (
        ("patients, hours (simulated)", f"{len(figures.scanned.rows)}, {total.evaluable_h:.1f}"),
        ("emboli found of true", f"{total.hits} of {total.hits + total.misses}"),
        ("false emboli an evaluable hour", f"{total.false_per_hour:.1f}"),
        ("labels asked of the expert", str(spread.n_given)),
        ("labels propagated", str(spread.n_new)),
        ("accuracy of propagated labels", f"{100 * spread.accuracy:.1f} %"),
        ("coverage", f"{100 * spread.coverage:.1f} %"),
        ("MCC × 100, expert labels only", mcc("expert labels")),
        ("MCC × 100, with propagated labels", mcc("propagated")),
        ("MCC × 100, ternary", mcc("ternary")),
        ("weights before → after", f"{size.bits_before / 8000:.0f} → {size.bits / 8000:.0f} kB"),
        ("zeros among ternary weights", f"{100 * size.sparsity:.0f} %"),
        ("ONNX, largest difference", f"{check['largest_difference']:.1e}"),
        ("time", f"{seconds:.0f} s"),
    )
