"""What a row of a study measures: functions of settings and a seed, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from emboscope.progress import Progress
from emboscope.registry import Registry
from emboscope.settings import Settings

Numbers = Mapping[str, float]
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Cell:
    """A measurement that a table repeats over rows and seeds.

    Attributes
    ----------
    settings : type of Settings
        Holds every parameter and its default; an unknown key of a row is refused with it.
    measure : callable (settings, seed, progress) -> mapping of str to float
        Shares in [0, 1], scores in [−1, 1], anything else in the unit of its column. NaN where
        nothing could be measured. The same settings, seed and thread count give the same numbers.
    version : int
        Raised when the numbers change for the same settings: stored ones then no longer count.
    """

    settings: type[Settings]
    measure: Callable[..., Numbers]
    version: int = 1


SIMULATED = ("hits", "hits224", "hits_sada")  # data sets

CELLS: Registry[Cell] = Registry("cell")


def register(
    name: str,
    settings: type[S],
    measure: Callable[[S, int, Progress], Numbers],
    version: int = 1,
) -> None:
    """Make a measurement known to studies."""
    CELLS[name] = Cell(settings, measure, version)


def is_simulated(settings: Settings) -> bool:
    """Whether a cell stands on simulated patients."""
    return getattr(settings, "data", "") in SIMULATED
