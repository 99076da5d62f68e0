"""The propagators by name, and their mean over several maps."""

from collections.abc import Collection, Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from emboscope.annotation.forest import MinimaxForest, OPFSemi
from emboscope.annotation.nearest import LQKNN, StdKNN
from emboscope.annotation.propagation import Propagator, margins
from emboscope.annotation.soft_labels import mean_distribution
from emboscope.annotation.spreading import Spreading
from emboscope.errors import DataError
from emboscope.registry import Registry

__all__ = [
    "LQKNN", "PROPAGATORS", "MapAverage", "MinimaxForest", "OPFSemi", "Propagator", "Spreading",
    "StdKNN",
]  # fmt: skip

PROPAGATORS: Registry[type[Propagator]] = Registry("propagator")
PROPAGATORS["lq_knn"] = LQKNN
PROPAGATORS["std_knn"] = StdKNN
PROPAGATORS["opf_semi"] = OPFSemi
PROPAGATORS["minimax_forest"] = MinimaxForest
PROPAGATORS["spreading"] = Spreading


class MapAverage(BaseEstimator):
    """The mean of one propagator over several maps: where maps disagree, the margin is small.

    A map on which a sample stays unlabeled gives it nothing; a sample takes the class of the
    largest mean when at least half of the maps label it.

    Parameters
    ----------
    propagator : Propagator
        Cloned for each map.

    Attributes
    ----------
    transduction_, label_distributions_, margins_, classes_ : ndarray
        As in `Propagator`; the margin counts the maps that gave nothing.
    propagators_ : list of Propagator
        One a map.
    """

    def __init__(self, propagator: Propagator) -> None:
        self.propagator = propagator

    def fit(
        self,
        maps: Sequence[np.ndarray],
        y: np.ndarray,
        local_quality: Sequence[np.ndarray] | None = None,
        features: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        test_groups: Collection = (),
    ) -> Self:
        """Propagate on each map; arguments as in `Propagator.fit`, one map and quality each."""
        if not len(maps) or (local_quality is not None and len(local_quality) != len(maps)):
            raise DataError(
                f"maps: {len(maps)}, and another number of local qualities; expected at least one "
                "map, and a quality for each or none. Compute both from the same features."
            )
        qualities = [None] * len(maps) if local_quality is None else list(local_quality)
        self.propagators_ = [
            clone(self.propagator).fit(points, y, quality, features, groups, test_groups)
            for points, quality in zip(maps, qualities, strict=True)
        ]
        self.classes_ = self.propagators_[0].classes_
        parts = [each.label_distributions_ for each in self.propagators_]
        mean = mean_distribution(parts)
        known = np.mean([~np.isnan(part[:, 0]) for part in parts], axis=0)  # share of the maps
        labels = self.classes_[np.nan_to_num(mean).argmax(axis=1)]
        self.transduction_ = np.where(np.isnan(mean[:, 0]), -1, labels)
        self.label_distributions_, self.margins_ = mean, known * margins(mean)
        return self
