"""Representations against other implementations of them."""

import librosa
import numpy as np
import pytest
from gammatone.filters import erb_filterbank, make_erb_filters
from numpy.testing import assert_allclose

from emboscope.errors import SettingsError
from emboscope.representations import (
    BitPulseSettings,
    ChromaSettings,
    CochleagramSettings,
    GafSettings,
    MelSettings,
    MtfSettings,
    RpSettings,
    WaveletSettings,
    bit_pulse,
    chroma,
    cochleagram,
    gaf,
    mel,
    mtf,
    rp,
    wavelet,
)
from emboscope.representations.cochleagram import erb_centers
from emboscope.representations.filter_bank import band_frequencies
from emboscope.representations.mel import chroma_filters, mel_filters
from emboscope.representations.wavelet import morlet_responses, octave_responses
from twins import gammatone as twin
from twins import series_images as series_twin

SFREQ = 4385.0


@pytest.fixture
def segment(rng):
    """Colored noise, shape (1, 1, 1400)."""
    return np.cumsum(rng.standard_normal(1400))[None, None] * 0.1


@pytest.mark.parametrize(
    ("sfreq", "n_fft", "n_mels", "low", "high"),
    [(4385.0, 256, 64, 50.0, 2192.5), (4385.0, 512, 40, 0.0, 900.0), (8000.0, 512, 30, 100, 4000)],
)
def test_mel_filters_are_librosas(sfreq, n_fft, n_mels, low, high):
    expected = librosa.filters.mel(
        sr=sfreq, n_fft=n_fft, n_mels=n_mels, fmin=low, fmax=high, dtype=np.float64
    )
    assert_allclose(mel_filters(sfreq, n_fft, n_mels, low, high), expected, atol=1e-12)


def test_mel_spectrogram_is_librosas(segment):
    expected = librosa.feature.melspectrogram(
        y=segment[0, 0], sr=SFREQ, n_fft=256, hop_length=14, n_mels=64, fmin=50.0, center=False
    )
    made = mel(segment, MelSettings(), SFREQ)[0, 0]
    assert_allclose(made, 10 * np.log10(expected), atol=1e-3)


def test_mel_of_i_and_q_is_librosas_of_the_power_of_each_side(rng):
    signal = rng.standard_normal((1, 2, 1400))
    frames = np.lib.stride_tricks.sliding_window_view(signal[0, 0] + 1j * signal[0, 1], 256)[::14]
    power = np.abs(np.fft.fft(frames * np.hanning(257)[:-1])).T ** 2
    for side, rows in enumerate([np.arange(129), -np.arange(129)]):
        expected = librosa.feature.melspectrogram(
            S=power[rows], sr=SFREQ, n_mels=64, fmin=50.0, power=2.0
        )
        made = mel(signal, MelSettings(), SFREQ)[0, side]
        assert_allclose(made, 10 * np.log10(expected), atol=1e-3)


@pytest.mark.parametrize(("sfreq", "n_fft", "n_chroma"), [(4385, 512, 12), (8000, 1024, 24)])
def test_chroma_filters_are_librosas(sfreq, n_fft, n_chroma):
    expected = librosa.filters.chroma(sr=sfreq, n_fft=n_fft, n_chroma=n_chroma, dtype=np.float64)
    assert_allclose(chroma_filters(sfreq, n_fft, n_chroma), expected, atol=1e-12)


def test_chromagram_is_librosas(segment):
    expected = librosa.feature.chroma_stft(
        y=segment[0, 0], sr=SFREQ, n_fft=512, hop_length=14, center=False, tuning=0.0
    )
    assert_allclose(chroma(segment, ChromaSettings(), SFREQ)[0, 0], expected, atol=1e-5)


def test_cochleagram_is_a_convolution_in_time(rng):
    segment = rng.standard_normal((1, 1, 1400))
    settings = CochleagramSettings()
    energy = 10 ** (cochleagram(segment, settings, SFREQ)[0, 0].astype(float) / 10)
    centers = erb_centers(50, 2100, 64)
    for band in (14, 30, 45, 56):
        expected = twin.band_energy(segment[0, 0], SFREQ, centers[band], 110, 18)
        # a sampled response folds at the Nyquist frequency, and knows a little below 0 Hz
        assert_allclose(energy[band], expected, rtol=2e-3)


