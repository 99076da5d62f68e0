"""Velocity (golden check 18), flow side, baseline shift, clipping."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import SettingsError
from emboscope.signal.doppler import FlowBand, flow_band, flow_side, velocity
from emboscope.signal.quality import clipped, evaluable_frames
from emboscope.signal.spectrum import stft

SFREQ = 4385.0


@pytest.mark.parametrize(
    ("carrier_hz", "angle_deg", "expected"), [(2e6, 0, 38.5), (1.5e6, 0, 51.33), (2e6, 45, 54.45)]
)
def test_one_kilohertz_reads_the_published_velocity(carrier_hz, angle_deg, expected):
    assert velocity(1000.0, carrier_hz, angle_deg) == pytest.approx(expected, abs=0.01)


def test_velocity_keeps_its_sign():
    assert velocity(-1000.0, 2e6) == -velocity(1000.0, 2e6)


@pytest.mark.parametrize(("carrier_hz", "angle_deg"), [(0, 0), (2e6, 90)])
def test_no_velocity_without_a_carrier_or_across_the_beam(carrier_hz, angle_deg):
    with pytest.raises(SettingsError, match="no velocity; expected a positive carrier"):
        velocity(1000.0, carrier_hz, angle_deg)


def noise_between(low_hz, high_hz, rng, n_times=20000):
    spectrum = rng.standard_normal(n_times) + 1j * rng.standard_normal(n_times)
    freqs = np.fft.fftfreq(n_times, 1 / SFREQ)
    turn = np.mod(freqs - low_hz, SFREQ)
    return np.fft.ifft(spectrum * np.where(turn < high_hz - low_hz, 1, 0.01)) * 10


def test_flow_side_is_found_and_follows_the_sign_of_q(rng):
    samples = noise_between(200, 1500, rng)
    assert flow_side(stft(samples, SFREQ), 150) == "towards"
    assert flow_side(stft(samples.conj(), SFREQ), 150) == "away"


def test_flow_on_both_sides_is_left_open(rng):
    samples = noise_between(200, 1500, rng) + noise_between(-1500, -200, rng)
    assert flow_side(stft(samples, SFREQ), 150) is None


def test_a_transient_does_not_decide_the_flow_side(rng):
    samples = noise_between(200, 1500, rng)
    samples[:2000] += 50 * np.exp(-2j * np.pi * 800 * np.arange(2000) / SFREQ)
    assert flow_side(stft(samples, SFREQ), 150) == "towards"


def test_baseline_moves_past_flow_that_aliases(rng):
    band = flow_band(stft(noise_between(200, 2800, rng), SFREQ), "towards", 150, SFREQ)
    assert band.aliased
    assert 2750 < band.high_hz < 3200
    assert band.unwrap(np.array([-1700.0]))[0] == pytest.approx(SFREQ - 1700)


def test_baseline_stays_where_nothing_aliases(rng):
    band = flow_band(stft(noise_between(200, 1500, rng), SFREQ), "towards", 150, SFREQ)
    assert band.high_hz == SFREQ / 2
    assert not band.aliased


def test_band_of_flow_away_is_the_mirror():
    freqs = np.array([-1000.0, -100.0, 100.0, 1000.0])
    forward, reverse = FlowBand("away", 150, 2192.5, SFREQ).masks(freqs)
    assert_array_equal(forward, [True, False, False, False])
    assert_array_equal(reverse, [False, False, False, True])


def test_only_runs_at_full_scale_count_as_clipped():
    samples = np.array([0, 1, 0, 1, 1, 0, 0.5j, 1j, 1j])
    assert_array_equal(clipped(samples), [0, 0, 0, 1, 1, 0, 0, 1, 1])


def test_constant_stretch_is_not_evaluable(rng):
    samples = 0.01 * (rng.standard_normal(256) + 1j * rng.standard_normal(256))
    samples[128:] = 0.3
    assert_array_equal(evaluable_frames(samples, 64, 64), [1, 1, 0, 0])
    assert_allclose(evaluable_frames(100 * samples, 64, 64), [1, 1, 0, 0])
