"""Series as images: Gramian angular field, Markov transition field, recurrence plot [1]_.

Each compares every time point with every other. The series is shortened first, by the mean of
`size` pieces.

References
----------
.. [1] Ahmad (2021): the three images stacked, on the PTB and MIT-BIH electrocardiograms.
"""

from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.errors import DataError
from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)
from emboscope.representations.spectra import as_line, audio

LEAST_SPAN = 1e-9  # of the largest value: a series that spans less is taken as constant


class _SeriesSettings(RepresentationSettings):
    """What the three images share.

    `magnitude`: one image of √(I² + Q²), which knows no direction; a real signal is taken as it
    is. `forward_reverse`: an image of the audio of each direction.
    """

    size: PositiveInt = 64  # rows and columns
    series: Literal["magnitude", "forward_reverse"] = "magnitude"

    @property
    def direction(self) -> Direction:
        """None in the magnitude."""
        return "none" if self.series == "magnitude" else "channels"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(1 or n_channels, size, size)."""
        return (1 if self.series == "magnitude" else n_channels, self.size, self.size)


class GafSettings(_SeriesSettings):
    """How a segment becomes a Gramian angular field."""

    kind: Literal["gaf"] = "gaf"
    method: Literal["summation", "difference"] = "summation"

    @property
    def gain(self) -> Gain:
        """None: each series is scaled to −1..1."""
        return "invariant"


class MtfSettings(_SeriesSettings):
    """How a segment becomes a Markov transition field."""

    kind: Literal["mtf"] = "mtf"
    n_bins: int = Field(default=8, ge=2)

    @property
    def gain(self) -> Gain:
        """None: the bins are quantiles."""
        return "invariant"


class RpSettings(_SeriesSettings):
    """How a segment becomes a recurrence plot."""

    kind: Literal["rp"] = "rp"

    @property
    def gain(self) -> Gain:
        """In proportion."""
        return "scales"


def gaf(signal: np.ndarray, settings: GafSettings) -> np.ndarray:
    """Cosine of the sum, or sine of the difference, of the angles of any two points.

    The angle of a point is the arc cosine of its value in a series scaled to −1..1. Each series
    is scaled by itself, so that the strength of one direction to the other is lost.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, size, size)
        From −1 to 1; of a constant series, −1 for the sum and 0 for the difference.
    """
    series = shortened(signal, settings)
    low, high = series.min(axis=-1, keepdims=True), series.max(axis=-1, keepdims=True)
    span = high - low
    varied = span > LEAST_SPAN * np.abs(series).max(axis=-1, keepdims=True)
    cosine = np.clip((2 * series - low - high) / np.where(varied, span, 1), -1, 1)
    sine = np.sqrt(1 - cosine**2)
    if settings.method == "summation":
        image = _outer(cosine, cosine) - _outer(sine, sine)
    else:
        image = _outer(sine, cosine) - _outer(cosine, sine)
    return image.astype(np.float32)


def mtf(signal: np.ndarray, settings: MtfSettings) -> np.ndarray:
    """How often the bin of one point is followed by the bin of another, among all steps.

    The bins are quantiles of the series; a value on an edge belongs to the lower one.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, size, size)
        Shares from 0 to 1 of the steps out of a bin; 0 out of one that no step leaves.
    """
    series = shortened(signal, settings)
    n_bins, size = settings.n_bins, settings.size
    edges = np.quantile(series, np.arange(1, n_bins) / n_bins, axis=-1)  # (edge, batch, channel)
    bins = (series[..., None] > np.moveaxis(edges, 0, -1)[:, :, None, :]).sum(axis=-1)
    bins = bins.reshape(-1, size)
    row = np.arange(len(bins))[:, None]
    step = (row * n_bins + bins[:, :-1]) * n_bins + bins[:, 1:]
    counts = np.bincount(step.ravel(), minlength=len(bins) * n_bins**2)
    counts = counts.reshape(-1, n_bins, n_bins)
    shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    image = shares[row[:, :, None], bins[:, :, None], bins[:, None, :]]
    return image.reshape(*series.shape[:2], size, size).astype(np.float32)


def rp(signal: np.ndarray, settings: RpSettings) -> np.ndarray:
    """Distance of any two points, without a threshold.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, size, size)
        In the unit of the signal.
    """
    series = shortened(signal, settings)
    return np.abs(series[..., :, None] - series[..., None, :]).astype(np.float32)


REPRESENTATIONS["gaf"] = Representation(gaf, GafSettings)
REPRESENTATIONS["mtf"] = Representation(mtf, MtfSettings)
REPRESENTATIONS["rp"] = Representation(rp, RpSettings)


def shortened(signal: np.ndarray, settings: _SeriesSettings) -> np.ndarray:
    """The series of a segment as means of `size` pieces, shape (batch, 1 or 2, size).

    Raises
    ------
    DataError
        If the segment has fewer samples than the image has rows.
    """
    n_times = signal.shape[-1]
    if n_times < settings.size:
        raise DataError(
            f"signal: {n_times} samples; expected at least {settings.size}, one a row of the "
            "image. Take a longer segment or a smaller size."
        )
    series = audio(signal) if settings.series == "forward_reverse" else _magnitude(signal)
    edges = np.linspace(0, n_times, settings.size + 1).astype(int)
    return np.add.reduceat(series, edges[:-1], axis=-1) / np.diff(edges)


def _magnitude(signal: np.ndarray) -> np.ndarray:
    """Modulus of I and Q, or the real signal itself, shape (batch, 1, n_times)."""
    line = as_line(signal)
    return (np.abs(line) if np.iscomplexobj(line) else line)[:, None]


def _outer(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Products of any two points."""
    return first[..., :, None] * second[..., None, :]
