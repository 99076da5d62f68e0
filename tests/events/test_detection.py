"""The default detector on blood, emboli and artifacts whose truth is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from doppler_signals import CARRIER, HZ_PER_CM_S, SFREQ, blood, emboli, scan, with_embolus
from emboscope.errors import DataError, SettingsError
from emboscope.events.background import (
    BackgroundSettings,
    cardiac_phase,
    follow,
    initialize,
    robust_level,
)
from emboscope.events.block import Acquisition
from emboscope.events.criteria import CriteriaSettings, Measures, crest_db, direction_db, verdict
from emboscope.events.detection import DETECTORS, StreamingDetector, detect, detect_events
from emboscope.events.settings import DetectionSettings
from emboscope.signal.recording import Recording


def test_hbr_is_the_documented_one(rng):
    """5, 10 and 20 dB read 6.7, 10.8 and 20.4 dB: 10 log10(1 + EBR) and the bias of a peak."""
    for ebr_db, expected in ((5, 6.7), (10, 10.8), (20, 20.4)):
        samples, peaks = blood(rng), np.arange(12, 38, 2.0)
        for peak_s in peaks:
            samples = with_embolus(samples, peak_s, ebr_db, rng)
        events = scan(samples, settings=DetectionSettings(threshold_db=3.5)).events
        measured = [e.hbr_db for e in events if np.abs(peaks - e.peak_s).min() < 0.05]
        assert len(measured) >= len(peaks) - 2
        assert np.mean(measured) == pytest.approx(expected, abs=1.0)


def test_embolus_has_the_time_the_frequency_and_the_velocity_that_were_put_in(rng):
    (event,) = emboli(scan(with_embolus(blood(rng), 20.0, 20.0, rng)))
    assert event.peak_s == pytest.approx(20.0, abs=0.01)
    assert event.frequency_hz == pytest.approx(48 * HZ_PER_CM_S, abs=80)
    assert event.velocity_cm_s == pytest.approx(48, abs=5)
    assert event.direction_db > 15
    assert 0.03 < event.duration_s < 0.06


def test_flow_away_gives_the_same_events_with_the_other_sign(rng):
    samples = with_embolus(blood(rng), 20.0, 15.0, rng)
    towards, away = scan(samples), scan(samples.conj())
    assert (towards.flow_side, away.flow_side) == ("towards", "away")
    assert away.events[0].frequency_hz == -towards.events[0].frequency_hz
    assert away.events[0].hbr_db == pytest.approx(towards.events[0].hbr_db, abs=0.01)


def test_a_transient_against_the_flow_is_no_embolus(rng):
    samples = blood(rng)
    reverse = with_embolus(np.zeros_like(samples), 20.0, 25.0, rng).conj()
    assert emboli(scan(samples + reverse)) == []


def test_a_bidirectional_click_is_an_artifact(rng):
    samples = blood(rng)
    click = rng.standard_normal((120, 2)) @ (1, 1j)
    samples[80_000:80_120] += 10 * click
    (event,) = scan(samples).events
    assert event.verdict == "artifact"
    assert abs(event.direction_db) < 3


def test_gain_changes_nothing_but_the_level(rng):
    samples = with_embolus(blood(rng), 20.0, 15.0, rng)
    plain, loud = scan(samples), scan(10 * samples)
    assert [e.verdict for e in plain.events] == [e.verdict for e in loud.events]
    assert loud.events[0].hbr_db == pytest.approx(plain.events[0].hbr_db, abs=0.05)


def test_a_step_of_the_level_raises_no_storm(rng):
    samples = blood(rng)
    samples[round(20 * SFREQ) :] *= 2
    assert len(emboli(scan(samples))) <= 1


def test_saturated_embolus_is_flagged_and_stays_an_embolus(rng):
    samples = 0.05 * with_embolus(blood(rng), 20.0, 45.0, rng)
    clip = np.clip(samples.real, -1, 1) + 1j * np.clip(samples.imag, -1, 1)
    detection = detect(lambda a, b: clip[a:b], clip.size, Acquisition(SFREQ, CARRIER))
    event = max(detection.events, key=lambda event: event.hbr_db)
    assert event.saturated
    assert event.verdict == "embolus"


def test_an_embolus_on_the_edge_of_a_block_is_found_once(rng):
    edge = round(30 * SFREQ) // 16 * 16 / SFREQ
    samples = with_embolus(blood(rng, seconds=75), edge, 20.0, rng)
    near = [event for event in scan(samples).events if abs(event.peak_s - edge) < 0.1]
    assert len(near) == 1


def test_dropout_leaves_the_evaluable_time_and_raises_nothing(rng):
    samples = blood(rng)
    samples[round(15 * SFREQ) : round(25 * SFREQ)] = 0
    detection = scan(samples)
    assert detection.evaluable_s == pytest.approx(30, abs=0.2)
    assert emboli(detection) == []


def test_silence_is_said_to_be_silent():
    detection = scan(np.zeros(50_000, complex))
    assert detection.flags == ("no signal",)
    assert detection.evaluable_s == 0


def test_noise_is_said_to_hold_no_flow(rng):
    noise = rng.standard_normal((100_000, 2)) @ (1, 1j)
    detection = scan(noise)
    assert "no Doppler flow" in detection.flags
    assert detection.events == ()


def test_short_recording_is_flagged(rng):
    assert scan(blood(rng, seconds=4)).flags == ("short_background",)


def test_without_a_carrier_the_velocity_stays_empty(rng):
    samples = 0.01 * with_embolus(blood(rng), 20.0, 15.0, rng)
    recording = Recording(samples[None], SFREQ, ("gate 1",), "full scale")
    assert detect_events(recording)[0].velocity_cm_s is None


def test_real_samples_are_refused():
    recording = Recording(np.zeros((1, 9000)), SFREQ, ("EEG",), "V", name="p03")
    with pytest.raises(DataError, match=r"recording 'p03': real samples; expected complex I/Q"):
        detect_events(recording)


def test_a_sample_that_is_no_number_is_named_by_its_time(rng):
    samples = blood(rng, seconds=3)
    samples[4385] = np.nan
    with pytest.raises(DataError, match=r"not a number at 1\.000 s"):
        scan(samples)


def test_less_than_a_second_is_refused():
    with pytest.raises(DataError, match="expected at least 1 s"):
        scan(np.zeros(1000, complex))


def test_unknown_detector_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="detector 'hbr': unknown; expected hbr_recursive"):
        DETECTORS["hbr"]


@pytest.fixture(scope="module")
def session():
    """100 s of flow with emboli, one of them across the border of two blocks."""
    rng = np.random.default_rng(5)
    samples = blood(rng, seconds=100)
    for peak_s, ebr_db in ((12.0, 15), (30.0, 12), (59.98, 20), (80.3, 10), (90.2, 25)):
        samples = with_embolus(samples, peak_s, ebr_db, rng)
    return 0.01 * samples


@pytest.mark.parametrize("block_s", [0.001, 0.1, 1, 10, 100])
def test_streaming_gives_the_events_of_the_whole(session, block_s):
    whole = detect(lambda a, b: session[a:b], session.size, Acquisition(SFREQ, CARRIER))
    stream = StreamingDetector(Acquisition(SFREQ, CARRIER))
    step = max(1, round(block_s * SFREQ))
    early = [
        event
        for start in range(0, session.size, step)
        for event in stream.push(session[start : start + step])
    ]
    assert stream.finish() == whole
    assert len(emboli(whole)) == 5
    assert set(early) <= set(whole.events)


@pytest.mark.parametrize("detector", sorted(DETECTORS))
def test_every_detector_finds_clear_emboli_and_little_else(session, detector):
    gates = np.stack([session, np.roll(session, 18)])  # the second sees all 4 ms later
    detection = detect(
        lambda a, b: gates[:, a:b], session.size, Acquisition(SFREQ, CARRIER), detector=detector
    )
    peaks = np.array([event.peak_s for event in emboli(detection)])
    clear = [12.0, 30.0, 59.98, 90.2]
    assert all(np.abs(peaks - at).min() < 0.05 for at in clear)
    assert len(peaks) <= 7


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "embolus"),
        ({"direction_db": 4.0}, "doubtful"),
        ({"direction_db": 4.0, "reverse_rise_db": 8.0}, "artifact"),
        ({"direction_db": 9.0, "reverse_rise_db": 8.0}, "artifact"),
        ({"direction_db": 9.0, "reverse_rise_db": 4.0}, "embolus"),
        ({"direction_db": 12.0, "reverse_rise_db": 20.0}, "embolus"),
        ({"direction_db": 1.0}, "artifact"),
        ({"duration_s": 0.31}, "too_long"),
        ({"duration_s": 0.29}, "embolus"),
        ({"crest_db": 6.0}, "doubtful"),
    ],
)
def test_verdicts(change, expected):
    plain = {
        "duration_s": 0.03,
        "hbr_db": 9.0,
        "direction_db": 20.0,
        "reverse_rise_db": 1.0,
        "crest_db": 12.0,
    }
    assert verdict(Measures(**{**plain, **change}), CriteriaSettings()) == expected


def test_direction_of_equal_excess_is_zero():
    assert direction_db(np.array([5.0]), np.array([6.0]), 1.0, 2.0) == pytest.approx(0, abs=1e-3)
    assert direction_db(np.array([5.0]), np.array([2.0]), 1.0, 2.0) == pytest.approx(40, abs=0.1)


def test_crest_of_one_bin_in_sixteen():
    assert crest_db(np.eye(16)[3]) == pytest.approx(10 * np.log10(16))


def test_robust_level_ignores_transients(rng):
    power = rng.gamma(10, 0.1, 5000)
    power[:500] = 100
    level, kept = robust_level(power, 10)
    assert level == pytest.approx(1, rel=0.02)
    assert not kept[:500].any()


def test_background_learns_the_shape_of_the_cycle(rng):
    phase = np.arange(4000) % 20
    truth = 1 + 0.5 * np.sin(2 * np.pi * phase / 20)
    power = truth * rng.gamma(20, 0.05, 4000)
    background = initialize(power, phase, 20, BackgroundSettings())
    assert_allclose(background.shape / background.shape.mean(), truth[:20], rtol=0.1)


def test_background_waits_during_an_event_and_then_thaws():
    settings = BackgroundSettings()
    background = initialize(np.ones(1000), np.full(1000, -1), 50, settings)
    before = background.level
    phase, clean = np.full(200, -1), np.zeros(200, bool)
    follow(background, np.full(200, 4.0), phase, clean, 0.004, settings)
    assert background.level == pytest.approx(before)
    follow(background, np.full(5000, 4.0), np.full(5000, -1), np.zeros(5000, bool), 0.004, settings)
    assert background.level == pytest.approx(4, rel=0.05)


def test_phase_follows_the_beats():
    times = np.arange(0, 30, 0.004)
    envelope = np.maximum(np.sin(2 * np.pi * 1.1 * times), 0) ** 2
    phase, beats = cardiac_phase(envelope, 0.004, BackgroundSettings())
    assert beats >= 30
    same = np.abs(np.mod(times * 1.1 - phase / 20 + 0.5, 1) - 0.5)
    assert np.ptp(np.unwrap(2 * np.pi * np.mod(times * 1.1 - (phase + 0.5) / 20, 1))) < 0.7
    assert same.std() < 0.1


def test_phase_is_unknown_without_a_pulse(rng):
    phase, _ = cardiac_phase(rng.standard_normal(7500), 0.004, BackgroundSettings())
    assert (phase == -1).all()
