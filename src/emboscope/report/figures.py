"""Pictures as PNG: events on their spectrograms, maps, confusion, scores, sizes."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from emboscope.evaluation.statistics import Estimate
from emboscope.events.event import Event

# Okabe and Ito's palette, which color-blind readers can tell apart
COLORS = ("#56B4E9", "#E69F00", "#CC79A7", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#000000")
VERDICT_COLORS = {"embolus": "#E69F00", "doubtful": "#F0E442", "artifact": "#56B4E9",
                  "too_long": "#FFFFFF"}  # fmt: skip
UNLABELED = "#C8C8C8"


def png(figure: Figure) -> bytes:
    """The figure as a picture file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def small_png(figure: Figure, n_colors: int = 128) -> bytes:
    """The figure in a palette, rare colors included: a third of the size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    full = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    full.quantize(n_colors, Image.Quantize.MAXCOVERAGE).save(buffer, "PNG")
    return buffer.getvalue()


def new_figure(width: float, height: float, constrained: bool = True) -> Figure:
    """An empty figure of that size, in inches; `constrained` finds places for its parts."""
    return Figure((width, height), dpi=110, layout="constrained" if constrained else None)


def spectrogram_figure(
    level_db: np.ndarray,
    times_s: np.ndarray,
    vertical: np.ndarray,
    unit: str,
    events: Sequence[Event],
    title: str,
) -> bytes:
    """A recording's spectrogram with its events marked by verdict.

    Parameters
    ----------
    level_db : ndarray, shape (n_freqs, n_frames)
        In dB, rows ascending.
    times_s : ndarray, shape (n_frames,)
        In seconds.
    vertical : ndarray, shape (n_freqs,)
        Velocity or frequency of the rows.
    unit : str
        Of `vertical`: `cm/s` or `Hz`.
    events : sequence of Event
        Those that peak within `times_s` are drawn.
    title : str
    """
    figure = new_figure(9, 2.6)
    axes = figure.subplots()
    floor = np.percentile(level_db, 30)
    image = axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(times_s[0], times_s[-1], vertical[0], vertical[-1]),
        vmin=floor,
        vmax=max(np.percentile(level_db, 99.8), floor + 10),
    )
    shown = [event for event in events if times_s[0] <= event.peak_s <= times_s[-1]]
    top = vertical[-1]
    for event in shown:
        color = VERDICT_COLORS[event.verdict]
        axes.axvspan(event.onset_s, event.onset_s + event.duration_s, color=color, alpha=0.25, lw=0)
        axes.plot(event.peak_s, 0.93 * top, marker="v", color=color, ms=7, mec="black", mew=0.5)
    for verdict in dict.fromkeys(event.verdict for event in shown):
        axes.plot([], [], "v", color=VERDICT_COLORS[verdict], mec="black", mew=0.5,
                  label=verdict.replace("_", " "))  # fmt: skip
    if shown:
        axes.legend(loc="lower right", ncols=4, fontsize=8, framealpha=0.85)
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)" if unit == "Hz" else f"velocity ({unit})")
    axes.set_title(title, fontsize=10, loc="left")
    figure.colorbar(image, ax=axes, label="dB re full scale", pad=0.01)
    return png(figure)


def map_figure(
    points: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    quality: np.ndarray,
    asked: np.ndarray,
) -> bytes:
    """The annotation map three times: what the expert labelled, what was propagated, the quality.

    Parameters
    ----------
    points : ndarray, shape (n_samples, 2)
    labels : ndarray of int, shape (n_samples,)
        After propagation, -1 where none.
    classes : sequence of str
    quality : ndarray, shape (n_samples,)
        Local quality, in [0, 1] or a little above.
    asked : ndarray of bool, shape (n_samples,)
        Samples that the expert labelled.
    """
    figure = new_figure(12, 4.2)
    expert, spread, local = figure.subplots(1, 3)
    _scatter(expert, points, np.where(asked, labels, -1), classes)
    expert.set_title(f"labelled by the expert ({int(asked.sum())})", fontsize=10, loc="left")
    _scatter(spread, points, labels, classes)
    spread.set_title(f"after propagation ({int((labels >= 0).sum())})", fontsize=10, loc="left")
    spread.legend(fontsize=8, loc="best", framealpha=0.85)
    dots = local.scatter(points[:, 0], points[:, 1], c=quality, s=9, cmap="viridis", lw=0)
    local.set_title("local quality of the map", fontsize=10, loc="left")
    figure.colorbar(dots, ax=local, pad=0.01)
    for axes in (expert, spread, local):
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", "datalim")
    return png(figure)


def _scatter(axes: Axes, points: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    rest = labels < 0
    axes.scatter(points[rest, 0], points[rest, 1], s=6, color=UNLABELED, lw=0, label="no label")
    for index, name in enumerate(classes):
        own = labels == index
        axes.scatter(
            points[own, 0], points[own, 1], s=14, color=COLORS[index % 8], lw=0, label=name
        )


def confusion_figure(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> bytes:
    """Confusion matrices side by side: counts, shaded by the share of their true class.

    Parameters
    ----------
    matrices : dict of str to ndarray of int, shape (n_classes, n_classes)
        Rows are true, columns predicted.
    classes : sequence of str
    """
    figure = new_figure(4.2 * len(matrices), 3.6)
    for axes, (title, matrix) in zip(
        figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True
    ):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(matrix):
            axes.text(
                column, row, f"{count}\n{100 * share[row, column]:.0f} %", ha="center",
                va="center", fontsize=9, color="white" if share[row, column] > 0.5 else "black",
            )  # fmt: skip
        ticks = range(len(classes))
        axes.set(xticks=ticks, yticks=ticks, xlabel="predicted", ylabel="true")
        axes.set_xticklabels(classes, fontsize=9)
        axes.set_yticklabels(classes, fontsize=9)
        axes.set_title(title, fontsize=10, loc="left")
    return png(figure)


def scores_figure(columns: Mapping[str, Mapping[str, Estimate]]) -> bytes:
    """Means with intervals: one color a model, one row a metric.

    Parameters
    ----------
    columns : dict of model to dict of metric to Estimate
    """
    metrics = list(next(iter(columns.values())))
    figure = new_figure(7, 0.9 + 0.55 * len(metrics))
    axes = figure.subplots()
    for offset, (model, estimates) in enumerate(columns.items()):
        height = np.arange(len(metrics))[::-1] - 0.12 * (offset - (len(columns) - 1) / 2)
        mean = np.array([100 * estimates[name].mean for name in metrics])
        interval = 100 * np.array([estimates[name].interval for name in metrics])
        error = np.abs(interval.T - mean)
        axes.errorbar(
            mean, height, xerr=error, fmt="o", ms=5, capsize=3, label=model, color=COLORS[offset]
        )
    axes.set_yticks(np.arange(len(metrics))[::-1], [name.replace("_", " ") for name in metrics])
    axes.set_xlabel("× 100, with 95 % interval")
    axes.set_ylim(-0.6, len(metrics) - 0.4)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    return png(figure)


def size_figure(bits: Mapping[str, float]) -> bytes:
    """Sizes of a model as bars, in kilobytes.

    Parameters
    ----------
    bits : dict of str to number
        What it is, and its size in bits.
    """
    figure = new_figure(7, 0.8 + 0.4 * len(bits))
    axes = figure.subplots()
    kilobytes = [size / 8000 for size in bits.values()]
    bars = axes.barh(list(bits), kilobytes, color=COLORS[: len(bits)])
    axes.bar_label(bars, [f"{size:.1f} kB" for size in kilobytes], padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(kilobytes))
    axes.set_xlabel("weights, kB")
    return png(figure)
