"""From a few expert labels to many: maps, the best map, propagation."""

from dataclasses import dataclass

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.annotation.figures import AnnotationFigures, annotation_figures
from emboscope.annotation.maps import MAP_GRIDS, PROJECTIONS
from emboscope.annotation.propagators import LQKNN, StdKNN
from emboscope.annotation.quality import local_quality
from emboscope.annotation.selection import MapChoice, choose_map, coverage_rule
from emboscope.progress import Progress, silent
from emboscope.settings import Settings


class AnnotateSettings(Settings):
    """How many labels are asked for, and how they spread."""

    asked_share: float = Field(default=0.10, gt=0, lt=1)
    k: PositiveInt = 10
    threshold: float = Field(default=0.1, ge=0, le=1)
    grid: str = "small"
    seed: int = 0


@dataclass(frozen=True)
class Annotation:
    """What was asked, what was found.

    Attributes
    ----------
    points : ndarray, shape (n_samples, 2)
        The chosen map.
    quality : ndarray, shape (n_samples,)
        Local quality on it.
    asked : ndarray of bool, shape (n_samples,)
        Samples that the expert labelled.
    labels : ndarray of int, shape (n_samples,)
        After propagation; -1 where none.
    choice : MapChoice
        Scores of the maps.
    """

    points: np.ndarray
    quality: np.ndarray
    asked: np.ndarray
    labels: np.ndarray
    choice: MapChoice


def annotate(
    features: np.ndarray,
    expert: np.ndarray,
    settings: AnnotateSettings,
    progress: Progress = silent,
) -> Annotation:
    """Ask the expert about a share of the samples, and let the labels spread.

    The samples that are asked for cover the latent space; only their labels are used.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        Of training patients only.
    expert : ndarray of int, shape (n_samples,)
        What the expert says when asked.
    settings : AnnotateSettings
    """
    queries = coverage_rule(features, max(2, round(settings.asked_share * len(features))))
    asked = np.zeros(len(features), bool)
    asked[queries] = True
    given = np.where(asked, expert, -1)
    maps = PROJECTIONS["tsne"](features, MAP_GRIDS[settings.grid], progress)
    choice = choose_map(maps, given, features)
    points = maps[choice.index]
    quality = local_quality(features, points)
    spread = LQKNN(settings.k, settings.threshold).fit(points, given, quality)
    return Annotation(points, quality, asked, spread.transduction_, choice)


def annotation_quality(
    annotation: Annotation, truth: np.ndarray, k: int
) -> dict[str, AnnotationFigures]:
    """Accuracy and coverage of the new labels, beside plain nearest neighbours on the same map."""
    given = np.where(annotation.asked, annotation.labels, -1)
    plain = StdKNN(k).fit(annotation.points, given).transduction_
    return {
        "LQ-KNN": annotation_figures(truth, given, annotation.labels),
        "Std-KNN": annotation_figures(truth, given, plain),
    }
