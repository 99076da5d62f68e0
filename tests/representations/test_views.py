"""Golden value 6 of the models' specification, slow twins, relations, refusals."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.datasets.hits import front_end as hits_front_end
from emboscope.errors import DataError, SettingsError
from emboscope.learning.front_end import TorchFrontEnd, twin_of
from emboscope.representations.contract import REPRESENTATIONS
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.handcrafted import handcrafted_features
from emboscope.representations.hits_features import hits_features
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.views import (
    HITS224,
    SpectrogramSettings,
    WaveformSettings,
    spectral_power,
    spectrogram,
    stft,
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


@pytest.mark.parametrize("kind", ["esr", "hits", "hits224", "hits_in_db"])
def test_torch_twin_of_the_front_end_is_equal(rng, kind):
    chain = {
        "esr": FrontEnd(sfreq=173.61, n_times=178),
        "hits": hits_front_end(),
        "hits224": hits_front_end().model_copy(update={"views": {"spectrogram": HITS224}}),
        "hits_in_db": hits_front_end().model_copy(
            update={"views": {"image": HITS224.model_copy(update={"normalization": "none"})}}
        ),
    }[kind]
    level = 50.0 if kind == "esr" else 0.05
    segments = rng.standard_normal((2, chain.n_channels, chain.n_times))
    segments = (level * segments).astype(np.float32)
    expected = chain.compute(segments)
    made = TorchFrontEnd(chain)(torch.from_numpy(segments))
    for name, view in expected.items():
        assert_allclose(made[name].numpy(), view, atol=1e-3 if kind == "esr" else 1e-4)


def test_view_without_a_form_in_torch_is_not_made_in_training():
    views = {"waveform": {"kind": "waveform"}, "mel": {"kind": "mel"}}
    chain = FrontEnd(sfreq=4385, n_channels=2, n_times=1400, views=views)
    assert not chain.follows_waveform
    with pytest.raises(SettingsError, match=r"'mel' \(mel\) has no form in torch; expected"):
        TorchFrontEnd(chain)(torch.zeros(1, 2, 1400))


def test_view_without_a_form_in_torch_can_be_made_outside_of_it(rng):
    views = {"waveform": {"kind": "waveform"}, "found": {"kind": "measures"}}
    chain = FrontEnd(sfreq=4385, n_channels=2, n_times=1400, views=views)
    segments = rng.standard_normal((3, 2, 1400)).astype(np.float32)
    made = TorchFrontEnd(chain, outside=True)(torch.from_numpy(segments))
    assert_array_equal(made["found"].numpy(), chain.compute(segments)["found"])


def test_views_without_a_form_in_torch_are_made_anew_only_where_something_is_augmented():
    views = {"waveform": {"kind": "waveform"}, "found": {"kind": "measures"}}
    chain = FrontEnd(sfreq=4385, n_channels=2, n_times=1400, views=views)
    assert twin_of(chain, augmented=False) is None
    assert twin_of(chain, augmented=True).outside
    assert twin_of(hits_front_end(), augmented=False) is not None
    assert twin_of(None, augmented=True) is None


def test_a_twin_makes_the_views_that_are_read_and_no_others(rng):
    chain = hits_front_end()
    waveform = torch.from_numpy(rng.standard_normal((2, 2, 1400)).astype(np.float32))
    whole = twin_of(chain, augmented=True).from_waveform(waveform)
    assert set(whole) == {"waveform", "spectrogram"}
    some = twin_of(chain, True, ("spectrogram",)).from_waveform(waveform)
    assert set(some) == {"spectrogram"}
    assert torch.equal(some["spectrogram"], whole["spectrogram"])


@pytest.mark.parametrize(("n_channels", "n_times"), [(2, 1400), (1, 178)])
def test_waveform_over_its_background_has_a_median_magnitude_of_one(n_channels, n_times, rng):
    views = {"waveform": {"kind": "waveform", "scaling": "background"}}
    chain = FrontEnd(sfreq=4385, n_channels=n_channels, n_times=n_times, views=views)
    segments = rng.standard_normal((3, n_channels, n_times))
    segments[:, :, 90:100] *= 100  # an event, of which the background knows little
    made = chain.compute(segments)["waveform"]
    assert_allclose(np.median(np.hypot.reduce(made, axis=1), axis=1), 1.0, rtol=1e-6)
    in_torch = TorchFrontEnd(chain)(torch.from_numpy(segments))["waveform"]
    assert_allclose(in_torch.numpy(), made, rtol=1e-6)


def test_measures_are_the_features_that_suit_the_signal(rng):
    iq, eeg = rng.standard_normal((2, 2, 1400)), rng.standard_normal((2, 1, 178))
    found = REPRESENTATIONS["measures"](iq, MeasuresSettings(), 4385.0)
    assert_allclose(found, hits_features(iq, 4385.0), rtol=1e-6)
    found = REPRESENTATIONS["measures"](eeg, MeasuresSettings(), 173.61)
    assert_allclose(found, handcrafted_features(eeg, 173.61), rtol=1e-6)
    with pytest.raises(DataError, match="178 samples; expected at least 256"):
        REPRESENTATIONS["measures"](iq[:, :, :178], MeasuresSettings(), 4385.0)


def test_missing_view_is_made_of_the_waveform(rng):
    views = {"waveform": WaveformSettings(unit_divisor=10), "mel": {"kind": "mel"}}
    chain = FrontEnd(sfreq=4385, n_channels=2, n_times=1400, views=views)
    made = chain.compute(rng.standard_normal((2, 2, 1400)))
    completed = chain.complete({"waveform": made["waveform"]})
    assert_allclose(completed["mel"], made["mel"], atol=1e-3)  # waveform is in single precision


def tone(frequency, n_times=1400):
    line = np.exp(2j * np.pi * frequency * np.arange(n_times) / 4385)
    return np.stack([line.real, line.imag])[None]


def test_released_transform_of_a_steady_tone_comes_and_goes():
    # Hamming window of 128 samples, hop 16: the values that the specification measured
    settings = SpectrogramSettings(n_fft=128, hop=16, window="hamming")
    spectrum = stft(tone(600), settings)
    row = spectral_power(spectrum).mean(axis=2).argmax()
    values = np.sqrt(spectral_power(spectrum, "released")[0, row])
    assert_allclose([values.min(), values.max()], [0.58, 56.8], atol=0.05)


@pytest.mark.parametrize(
    "settings", [SpectrogramSettings(n_fft=128, hop=16), HITS224], ids=["blackman", "hits224"]
)
def test_steady_tone_is_one_steady_line_on_its_side(settings):
    level = 10 * np.log10(spectral_power(stft(tone(600), settings))[0])[:, 5:-5]
    row = int(level.mean(axis=1).argmax())
    frequency = (row - settings.n_fft / 2) * 4385 / settings.n_fft
    assert abs(frequency - 600) <= 4385 / settings.n_fft
    assert np.ptp(level[row]) < 0.1
    mirrored = level[settings.n_fft - row]
    assert (level[row] - mirrored).min() >= (60 if settings.window == "blackman" else 40)


def test_given_background_is_zero_decibels_of_noise_of_its_power(rng):
    settings = HITS224.model_copy(update={"normalization": "none"})
    signal = np.sqrt(0.5) * 0.03 * rng.standard_normal((40, 2, 1400))
    view = spectrogram(signal, settings, background=np.full(40, 0.03**2))[..., 5:-5]
    # the log of an exponential variable is -2.51 dB in the mean; 0.1 dB: some 9 SD of the mean
    assert_allclose(view.mean(), -2.51, atol=0.1)
    louder = spectrogram(2 * signal, settings, background=np.full(40, 0.03**2))[..., 5:-5]
    inside = (view > -20) & (louder < 30)
    assert_allclose((louder - view)[inside], 20 * np.log10(2), atol=1e-4)


def test_spread_frames_are_equally_far_from_both_ends():
    pulse = np.zeros((1, 2, 1400))
    pulse[0, 0, [0, -1]] = 1  # the first and the last sample
    energy = spectral_power(stft(pulse, HITS224))[0].sum(axis=0)
    assert energy.shape == (96,)
    assert_allclose(energy, energy[::-1], rtol=0.1)  # frames start at whole samples


def test_window_longer_than_the_transform_is_refused():
    with pytest.raises(SettingsError, match="window_length 64; expected at most n_fft, 32"):
        SpectrogramSettings.parse({"window_length": 64})


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
