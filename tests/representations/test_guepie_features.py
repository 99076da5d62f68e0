"""A segmented event has the box, the contour and the magnitude that it was made with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError
from emboscope.representations.guepie_features import (
    GUEPIE_FEATURES,
    event_pixels,
    flow_contour,
    guepie_features,
)
from emboscope.representations.hits_frames import hits_frames

SFREQ, N_TIMES = 4385.0, 1400
TIMES = (np.arange(N_TIMES) - 700) / SFREQ


def blood(rng, high_hz):
    """Flow of power 1 from 200 Hz up to a frequency, over noise 30 dB below."""
    freqs = np.fft.fftfreq(N_TIMES, 1 / SFREQ)
    noise = np.fft.fft(rng.standard_normal((N_TIMES, 2)) @ (1, 1j))
    flow = np.fft.ifft(noise * ((freqs > 200) & (freqs < high_hz)))
    return flow / flow.std() + 0.03 * (rng.standard_normal((N_TIMES, 2)) @ (1, 1j))


def burst(hz, sigma_s=0.02, amplitude=10.0):
    return amplitude * np.exp(-(TIMES**2) / (2 * sigma_s**2) + 2j * np.pi * hz * TIMES)


def iq(*signals):
    return np.stack([[signal.real, signal.imag] for signal in signals])


def measured(*signals):
    return dict(zip(GUEPIE_FEATURES, guepie_features(iq(*signals), SFREQ).T, strict=True))


@pytest.mark.parametrize("high_hz", [600.0, 1000.0, 1600.0])
def test_contour_is_where_the_flow_ends(rng, high_hz):
    """Within two bins of 69 Hz: the window smears the edge by about one."""
    contour = flow_contour(hits_frames(iq(blood(rng, high_hz)), SFREQ))
    assert np.median(contour) == pytest.approx(high_hz, abs=140)


def test_event_is_one_piece_that_holds_its_peak(rng):
    frames = hits_frames(iq(blood(rng, 1000) + burst(700.0)), SFREQ)
    event = event_pixels(frames)[0]
    peak = np.argmin(np.abs(frames.along[0] - 700))
    assert event[peak, frames.peak[0]]
    assert np.ptp(np.diff(np.flatnonzero(event.any(axis=0)))) == 0
    assert_array_equal(event & ~frames.forward[0][:, None], False)


def test_longer_event_has_a_longer_box_and_a_chirp_a_higher_one(rng):
    chirp = burst(700.0) * np.exp(1j * np.pi * 10000 * TIMES**2)
    short, long, wide = (blood(rng, 1000) + part for part in (
        burst(700.0, 0.01), burst(700.0, 0.03), chirp))  # fmt: skip
    values = measured(short, long, wide)
    assert values["duration_s"][1] > 1.5 * values["duration_s"][0]
    assert values["energy_db"][1] > values["energy_db"][0]
    assert values["height_hz"][2] > values["height_hz"][1]


def test_strength_rises_by_as_many_decibels_as_the_event(rng):
    flow = blood(rng, 1000)
    weak, strong = measured(flow + burst(700.0), flow + burst(700.0, amplitude=31.62))["peak_db"]
    assert strong - weak == pytest.approx(10, abs=0.5)


def test_event_on_both_sides_rises_against_the_flow(rng):
    one, both = measured(
        blood(rng, 1000) + burst(700.0), blood(rng, 1000) + burst(700.0) + burst(-700.0)
    )["reverse_db"]
    assert one < 3
    assert both > 10


def test_gain_and_side_of_the_flow_cancel(rng):
    signal = blood(rng, 1000) + burst(700.0)
    values = guepie_features(iq(signal, 0.01 * signal, signal.conj()), SFREQ)
    assert_allclose(values[1], values[0], rtol=1e-6, atol=1e-6)
    assert_allclose(values[2], values[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("signal", [np.zeros(N_TIMES), np.ones(N_TIMES), 1e-9 * np.eye(1400)[700]])
def test_silence_offset_and_click_give_finite_numbers(signal):
    assert np.isfinite(guepie_features(iq(signal + 0j), SFREQ)).all()


def test_one_channel_is_refused():
    with pytest.raises(DataError, match=r"expected \(n, 2, n_times\), I and Q"):
        guepie_features(np.zeros((3, 1, N_TIMES)), SFREQ)
