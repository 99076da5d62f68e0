"""Cells of the studies of annotation: how labels spread, and how few are needed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.annotation.figures import annotation_figures
from emboscope.annotation.propagators import PROPAGATORS, MapAverage, Propagator
from emboscope.annotation.quality import local_quality
from emboscope.annotation.selection import coverage_rule, labeled_silhouette
from emboscope.annotation.soft_labels import keep_most_certain
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.workflows.cells import register
from emboscope.workflows.prepared import N_FOLDS, Images, Prepared, PrepareSettings, prepare

Scale = Literal["absolute", "max"]


class LabelSettings(PrepareSettings):
    """Which samples are labeled first, and how the labels spread."""

    labeled: float = Field(default=0.1, gt=0, lt=1)  # share of the samples
    choose: str = "random"
    method: str = "lq_knn"
    k: PositiveInt = 10
    threshold: float = Field(default=0.1, ge=0, le=1)
    scale: Scale = "absolute"
    order: Literal["synchronous", "class", "index"] = "class"  # of Std-KNN, as published
    graph: Literal["blended", "latent", "map", "checked"] = "blended"  # of spreading
    priors: Literal["given", "equal"] = "given"  # of spreading
    map: Literal["best", "middle", "worst", "all"] = "best"
    equal_coverage: bool = False  # keep the most certain, as many as LQ-KNN labels


@dataclass(frozen=True)
class Labeled:
    """Labels of one draw.

    Attributes
    ----------
    source : Images
    given : ndarray of int64, shape (n_samples,)
        What the expert said; -1 is unlabeled.
    labels : ndarray of int64, shape (n_samples,)
        After propagation.
    soft : ndarray, shape (n_samples, n_classes)
        Distributions over all classes; NaN rows are unlabeled.
    silhouette : float
        Of the labeled samples on the chosen map.
    spread_s, quality_s : float
        Seconds of the propagation, and of the local quality.
    """

    source: Images
    given: np.ndarray
    labels: np.ndarray
    soft: np.ndarray
    silhouette: float
    spread_s: float
    quality_s: float


CHOICES: Registry[Callable[[Prepared, float, int], np.ndarray]] = Registry("choice of labels")


def random_per_class(prepared: Prepared, share: float, seed: int) -> np.ndarray:
    """Rows: the share of each class, rounded down, drawn at random as in the papers."""
    rng = np.random.default_rng(seed)
    y = prepared.source.y
    return np.concatenate([
        rng.choice(rows, int(share * len(rows)), replace=False)
        for rows in (np.flatnonzero(y == label) for label in np.unique(y))
    ])


def random_patients(prepared: Prepared, share: float, seed: int) -> np.ndarray:
    """All rows of patients drawn at random until the share is reached."""
    groups = prepared.source.groups
    if groups is None:
        return random_per_class(prepared, share, seed)
    names, counts = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    n_taken = int(np.searchsorted(np.cumsum(counts[order]), share * len(groups))) + 1
    return np.flatnonzero(np.isin(groups, names[order[:n_taken]]))


def covering(prepared: Prepared, share: float, seed: int) -> np.ndarray:
    """Rows that cover the latent space, chosen without any label."""
    n_queries = max(2, round(share * len(prepared.features)))
    return coverage_rule(prepared.features, n_queries, random_state=seed)


CHOICES["random"] = random_per_class
CHOICES["patients"] = random_patients
CHOICES["coverage"] = covering


def label(settings: LabelSettings, seed: int, progress: Progress = silent) -> Labeled:
    """Draw labels, choose the map by them, and let them spread."""
    prepared = prepare(_part(settings, seed), progress)
    given = np.full(len(prepared.features), -1)
    asked = CHOICES[settings.choose](prepared, settings.labeled, seed)
    given[asked] = prepared.source.expert[asked]
    return spread(prepared, given, settings)


def spread(prepared: Prepared, given: np.ndarray, settings: LabelSettings) -> Labeled:
    """Propagate given labels as the settings say."""
    scores = [labeled_silhouette(points, given) for points in prepared.maps]
    chosen = _chosen(scores, settings.map)
    maps = [prepared.maps[index] for index in chosen]
    started = time.perf_counter()
    needs_quality = settings.method in {"lq_knn", "spreading"} or settings.equal_coverage
    qualities = [
        local_quality(prepared.features, points, scale=settings.scale) if needs_quality else None
        for points in maps
    ]
    measured = time.perf_counter()
    model = _fitted(settings, settings.method, (maps, qualities), given, prepared)
    done = time.perf_counter()
    labels, soft = model.transduction_, _full(model, given)
    if settings.equal_coverage:
        gated = _fitted(settings, "lq_knn", (maps, qualities), given, prepared)
        n_kept = int(((given < 0) & (gated.transduction_ >= 0)).sum())
        labels, soft = _most_certain(model, given, n_kept), soft
        soft[labels < 0] = np.nan
    return Labeled(
        prepared.source, given, labels, soft, scores[chosen[0]], done - measured, measured - started
    )


def propagation(settings: LabelSettings, seed: int, progress: Progress = silent) -> dict:
    """Accuracy, coverage and net yield of the labels that spread, and the time that it took."""
    labeled = label(settings, seed, progress)
    figures = annotation_figures(labeled.source.y, labeled.given, labeled.labels)
    per_sample = 1000 / figures.n_unlabeled
    return {
        "accuracy": figures.accuracy,
        "coverage": figures.coverage,
        "net_yield": figures.net_yield,
        "class_mean": float(np.nanmean(figures.class_accuracy)),
        "labeled": float(figures.n_given),
        "silhouette": labeled.silhouette,
        "spread_ms": labeled.spread_s * per_sample,
        "quality_ms": labeled.quality_s * per_sample,
    }


def _part(settings: LabelSettings, seed: int) -> PrepareSettings:
    """What of the settings concerns features and maps; repeats go through the folds."""
    values = {name: getattr(settings, name) for name in PrepareSettings.model_fields}
    return PrepareSettings.parse({**values, "fold": (settings.fold + seed) % N_FOLDS})


def _chosen(scores: list[float], which: str) -> list[int]:
    """Indices of the maps to use; ties go to the lowest index."""
    ascending = sorted(range(len(scores)), key=lambda index: (scores[index], -index))
    picks = {"best": ascending[-1:], "worst": ascending[:1], "all": ascending[::-1]}
    return picks.get(which, [ascending[len(scores) // 2]])


def _fitted(
    settings: LabelSettings,
    method: str,
    on: tuple[list[np.ndarray], list[np.ndarray | None]],
    given: np.ndarray,
    prepared: Prepared,
) -> Propagator | MapAverage:
    """A propagator with those of the settings that it knows, on one map or on all."""
    kind = PROPAGATORS[method]
    own = {
        name: getattr(settings, name)
        for name in kind().get_params()
        if name in LabelSettings.model_fields
    }
    maps, qualities = on
    if len(maps) > 1:
        known = None if qualities[0] is None else [q for q in qualities if q is not None]
        return MapAverage(kind(**own)).fit(maps, given, known, prepared.features)
    return kind(**own).fit(maps[0], given, qualities[0], prepared.features)


def _full(model: Propagator | MapAverage, given: np.ndarray) -> np.ndarray:
    """Distributions with a column for each class up to the largest, also those without labels."""
    soft = np.zeros((len(given), int(model.classes_.max()) + 1))
    soft[:, model.classes_] = model.label_distributions_
    soft[model.transduction_ < 0] = np.nan
    return soft


def _most_certain(model: Propagator | MapAverage, given: np.ndarray, n_kept: int) -> np.ndarray:
    """The given labels, and the new ones with the largest margins."""
    new = np.where(given < 0, model.transduction_, -1)
    share = n_kept / max(int((new >= 0).sum()), n_kept, 1)
    return np.where(given < 0, keep_most_certain(new, model.margins_, share), given)


register("propagation", LabelSettings, propagation)
