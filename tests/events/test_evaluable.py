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
from emboscope.errors import DataError
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
    with pytest.raises(DataError, match="detector two_gate: one gate; expected two"):
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
