"""What can be judged, what cannot and why; long events, showers, aliasing, two gates."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from doppler_signals import (
    CARRIER,
    HZ_PER_CM_S,
    SFREQ,
    add_embolus,
    blood,
    emboli,
    scan,
    tone_burst,
)
from emboscope.errors import DataError, SettingsError
from emboscope.events.block import Acquisition
from emboscope.events.detection import DETECTORS, StreamingDetector, detect, run
from emboscope.events.gates import gate_delay
from emboscope.events.settings import DetectionSettings
from emboscope.simulation.flow import HOP, flow_spectrum, gaussian_process, spectral_template


@pytest.mark.parametrize(
    ("duration_s", "verdict"),
    [(0.010, "embolus"), (0.1, "embolus"), (0.29, "embolus"), (0.31, "too_long"), (2, "too_long")],
)
def test_the_edge_between_short_and_long(rng, duration_s, verdict):
    """Amplitude 3 of a tone over unit blood is 9.5 dB; edges are blurred by half a window."""
    samples = blood(rng)
    tone_burst(samples, 20.0, duration_s, 3.0)
    near = [event for event in scan(samples).events if 19.9 < event.peak_s < 20.1 + duration_s]
    assert [event.verdict for event in near] == [verdict]


def test_the_edge_can_be_moved(rng):
    samples = blood(rng)
    tone_burst(samples, 20.0, 0.2, 3.0)
    settings = DetectionSettings.parse({"criteria": {"maximum_s": 0.1}})
    assert "too_long" in {event.verdict for event in scan(samples, settings=settings).events}


def test_a_shower_is_counted_and_leaves_the_background_alone(rng):
    """50 bubbles in 5 s: at least 30 are counted, and a lone embolus later has its true ratio."""
    samples = blood(rng, seconds=60)
    for peak_s in np.sort(rng.uniform(20, 25, 50)):
        add_embolus(samples, peak_s, 18.0, rng)
    add_embolus(samples, 40.0, 15.0, rng)
    found = emboli(scan(samples))
    assert sum(19.9 < event.peak_s < 25.1 for event in found) >= 30
    late = [event for event in found if abs(event.peak_s - 40) < 0.05]
    assert [event.hbr_db for event in late] == [pytest.approx(15.1, abs=1.5)]


def test_dropout_no_flow_and_long_saturation_are_listed(rng):
    samples = 0.05 * blood(rng, seconds=60)
    samples[round(10 * SFREQ) : round(13 * SFREQ)] = 0
    noise = rng.standard_normal((round(6 * SFREQ), 2)) @ (1, 1j)
    samples[round(20 * SFREQ) : round(26 * SFREQ)] = 0.002 * noise
    samples[round(40 * SFREQ) : round(43 * SFREQ)] *= 100
    samples = np.clip(samples.real, -1, 1) + 1j * np.clip(samples.imag, -1, 1)
    detection = scan(samples, scale=1.0)
    stretches = {each.reason: (each.start_s, each.stop_s) for each in detection.unusable}
    assert_allclose(stretches["dropout"], (10, 13), atol=0.05)
    assert_allclose(stretches["no flow"], (20, 26), atol=0.6)  # judged over a second
    assert_allclose(stretches["saturated"], (40, 43), atol=0.05)
    assert detection.evaluable_s == pytest.approx(60 - 3 - 6 - 3, abs=0.8)
    assert len(emboli(detection)) <= 1


def test_music_is_said_to_hold_no_flow(rng):
    times = np.arange(20 * 8000) / 8000
    notes = sum(
        np.sin(2 * np.pi * frequency * times) * (np.sin(2 * np.pi * 2 * times + k) > 0.7)
        for k, frequency in enumerate((440.0, 554.4, 659.3))
    )
    stereo = notes + 0.9j * notes
    detection = detect(lambda a, b: 0.1 * stereo[a:b], stereo.size, Acquisition(8000.0))
    assert detection.flags == ("no Doppler flow",)
    assert detection.events == ()
    assert detection.evaluable_s == 0


def test_a_loud_tap_does_not_make_flow_look_like_music(rng):
    samples = blood(rng)
    times = np.arange(900) / SFREQ
    samples[80_000:80_900] += 200 * np.cos(2 * np.pi * 200 * times) * np.exp(-times / 0.03)
    assert scan(samples, scale=1e-3).flags == ()


def fast_flow(rng):
    """2 MHz, 110 cm/s: 2857 Hz, beyond half of 4385 Hz; an embolus at 88 cm/s."""
    scale = 2 * 2e6 / 154000
    samples = blood(rng, largest_cm_s=110, hz_per_cm_s=scale)
    add_embolus(samples, 20.0, 15.0, rng, largest_cm_s=110, hz_per_cm_s=scale)
    return samples


def test_an_aliased_embolus_is_forward_after_the_baseline_shift(rng):
    (event,) = emboli(scan(fast_flow(rng), carrier=2e6))
    assert event.aliased
    assert event.velocity_cm_s == pytest.approx(88, abs=6)
    assert event.direction_db > 10


def test_without_the_shift_the_flow_is_said_to_alias(rng):
    detection = scan(fast_flow(rng), settings=DetectionSettings(baseline="none"), carrier=2e6)
    assert "the flow aliases" in detection.flags


def test_velocities_are_those_of_the_envelope(rng):
    """A pulse of 60 ± 30 cm/s, once a second."""
    template = spectral_template(6.0, 0.03)
    n_times = round(30 * SFREQ)
    phase = np.arange(n_times // HOP + 8) * HOP / SFREQ
    largest = (60 + 30 * np.sin(2 * np.pi * phase)) * HZ_PER_CM_S
    flow = gaussian_process(lambda a, b: flow_spectrum(template, largest[a:b], SFREQ), n_times, rng)
    mean, systolic, diastolic = np.array(scan(flow).envelope_hz) / HZ_PER_CM_S
    assert_allclose((mean, systolic, diastolic), (60, 90, 30), atol=9)


def test_delay_between_gates_is_that_put_in(rng):
    pulse = np.exp(-0.5 * ((np.arange(500) - 250) / 40) ** 2)
    assert gate_delay(1 + 9 * pulse, 1 + 9 * np.roll(pulse, 18), SFREQ) == pytest.approx(
        18 / SFREQ, abs=1 / SFREQ
    )
    assert gate_delay(1 + 9 * pulse, np.ones(500), SFREQ) is None


def test_two_gates_tell_what_passes_from_what_shakes(rng):
    """A forward burst in both gates at once is an artifact, 4 ms apart an embolus."""
    for delay, verdict in ((0, "artifact"), (18, "embolus")):
        gates = np.stack([blood(rng), blood(rng)])
        for gate, shift in enumerate((0, delay)):
            tone_burst(gates[gate], 20.0 + shift / SFREQ, 0.02, 6.0)
        detection = scan(gates, detector="two_gate")
        near = [event for event in detection.events if abs(event.peak_s - 20) < 0.1]
        assert [event.verdict for event in near] == [verdict]


def test_two_gate_needs_two_gates(rng):
    samples = blood(rng, seconds=20)
    add_embolus(samples, 12.0, 15.0, rng)
    with pytest.raises(DataError, match="1 gate; expected 2 for this detector"):
        scan(samples, detector="two_gate")


@pytest.mark.parametrize("detector", sorted(DETECTORS))
def test_a_search_goes_on_where_it_was_saved(rng, detector):
    """Through JSON, after each block: the same events as in one go."""
    samples = 0.01 * blood(rng, seconds=100)
    for peak_s in (12.0, 45.0, 80.0):
        add_embolus(samples, peak_s, 14.0, rng)
    gates = np.stack([samples, np.roll(samples, 18)])
    acquisition = Acquisition(SFREQ, CARRIER)
    kept = []

    def read(first, last):
        return gates[:, first:last]

    whole = run(
        StreamingDetector(acquisition, detector=detector), read, samples.size, keep=kept.append
    )
    resumed = StreamingDetector(acquisition, detector=detector)
    resumed.restore(json.loads(json.dumps(kept[-1])))
    assert resumed.position > 0
    assert run(resumed, read, samples.size) == whole


@pytest.mark.parametrize("held", [0, 0.1 + 0.05j])
@pytest.mark.parametrize("first", range(0, 40, 8))
def test_a_held_dropout_takes_its_own_time_only(rng, held, first):
    """Twenty seconds of one value, from any sample on: the flow around it is still judged."""
    samples = 0.05 * blood(rng, seconds=60)
    start = round(5 * SFREQ) + first
    samples[start : start + round(20 * SFREQ)] = held
    detection = scan(samples, scale=1.0)
    assert detection.evaluable_s == pytest.approx(40, abs=1.5)
    assert "dropout" in {each.reason for each in detection.unusable}
    assert emboli(detection) == []


def test_a_loose_wire_is_a_dropout(rng):
    samples = blood(rng, seconds=60)
    samples[round(15 * SFREQ) : round(25 * SFREQ)].imag = 0
    detection = scan(samples)
    assert detection.evaluable_s == pytest.approx(50, abs=1.2)
    assert emboli(detection) == []


def test_two_gates_see_through_clutter(rng):
    """Wall of 30 dB, the same in both gates, does not make an embolus look like an artifact."""
    n = round(60 * SFREQ)
    wall = np.fft.ifft(np.fft.fft(rng.standard_normal((n, 2)) @ (1, 1j)) * (
        np.abs(np.fft.fftfreq(n, 1 / SFREQ)) < 60))  # fmt: skip
    wall *= 10**1.5 / np.sqrt(np.mean(np.abs(wall) ** 2))
    gates = np.stack([blood(rng, seconds=60) + wall, blood(rng, seconds=60) + wall])
    peaks = np.arange(12.0, 58.0, 3.0)
    for peak_s in peaks:
        add_embolus(gates[0], peak_s, 12.0, rng)
        add_embolus(gates[1], peak_s + 0.0045, 12.0, rng)
    assert len(emboli(scan(gates, scale=1e-3, detector="two_gate"))) >= len(peaks) - 1


@pytest.mark.parametrize(
    "detector",
    ["hbr_recursive", "filter_bank", "wavelet_packet", "directional_wavelet", "fractional_fourier"],
)
def test_a_shower_does_not_blind_a_detector(rng, detector):
    samples = blood(rng, seconds=60)
    for peak_s in np.arange(2, 27, 25 / 60):
        add_embolus(samples, peak_s, 18.0, rng)
    assert len(emboli(scan(samples, detector=detector))) >= 45


def test_coarse_frames_do_not_part_an_embolus(rng):
    samples = blood(rng)
    for peak_s in np.arange(12, 38, 2.0):
        add_embolus(samples, peak_s, 20.0, rng)
    coarse = DetectionSettings(window=128, hop=80)
    assert len(emboli(scan(samples, settings=coarse))) == 13


def test_a_gate_that_is_not_used_may_hold_anything(rng):
    gates = np.stack([blood(rng, seconds=20), np.full(round(20 * SFREQ), np.nan + 0j)])
    scan(gates)
    with pytest.raises(DataError, match=r"signal of gate 2: not a number at 0\.000 s"):
        scan(gates, detector="two_gate")


def test_a_tap_is_one_event_where_the_side_is_unknown(rng):
    """Flow on both sides alike: each is searched, and what both see is one event."""
    samples = blood(rng) + blood(rng).conj()
    tone = 30 * np.cos(2 * np.pi * 700 * np.arange(150) / SFREQ) * np.hanning(150)
    samples[80_000:80_150] += tone
    near = [event for event in scan(samples).events if abs(event.peak_s - 18.26) < 0.1]
    assert [event.verdict for event in near] == ["artifact"]


@pytest.mark.parametrize("duration_s", [1.2, 2.5, 4.5])
def test_long_events_have_their_length(rng, duration_s):
    samples = blood(rng, seconds=60)
    tone_burst(samples, 10.0, duration_s, 4.0)
    (event,) = [event for event in scan(samples).events if 9 < event.peak_s < 16]
    assert event.onset_s == pytest.approx(10, abs=0.03)
    assert event.duration_s == pytest.approx(duration_s, abs=0.05)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hop": 65}, "hop 65 over window 64: samples would be left out"),
        ({"overlap_s": 20.0}, "expected at most half of block_s"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(rng, change, text):
    with pytest.raises(SettingsError, match=text):
        scan(blood(rng, seconds=2), settings=DetectionSettings(**change))


def test_an_impossible_acquisition_is_refused_before_any_sample():
    with pytest.raises(SettingsError, match="--flow 'up': unknown"):
        Acquisition(SFREQ, flow="up")
    with pytest.raises(SettingsError, match="expected a positive carrier and an angle under 90"):
        Acquisition(SFREQ, CARRIER, angle_deg=90)
