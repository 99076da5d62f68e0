"""Bursts of known length, frequency and chirp are measured as they were made."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError
from emboscope.representations.hits_features import FEATURES, hits_features
from emboscope.representations.hits_frames import hits_frames, run_around

SFREQ, N_TIMES, PEAK = 4385.0, 1400, 700
TIMES = (np.arange(N_TIMES) - PEAK) / SFREQ


def burst(hz, sigma_s=0.02, amplitude=10.0):
    """A Gaussian burst; `hz` may vary with time."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, N_TIMES)) / SFREQ
    return amplitude * np.exp(-(TIMES**2) / (2 * sigma_s**2) + 1j * phase)


def blood(rng, low_hz=200.0, high_hz=1000.0):
    """Flow of power 1 between two frequencies, over noise 30 dB below."""
    freqs = np.fft.fftfreq(N_TIMES, 1 / SFREQ)
    turn = np.mod(freqs, SFREQ)
    noise = rng.standard_normal((N_TIMES, 2)) @ (1, 1j)
    flow = np.fft.ifft(np.fft.fft(noise) * ((turn > low_hz) & (turn < high_hz)))
    return flow / flow.std() + 0.03 * (rng.standard_normal((N_TIMES, 2)) @ (1, 1j))


def iq(*signals):
    """As segments, (n, 2, n_times)."""
    return np.stack([[signal.real, signal.imag] for signal in signals])


def measured(*signals):
    """Each feature by name, (n,)."""
    return dict(zip(FEATURES, hits_features(iq(*signals), SFREQ).T, strict=True))


def test_columns_are_named_once():
    assert len(set(FEATURES)) == len(FEATURES)
    assert hits_features(np.zeros((0, 2, N_TIMES)), SFREQ).shape == (0, len(FEATURES))


def test_tone_burst_has_its_frequency_width_and_strength(rng):
    """Amplitude exp(−t²/2σ²) is 6 dB down for 2.355 σ; the analysis adds a few ms to the width."""
    values = measured(blood(rng) + burst(700.0, sigma_s=0.02, amplitude=10.0))
    assert values["peak_hz"] == pytest.approx(700, abs=10)
    assert values["width_s"] == pytest.approx(0.047, abs=0.006)
    assert values["asymmetry"] == pytest.approx(0, abs=0.2)
    assert values["hbr_db"] == pytest.approx(20, abs=2)  # the median of noise is near its mean
    assert values["duration_s"] > values["width_s"]
    assert values["direction_db"] > 25
    assert values["crossing_irregularity"] < 0.1
    assert values["crest_db"] > 9  # 31 flow bins, three of a Hann line


def test_energy_is_that_of_the_burst_over_the_background_of_a_second(rng):
    """A Gaussian of peak power P holds P σ √π: 100 · 0.02 · 1.77 = 3.5 s, 5.5 dB."""
    values = measured(blood(rng) + burst(700.0, sigma_s=0.02, amplitude=10.0))
    assert values["energy_db"] == pytest.approx(5.5, abs=1.5)


def test_envelope_of_the_flow_divides_the_peak_frequency(rng):
    """Flow is flat from 200 to 1000 Hz: 95 % of it lies below 960 Hz."""
    values = measured(blood(rng) + burst(480.0))
    assert values["peak_to_envelope"] == pytest.approx(0.5, abs=0.05)


def test_linear_chirp_has_its_slope_and_no_residual(rng):
    values = measured(*(blood(rng) + burst(700 + slope * TIMES) for slope in (-4000, 0, 4000)))
    assert_allclose(values["chirp_hz_s"], [-4000, 0, 4000], atol=250)
    assert values["chirp_residual_hz"].max() < 20


def test_jump_of_frequency_is_no_line(rng):
    """Type III: 500 Hz within 5 ms at the peak."""
    jump = 700 + 500 * np.clip(TIMES / 0.005 + 0.5, 0, 1)
    values = measured(blood(rng) + burst(700.0), blood(rng) + burst(jump))
    assert values["chirp_jump_hz"][1] == pytest.approx(500, abs=80)
    for name, factor in (("chirp_residual_hz", 5), ("bandwidth_hz", 2)):
        steady, jumping = values[name]
        assert jumping > factor * steady


def test_slow_rise_and_fast_fall_is_asymmetric(rng):
    """Sides of 30 and 10 ms: a slow rise has negative skewness, and its mirror the opposite."""
    carrier = burst(700.0, sigma_s=1e3)
    shape = np.exp(-(TIMES**2) / (2 * np.where(TIMES < 0, 0.03, 0.01) ** 2))
    forth, back = blood(rng) + carrier * shape, blood(rng) + carrier * shape[::-1]
    early, late = measured(forth, back)["asymmetry"]
    assert early < -0.3
    assert late == pytest.approx(-early, abs=0.1)


def test_amplitude_modulation_departs_from_a_gaussian_passage(rng):
    wave = 1 + 0.6 * np.cos(2 * np.pi * 60 * TIMES)
    smooth, lobed = measured(blood(rng) + burst(700.0), blood(rng) + wave * burst(700.0))[
        "modulation_db"
    ]
    assert smooth < 0.5
    assert lobed > 2 * smooth


def test_gain_moves_the_level_alone(rng):
    signal = blood(rng) + burst(700.0)
    soft, loud = hits_features(iq(0.001 * signal, 0.1 * signal), SFREQ)
    level = FEATURES.index("level_db")
    assert loud[level] - soft[level] == pytest.approx(40, abs=1e-3)
    assert_allclose(np.delete(soft, level), np.delete(loud, level), rtol=1e-6, atol=1e-6)


