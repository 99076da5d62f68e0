"""Cells of the studies of annotation: how few labels are enough when they are asked for well."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.annotation.figures import annotation_figures
from emboscope.annotation.propagators import LQKNN, Spreading
from emboscope.annotation.quality import local_quality
from emboscope.annotation.queue import next_queries
from emboscope.annotation.selection import choose_map
from emboscope.annotation.situation import Situation
from emboscope.progress import Progress, silent
from emboscope.workflows.annotation_cells import random_per_class
from emboscope.workflows.cells import register
from emboscope.workflows.prepared import N_FOLDS, Prepared, PrepareSettings, prepare


class QuerySettings(PrepareSettings):
    """How labels are asked for, and against what that is held."""

    labeled: float = Field(default=0.1, gt=0, lt=1)  # share drawn at random, which sets the target
    batch: PositiveInt = 20
    k: PositiveInt = 10
    threshold: float = Field(default=0.1, ge=0, le=1)


def labels_needed(settings: QuerySettings, seed: int, progress: Progress = silent) -> dict:
    """Labels from the queue until LQ-KNN yields as much as from random ones; at most as many.

    The map is chosen anew after each batch. `labels` is NaN when the target is never reached.
    """
    prepared = _prepared(settings, seed, progress)
    drawn = random_per_class(prepared, settings.labeled, seed)
    _, target = _spread(prepared, _given(prepared, drawn), settings)
    reached = float("nan")
    for n_asked, net in _asking(prepared, settings, len(drawn), seed, progress):
        if net >= target:
            reached = float(n_asked)
            break
    return {
        "labels": reached,
        "random_labels": float(len(drawn)),
        "share": reached / len(drawn),
        "target": target,
        "net_yield": net,
    }


def labels_by_budget(settings: QuerySettings, seed: int, progress: Progress = silent) -> dict:
    """Net yield of LQ-KNN from as many labels of the queue as the share makes, and from random."""
    prepared = _prepared(settings, seed, progress)
    drawn = random_per_class(prepared, settings.labeled, seed)
    _, by_chance = _spread(prepared, _given(prepared, drawn), settings)
    *_, (n_asked, net) = _asking(prepared, settings, len(drawn), seed, progress)
    return {"net_yield": net, "random_net_yield": by_chance, "labels": float(n_asked)}


def _prepared(settings: QuerySettings, seed: int, progress: Progress) -> Prepared:
    """Features and maps; repeats go through the folds."""
    part = {name: getattr(settings, name) for name in PrepareSettings.model_fields}
    part["fold"] = (settings.fold + seed) % N_FOLDS
    return prepare(PrepareSettings.parse(part), progress)


def _asking(
    prepared: Prepared, settings: QuerySettings, most: int, seed: int, progress: Progress
) -> Iterator[tuple[int, float]]:
    """Number of labels and net yield, after each batch that the queue asks for."""
    asked = np.empty(0, np.int64)
    while True:
        situation, net = _spread(prepared, _given(prepared, asked), settings)
        yield len(asked), net
        if len(asked) >= most:
            return
        n = min(settings.batch, most - len(asked))
        asked = np.concatenate([asked, next_queries(situation, n, random_state=seed).samples])
        progress("labels", len(asked), most)


def _given(prepared: Prepared, asked: np.ndarray) -> np.ndarray:
    """What the expert says of the samples that were asked for; -1 elsewhere."""
    given = np.full(len(prepared.features), -1)
    given[asked] = prepared.source.expert[asked]
    return given


def _spread(
    prepared: Prepared, given: np.ndarray, settings: QuerySettings
) -> tuple[Situation, float]:
    """The situation on the map that the labels choose, and the net yield of LQ-KNN there."""
    features, groups = prepared.features, prepared.source.groups
    points = prepared.maps[choose_map(prepared.maps, given, features).index]
    quality = local_quality(features, points)
    if not (given >= 0).any():
        return Situation(features, points, given, quality, groups=groups), 0.0
    labels = LQKNN(settings.k, settings.threshold).fit(points, given, quality).transduction_
    soft = Spreading(settings.k).fit(points, given, features=features).label_distributions_
    net = annotation_figures(prepared.source.y, given, labels).net_yield
    return Situation(features, points, given, quality, soft, groups), net


register("labels_needed", QuerySettings, labels_needed)
register("labels_by_budget", QuerySettings, labels_by_budget)
