"""Forward and reverse flow are apart."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from emboscope.errors import DataError
from emboscope.representations import (
    CochleagramSettings,
    MelSettings,
    WaveletSettings,
    cochleagram,
    flow_directions,
    mel,
    wavelet,
)

SFREQ = 4385.0


def tone(frequency, n_times=1400):
    line = np.exp(2j * np.pi * frequency * np.arange(n_times) / SFREQ)
    return np.stack([line.real, line.imag])[None]


@pytest.mark.parametrize("frequency", [160, 613.7, 1400, 2100])
@pytest.mark.parametrize("side", [1, -1])
def test_directions_are_40_db_apart(frequency, side):
    middle = flow_directions(tone(side * frequency))[0, ::side, 140:-140]  # off the ends
    power = np.mean(middle**2, axis=1)
    assert 10 * np.log10(power[0] / power[1]) > 40
    assert_allclose(power[0], 0.5, rtol=0.02)  # of a cosine; 2 %: cut periods


@pytest.mark.parametrize("n_times", [1400, 1401])
def test_forward_and_reverse_add_up_to_i(rng, n_times):
    signal = rng.standard_normal((2, 2, n_times))
    assert_allclose(flow_directions(signal).sum(axis=1), signal[:, 0], atol=1e-12)


def test_directions_are_the_real_parts_of_the_one_sided_spectra(rng):
    signal = rng.standard_normal((1, 2, 40))
    line = signal[0, 0] + 1j * signal[0, 1]
    spectrum = np.fft.fft(line)
    turns = np.exp(2j * np.pi * np.outer(np.arange(40), np.arange(40)) / 40) / 40
    forward = (turns[:, 1:20] @ spectrum[1:20]).real
    reverse = (turns[:, 21:] @ spectrum[21:]).conj().real
    ends = (turns[:, [0, 20]] @ spectrum[[0, 20]]).real / 2
    assert_allclose(flow_directions(signal)[0], [forward + ends, reverse + ends], atol=1e-12)


def test_directions_of_one_channel_are_refused():
    with pytest.raises(DataError, match=r"1 channel\(s\); expected 2"):
        flow_directions(np.zeros((1, 1, 40)))


@pytest.mark.parametrize("frequency", [200, 700, 1600])
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (mel, MelSettings()),
        (cochleagram, CochleagramSettings()),
        (wavelet, WaveletSettings()),
        (wavelet, WaveletSettings(method="dtcwt")),
    ],
    ids=["mel", "cochleagram", "morlet", "dtcwt"],
)
def test_band_of_a_tone_is_20_db_stronger_on_its_side(make, settings, frequency):
    view = make(tone(frequency), settings, SFREQ)[0]
    middle = view[:, :, view.shape[2] // 4 : -view.shape[2] // 4].mean(axis=2)
    band = middle[0].argmax()
    assert middle[0, band] - middle[1, band] >= 20
