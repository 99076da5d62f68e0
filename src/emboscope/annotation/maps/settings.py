"""How a map is drawn, and the grids of maps to choose from."""

from collections.abc import Sequence
from itertools import product
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from emboscope.registry import Registry
from emboscope.settings import Settings


class MapSettings(Settings):
    """How one map is drawn. Every default stands here and nowhere else."""

    perplexity: PositiveFloat = 30.0  # the effective number of neighbors
    early_exaggeration: PositiveFloat = 12.0
    learning_rate: PositiveFloat | Literal["auto"] = "auto"  # auto: n_samples / exaggeration
    early_iterations: NonNegativeInt = 250
    iterations: PositiveInt = 750
    seed: int = 0

    @property
    def total_iterations(self) -> int:
        """Iterations really run."""
        return self.early_iterations + self.iterations


def _grid(
    perplexities: Sequence[float], exaggerations: Sequence[float], rates: Sequence[float]
) -> tuple[MapSettings, ...]:
    """Every combination, perplexity first so that equal ones stand together."""
    return tuple(
        MapSettings(perplexity=perplexity, early_exaggeration=exaggeration, learning_rate=rate)
        for perplexity, exaggeration, rate in product(perplexities, exaggerations, rates)
    )


MAP_GRIDS: Registry[tuple[MapSettings, ...]] = Registry("map grid")
MAP_GRIDS["small"] = (
    MapSettings(perplexity=10),
    MapSettings(perplexity=30),
    MapSettings(perplexity=30, early_exaggeration=50, learning_rate=100),
)
MAP_GRIDS["one"] = (MapSettings(learning_rate=200),)
MAP_GRIDS["mnist"] = _grid((10, 30, 50), (50, 250, 500), (10, 100, 1000))
MAP_GRIDS["organ"] = _grid(
    tuple(range(5, 55, 5)), (5, 10, 25, 50, 75, 100, 200, 500), (10, 50, 100, 500, 1000)
)
