"""Pictures of a model: latent spaces, weights of a fusion, where it looks, nearest known segments.

Classes differ by color and by mark, so that none is told by color alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from emboscope.report.annotation_figures import CLASS_COLORS, DASHES, MARKS
from emboscope.report.figures import new_figure, png

_SIZE = 9.0  # of a mark, in square points
_WRONG = 26.0  # of the ring around a wrong decision


@dataclass(frozen=True)
class Shown:
    """One segment and where the model looked.

    Attributes
    ----------
    title : str
    views : dict of ndarray
        Of one segment: (n_channels, n_times) or (n_channels, n_freqs, n_frames).
    saliency : dict of ndarray
        In the shape of the views, not negative; empty where it is not shown.
    """

    title: str
    views: Mapping[str, np.ndarray]
    saliency: Mapping[str, np.ndarray]


def latent_figure(
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
) -> bytes:
    """Maps of what each member and the fusion make of the same segments.

    Parameters
    ----------
    maps : dict of ndarray, each of shape (n_samples, 2)
        By name, in the order to be shown.
    labels, predicted : ndarray of int, shape (n_samples,)
        True classes, in color and mark; wrong decisions have a ring.
    classes : sequence of str

    Returns
    -------
    picture : bytes
        A PNG, as of all functions here.
    """
    figure = new_figure(3.9 * len(maps), 4.4)
    wrong = labels != predicted
    for axes, (name, points) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(),
                                    strict=True):  # fmt: skip
        for index in range(len(classes)):
            own = labels == index
            axes.scatter(points[own, 0], points[own, 1], s=_SIZE, lw=0, color=_color(index),
                         marker=_mark(index))  # fmt: skip
        axes.scatter(points[wrong, 0], points[wrong, 1], s=_WRONG, facecolors="none",
                     edgecolors="black", lw=0.7)  # fmt: skip
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", "datalim")
        axes.set_title(name, fontsize=10, loc="left")
    handles = [
        Line2D([], [], ls="", ms=6, color=_color(index), marker=_mark(index),
               label=f"{name} ({int((labels == index).sum())})")
        for index, name in enumerate(classes)
    ]  # fmt: skip
    handles.append(Line2D([], [], ls="", marker="o", mfc="none", mec="black", ms=7,
                          label=f"decided wrongly ({int(wrong.sum())})"))  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    return png(figure)


def weights_figure(weights: np.ndarray, members: Sequence[str], classes: Sequence[str]) -> bytes:
    """Weight of each member by class: one mark a sample or fold, a bar from 2.5 to 97.5 %.

    Parameters
    ----------
    weights : ndarray, shape (n, n_members, n_classes)
        Over the members they sum to 1.
    members, classes : sequence of str
    """
    figure = new_figure(1.8 + 1.5 * len(classes), 3.2)
    axes = figure.subplots()
    step = 0.8 / len(members)
    for index, name in enumerate(members):
        at = np.arange(len(classes)) + (index - (len(members) - 1) / 2) * step
        low, middle, high = np.quantile(weights[:, index], (0.025, 0.5, 0.975), axis=0)
        axes.errorbar(at, middle, yerr=[middle - low, high - middle], fmt=MARKS[index],
                      color=CLASS_COLORS[index + 3], ms=7, capsize=4, label=name)  # fmt: skip
    axes.axhline(1 / len(members), color="grey", lw=0.8, ls=DASHES[1])
    axes.set(xticks=range(len(classes)), xticklabels=classes, ylim=(0, 1), ylabel="weight",
             xlim=(-0.6, len(classes) - 0.4))  # fmt: skip
    figure.legend(loc="outside upper center", ncols=len(members), fontsize=9)
    return png(figure)


def segments_figure(rows: Sequence[Sequence[Shown]]) -> bytes:
    """Segments, one column each, with their views below each other; saliency in red on top.

    Parameters
    ----------
    rows : sequence of sequence of Shown
        Each row of segments has the same views.
    """
    names = list(rows[0][0].views)
    n_columns = max(map(len, rows))
    figure = new_figure(3.1 * n_columns, 1.75 * len(names) * len(rows) + 0.2)
    grid = figure.subplots(len(names) * len(rows), n_columns, squeeze=False)
    for place, row in enumerate(rows):
        lines = grid[place * len(names) : (place + 1) * len(names)]
        for column in range(n_columns):
            shown = row[column] if column < len(row) else None
            _column([line[column] for line in lines], shown, names)
    return png(figure)


def _column(column: Sequence[Axes], shown: Shown | None, names: Sequence[str]) -> None:
    """The views of one segment below each other; nothing where there is none."""
    for axes, name in zip(column, names, strict=True):
        if shown is None:
            axes.set_axis_off()
        else:
            _draw(axes, shown, name)
    if shown is not None:
        column[0].set_title(shown.title, fontsize=9, loc="left")


def _draw(axes: Axes, shown: Shown, name: str) -> None:
    """One view, with its saliency where there is some."""
    view, saliency = shown.views[name], shown.saliency.get(name)
    axes.set(yticks=[], xticks=[])
    axes.set_ylabel(name, fontsize=8)
    if view.ndim == 1:  # features by hand, each in a unit of its own
        sizes = np.sign(view) * np.log1p(np.abs(view))
        axes.bar(np.arange(view.size), sizes, color="0.6", width=0.8)
        if saliency is not None:
            strength = _relative(saliency) * np.abs(sizes).max()
            axes.bar(np.arange(view.size), strength, color="#D55E00", alpha=0.6, width=0.4)
        return
    if view.ndim == 2:
        for index, channel in enumerate(view):
            axes.plot(channel, color="black", lw=0.6, ls=DASHES[index % len(DASHES)], alpha=0.8)
        axes.set_xlim(0, view.shape[1] - 1)
        if saliency is not None:
            low, high = axes.get_ylim()
            strength = _relative(saliency.sum(axis=0))
            axes.fill_between(np.arange(view.shape[1]), low, low + (high - low) * strength,
                              color="#D55E00", alpha=0.45, lw=0)  # fmt: skip
            axes.set_ylim(low, high)
        return
    axes.imshow(view[0], origin="lower", aspect="auto", cmap="gray")
    if saliency is not None:
        strength = _relative(saliency.sum(axis=0))
        axes.imshow(np.ones_like(strength), origin="lower", aspect="auto", cmap="autumn", vmin=1,
                    vmax=2, alpha=0.85 * strength)  # fmt: skip


def _relative(values: np.ndarray) -> np.ndarray:
    """Over the 99th percentile, cut at 1."""
    most = np.quantile(values, 0.99)
    return np.clip(values / most, 0, 1) if most > 0 else np.zeros_like(values)


def _color(index: int) -> str:
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]