def test_cochleagram_is_the_gammatone_toolkits(rng):
    segment = rng.standard_normal((1, 1, 1400))
    centers = erb_centers(50, 2100, 64)
    bands = erb_filterbank(segment[0, 0], make_erb_filters(SFREQ, centers))
    frames = np.lib.stride_tricks.sliding_window_view(bands**2, 110, axis=1)[:, ::18]
    expected = 10 * np.log10(frames.mean(axis=2))
    made = cochleagram(segment, CochleagramSettings(), SFREQ)[0, 0]
    # its bands are real, so that they ripple at twice their frequency: little above 300 Hz
    high = centers > 300
    assert np.median(np.abs(made - expected)[high]) < 0.1
    assert np.quantile(np.abs(made - expected)[high], 0.95) < 0.5


def test_cochleagram_of_a_tone_reads_its_mean_square_in_its_band():
    centers = erb_centers(50, 2100, 64)
    line = 0.2 * np.exp(2j * np.pi * centers[40] * np.arange(1400) / SFREQ)
    view = cochleagram(np.stack([line.real, line.imag])[None], CochleagramSettings(), SFREQ)[0, 0]
    assert view.mean(axis=1).argmax() == 40
    assert_allclose(view[40, 20:], 10 * np.log10(0.2**2 / 2), atol=0.01)


def test_morlet_scalogram_is_a_convolution_with_the_wavelet():
    settings = WaveletSettings(n_bands=4, low_hz=200, high_hz=1200)
    rng = np.random.default_rng(3)
    line = rng.standard_normal(1400) + 1j * rng.standard_normal(1400)
    view = wavelet(np.stack([line.real, line.imag])[None], settings, SFREQ)[0]
    times = np.arange(-699, 700) / SFREQ
    for band, center in enumerate(np.geomspace(200, 1200, 4)):
        sd = settings.cycles / (2 * np.pi * center)  # in time
        atom = np.exp(-0.5 * (times / sd) ** 2 + 2j * np.pi * center * times)
        atom /= np.sum(np.exp(-0.5 * (times / sd) ** 2))
        for side, signal in enumerate([line, line.conj()]):
            energy = np.abs(np.convolve(signal, atom, mode="same")) ** 2 / 2
            expected = energy[::2].reshape(100, 7).mean(axis=1)
            made = 10 ** (view[side, band].astype(float) / 10)
            assert_allclose(made, expected, rtol=1e-3, atol=1e-4 * expected.mean())


def test_octaves_share_all_power_above_the_coarsest():
    settings = WaveletSettings(method="dtcwt")
    freqs = band_frequencies(1400, SFREQ)
    total = (octave_responses(freqs, settings, SFREQ) ** 2).sum(axis=0)
    assert_allclose(total[freqs > SFREQ / 2**5], 1)
    assert morlet_responses(freqs, WaveletSettings(), SFREQ).max() <= 1


@pytest.mark.parametrize("method", ["summation", "difference"])
@pytest.mark.parametrize("size", [64, 100])
def test_gramian_angular_field_equals_its_slow_twin(segment, method, size):
    expected = series_twin.gramian(series_twin.shortened(segment[0, 0], size), method)
    assert_allclose(gaf(segment, GafSettings(method=method, size=size))[0, 0], expected, atol=1e-6)


def test_markov_transition_field_equals_its_slow_twin(segment):
    expected = series_twin.transitions(series_twin.shortened(segment[0, 0], 64), 8)
    assert_allclose(mtf(segment, MtfSettings())[0, 0], expected, atol=1e-6)


