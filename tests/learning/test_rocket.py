"""Features of fixed kernels: by hand, and what leaves them alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from emboscope.errors import DataError
from emboscope.learning.rocket import KERNELS, MiniRocket


def test_there_are_84_kernels_of_sum_zero():
    weights = np.full((84, 9), -1.0)
    np.put_along_axis(weights, KERNELS, 2.0, axis=1)
    assert len(np.unique(weights, axis=0)) == 84
    assert (weights.sum(axis=1) == 0).all()


def test_features_are_shares_of_a_plain_convolution_over_the_bias(rng):
    X = rng.standard_normal((5, 2, 60)).astype(np.float32)
    rocket = MiniRocket(n_features=84 * 4).fit(X)
    features = rocket.transform(X).reshape(5, *rocket.biases_.shape)
    for kernel, place in ((0, 0), (40, 1), (83, 2)):
        weights = np.full(9, -1.0)
        weights[KERNELS[kernel]] = 2
        dilation = rocket.dilations_[place]
        dilated = np.zeros(8 * dilation + 1)
        dilated[::dilation] = weights
        channel = (kernel + place) % 2
        for row in range(5):
            padded = np.pad(X[row, channel], 4 * dilation)
            output = np.correlate(padded, dilated, "valid")
            if place % 2 and len(output) > 8 * dilation:
                output = output[4 * dilation : -4 * dilation]
            for index, bias in enumerate(rocket.biases_[kernel, place]):
                found = features[row, kernel, place, index]
                assert found == pytest.approx(np.mean(output > bias), abs=0.02)  # ties by rounding


def test_the_number_of_features_is_about_what_was_asked_for(rng):
    X = rng.standard_normal((20, 1, 178)).astype(np.float32)
    features = MiniRocket(2016).fit(X).transform(X)
    assert 1500 < features.shape[1] < 2600
    assert features.min() >= 0
    assert features.max() <= 1
    assert 0.4 < features.mean() < 0.6  # biases are quantiles of the outputs


def test_gain_leaves_features_alone_when_it_is_in_the_training_too(rng):
    X = rng.standard_normal((10, 1, 80)).astype(np.float32)
    assert_allclose(MiniRocket(84).fit_transform(X), MiniRocket(84).fit_transform(4 * X), atol=1e-6)


def test_short_signals_are_refused():
    with pytest.raises(DataError, match=r"minirocket: signals of shape \(1, 8\); expected"):
        MiniRocket().fit(np.zeros((3, 1, 8)))
