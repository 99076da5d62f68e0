"""What the device does to the signal."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.simulation.device import FAULTS, LIMITERS, Device, Line
from emboscope.simulation.patient import draw_center
from emboscope.simulation.recording import SimulationSettings, simulate

SFREQ = 4000.0
IDEAL = replace(
    draw_center(0, SimulationSettings()), adc_bits=24, iq_gain_db=0.0, iq_phase_deg=0.0
)  # fmt: skip


def device(center=IDEAL, lines=(), silent=(), **options):
    spans = np.array(silent, dtype=float).reshape(-1, 2)
    settings = {"limiter": "hard", "fault": "none", "offset": (0.0, 0.0), **options}
    return Device(center=center, lines=lines, silent_s=spans, sfreq=SFREQ, **settings)


def tone(amplitude, frequency_hz=500.0, n=4000):
    turn = 2j * np.pi * frequency_hz / SFREQ * np.arange(n)
    return (amplitude * np.exp(turn))[None].astype(np.complex64)


def level_db(samples, frequency_hz):
    """Power at a frequency, dB of full scale."""
    power = np.abs(np.fft.fft(samples[0]) / samples.shape[1]) ** 2
    return 10 * np.log10(power[round(frequency_hz * samples.shape[1] / SFREQ)] + 1e-20)


@pytest.mark.parametrize(
    ("gain_db", "phase_deg", "image_db"), [(0.1, 0.5, -43), (0.5, 2.0, -29.5), (1.0, 3.0, -24)]
)
def test_errors_of_gain_and_phase_make_the_published_image(gain_db, phase_deg, image_db):
    center = replace(IDEAL, iq_gain_db=gain_db, iq_phase_deg=phase_deg)
    recorded, _ = device(center).record(tone(0.5), 0)
    image = level_db(recorded, -500) - level_db(recorded, 500)
    assert image == pytest.approx(image_db, abs=0.7)


@pytest.mark.parametrize("bits", [12, 16, 24])
def test_converter_has_its_steps_and_its_limits(bits):
    recorded, clipped = device(replace(IDEAL, adc_bits=bits)).record(tone(1.2), 0)
    steps = recorded.real * 2.0 ** (bits - 1)
    assert_array_equal(steps, np.rint(steps))
    assert recorded.real.min() == -1
    assert recorded.real.max() == 1 - 2.0 ** (1 - bits)
    assert clipped.mean() == 0.5  # four of the eight phases


def test_soft_limiter_never_reaches_full_scale_and_leaves_small_signals_alone():
    small, large = (
        LIMITERS["soft"](np.float32([[0.4, -0.3]])),
        LIMITERS["soft"](np.float32([[9.0]])),
    )
    assert_array_equal(small, np.float32([[0.4, -0.3]]))
    assert 0.99 < large[0, 0] <= 1
    rising = LIMITERS["soft"](np.linspace(0, 2, 100, dtype=np.float32))
    assert (np.diff(rising) >= 0).all()


@pytest.mark.parametrize("fault", list(FAULTS))
def test_faults_are_what_their_names_say(fault):
    sound, _ = device().record(tone(0.5), 0)
    faulty, _ = device(fault=fault).record(tone(0.5), 0)
    expected = {
        "none": sound,
        "swap": sound.imag + 1j * sound.real,
        "q_negative": sound.conj(),
        "dead_i": 1j * sound.imag,
        "dead_q": sound.real + 0j,
    }[fault]
    assert_array_equal(faulty, expected)


def test_a_line_goes_on_over_chunks_with_the_same_phase():
    """At the end of a day, too, and where the chunk does not hold whole cycles."""
    one, late = device(lines=(Line(50.0, 0.1, 0.3),)), 10**9 + 7
    whole, _ = one.record(np.zeros((1, 4000), np.complex64), late)
    parts = [
        one.record(np.zeros((1, stop - start), np.complex64), late + start)[0]
        for start, stop in ((0, 1234), (1234, 4000))
    ]
    assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    assert level_db(whole, 50) == pytest.approx(level_db(whole, -50), abs=0.01)
    assert level_db(whole, 50) == pytest.approx(20 * np.log10(0.05), abs=0.05)


def test_a_dropout_of_zeros_holds_zeros_whatever_the_chunk():
    one = device(silent=[(0.5, 0.75)], offset=(0.02, -0.02))
    recorded, _ = one.record(tone(0.5), 0)
    assert np.flatnonzero(recorded[0] == 0).tolist() == list(range(2000, 3000))
    later, _ = one.record(tone(0.5), 2500)
    assert np.flatnonzero(later[0] == 0).tolist() == list(range(500))


def test_offset_stays_within_two_percent_and_a_tenth():
    recorded, _ = device(offset=(0.02, -0.02)).record(np.zeros((1, 4000), np.complex64), 12345)
    assert (np.abs(recorded.real) <= 0.0221).all()
    assert (np.abs(recorded.imag) >= 0.0179).all()


@pytest.mark.parametrize("fault", ["swap", "q_negative"])
def test_a_mirrored_recording_has_its_flow_on_the_other_side(fault):
    settings = SimulationSettings(minutes=0.2, preset="blood", carrier_hz=1.5e6, fault=fault)
    power = np.abs(np.fft.fft(simulate(settings, 0).recording.samples[0])) ** 2
    freqs = np.fft.fftfreq(power.size, 1 / 4385)
    band = (np.abs(freqs) > 200) & (np.abs(freqs) < 800)
    assert power[band & (freqs < 0)].sum() > 2 * power[band & (freqs > 0)].sum()
