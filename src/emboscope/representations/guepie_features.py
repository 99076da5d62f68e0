"""Features of a segmented event: contour of the flow, magnitude, bounding box, spectral kurtosis.

The chain of Guépié 2017 (likelihood segmentation in time and frequency, spectral kurtosis, support
vector machine) as far as its first page tells it. Every formula here is ours.
"""

import numpy as np
from scipy.ndimage import label, uniform_filter1d

from emboscope.representations.hits_frames import (
    TINY,
    HitsFrames,
    check_iq,
    hits_frames,
    ratio_db,
)

GUEPIE_FEATURES = (
    "peak_db",
    "mean_db",
    "energy_db",
    "duration_s",
    "height_hz",
    "low_hz",
    "high_to_contour",
    "filled",
    "reverse_db",
    "contour_hz",
    "contour_change",
    "kurtosis_peak",
    "kurtosis_flow",
    "kurtosis_reverse",
)

EVENT_RATIO = 10**0.5  # embolus to blood that the segmentation expects: 5 dB
_CHUNK = 256  # segments at a time
_CONTOUR_FRAMES = 17  # over which the contour is steady: 31 ms
_EVENT_FRAMES = 5  # over which a pixel's power is averaged: 9 ms
_PLANE = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])  # within one segment


def guepie_features(segments: np.ndarray, sfreq: float) -> np.ndarray:
    """Features of the segmented event, in the order of `GUEPIE_FEATURES`.

    ================  =========================================================================
    peak_db           strongest pixel of the event over the background at its frequency
    mean_db           mean power of its pixels over their background's
    energy_db         sum of its pixels' power over background, less the background, over one second
    duration_s        length of its bounding box
    height_hz         height of its bounding box
    low_hz            lower edge of the box
    high_to_contour   upper edge over the contour of the flow at the peak
    filled            share of the box that is event
    reverse_db        power against the flow while it lasts, over the background there
    contour_hz        contour at the peak
    contour_change    contour at the peak over its median in the segment
    kurtosis…         ln of mean P² over (mean P)², ln 2 for noise: at the strongest flow bin, the
                      mean of the flow's bins, the mean of the reverse bins
    ================  =========================================================================

    Contour: in each frame the frequency that best parts flow from noise, both complex Gaussian of
    one power each. Event: the pixels about the peak, connected, that are likelier blood plus an
    embolus 5 dB over it than blood alone.

    Parameters
    ----------
    segments : ndarray, shape (n, 2, n_times)
        I and Q, after the high-pass; the peak is in the middle.
    sfreq : float
        In Hz.

    Returns
    -------
    features : ndarray, shape (n, 14)
        Finite. Gain cancels in all of them.

    Raises
    ------
    DataError
        If the segments are no I and Q of at least 256 samples, or not finite.
    """
    segments = check_iq(segments)
    parts = [
        _features(hits_frames(segments[start : start + _CHUNK], sfreq))
        for start in range(0, len(segments), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(GUEPIE_FEATURES)))


def flow_contour(frames: HitsFrames) -> np.ndarray:
    """Frequency along the flow that parts flow from noise, (n, n_frames), in Hz.

    Of n₁ bins up to the cut with mean power m₁ and n₂ bins above it with m₂, the likelihood of two
    complex Gaussian noises is largest where n₁ ln m₁ + n₂ ln m₂ is least, among cuts with m₁ > m₂.
    """
    power = uniform_filter1d(frames.power, _CONTOUR_FRAMES, axis=2)
    power = np.maximum(power, 0) * frames.forward[:, :, None]
    below = np.cumsum(power, axis=1)
    n_below = np.cumsum(frames.forward, axis=1)[:, :, None].astype(float)
    n_above = n_below[:, -1:] - n_below
    mean_below = below / np.maximum(n_below, 1) + TINY
    mean_above = np.maximum(below[:, -1:] - below, 0) / np.maximum(n_above, 1) + TINY
    cost = n_below * np.log(mean_below) + n_above * np.log(mean_above)
    possible = frames.forward[:, :, None] & (n_above > 0) & (mean_below > mean_above)
    cut = np.where(possible, cost, np.inf).argmin(axis=1)
    found = np.take_along_axis(frames.along, cut, axis=1)
    lowest = np.where(frames.forward, frames.along, np.inf).min(axis=1)[:, None]
    return np.where(possible.any(axis=1), found, lowest)


