"""Measures by hand of HITS as features: what maps stand on where no encoder is better."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from emboscope.datasets.hits import SFREQ
from emboscope.representations.hits_features import hits_features

LARGEST = 5.0  # standard deviations; farther measures are cut


def standard_measures(segments: np.ndarray) -> np.ndarray:
    """The thirty measures of I/Q segments, each of mean 0 and SD 1 over these segments.

    Parameters
    ----------
    segments : ndarray, shape (n_samples, 2, n_times)
        As the data set `hits` cuts them. Of training patients only.

    Returns
    -------
    features : ndarray, shape (n_samples, 30)
        Cut at 5 standard deviations.
    """
    measures = StandardScaler().fit_transform(hits_features(segments, SFREQ))
    return np.clip(measures, -LARGEST, LARGEST)
