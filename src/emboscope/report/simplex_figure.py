"""Picture of distributions over three classes: places in a triangle whose corners are the classes.

Classes differ by color; what shares a place is one disc of rings, whose areas are their numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from emboscope.report.annotation_figures import CLASS_COLORS
from emboscope.report.figures import new_figure, png

N_CORNERS = 3
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_ALL, _SMALLEST = 1500.0, 5.0  # areas of a disc, of all samples and of the fewest, in square points
_DIGITS = 3  # shares that agree in these are one place


@dataclass(frozen=True)
class Cloud:
    """Distributions that are drawn together.

    Attributes
    ----------
    title : str
    shares : ndarray, shape (n_samples, 3)
        Rows of sum 1; a row of NaN is left out.
    y : ndarray of int, shape (n_samples,)
        The true classes.
    """

    title: str
    shares: np.ndarray
    y: np.ndarray


def simplex_points(shares: np.ndarray) -> np.ndarray:
    """Places (n_samples, 2) of rows of shares (n_samples, 3) in an equilateral triangle of side 1.

    A row that is sure of a class is at its corner: (0, 0), (1, 0) and (1/2, √3/2).
    """
    return shares @ _CORNERS


def simplex_figure(clouds: Sequence[Cloud], classes: Sequence[str]) -> bytes:
    """Triangles side by side, as a PNG.

    Parameters
    ----------
    clouds : sequence of Cloud
    classes : sequence of str
        The three of them.
    """
    figure = new_figure(3.9 * len(clouds), 4.3)
    for axes, cloud in zip(figure.subplots(1, len(clouds), squeeze=False)[0], clouds, strict=True):
        known = ~np.isnan(cloud.shares).any(axis=1)
        _triangle(axes, classes)
        _discs(axes, cloud.shares[known], cloud.y[known])
        axes.set_title(f"{cloud.title} (n = {int(known.sum())})", fontsize=10, loc="left")
    handles = [
        Line2D([], [], ls="", marker="o", ms=7, color=CLASS_COLORS[index], label=f"true: {name}")
        for index, name in enumerate(classes)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    return png(figure)


def _triangle(axes: Axes, classes: Sequence[str]) -> None:
    """Sides, lines where a class has a third or two thirds, and names at the corners."""
    for share in (0.0, 1 / 3, 2 / 3):
        for index in range(N_CORNERS):
            ends = np.full((2, N_CORNERS), 0.0)
            ends[:, index] = share
            ends[0, index - 1] = ends[1, index - 2] = 1 - share
            axes.plot(*simplex_points(ends).T, color="black" if share == 0 else "0.8", lw=0.8,
                      zorder=0)  # fmt: skip
    for place, name, side in zip(_CORNERS, classes, ("top", "top", "bottom"), strict=True):
        away = -0.1 if side == "top" else 0.1
        axes.text(place[0], place[1] + away, name, ha="center", va=side, fontsize=9)
    axes.set(xlim=(-0.16, 1.16), ylim=(-0.2, 1.06))
    axes.set_aspect("equal")
    axes.set_axis_off()


def _discs(axes: Axes, shares: np.ndarray, y: np.ndarray) -> None:
    """A disc a place: the commonest class is its outer ring, areas are numbers of samples."""
    spots, areas, colors = [], [], []
    for place, counts in places_of(shares, y):
        whole = max(_SMALLEST, _ALL * counts.sum() / len(y))
        inside = counts.sum()  # in this ring and those within it
        for index in np.argsort(-counts, kind="stable"):
            if counts[index]:
                spots.append(place)
                areas.append(whole * inside / counts.sum())
                colors.append(CLASS_COLORS[index])
            inside -= counts[index]
    x, height = np.array(spots).reshape(-1, 2).T
    axes.scatter(x, height, s=areas, c=colors, lw=0)


def places_of(shares: np.ndarray, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each place in the triangle that is taken, and how many samples of each true class are there.

    Parameters
    ----------
    shares : ndarray, shape (n_samples, 3)
        Those that agree in three digits are one place.
    y : ndarray of int, shape (n_samples,)

    Returns
    -------
    places : list of (ndarray of shape (2,), ndarray of int of shape (3,))
        The fullest first, so that small discs are drawn on top.
    """
    rows, of_row = np.unique(shares.round(_DIGITS), axis=0, return_inverse=True)
    counts = np.zeros((len(rows), N_CORNERS), int)
    np.add.at(counts, (of_row.ravel(), y), 1)
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    points = simplex_points(rows)
    return [(points[index], counts[index]) for index in order]