def test_flow_away_measures_as_flow_towards(rng):
    """Conjugation turns the direction; I is the same, so all is."""
    signal = blood(rng) + burst(700.0) + 0.3 * burst(-300.0)
    towards, away = hits_features(iq(signal, signal.conj()), SFREQ)
    assert_allclose(towards, away, rtol=1e-6, atol=1e-6)
    frames = hits_frames(iq(signal, signal.conj()), SFREQ)
    assert_allclose(frames.signal[1], frames.signal[0])


def test_event_against_the_flow_is_told(rng):
    along, against, both = measured(
        *(
            blood(rng) + part
            for part in (burst(700.0), burst(-700.0, amplitude=5.0), burst(700.0) + burst(-600.0))
        )
    )["direction_db"]
    assert along > 20
    assert against < -10
    assert abs(both) < 3


def test_tap_is_low_and_on_both_sides(rng):
    tap = burst(200.0, 0.01, 30.0).real + 0j
    values = measured(blood(rng) + tap, blood(rng) + burst(700.0))
    assert abs(values["direction_db"][0]) < 4
    assert values["low_share_db"][0] > -3 > values["low_share_db"][1]
    assert values["fine_to_coarse_db"][0] < 5 < values["fine_to_coarse_db"][1]
    assert values["reverse_rise_db"][0] > 15


def test_aliased_flow_is_followed_past_the_fold(rng):
    """Half the sampling frequency is 2192 Hz; the burst at 2500 Hz appears at −1885 Hz."""
    values = measured(blood(rng, 800.0, 2800.0) + burst(2500.0))
    assert values["peak_hz"] == pytest.approx(2500, abs=15)
    assert values["direction_db"] > 15


def test_clipping_leaves_an_image_at_minus_three_times_the_frequency(rng):
    """Overdriven by 30 dB, on a bin: a square wave, whose third harmonic is 9.5 dB down."""
    clean = 0.03 * blood(rng) + burst(6 * SFREQ / 64, amplitude=30.0)
    clipped = np.clip(clean.real, -1, 1) + 1j * np.clip(clean.imag, -1, 1)
    before, after = measured(clean, clipped)["image_db"]
    assert before < -25
    assert after == pytest.approx(-9.5, abs=1)


def test_wavelet_levels_hold_their_octaves():
    """Level j holds 4385/2^(j+1) to 4385/2^j Hz: 800 Hz is on 2, 200 Hz on 4."""
    values = measured(burst(800.0, 0.2), burst(200.0, 0.2))
    levels = np.stack([values[f"dwt{level}_db"] for level in range(1, 9)])
    assert levels.argmax(axis=0).tolist() == [1, 3]
    assert np.all((10 ** (levels / 10)).sum(axis=0) <= 1 + 1e-9)


def test_prediction_and_crossings_tell_tones_from_noise(rng):
    """Two tones need two past samples or more."""
    noise = rng.standard_normal((N_TIMES, 2)) @ (1, 1j)
    one = burst(700.0, 0.2) + 0.01 * noise
    two = burst(400.0, 0.2) + burst(1200.0, 0.2) + 0.01 * noise
    values = measured(one, two, noise)
    assert values["prediction_gain_db"][:2].min() > 15
    assert values["prediction_gain_db"][2] < 2
    assert values["crossing_irregularity"][0] < 0.05
    assert values["crossing_irregularity"][2] > 0.4


def test_spectral_kurtosis_of_noise_is_ln_2_and_of_a_burst_more(rng):
    """Of 169 frames about 22 are independent and the peak is chosen: 20 segments within 0.4."""
    noise = [rng.standard_normal((N_TIMES, 2)) @ (1, 1j) for _ in range(20)]
    assert measured(*noise)["spectral_kurtosis"].mean() == pytest.approx(np.log(2), abs=0.4)
    assert measured(blood(rng) + burst(700.0))["spectral_kurtosis"] > 2 * np.log(2)


def test_one_by_one_equals_all_at_once(rng):
    segments = iq(*(blood(rng) + burst(400.0 + 50 * n) for n in range(5)))
    alone = np.concatenate([hits_features(each[None], SFREQ) for each in segments])
    assert_allclose(hits_features(segments, SFREQ), alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("signal", [np.zeros(N_TIMES), np.ones(N_TIMES), 1e-9 * np.eye(1400)[700]])
def test_silence_offset_and_click_give_finite_numbers(signal):
    assert np.isfinite(hits_features(iq(signal + 0j), SFREQ)).all()


def test_run_around_is_what_a_loop_finds(rng):
    mask, peak = rng.random((50, 30)) < 0.7, rng.integers(0, 30, 50)
    for row, at, found in zip(mask, peak, run_around(mask, peak), strict=True):
        first = last = at
        while first > 0 and row[first - 1]:
            first -= 1
        while last < 29 and row[last + 1]:
            last += 1
        assert_array_equal(np.flatnonzero(found), np.arange(first, last + 1))


@pytest.mark.parametrize(
    ("segments", "text"),
    [
        (np.zeros((3, 1, 1400)), "segments: shape (3, 1, 1400); expected (n, 2, n_times)"),
        (np.zeros((3, 2, 100)), "at least 256 samples"),
        (np.full((1, 2, 1400), np.nan), "segments: [0, 0, 0] is nan; expected finite numbers"),
    ],
)
def test_other_segments_are_refused(segments, text):
    with pytest.raises(DataError) as refusal:
        hits_features(segments, SFREQ)
    assert text in str(refusal.value)
