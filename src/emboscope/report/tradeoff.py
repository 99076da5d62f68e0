"""Picture of a search: what each share of zeros costs."""

import numpy as np

from emboscope.report.figures import COLORS, UNLABELED, new_figure, png


def tradeoff_figure(points: np.ndarray, best: np.ndarray, method: str) -> bytes:
    """Validation MCC against zeros, with the line of those that none beats, as a PNG.

    Parameters
    ----------
    points : ndarray, shape (n_trials, 2)
        Share of zeros in [0, 1], and MCC in [−1, 1].
    best : ndarray of bool, shape (n_trials,)
    method : str
        Of the title.
    """
    figure = new_figure(6, 4)
    axes = figure.subplots()
    shown = 100 * points
    zeros, score = shown[~best].T
    axes.scatter(zeros, score, s=22, color=UNLABELED, edgecolor="black", lw=0.4, label="beaten")
    order = np.argsort(shown[best][:, 0])
    line = shown[best][order]
    axes.plot(*line.T, marker="s", ms=6, color=COLORS[5], label="best of both")
    axes.set(xlabel="zeros among the quantized weights, %", ylabel="MCC of the validation part, %")
    axes.set_title(f"{method}: thresholds", fontsize=10, loc="left")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return png(figure)
