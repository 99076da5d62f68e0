"""Shares of a signal over a bias, after convolutions with fixed kernels of many dilations."""

from itertools import combinations
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from emboscope.errors import DataError

_LENGTH, _N_HIGH = 9, 3  # of a kernel, and how many of its weights are 2; the others are −1
KERNELS = np.array(list(combinations(range(_LENGTH), _N_HIGH)))  # (84, 3) places of the twos
_ROWS = 256  # convolved at once
_GOLDEN = (np.sqrt(5) + 1) / 2


class MiniRocket(TransformerMixin, BaseEstimator):
    """Features of Dempster et al. 2021 [1]_: 84 kernels, dilations that grow, shares over biases.

    A kernel of length 9 has six weights −1 and three 2, so that a constant gives 0. Each kernel has
    dilations spread on a logarithmic scale up to the length of the signal, and for each of them
    biases, which are quantiles of its output on training rows. A feature is the share of the output
    that is above its bias. Outputs reach into zeros beyond the ends in every other dilation.

    Of several channels each pair of kernel and dilation reads one, in turn. The published form has
    9996 features; fewer are enough at a few thousand rows.

    Parameters
    ----------
    n_features : int
        About so many; a multiple of 84 is reached.
    random_state : int
        Of the training rows whose outputs give the biases.

    Attributes
    ----------
    dilations_ : ndarray of int, shape (n_dilations,)
    biases_ : ndarray, shape (84, n_dilations, n_biases)

    References
    ----------
    .. [1] Dempster, A., Schmidt, D. F., Webb, G. I. (2021). MiniRocket: a very fast (almost)
       deterministic transform for time series classification. KDD.
    """

    def __init__(self, n_features: int = 2016, random_state: int = 0) -> None:
        self.n_features = n_features
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Take the biases from training rows.

        Parameters
        ----------
        X : ndarray, shape (n_samples, n_channels, n_times)
            At least 9 time points.

        Raises
        ------
        DataError
            If the signals are shorter.
        """
        X = np.asarray(X, dtype=np.float32)
        if X.ndim != 3 or X.shape[2] < _LENGTH:
            raise DataError(
                f"minirocket: signals of shape {X.shape[1:]}; expected (n_channels, n_times) of at "
                f"least {_LENGTH} time points. Give longer segments."
            )
        per_kernel = max(1, round(self.n_features / len(KERNELS)))
        most = np.log2((X.shape[2] - 1) / (_LENGTH - 1))
        exponents = np.linspace(0, most, min(per_kernel, 32))
        self.dilations_ = np.unique((2**exponents).astype(int))
        n_biases = max(1, round(per_kernel / len(self.dilations_)))
        rng = np.random.default_rng(self.random_state)
        chosen = X[rng.integers(0, len(X), len(KERNELS))]
        quantiles = (np.arange(1, n_biases * len(KERNELS) + 1) * _GOLDEN) % 1
        quantiles = quantiles.reshape(len(KERNELS), n_biases)
        self.biases_ = np.zeros((len(KERNELS), len(self.dilations_), n_biases), np.float32)
        for place, dilation in enumerate(self.dilations_):
            shifted = _shifted(chosen, dilation)
            for kernel in range(len(KERNELS)):
                output = self._output(shifted[kernel : kernel + 1], kernel, place)
                self.biases_[kernel, place] = np.quantile(output, quantiles[kernel])
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Features in [0, 1], shape (n_samples, 84 · n_dilations · n_biases)."""
        check_is_fitted(self, "biases_")
        X = np.asarray(X, dtype=np.float32)
        features = np.empty((len(X), *self.biases_.shape), np.float32)
        for start in range(0, len(X), _ROWS):
            rows = slice(start, start + _ROWS)
            for place, dilation in enumerate(self.dilations_):
                features[rows, :, place] = self._shares(_shifted(X[rows], dilation), place)
        return features.reshape(len(X), -1)

    def _shares(self, shifted: np.ndarray, place: int) -> np.ndarray:
        """Features of one dilation, (n_samples, 84, n_biases)."""
        shares = np.empty((len(shifted), *self.biases_[:, place].shape), np.float32)
        for kernel, biases in enumerate(self.biases_[:, place]):
            output = self._output(shifted, kernel, place)
            for index, bias in enumerate(biases):
                shares[:, kernel, index] = np.count_nonzero(output > bias, axis=1)
            shares[:, kernel] /= output.shape[1]
        return shares

    def _output(self, shifted: np.ndarray, kernel: int, place: int) -> np.ndarray:
        """Convolution of the channel whose turn it is, (n_samples, n_times)."""
        channel = (kernel + place) % shifted.shape[1]
        parts = [shifted[:, channel, step] for step in KERNELS[kernel]]
        output = 3 * (parts[0] + parts[1] + parts[2]) - shifted[:, channel, _LENGTH]
        if place % 2 == 0:
            return output
        inner = self.dilations_[place] * (_LENGTH // 2)
        return output[:, inner:-inner] if output.shape[1] > 2 * inner else output


def _shifted(X: np.ndarray, dilation: int) -> np.ndarray:
    """The nine shifts of a dilated kernel and their sum, (n_samples, n_channels, 10, n_times)."""
    reach = dilation * (_LENGTH // 2)
    padded = np.pad(X, ((0, 0), (0, 0), (reach, reach)))
    n_times = X.shape[2]
    shifts = [padded[:, :, step * dilation :][:, :, :n_times] for step in range(_LENGTH)]
    stacked = np.stack(shifts, axis=2)
    return np.concatenate([stacked, stacked.sum(axis=2, keepdims=True)], axis=2)