@pytest.mark.slow  # importing pyts compiles for 20 s
@pytest.mark.parametrize("size", [64, 100])
def test_images_of_a_series_are_those_of_pyts(segment, size):
    from pyts.approximation import PiecewiseAggregateApproximation
    from pyts.image import GramianAngularField, MarkovTransitionField, RecurrencePlot

    line = segment[:, 0]
    short = PiecewiseAggregateApproximation(None, size, overlapping=False).transform(line)
    for method in ("summation", "difference"):
        expected = GramianAngularField(image_size=size, method=method).transform(line)
        made = gaf(segment, GafSettings(method=method, size=size))[:, 0]
        assert_allclose(made, expected, atol=1e-6)
    expected = MarkovTransitionField(image_size=size, n_bins=8).transform(short)
    assert_allclose(mtf(segment, MtfSettings(size=size))[:, 0], expected, atol=1e-6)
    expected = RecurrencePlot().transform(short)
    assert_allclose(rp(segment, RpSettings(size=size))[:, 0], expected, atol=1e-6)


def test_recurrence_plot_is_the_distance_of_any_two_points(segment):
    short = np.array(series_twin.shortened(segment[0, 0], 64))
    image = rp(segment, RpSettings())[0, 0]
    assert_allclose(image, [np.abs(short - point) for point in short], atol=1e-6)


def test_markov_transition_field_of_four_points_by_hand():
    # bins 0, 1, 0, 1: a low point is always followed by a high one, a high one by a low one
    signal = np.array([[[1.0, 5.0, 2.0, 6.0]]])
    image = mtf(signal, MtfSettings(size=4, n_bins=2))[0, 0]
    assert_allclose(image, [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])


def test_value_on_the_edge_of_two_bins_belongs_to_the_lower():
    # the median of 1, 2, 3 is 2: bins 0, 0, 1; half the steps out of bin 0 stay there
    image = mtf(np.array([[[1.0, 2.0, 3.0]]]), MtfSettings(size=3, n_bins=2))[0, 0]
    assert_allclose(image, [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 0]])


def test_images_of_i_and_q_are_of_their_modulus(rng):
    signal = rng.standard_normal((2, 2, 640))
    modulus = np.hypot(signal[:, 0], signal[:, 1])[:, None]
    assert_allclose(rp(signal, RpSettings()), rp(modulus, RpSettings()), atol=1e-6)


def test_bits_are_twos_complement_from_the_least_significant_up():
    # of full scale: 1 is 0x7fff, -1 is 0x8001, 3/32767 is 0x0003
    signal = np.array([[[1.0, -1.0, 3 / 32767, 0.0]]])
    bits = bit_pulse(signal, BitPulseSettings(scaling="full_scale"))[0]
    assert bits.shape == (16, 4)
    assert bits[:, 0].tolist() == [1] * 15 + [0]
    assert bits[:, 1].tolist() == [1] + [0] * 14 + [1]
    assert bits[:, 2].tolist() == [1, 1] + [0] * 14
    assert not bits[:, 3].any()
    upper = bit_pulse(signal, BitPulseSettings(scaling="full_scale", n_bits=8))[0]
    assert_allclose(upper, bits[8:])


def test_bits_give_the_samples_back(rng):
    signal = rng.standard_normal((2, 2, 50))
    bits = bit_pulse(signal, BitPulseSettings()).reshape(2, 2, 16, 50)
    weights = np.append(2.0 ** np.arange(15), -(2.0**15))[:, None]
    peak = np.abs(signal).max(axis=(1, 2), keepdims=True)
    assert_allclose((bits * weights).sum(axis=2) * peak / 32767, signal, atol=1e-3 / 16)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (mel, MelSettings(high_hz=3000)),
        (cochleagram, CochleagramSettings(high_hz=3000)),
        (wavelet, WaveletSettings(high_hz=3000)),
    ],
    ids=["mel", "cochleagram", "wavelet"],
)
def test_bands_above_half_the_sampling_frequency_are_refused(segment, make, settings):
    with pytest.raises(SettingsError, match=r"50 to 3000 Hz; expected a rising range up to 2192.5"):
        make(segment, settings, SFREQ)


def test_mel_bands_without_a_frequency_are_refused(segment):
    with pytest.raises(SettingsError, match="bands hold no frequency of the transform; expected"):
        mel(segment, MelSettings(n_fft=64), SFREQ)