def event_pixels(frames: HitsFrames) -> np.ndarray:
    """Pixels of the event, (n, n_freqs, n_frames) of bool; the strongest at the peak is in it."""
    ratio = _over_background(frames)
    least = np.log1p(EVENT_RATIO) / (1 - 1 / (1 + EVENT_RATIO))  # equal likelihoods, 2.7 dB
    rows = np.arange(len(ratio))
    strongest = np.where(frames.forward, ratio[rows, :, frames.peak], -1).argmax(axis=1)
    mask = (ratio > least) & frames.forward[:, :, None]
    mask[rows, strongest, frames.peak] = True
    names, _ = label(mask, _PLANE)
    return names == names[rows, strongest, frames.peak][:, None, None]


def _over_background(frames: HitsFrames) -> np.ndarray:
    """Power of each pixel over the background of its frequency."""
    power = np.maximum(uniform_filter1d(frames.power, _EVENT_FRAMES, axis=2), 0)
    return (power + TINY) / (frames.background[:, :, None] + TINY)


def _features(frames: HitsFrames) -> np.ndarray:
    """Of some segments at once."""
    event, contour = event_pixels(frames), flow_contour(frames)
    at_peak = np.take_along_axis(contour, frames.peak[:, None], axis=1)[:, 0]
    measures = {
        **_magnitude(frames, event),
        **_box(frames, event, at_peak),
        **_kurtosis(frames),
        "reverse_db": _reverse(frames, np.any(event, axis=1)),
        "contour_hz": at_peak,
        "contour_change": at_peak / np.median(contour, axis=1),
    }
    return np.stack([measures[name] for name in GUEPIE_FEATURES], axis=1)


def _magnitude(frames: HitsFrames, event: np.ndarray) -> dict[str, np.ndarray]:
    ratio = _over_background(frames) * event
    excess = np.maximum(ratio - event, 0).sum(axis=(1, 2)) * frames.frame_s
    return {
        "peak_db": ratio_db(ratio.max(axis=(1, 2)), np.ones(len(ratio))),
        "mean_db": ratio_db(ratio.sum(axis=(1, 2)) / event.sum(axis=(1, 2)), np.ones(len(ratio))),
        "energy_db": 10 * np.log10(excess + 1e-3),
    }


def _box(frames: HitsFrames, event: np.ndarray, contour: np.ndarray) -> dict[str, np.ndarray]:
    """The bounding box of the event."""
    rows, columns = np.any(event, axis=2), np.any(event, axis=1)
    step = frames.along[0, 1] - frames.along[0, 0]
    low = np.where(rows, frames.along, np.inf).min(axis=1)
    high = np.where(rows, frames.along, -np.inf).max(axis=1)
    n_rows = np.round((high - low) / step) + 1
    first, last = columns.argmax(axis=1), columns.shape[1] - columns[:, ::-1].argmax(axis=1)
    return {
        "duration_s": (last - first) * frames.frame_s,
        "height_hz": n_rows * step,
        "low_hz": low,
        "high_to_contour": high / contour,
        "filled": event.sum(axis=(1, 2)) / (n_rows * (last - first)),
    }


def _kurtosis(frames: HitsFrames) -> dict[str, np.ndarray]:
    """Spectral kurtosis of the flow and against it."""
    mean, squares = frames.power.mean(axis=2), (frames.power**2).mean(axis=2)
    each = np.log((squares + TINY) / (mean**2 + TINY))  # (n, n_freqs)
    strongest = np.where(frames.forward, frames.peak_spectrum, -1).argmax(axis=1)[:, None]
    return {
        "kurtosis_peak": np.take_along_axis(each, strongest, axis=1)[:, 0],
        "kurtosis_flow": _mean_of(each, frames.forward),
        "kurtosis_reverse": _mean_of(each, frames.reverse),
    }


def _mean_of(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    return (values * bins).sum(axis=1) / bins.sum(axis=1)


def _reverse(frames: HitsFrames, during: np.ndarray) -> np.ndarray:
    """Power against the flow during the event, over its median."""
    mean = (frames.against * during).sum(axis=1) / during.sum(axis=1)
    return ratio_db(mean, frames.against_level)
