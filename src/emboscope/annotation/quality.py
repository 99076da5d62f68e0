"""Local quality: how well a map keeps the neighborhood of each sample."""

from typing import Literal

import numpy as np

from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.errors import DataError, SettingsError

_SELF = 2  # a sample keeps itself, once in each sum
_ROWS = 20_000  # compared at once, which bounds the memory


def kept_pairs(
    features: np.ndarray, points: np.ndarray, k_s: int = 10, k_t: int = 10
) -> np.ndarray:
    """The counts behind the local quality: rank pairs that the map keeps, both ways.

    Let `R_ij` be the rank of j among the neighbors of i in the features and `r_ij` the same on the
    map (0 is i itself). A pair counts when `min(R, r) <= k_s` and `|R - r| <= k_t`. Then both
    ranks are at most `k_s + k_t`, so two neighbor lists of that length give the exact sum.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        The original (latent) space.
    points : ndarray, shape (n_samples, n_dims)
        The map.
    k_s, k_t : int
        Significant rank, and tolerated difference of ranks.

    Returns
    -------
    counts : ndarray of int64, shape (n_samples,)
        `2 k_s N Q_i` of [1]_, its two self terms included; about `2 + 2 k_s` on a perfect map.

    Raises
    ------
    DataError
        If the two spaces differ in their number of samples.

    References
    ----------
    .. [1] Lueks, W., Mokbel, B., Biehl, M., Hammer, B. (2011). How to evaluate dimensionality
       reduction? Improving the co-ranking matrix. arXiv:1110.3917.
    """
    if k_s < 1 or k_t < 0:
        raise SettingsError(
            f"local quality: k_s is {k_s} and k_t {k_t}; expected k_s of at least 1 and k_t of at "
            "least 0. Both are 10 in the paper."
        )
    if len(features) != len(points):
        raise DataError(
            f"local quality: {len(features)} feature rows and {len(points)} points; expected as "
            "many of both. Map the same samples."
        )
    in_features, _ = nearest_neighbors(features, k_s + k_t)
    on_map, _ = nearest_neighbors(points, k_s + k_t)
    n_samples, length = on_map.shape
    rank, map_rank = np.ogrid[1 : length + 1, 1 : length + 1]
    counts_at = (np.minimum(rank, map_rank) <= k_s) & (np.abs(rank - map_rank) <= k_t)
    counts = np.full(n_samples, _SELF)
    for start in range(0, n_samples, _ROWS):
        rows = slice(start, start + _ROWS)
        same = in_features[rows, :, None] == on_map[rows, None, :]  # (sample, rank, map rank)
        kept = (same & counts_at).any(axis=2)
        counts[rows] += kept.sum(axis=1)
        counts += np.bincount(in_features[rows][kept], minlength=n_samples)
    return counts


def local_quality(
    features: np.ndarray,
    points: np.ndarray,
    k_s: int = 10,
    k_t: int = 10,
    scale: Literal["absolute", "max"] = "absolute",
) -> np.ndarray:
    """Local quality of each sample on a map (Lueks et al. 2011; see `kept_pairs`).

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        The original (latent) space.
    points : ndarray, shape (n_samples, n_dims)
        The map.
    k_s, k_t : int
        Significant rank, and tolerated difference of ranks.
    scale : {"absolute", "max"}
        "absolute" leaves the self terms out and divides by `2 k_s`, so that 0 is a sample that
        keeps no neighbor and a perfect map averages 1, on every map alike; a hub may exceed 1.
        "max" is the published scale: self terms included, divided by the best sample of this map.
        It hides a map that is bad everywhere.

    Returns
    -------
    quality : ndarray, shape (n_samples,)

    Raises
    ------
    DataError
        If the two spaces differ in their number of samples, or are not finite.
    """
    counts = kept_pairs(features, points, k_s, k_t)
    if scale == "absolute":
        return (counts - _SELF) / (2 * k_s)
    if scale == "max":
        return counts / counts.max()
    raise SettingsError(
        f"local quality: scale is '{scale}'; expected 'absolute' or 'max'. Leave it out for "
        "'absolute'."
    )
