"""Golden value 6 of the models' specification, slow twins, relations, refusals."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from emboscope.datasets.hits import front_end as hits_front_end
from emboscope.errors import DataError
from emboscope.learning.front_end import TorchFrontEnd
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.handcrafted import handcrafted_features
from emboscope.representations.views import (
    REPRESENTATIONS,
    SpectrogramSettings,
    WaveformSettings,
    spectrogram,
    waveform,
)
from twins import views as twin

N = np.arange(187)
GOLDEN = (
    (np.sin(2 * np.pi * 10 * N / 125) + 0.3 * np.sin(2 * np.pi * 31 * N / 125 + 0.5) + 1.3) / 2.6
)[None, None]


def image(profile):
    return spectrogram(GOLDEN, SpectrogramSettings(profile=profile))[0, 0].astype(float)


@pytest.mark.parametrize(
    ("profile", "mean", "low", "high", "dc", "off"),
    [
        ("released", -37.107029, -69.293538, 32.752015, 32.752015, 1.778658),
        ("paper", -12.881701, -28.486828, 16.376008, 16.376008, 8.040511),
    ],
)
def test_spectrogram_has_the_golden_values(profile, mean, low, high, dc, off):
    found = image(profile)
    assert found.shape == (32, 39)
    assert_allclose([found.mean(), found.min(), found.max()], [mean, low, high], atol=2e-4)
    assert_allclose([found[16, 0], found[18, 10]], [dc, off], atol=2e-4)


@pytest.mark.parametrize("profile", ["corrected", "paper"])
def test_spectrogram_equals_its_slow_twin(profile):
    assert_allclose(image(profile), twin.spectrogram(GOLDEN[0, 0], profile), atol=1e-3)


def test_real_signal_has_a_mirrored_spectrum():
    found = image("corrected")
    assert_allclose(found[1:16], found[17:][::-1], atol=1e-4)


def test_every_representation_is_finite_on_silence_and_one_by_one_equals_all(rng):
    segments = rng.standard_normal((3, 1, 178))
    segments[0] = 0
    for kind, settings in (
        ("waveform", WaveformSettings()),
        ("spectrogram", SpectrogramSettings()),
    ):
        together = REPRESENTATIONS[kind](segments, settings)
        assert np.isfinite(together).all()
        alone = [REPRESENTATIONS[kind](segment[None], settings)[0] for segment in segments]
        assert_allclose(together, alone, atol=1e-5)
    assert set(REPRESENTATIONS) == {"waveform", "spectrogram"}


def test_waveform_is_the_signal_over_its_divisor(rng):
    segments = rng.standard_normal((2, 1, 50))
    scaled = waveform(segments, WaveformSettings(unit_divisor=100))
    assert_allclose(100 * scaled, segments, rtol=1e-5)


def test_hits_views_have_the_contract_shapes_and_keep_direction():
    chain = hits_front_end()
    tone = 0.1 * np.exp(2j * np.pi * 600 * np.arange(1400) / 4385)
    segment = np.stack([tone.real, tone.imag])[None]
    views = chain.compute(segment)
    assert views["waveform"].shape == (1, 2, 1400)
    assert views["spectrogram"].shape == (1, 1, 64, 48)
    assert views["spectrogram"][0, 0, 32:].mean() > views["spectrogram"][0, 0, :32].mean()


@pytest.mark.parametrize("kind", ["esr", "hits"])
def test_torch_twin_of_the_front_end_is_equal(rng, kind):
    if kind == "hits":
        chain, shape, level = hits_front_end(), (2, 2, 1400), 0.05
    else:
        chain, shape, level = FrontEnd(sfreq=173.61, n_times=178), (2, 1, 178), 50.0
    segments = (level * rng.standard_normal(shape)).astype(np.float32)
    expected = chain.compute(segments)
    made = TorchFrontEnd(chain)(torch.from_numpy(segments))
    for name, view in expected.items():
        assert_allclose(made[name].numpy(), view, atol=1e-4 if kind == "hits" else 1e-3)


def test_segments_are_cut_with_their_peak_in_place_and_zeros_beyond_the_ends():
    chain = FrontEnd(sfreq=100, n_times=40, peak_sample=20)
    samples = np.arange(1.0, 101.0)[None]
    cut = chain.cut(samples, [50, 0])
    assert cut.shape == (2, 1, 40)
    assert cut[0, 0, 20] == 51
    assert_allclose(cut[1, 0, :20], 0)
    assert cut[1, 0, 20] == 1


def test_segment_of_another_length_is_refused():
    with pytest.raises(DataError, match="178"):
        FrontEnd(sfreq=173.61, n_times=178).compute(np.zeros((2, 1, 100)))


def test_segment_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="finite"):
        FrontEnd(sfreq=173.61, n_times=178).compute(np.full((1, 1, 178), np.nan))


def test_handcrafted_features_tell_a_frequency_and_scale_with_gain():
    times = np.arange(178) / 173.61
    slow, fast = (100 * np.sin(2 * np.pi * f * times)[None, None] for f in (2.0, 20.0))
    low, high = handcrafted_features(slow, 173.61)[0], handcrafted_features(fast, 173.61)[0]
    assert low.shape == (12,)
    assert np.argmax(low[:6]) == 0
    assert np.argmax(high[:6]) == 3
    louder = handcrafted_features(2 * slow, 173.61)[0]
    assert_allclose(louder[:6] - low[:6], np.log(4), atol=1e-6)
    assert_allclose(louder[10:], low[10:], atol=1e-9)
