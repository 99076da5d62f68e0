"""What cannot be judged, and what is no Doppler signal."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emboscope.errors import DataError
from emboscope.signal.imbalance import correct_imbalance, estimate_imbalance, typical_imbalance
from emboscope.signal.quality import (
    circularity,
    clipped,
    dc_offset,
)

SFREQ = 4000.0


@pytest.fixture
def flow(rng):
    """Ten seconds of noise in a band of positive frequencies, over weak white noise."""
    n = int(10 * SFREQ)
    spectrum = np.fft.fft(rng.standard_normal(n) + 1j * rng.standard_normal(n))
    freqs = np.fft.fftfreq(n, 1 / SFREQ)
    return 0.05 * np.fft.ifft(spectrum * (((freqs > 200) & (freqs < 1500)) + 0.1))


def noise(rng, n):
    return 0.005 * (rng.standard_normal(n) + 1j * rng.standard_normal(n))


def test_clean_flow_is_not_clipped(flow):
    assert not clipped(flow).any()


def test_flow_is_circular_and_one_real_signal_is_not(flow, rng):
    music = rng.standard_normal(40000)
    assert circularity(flow + 0.5) < 0.05
    assert circularity((1 + 1j) * music + 3) == pytest.approx(1)
    assert np.isnan(circularity(np.full(10, 0.3)))


def test_offset_is_the_mean(flow):
    assert dc_offset(flow + 0.02 - 0.01j) == pytest.approx(0.02 - 0.01j, abs=1e-3)


def imbalanced(angle, gain_db, phase_deg):
    """Table 1.3: I = cos θ, Q' = g sin(θ + φ)."""
    return np.cos(angle) + 1j * 10 ** (gain_db / 20) * np.sin(angle + np.deg2rad(phase_deg))


@pytest.mark.parametrize(
    ("gain_db", "phase_deg", "image_db"), [(0.1, 0.5, -43.0), (0.5, 2.0, -29.5), (1.0, 3.0, -24.0)]
)
def test_image_has_the_published_level(gain_db, phase_deg, image_db):
    angle = 2 * np.pi * 600 * np.arange(40000) / SFREQ
    found = estimate_imbalance(imbalanced(angle, gain_db, phase_deg))
    assert found.image_db == pytest.approx(image_db, abs=0.5)
    assert (found.gain_db, found.phase_deg) == pytest.approx((gain_db, phase_deg), abs=0.01)
    spectrum = np.abs(np.fft.fft(imbalanced(angle, gain_db, phase_deg))) ** 2
    assert 10 * np.log10(spectrum[-6000] / spectrum[6000]) == pytest.approx(
        found.image_db, abs=0.01
    )


@pytest.mark.parametrize(("gain_db", "phase_deg"), [(0.5, 2.0), (1.0, 3.0), (-1.0, -3.0)])
def test_correction_brings_the_image_under_50_db(flow, gain_db, phase_deg):
    gain, phase = 10 ** (gain_db / 20), np.deg2rad(phase_deg)
    wrong = flow.real + 1j * gain * (np.cos(phase) * flow.imag + np.sin(phase) * flow.real) + 0.01j
    right = correct_imbalance(wrong, estimate_imbalance(wrong))
    assert estimate_imbalance(right).image_db < -50
    assert dc_offset(right) == pytest.approx(dc_offset(wrong))


def test_weak_image_and_what_is_no_quadrature_stay_as_they_are(flow):
    angle = 2 * np.pi * 600 * np.arange(40000) / SFREQ
    weak, music = imbalanced(angle, 0.1, 0.5), (1 + 1j) * flow.real
    for samples in (weak, music):
        assert_array_equal(correct_imbalance(samples, estimate_imbalance(samples)), samples)


def test_a_loud_tap_does_not_spoil_the_typical_imbalance(rng):
    """0.5 dB and 2° of flow-like noise, with a real, so mirrored, burst of 40 dB in one second."""
    n = round(20 * SFREQ)
    spectrum = np.fft.fft(rng.standard_normal((n, 2)) @ (1, 1j))
    freqs = np.fft.fftfreq(n, 1 / SFREQ)
    flow = np.fft.ifft(np.where((freqs > 200) & (freqs < 1200), spectrum, 0))
    flow[5 * 4000 : 5 * 4000 + 800] += 100 * np.std(flow) * rng.standard_normal(800)
    turn = np.deg2rad(2.0)
    quadrature = 10 ** (0.5 / 20) * (flow.imag * np.cos(turn) + flow.real * np.sin(turn))
    found = typical_imbalance(np.array_split(flow.real + 1j * quadrature, 20))
    assert found.image_db == pytest.approx(-29.5, abs=1.5)
    assert typical_imbalance(np.zeros((12, 4000), complex)) is None
    assert typical_imbalance(np.full((12, 4000), 0.1 + 0.1j)) is None


def test_constant_channel_has_no_imbalance():
    with pytest.raises(DataError, match="I or Q is constant"):
        estimate_imbalance(np.arange(10.0) + 1j)
