"""Picture of a study: two columns of its tables against each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from emboscope.report.figures import COLORS, new_figure, png

_MARKERS = "osD^vP*X"
_LARGEST, _SMALLEST, _PLAIN = 900.0, 12.0, 40.0  # areas of a mark, in square points
_N_NAMED = 60  # marks that still find room for their names
_HALF = 4.0  # of a mark, in pixels
_PLACES = [
    (side * (8 + 22 * (abs(up) > 20)), up)
    for up in sorted(range(-200, 201, 10), key=abs)
    for side in (1, -1)
]  # of a name beside its mark, in points, the nearest first


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
    if frame.log_x:
        axes.set_xscale("log")
    axes.margins(0.12)
    axes.set_ylim(*_limits(axes.get_ylim(), np.array([spot.y for spot in spots])))
    title = f"{frame.title}; area: {frame.area_label}" if frame.area_label else frame.title
    axes.set_title(title, fontsize=10, loc="left")
    axes.set(xlabel=frame.x_label, ylabel=frame.y_label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, markerscale=0.6)
    if len(spots) <= _N_NAMED:
        _names(axes, spots)
    return png(figure)


def _limits(found: tuple[float, float], y: np.ndarray) -> tuple[float, float]:
    """Limits within those found that leave half the span of the marks free above and below them.

    A wide interval of a few repeats then runs out of the picture in place of pressing all together.
    """
    low, high = float(y.min()), float(y.max())
    free = (high - low) / 2
    if not free:
        return found
    return max(found[0], low - free), min(found[1], high + free)


def _names(axes: Axes, spots: Sequence[Spot]) -> None:
    """The names of the spots, each at the nearest of some places where it covers nothing else."""
    canvas = FigureCanvasAgg(axes.figure.get_figure(root=True))
    canvas.draw()
    whole = axes.get_window_extent()
    marks = axes.transData.transform([(spot.x, spot.y) for spot in spots])
    covered = [Bbox.from_bounds(x - _HALF, y - _HALF, 2 * _HALF, 2 * _HALF) for x, y in marks]
    for spot in sorted(spots, key=lambda each: -each.y):
        for place in _PLACES:
            name = axes.annotate(
                spot.label, (spot.x, spot.y), xytext=place, textcoords="offset points", fontsize=7,
                va="center", arrowprops={"arrowstyle": "-", "lw": 0.4, "alpha": 0.5},
                ha="left" if place[0] > 0 else "right",
            )  # fmt: skip
            name.update_positions(canvas.get_renderer())
            box = Text.get_window_extent(name, canvas.get_renderer())  # without the line to it
            free = not any(box.overlaps(other) for other in covered)
            if free and box.x0 > whole.x0 and box.x1 < whole.x1:
                covered.append(box)
                break
            name.remove()


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
