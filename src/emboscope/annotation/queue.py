"""What to ask next: coverage first, then doubt and what no label reaches."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from emboscope.annotation.nearest import LQKNN
from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.annotation.selection import coverage_rule
from emboscope.annotation.situation import Situation
from emboscope.annotation.spreading import Spreading
from emboscope.errors import SettingsError
from emboscope.settings import Settings

_CENTRAL = 5  # samples of a region among which the patient asked least often is chosen


class QueueSettings(Settings):
    """How samples are chosen. Every default stands here and nowhere else."""

    regions: PositiveFloat = 0.75  # times the root of the number of samples: regions to cover
    apart: PositiveInt = 20  # neighbors of an uncertain sample, not asked in the same batch
    k: PositiveInt = 10  # of LQ-KNN, which tells what a label can reach
    threshold: NonNegativeFloat = 0.1
    doubt: float = Field(default=0.1, ge=0, le=1)  # 1 - margin, from which a sample is uncertain


DEFAULTS = QueueSettings()


@dataclass(frozen=True)
class Queries:
    """Samples to ask for, in this order.

    Attributes
    ----------
    samples : ndarray of int64, shape (n_queries,)
        Distinct and unlabeled.
    reasons : tuple of str
        `coverage`: its region of the map has no label. `uncertain`: classes compete for it where
        samples are dense. `unreachable`: no label can travel to it.
    """

    samples: np.ndarray
    reasons: tuple[str, ...]


def next_queries(
    situation: Situation,
    n: int,
    settings: QueueSettings = DEFAULTS,
    random_state: int = 0,
) -> Queries:
    """The next samples to label.

    1. `coverage`: the map is cut into about 0.75 √n_samples regions by the coverage rule. Each asks
       for its medoid, large and far ones first, until every region has a label.
    2. Then, in turn, `unreachable` (medoids of the islands to which LQ-KNN brings no label) and
       `uncertain` (1 - margin, times the local quality). The quality stands for the density: it is
       high for hubs, whose labels travel, while the density on a t-SNE map says little. Without it
       closeness on the map is taken.
    3. When nothing is uncertain any more: samples whose quality is too low to take a label, also
       `unreachable`. Each such label helps its own sample alone.

    Doubt does not count earlier, because before every dense region has a label the doubts are about
    the wrong regions: on overlapping blobs batches by uncertainty did worse than coverage alone.

    Parameters
    ----------
    situation : Situation
    n : int
        Size of the batch.
    settings : QueueSettings
    random_state : int
        Of the regions; keep it from batch to batch.

    Returns
    -------
    queries : Queries
        Fewer than `n` when fewer are left to ask.

    Raises
    ------
    DataError
        If lengths differ; or as `LQKNN.fit`, on a map that lost the neighborhoods.
    SettingsError
        If `n` is not positive, or scikit-activeml is not installed.
    """
    if n < 1:
        raise SettingsError(f"queries: {n}; expected at least 1. 10 to 20 are a batch.")
    open_ = situation.open
    asked = _uncovered(situation, open_, settings, random_state)[:n]
    reasons = ["coverage"] * len(asked)
    if len(asked) < n and (np.asarray(situation.y) >= 0).any():
        open_[asked] = False
        hard = _hard(situation, open_, n - len(asked), settings, random_state)
        asked, reasons = asked + [i for i, _ in hard], reasons + [why for _, why in hard]
    open_[asked] = False
    rest = _medoids(situation.points, open_, n - len(asked), random_state)
    return Queries(np.array(asked + rest, np.int64), (*reasons, *["coverage"] * len(rest)))


def _uncovered(
    situation: Situation, open_: np.ndarray, settings: QueueSettings, random_state: int
) -> list[int]:
    """One sample of each region without a label, large regions far from labels first."""
    points, labeled = np.asarray(situation.points, np.float64), np.asarray(situation.y) >= 0
    n_regions = min(len(points), max(1, round(settings.regions * np.sqrt(len(points)))))
    medoids = coverage_rule(points, n_regions, random_state)
    distance, nearest = NearestNeighbors(n_neighbors=1).fit(points[medoids]).kneighbors(points)
    region, distance = nearest[:, 0], distance[:, 0]
    covered = np.zeros(n_regions, bool)
    covered[region[labeled]] = True
    asked_of = _asked(situation)
    chosen = []
    for index in _far_and_large(points[medoids], np.bincount(region, minlength=n_regions), covered):
        members = np.flatnonzero((region == index) & open_)
        if len(members):
            chosen.append(_central(members, distance[members], situation.groups, asked_of))
    return chosen


def _far_and_large(centers: np.ndarray, sizes: np.ndarray, covered: np.ndarray) -> list[int]:
    """Regions without a label: each next one has the largest size times distance to the chosen."""
    done, order = covered.copy(), []
    if not covered.any():
        order.append(0)  # the coverage rule lists the largest first
        done[0] = True
    distance = cdist(centers, centers[done]).min(axis=1)
    while not done.all():
        index = int(np.where(done, -1.0, sizes * distance).argmax())
        order.append(index)
        done[index] = True
        distance = np.minimum(distance, cdist(centers, centers[[index]])[:, 0])
    return order


def _central(
    members: np.ndarray, distance: np.ndarray, groups: np.ndarray | None, asked_of: Counter[object]
) -> int:
    """The most central member; with groups, the one of five whose patient was asked least."""
    near = members[np.argsort(distance, kind="stable")][:_CENTRAL]
    if groups is None:
        return int(near[0])
    patients = np.asarray(groups)[near].tolist()
    place = min(range(len(near)), key=lambda place: asked_of[patients[place]])
    asked_of[patients[place]] += 1
    return int(near[place])


def _hard(
    situation: Situation, open_: np.ndarray, n: int, settings: QueueSettings, random_state: int
) -> list[tuple[int, str]]:
    """Islands and uncertain samples in turn; then those that the quality shuts out."""
    quality, threshold = situation.local_quality, settings.threshold
    model = LQKNN(settings.k, threshold).fit(situation.points, situation.y, quality)
    left = open_ & (model.transduction_ == -1)
    good = left if quality is None else left & (np.asarray(quality) > threshold)
    queues = {
        "unreachable": _medoids(situation.points, good, n, random_state),
        "uncertain": _uncertain(situation, open_, n, settings),
    }
    turn = int((np.asarray(situation.y) >= 0).sum())
    taken: dict[int, str] = {}
    while len(taken) < n and any(queues.values()):
        reason = list(queues)[turn % 2]
        turn += 1
        if queues[reason]:
            taken.setdefault(queues[reason].pop(0), reason)
    left[list(taken)] = False
    last = _medoids(situation.points, left & ~good, n - len(taken), random_state)
    return [*taken.items(), *((sample, "unreachable") for sample in last)]


def _uncertain(
    situation: Situation, open_: np.ndarray, n: int, settings: QueueSettings
) -> list[int]:
    """Samples by (1 - margin) times local quality, no two near each other."""
    distributions = situation.distributions
    if distributions is None:
        model = Spreading().fit(situation.points, situation.y, features=situation.features)
        distributions = model.label_distributions_
    neighbors, squared = nearest_neighbors(situation.points, settings.apart)
    reach = situation.local_quality
    if reach is None:
        distance = np.sqrt(squared).mean(axis=1)
        typical = max(float(np.median(distance)), np.finfo(float).tiny)
        reach = typical / (typical + distance)
    doubt = _doubt(distributions)
    utility = np.where(open_ & (doubt >= settings.doubt), doubt * reach, 0)
    chosen: list[int] = []
    while len(chosen) < n and utility.max() > 0:
        best = int(utility.argmax())
        chosen.append(best)
        utility[best] = 0
        utility[neighbors[best]] = 0
    return chosen


def _doubt(distributions: np.ndarray) -> np.ndarray:
    """1 - margin of each row; 0 for an unlabeled row, and with a single class."""
    try:
        from skactiveml.pool import uncertainty_scores
    except ImportError as error:
        raise SettingsError(
            "queries: scikit-activeml is missing; expected it for uncertain samples. Install "
            "emboscope[active]."
        ) from error
    doubt = np.zeros(len(distributions))
    labeled = ~np.isnan(distributions).any(axis=1)
    if labeled.any() and distributions.shape[1] > 1:
        doubt[labeled] = uncertainty_scores(distributions[labeled], method="margin_sampling")
    return doubt


def _medoids(points: np.ndarray, among: np.ndarray, n: int, random_state: int) -> list[int]:
    """Up to `n` medoids of some samples, those of large clusters first."""
    rows = np.flatnonzero(among)
    n = min(n, len(rows))
    return rows[coverage_rule(np.asarray(points)[rows], n, random_state)].tolist() if n > 0 else []


def _asked(situation: Situation) -> Counter[object]:
    """How many labels each patient has."""
    if situation.groups is None:
        return Counter()
    return Counter(np.asarray(situation.groups)[np.asarray(situation.y) >= 0].tolist())
