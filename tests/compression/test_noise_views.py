"""Noise with the statistics that a network keeps, and where it tells too little for that."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from emboscope.compression.noise_views import pink_noise, simulated_rows, simulated_views
from emboscope.errors import SettingsError
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.views import SpectrogramSettings, WaveformSettings

CHAIN = FrontEnd(
    sfreq=173.61, n_times=178, views={
        "waveform": WaveformSettings(unit_divisor=100), "spectrogram": SpectrogramSettings(),
    },
)  # fmt: skip


def classifier(model, chain=CHAIN):
    """Untrained, with the mean and deviation of views as they would be kept."""
    made = SignalClassifier(model, chain)
    made.shapes_ = dict(chain.shapes)
    made.network_ = build_network(model, chain.shapes, 2)
    for branch in made.network_.branches:
        if branch.encoder.standardized:
            branch.standardize.mean.fill_(3.0)
            branch.standardize.sd.fill_(20.0)
    return made


def test_pink_noise_has_half_the_power_at_twice_the_frequency():
    noise = pink_noise((400, 2, 256), torch.Generator().manual_seed(0))
    assert (noise.mean().item(), noise.std().item()) == pytest.approx((0, 1), abs=1e-5)
    power = np.abs(np.fft.rfft(noise.numpy())).__pow__(2).mean((0, 1))
    assert power[4:8].mean() / power[8:16].mean() == pytest.approx(
        (1 / np.arange(4, 8)).mean() / (1 / np.arange(8, 16)).mean(), rel=0.05
    )


def test_noise_has_the_mean_and_deviation_of_the_views_that_are_read():
    network = classifier("cnn2d_compact").network_
    made = simulated_views(network, CHAIN.shapes, 64)
    assert set(made) == {"spectrogram"}
    assert made["spectrogram"].shape == (64, 1, 32, 37)
    assert_allclose([made["spectrogram"].mean(), made["spectrogram"].std()], [3, 20], rtol=1e-3)


def test_with_the_front_end_all_views_are_of_one_waveform():
    made = simulated_rows(classifier("hybrid_late"), 16, front_end=True)
    assert_allclose([made["waveform"].mean(), made["waveform"].std()], [3, 20], rtol=1e-3)
    again = CHAIN.compute(CHAIN.signal_of(made["waveform"]))
    assert_allclose(made["spectrogram"], again["spectrogram"], atol=1e-4)


def test_a_model_that_does_not_tell_the_height_of_its_signal_is_refused():
    """Its decibels would be those of noise of deviation 1, whatever it learned from."""
    alone = classifier("cnn2d_compact")
    assert simulated_rows(alone, 4)["spectrogram"].shape == (4, 1, 32, 37)
    with pytest.raises(SettingsError, match="'spectrogram', which moves with the gain"):
        simulated_rows(alone, 4, front_end=True)
    over = SpectrogramSettings(reference="background")
    chain = CHAIN.model_copy(update={"views": {**CHAIN.views, "spectrogram": over}})
    made = simulated_rows(classifier("cnn2d_compact", chain), 4, front_end=True)
    assert np.isfinite(made["spectrogram"]).all()


def test_a_view_that_is_not_standardized_is_refused():
    views = {**CHAIN.views, "measures": {"kind": "measures"}}
    chain = FrontEnd(sfreq=173.61, n_times=178, views=views)
    with pytest.raises(SettingsError, match="keeps no mean and deviation of 'measures'"):
        simulated_rows(classifier("mlp", chain), 4)
