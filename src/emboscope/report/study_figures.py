"""Picture of a study: two columns of its tables against each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from emboscope.report.figures import COLORS, new_figure, png

_MARKERS = "osD^vP*X"
_LARGEST, _SMALLEST, _PLAIN = 900.0, 12.0, 40.0  # areas of a mark, in square points
_N_NAMED = 40  # marks that still find room for their names


@dataclass(frozen=True)
class Spot:
    """One row of a table.

    Attributes
    ----------
    label, group : str
        Row and table.
    x, y : float
        In the units of the axes.
    interval : tuple of float
        Of y, 95 %; NaN where there is none.
    area : float, optional
        What the area of the mark stands for, above 0.
    """

    label: str
    group: str
    x: float
    y: float
    interval: tuple[float, float]
    area: float | None = None


@dataclass(frozen=True)
class Frame:
    """What stands around the spots.

    Attributes
    ----------
    title, x_label, y_label : str
    area_label : str
        What the areas are; empty where all are alike.
    log_x : bool
        Logarithmic axis of x.
    """

    title: str
    x_label: str
    y_label: str
    area_label: str = ""
    log_x: bool = False


def spots_figure(spots: Sequence[Spot], frame: Frame) -> bytes:
    """Rows as marks with their names and intervals, a color a table, as a PNG.

    Areas are proportional to what they stand for, down to a least one that can be seen.
    """
    figure = new_figure(10, 6.5)
    axes = figure.subplots()
    largest = max((spot.area or 0.0 for spot in spots), default=0.0)
    for number, group in enumerate(dict.fromkeys(spot.group for spot in spots)):
        own = [spot for spot in spots if spot.group == group]
        _marks(axes, own, largest, number)
    if len(spots) <= _N_NAMED:
        for spot in spots:
            axes.annotate(spot.label, (spot.x, spot.y), xytext=(6, 4), textcoords="offset points",
                          fontsize=7)  # fmt: skip
    if frame.log_x:
        axes.set_xscale("log")
    axes.margins(0.12)
    title = f"{frame.title}; area: {frame.area_label}" if frame.area_label else frame.title
    axes.set_title(title, fontsize=10, loc="left")
    axes.set(xlabel=frame.x_label, ylabel=frame.y_label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, markerscale=0.6)
    return png(figure)


def _marks(axes: Axes, own: Sequence[Spot], largest: float, number: int) -> None:
    """The marks of one table and the intervals behind them."""
    color, marker = COLORS[number % len(COLORS)], _MARKERS[number % len(_MARKERS)]
    x, y = (np.array([getattr(spot, axis) for spot in own]) for axis in "xy")
    low, high = np.array([spot.interval for spot in own]).T
    axes.vlines(x, low, high, color=color, lw=1, alpha=0.6)
    areas = [mark_area(spot.area, largest) for spot in own]
    axes.scatter(x, y, s=areas, color=color, marker=marker, edgecolor="black", lw=0.5, alpha=0.75,
                 label=own[0].group)  # fmt: skip


def mark_area(value: float | None, largest: float) -> float:
    """Square points of a mark: the largest value's are 900, others in proportion, at least 12."""
    if value is None:
        return _PLAIN
    return max(_SMALLEST, _LARGEST * value / largest)
