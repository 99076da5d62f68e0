"""Codes of numbers by quantiles, and a network on features by hand."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from emboscope.errors import DataError
from emboscope.learning.architecture import MlpSettings, NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.mlp import Mlp, QuantileCode
from emboscope.learning.settings import TrainSettings
from emboscope.representations import FrontEnd


def test_codes_add_up_to_the_rank_of_a_value(rng):
    known = rng.lognormal(size=(500, 3)) * [1e-3, 1, 1e4]  # seconds, numbers, hertz
    code = QuantileCode(3, 8)
    code.fit(torch.from_numpy(known))
    asked = known[:40]
    found = (code(torch.from_numpy(asked)).reshape(40, 3, 8).numpy() + 1) / 2
    for feature in range(3):
        edges = np.quantile(known[:, feature], np.linspace(0, 1, 9))
        assert_allclose(found[:, feature].sum(axis=1),
                        np.interp(asked[:, feature], edges, np.arange(9)), atol=1e-4)  # fmt: skip
    assert (np.diff(found, axis=2) <= 0).all()  # bins fill in order


def test_a_constant_feature_becomes_a_step():
    code = QuantileCode(1, 4)
    code.fit(torch.full((20, 1), 5.0))
    assert code(torch.tensor([[4.0], [6.0]])).tolist() == [[-1.0] * 4, [1.0] * 4]


def test_a_signal_is_refused():
    with pytest.raises(DataError, match=r"shape \(1, 178\); expected \(n_features,\)"):
        Mlp((1, 178))


def test_measures_of_augmented_signals_train_a_network_and_come_back_from_disk(rng, tmp_path):
    chain = FrontEnd(
        sfreq=173.61,
        n_times=64,
        views={"waveform": {"kind": "waveform"}, "measures": {"kind": "measures"}},
    )
    y = np.arange(120) % 2
    signal = rng.standard_normal((120, 1, 64)) * (1 + y)[:, None, None]  # twice as loud
    views = chain.compute(signal)
    classifier = SignalClassifier(
        "mlp",
        chain,
        NetworkSettings(mlp=MlpSettings(width=16)),
        TrainSettings(epochs=8, batch=16, mixup=0, augment=("reverse_time",)),
    )
    classifier.fit(views, y, validation=np.arange(0))
    assert (classifier.predict(views) == y).mean() > 0.95
    edges = classifier.network_.branch.encoder.code.edges
    assert_allclose(edges[:, -1], views["measures"].max(axis=0))
    classifier.save(tmp_path)
    again = SignalClassifier.load(tmp_path)
    assert_allclose(again.predict_proba(views), classifier.predict_proba(views), rtol=1e-6)
    given = {"waveform": views["waveform"]}
    assert_allclose(again.predict_proba(given), classifier.predict_proba(views), rtol=1e-4)
