"""Pictures of an annotation: maps by label, quality and patient, propagation, risk and coverage.

Classes differ by color and by mark, so that none is told by color alone.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from emboscope.report.figures import UNLABELED, new_figure, png

# Okabe and Ito's without yellow, which is weak on white, and black, which is the outline; then
# wine, olive and indigo of Tol's muted scheme, and brown. Ten colors and nine marks: 90 classes.
CLASS_COLORS = (
    "#56B4E9", "#E69F00", "#CC79A7", "#009E73", "#0072B2", "#D55E00", "#882255", "#999933",
    "#332288", "#7B4B1D",
)  # fmt: skip
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", "--", "-.", ":")
CHOSEN = "#D55E00"
MOST_MAPS = 36  # in one picture
MOST_PATIENTS = 20  # in a legend
_INK = 50_000.0  # area of all marks of a map together, in square points
_MANUAL = 2.5  # how much larger a mark is where the label was given by hand


def label_map_figure(
    points: np.ndarray,
    labels: np.ndarray,
    manual: np.ndarray,
    classes: Sequence[str],
    title: str = "",
) -> bytes:
    """The map by label: black outline given by hand, without it propagated, grey unlabeled.

    Parameters
    ----------
    points : ndarray, shape (n_samples, 2)
    labels : ndarray of int, shape (n_samples,)
        Index into `classes`; -1 is unlabeled.
    manual : ndarray of bool, shape (n_samples,)
        Labels that were given by hand.
    classes : sequence of str
    title : str

    Returns
    -------
    picture : bytes
        A PNG, as of all functions here.
    """
    figure = new_figure(8, _height(points, 6.3))
    axes = figure.subplots()
    _by_label(axes, points, labels, manual, len(classes))
    _finish(axes, title)
    figure.legend(handles=_legend(classes, labels, manual), loc="outside right center", fontsize=9)
    return png(figure)


def quality_map_figure(
    points: np.ndarray, quality: np.ndarray, threshold: float, title: str = ""
) -> bytes:
    """The map by local quality; crosses take and pass no label.

    Parameters
    ----------
    points : ndarray, shape (n_samples, 2)
    quality : ndarray, shape (n_samples,)
        Local quality; the scale of colors ends at 1.
    threshold : float
        Samples at or below it are crosses.
    title : str
    """
    figure = new_figure(7.6, 0.4 + _height(points, 6.5))
    axes = figure.subplots()
    size, good = _mark_size(points), quality > threshold
    dots = axes.scatter(
        points[good, 0], points[good, 1], c=quality[good], s=size, lw=0, cmap="cividis", vmin=0,
        vmax=1,
    )  # fmt: skip
    axes.scatter(
        points[~good, 0], points[~good, 1], marker="x", s=1.6 * size, lw=0.8, color=CHOSEN,
        label=f"at most {threshold:g}: {int((~good).sum())} of {len(points)}",
    )  # fmt: skip
    _finish(axes, title)
    figure.colorbar(dots, ax=axes, label="local quality", pad=0.01, extend="max")
    figure.legend(loc="outside lower center", fontsize=9)
    return png(figure)


def patient_map_figure(points: np.ndarray, groups: np.ndarray, title: str = "") -> bytes:
    """The map by patient: one that forms an island of its own tells of more than its events.

    Parameters
    ----------
    points : ndarray, shape (n_samples, 2)
    groups : ndarray, shape (n_samples,)
        Patients. Ninety are told apart; the legend names the first 20.
    title : str
    """
    figure = new_figure(8, _height(points, 6.3))
    axes = figure.subplots()
    names, group = np.unique(groups, return_inverse=True)
    _by_label(axes, points, group, np.zeros(len(points), bool), len(names))
    _finish(axes, title)
    handles = [_handle(index, str(name)) for index, name in enumerate(names[:MOST_PATIENTS])]
    if len(names) > MOST_PATIENTS:
        more = f"and {len(names) - MOST_PATIENTS} more"
        handles.append(Line2D([], [], ls="", label=more))
    figure.legend(handles=handles, loc="outside right center", fontsize=9)
    return png(figure)


def propagation_figure(
    points: np.ndarray, given: np.ndarray, propagated: np.ndarray, classes: Sequence[str]
) -> bytes:
    """The map before and after propagation.

    Parameters
    ----------
    points : ndarray, shape (n_samples, 2)
    given, propagated : ndarray of int, shape (n_samples,)
        Labels before and after; -1 is unlabeled.
    classes : sequence of str
    """
    figure = new_figure(13, _height(points, 5.6))
    manual = given >= 0
    for axes, labels, when in zip(
        figure.subplots(1, 2), (given, propagated), ("before", "after"), strict=True
    ):
        _by_label(axes, points, labels, manual, len(classes))
        _finish(axes, f"{when}: {int((labels >= 0).sum())} of {len(labels)} labeled")
    handles = _legend(classes, propagated, manual)
    figure.legend(handles=handles, loc="outside right center", fontsize=9)
    return png(figure)


def risk_coverage_figure(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    marked: Mapping[str, tuple[float, float]] | None = None,
) -> bytes:
    """What share of wrong labels is paid for labeling more.

    Parameters
    ----------
    curves : dict of str to (coverage, risk)
        Both of shape (n_steps,), in [0, 1]: labeled samples, and wrong ones among them.
    marked : dict of str to (coverage, risk), optional
        Points to show, such as a chosen threshold.
    """
    figure = new_figure(7.2, 4.6)
    axes = figure.subplots()
    for index, (name, (coverage, risk)) in enumerate(curves.items()):
        color, dashes = _color(index + 4), DASHES[index % 4]
        axes.plot(100 * coverage, 100 * risk, dashes, color=color, lw=1.8, label=name)
    for index, (name, (covered, wrong)) in enumerate((marked or {}).items()):
        axes.plot(
            100 * covered, 100 * wrong, _mark(index), ms=9, color=_color(index + 4),
            mec="black", label=name,
        )  # fmt: skip
    axes.set(xlabel="labeled (%)", ylabel="wrong among them (%)", xlim=(0, 102))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return png(figure)


def map_grid_figure(
    maps: Sequence[np.ndarray],
    scores: np.ndarray,
    chosen: int,
    labels: np.ndarray,
    names: Sequence[str] = (),
) -> bytes:
    """All maps of a grid, small, with their scores; the chosen one is framed.

    Parameters
    ----------
    maps : sequence of ndarray, each of shape (n_samples, 2)
        Of more than 36, as many are shown, from the best score to the worst.
    scores : ndarray, shape (n_maps,)
    chosen : int
        Index of the map to frame.
    labels : ndarray of int, shape (n_samples,)
        What the scores were taken from; -1 is unlabeled.
    names : sequence of str
        What each map is; nothing by default.
    """
    shown = _spread_over_scores(scores, chosen)
    n_columns = min(len(shown), math.ceil(math.sqrt(1.5 * len(shown))))
    n_rows = math.ceil(len(shown) / n_columns)
    figure = new_figure(2.0 * n_columns, 2.25 * n_rows)
    places = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in places[len(shown) :]:
        axes.set_axis_off()
    for axes, index in zip(places, shown, strict=False):
        points, known = maps[index], labels >= 0
        axes.scatter(points[~known, 0], points[~known, 1], s=1, color=UNLABELED, lw=0)
        _marks(axes, points, np.where(known, labels, -1), 7.0, int(labels.max()) + 1)
        name = f"{names[index]}\n" if len(names) else ""
        _finish(axes, f"{name}{scores[index]:.3f}" + (" chosen" if index == chosen else ""))
        axes.title.set_fontsize(8)
        if index == chosen:
            axes.spines[:].set(edgecolor=CHOSEN, linewidth=4)
            axes.title.set_fontweight("bold")
    return png(figure)


def _spread_over_scores(scores: np.ndarray, chosen: int) -> list[int]:
    """At most 36 maps in the order of the grid: the chosen, the best, the worst, some between."""
    ranked = np.argsort(scores, kind="stable")
    if len(ranked) > MOST_MAPS:
        steps = np.linspace(0, len(ranked) - 1, MOST_MAPS).round().astype(int)
        ranked = ranked[steps]
        if chosen not in ranked:
            ranked[-1] = chosen
    return sorted(ranked.tolist())


def _by_label(
    axes: Axes, points: np.ndarray, labels: np.ndarray, manual: np.ndarray, n_classes: int
) -> None:
    """Unlabeled samples below, propagated ones over them, those given by hand on top."""
    size, rest = _mark_size(points), labels < 0
    axes.scatter(points[rest, 0], points[rest, 1], s=0.6 * size, color=UNLABELED, lw=0)
    _marks(axes, points, np.where(manual, -1, labels), size, n_classes)
    _marks(axes, points, np.where(manual, labels, -1), _MANUAL * size, n_classes, edge=0.8)


def _marks(
    axes: Axes, points: np.ndarray, labels: np.ndarray, size: float, n_classes: int, edge: float = 0
) -> None:
    """The labeled samples, each class in its color and mark; `edge` is the width of an outline."""
    for index in range(n_classes):
        own = labels == index
        axes.scatter(
            points[own, 0], points[own, 1], s=size, color=_color(index),
            marker=_mark(index), lw=edge, edgecolors="black" if edge else "none",
        )  # fmt: skip


def _color(index: int) -> str:
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]


def _height(points: np.ndarray, width: float) -> float:
    """Inches of a picture whose map is `width` wide, at equal scales and neither flat nor steep."""
    across, up = np.ptp(points, axis=0)
    return 0.3 + width * float(np.clip(up / across if across else 1, 0.5, 1.1))


def _mark_size(points: np.ndarray) -> float:
    """Area of a mark, in square points: smaller the more there are."""
    return float(np.clip(_INK / len(points), 4, 30))


def _handle(index: int, name: str, edge: float = 0, fill: str | None = None) -> Line2D:
    """A line of a legend: the mark of a class."""
    return Line2D(
        [], [], ls="", marker=_mark(index), ms=7, color=fill or _color(index), mec="black",
        mew=edge, label=name,
    )  # fmt: skip


def _legend(classes: Sequence[str], labels: np.ndarray, manual: np.ndarray) -> list[Line2D]:
    """One line a class, then what outline and grey mean, with numbers."""
    handles = [_handle(index, name) for index, name in enumerate(classes)]
    n_manual = int((manual & (labels >= 0)).sum())
    n_rest = int((labels < 0).sum())
    n_spread = len(labels) - n_manual - n_rest
    handles.append(_handle(0, f"by hand ({n_manual})", edge=1.0, fill="white"))
    handles.append(_handle(0, f"propagated ({n_spread})", fill="#707070"))
    handles.append(_handle(0, f"unlabeled ({n_rest})", fill=UNLABELED))
    return handles


def _finish(axes: Axes, title: str) -> None:
    """No ticks, for the axes of a map have no unit; equal scales."""
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", "datalim")
    axes.set_title(title, fontsize=10, loc="left")
