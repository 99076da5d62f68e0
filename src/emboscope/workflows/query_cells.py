"""Cells of the studies of annotation: how few labels are enough when they are asked for well."""

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
    part = {name: getattr(settings, name) for name in PrepareSettings.model_fields}
    prepared = prepare(
        PrepareSettings.parse({**part, "fold": (settings.fold + seed) % N_FOLDS}), progress
    )
    drawn = random_per_class(prepared, settings.labeled, seed)
    _, target = _spread(prepared, _given(prepared, drawn), settings)
    asked = np.empty(0, np.int64)
    reached = float("nan")
    while len(asked) < len(drawn):
        situation, net = _spread(prepared, _given(prepared, asked), settings)
        if net >= target:
            reached = float(len(asked))
            break
        n = min(settings.batch, len(drawn) - len(asked))
        asked = np.concatenate([asked, next_queries(situation, n, random_state=seed).samples])
        progress("labels", len(asked), len(drawn))
    return {
        "labels": reached,
        "random_labels": float(len(drawn)),
        "share": reached / len(drawn),
        "target": target,
        "net_yield": net,
    }


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
