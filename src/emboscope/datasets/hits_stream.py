"""HITS as a long recording gives them: few emboli among many artifacts."""

import numpy as np
from pydantic import PositiveInt

from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.datasets.hits import (
    Hits,
    HitsSettings,
    cut_all,
    dataset_of,
    held_patients,
    kept_hits,
)
from emboscope.progress import Progress, silent
from emboscope.simulation.recording import SimulationSettings


class StreamSettings(HitsSettings):
    """How many events of each class are drawn from how long recordings.

    The patients are those of `hits`, of which they have the seed and the number; each is recorded
    for 40 minutes in place of 20, and no candidate is left out before the draw.
    """

    simulation: SimulationSettings = SimulationSettings(n_patients=51, minutes=40, rate_factor=60)
    most: PositiveInt = 1_000_000  # more than any patient has
    counts: tuple[PositiveInt, PositiveInt, PositiveInt] = (6_960, 1_044, 696)  # 80, 12 and 8 %


def stream_hits(settings: StreamSettings, progress: Progress = silent) -> Hits:
    """The drawn events of all patients; made once, then read from the cache folder."""
    return kept_hits("hits_sada", settings, lambda: draw_mix(cut_all(settings, progress), settings))


def draw_mix(hits: Hits, settings: StreamSettings) -> Hits:
    """Draw each class from all patients together, so that some have many events and some few.

    Where a class has too few, all counts shrink by the same factor: the mix stays.
    """
    rng = np.random.default_rng([settings.simulation.seed, settings.simulation.n_patients])
    of_class = [np.flatnonzero(hits.y == label) for label in range(len(settings.counts))]
    sizes = zip(of_class, settings.counts, strict=True)
    factor = min(1.0, *(len(rows) / count for rows, count in sizes))
    drawn = [
        rng.choice(rows, int(factor * count), replace=False)
        for rows, count in zip(of_class, settings.counts, strict=True)
    ]
    kept = np.sort(np.concatenate(drawn))
    return Hits(**{name: array[kept] for name, array in vars(hits).items()})


def load_hits_sada(progress: Progress = silent) -> Dataset:
    """A realistic stream of HITS: 8,700 events, of which 80 % are artifacts, 12 % gas, 8 % solid.

    Of the 51 simulated patients of `hits`, and with its 12 as the fixed test part. Classes are
    true; soft labels are the shares of the simulated raters.
    """
    settings = StreamSettings()
    return dataset_of(stream_hits(settings, progress), "hits_sada", held_patients(settings))


DATASETS["hits_sada"] = load_hits_sada
