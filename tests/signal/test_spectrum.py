"""Golden checks 2, 3 and 15 of the Doppler specification, and the twin of the transform."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from emboscope.errors import DataError
from emboscope.signal.spectrum import HighPass, decibel, side_power, stft
from twins import spectra

SFREQ = 4385.0


def tone(frequency_hz, n_times=4096, amplitude=0.5):
    return amplitude * np.exp(2j * np.pi * frequency_hz * np.arange(n_times) / SFREQ)


def test_transform_equals_its_slow_twin(rng):
    samples = rng.standard_normal(40) + 1j * rng.standard_normal(40)
    assert_allclose(stft(samples, SFREQ, 16, 4).values, spectra.stft(samples, 16, 4), atol=1e-6)


def test_a_tone_is_one_line_on_its_own_side_and_constant_over_time():
    spectrum = stft(tone(600.0), SFREQ, 128, 16, n_fft=512)
    level = decibel(spectrum.power)
    line = np.argmax(level.mean(axis=1))
    bin_hz = SFREQ / 128
    assert abs(spectrum.freqs[line] - 600) < bin_hz
    assert np.ptp(level[line]) < 0.1
    mirror = np.abs(spectrum.freqs + 600) < 2 * bin_hz
    assert level[line].min() - level[mirror].max() > 60


def test_conjugate_mirrors_the_image():
    samples = tone(600.0) + tone(-1100.0, amplitude=0.1)
    image = stft(samples, SFREQ).power
    mirrored = stft(samples.conj(), SFREQ).power
    assert_allclose(mirrored[1:], image[1:][::-1], atol=1e-7)


def test_tone_of_amplitude_a_reads_a_squared():
    on_bin = 10 * SFREQ / 64
    assert_allclose(stft(tone(on_bin, amplitude=0.3), SFREQ).power.max(axis=0), 0.09, rtol=1e-4)


def test_twice_the_amplitude_is_six_decibels_more(rng):
    samples = rng.standard_normal(500) + 1j * rng.standard_normal(500)
    gain = decibel(stft(2 * samples, SFREQ).power) - decibel(stft(samples, SFREQ).power)
    assert_allclose(gain, 6.0206, atol=1e-3)


def test_silence_is_finite():
    assert decibel(stft(np.zeros(256, complex), SFREQ).power).max() == pytest.approx(-120)


def test_swapping_i_and_q_swaps_the_sides():
    samples = tone(600.0)
    towards, away = side_power(stft(samples, SFREQ), 150)
    swapped_towards, swapped_away = side_power(stft(1j * samples.conj(), SFREQ), 150)
    assert towards.min() > 1e4 * away.max()
    assert_allclose(swapped_away, towards, rtol=1e-4)
    assert swapped_towards.max() < 1e-4 * swapped_away.min()


def test_highpass_in_pieces_equals_at_once(rng):
    samples = (rng.standard_normal(1000) + 1j * rng.standard_normal(1000)).astype(np.complex64)
    whole = HighPass(SFREQ)(samples)
    filtered = HighPass(SFREQ)
    pieces = [filtered(part) for part in np.split(samples, [1, 300, 999])]
    assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_highpass_takes_a_constant_away_without_a_step():
    assert np.abs(HighPass(SFREQ)(np.full(500, 0.3 + 0.2j))).max() < 1e-6


def test_signal_shorter_than_a_window_is_refused():
    with pytest.raises(DataError, match="signal: 10 time points; expected at least 64"):
        stft(np.zeros(10, complex), SFREQ)
