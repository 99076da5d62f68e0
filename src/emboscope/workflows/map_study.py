"""The map of a study: features, projections, the chosen one, and what may be expected of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import NonNegativeInt

from emboscope.annotation.features import fit_features
from emboscope.annotation.hypotheses import Finding, hypotheses
from emboscope.annotation.maps import MAP_GRIDS, PROJECTIONS, MapSettings
from emboscope.annotation.quality import local_quality
from emboscope.annotation.selection import MapChoice, choose_map
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.report.annotation_figures import (
    label_map_figure,
    map_grid_figure,
    patient_map_figure,
    quality_map_figure,
)
from emboscope.settings import Settings
from emboscope.store.labels import MANUAL
from emboscope.store.splits import TEST
from emboscope.store.study import Study
from emboscope.workflows.files import prepare_folder, versions, write_bytes
from emboscope.workflows.measures import standard_measures

MEASURES = "measures"
FEWEST_SAMPLES = 31


class MapStudySettings(Settings):
    """How the map of a study is made. Every default stands here and nowhere else."""

    features: str = MEASURES  # thirty measures by hand, or an encoder of `FEATURES`
    projection: str = "tsne"
    grid: str = "small"
    seed: NonNegativeInt = 0


@dataclass(frozen=True)
class MapResult:
    """What `map` made.

    Attributes
    ----------
    samples, labeled : int
        Of the training patients.
    scores : tuple of float
        One a map.
    chosen : int
    criterion : str
        `silhouette` of the labeled samples, or `local_quality` without enough labels.
    findings : tuple of Finding
        The three hypotheses of semi-automatic annotation.
    pictures : tuple of str
    """

    samples: int
    labeled: int
    scores: tuple[float, ...]
    chosen: int
    criterion: str
    findings: tuple[Finding, ...]
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """The samples of the training patients, and what people said of them."""

    ids: np.ndarray
    subjects: np.ndarray
    given: np.ndarray  # classes; -1 where nobody said anything sure
    judged: np.ndarray  # bool: somebody said something, unsure or against another too


def training_samples(study: Study) -> Training:
    """Test patients are left out here, so that no later stage can see them.

    Raises
    ------
    DataError
        If there are too few samples.
    """
    samples = study.samples()
    train = samples.splits != TEST
    if train.sum() < FEWEST_SAMPLES:
        raise DataError(
            f"study '{study.path}': {train.sum()} samples of training patients; expected at least "
            f"{FEWEST_SAMPLES}. Ingest more recordings."
        )
    labels = study.labels()
    judged = np.isin(labels.source, MANUAL)
    given = np.where(judged, labels.y, -1)
    return Training(samples.ids[train], samples.subjects[train], given[train], judged[train])


def map_study(path: Path, settings: MapStudySettings, progress: Progress = silent) -> MapResult:
    """Features, maps and local quality of the training patients into a study.

    Raises
    ------
    DataError
        If the study has too few samples.
    SettingsError
        For an unknown encoder, projection or grid.
    """
    projection, grid = PROJECTIONS[settings.projection], MAP_GRIDS[settings.grid]
    with Study.open(path) as study:
        training = training_samples(study)
        features = _features(study, training, settings, progress)
        maps = projection(features, _fitting(grid, len(features)), progress)
        choice = choose_map(maps, training.given, features)
        points = maps[choice.index]
        quality = local_quality(features, points)
        _keep(study, training, (features, points, quality), settings, choice)
        found = hypotheses(features, points, training.given, quality)
        pictures = _pictures(study, training, (maps, quality), choice)
    return MapResult(
        samples=len(training.ids),
        labeled=int((training.given >= 0).sum()),
        scores=tuple(float(score) for score in choice.scores),
        chosen=choice.index,
        criterion=choice.criterion,
        findings=found.findings,
        pictures=pictures,
    )


def _fitting(grid: tuple[MapSettings, ...], n_samples: int) -> tuple[MapSettings, ...]:
    """The grid, its perplexities under a third of the samples, as t-SNE needs."""
    most = (n_samples - 1) / 3
    return tuple(
        each.model_copy(update={"perplexity": min(each.perplexity, most)}) for each in grid
    )


def _features(
    study: Study, training: Training, settings: MapStudySettings, progress: Progress
) -> np.ndarray:
    """Measures by hand, standardized, or the codes of an encoder of the spectrograms."""
    if settings.features == MEASURES:
        segments = np.asarray(study.array("segments", ids=training.ids))
        return standard_measures(segments)
    images = np.asarray(study.array("spectrogram", ids=training.ids))
    return fit_features(images, settings.features, progress=progress).codes


def _keep(
    study: Study,
    training: Training,
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray],
    settings: MapStudySettings,
    choice: MapChoice,
) -> None:
    """Features, chosen map and local quality, each with what it was made from."""
    content = {**settings.model_dump(mode="json"), "versions": versions()}
    kind = "segments" if settings.features == MEASURES else "spectrogram"
    source = study.arrays(kind)[-1:]
    features = study.put_array("features", arrays[0], content, training.ids, source)
    content = {**content, "chosen": choice.index, "features_hash": features.settings_hash}
    points = study.put_array("map", arrays[1], content, training.ids, [features])
    study.put_array("local_quality", arrays[2], content, training.ids, [features, points])
    scores = [float(score) for score in choice.scores]
    study.record_run("map", content, {"scores": scores, "criterion": choice.criterion})


def _pictures(
    study: Study,
    training: Training,
    drawn: tuple[list[np.ndarray], np.ndarray],
    choice: MapChoice,
) -> tuple[str, ...]:
    """Pictures of the map in `reports/`."""
    maps, quality = drawn
    points, given = maps[choice.index], training.given
    figures = {
        "map-labels.png": label_map_figure(points, given, given >= 0, study.classes),
        "map-quality.png": quality_map_figure(points, quality, 0.1),
        "map-patients.png": patient_map_figure(points, training.subjects),
        "maps.png": map_grid_figure(maps, choice.scores, choice.index, given),
    }
    return write_pictures(study.path / "reports", figures)


def write_pictures(folder: Path, figures: dict[str, bytes]) -> tuple[str, ...]:
    """PNG files, each written aside and renamed; their paths."""
    prepare_folder(folder)
    for name, content in figures.items():
        write_bytes(folder / name, content)
    return tuple(str(folder / name) for name in figures)
