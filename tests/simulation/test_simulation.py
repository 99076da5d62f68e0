"""The simulator against the figures that it must reproduce."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.signal.spectrum import HighPass, stft
from emboscope.simulation.artifacts import artifact_kinds, scaled
from emboscope.simulation.emboli import Embolus, EmbolusLaw, draw_embolus, passage
from emboscope.simulation.flow import (
    HOP,
    WINDOW,
    FlowTable,
    Shaper,
    flow_spectrum,
    gaussian_process,
    spectral_template,
    white_noise,
)
from emboscope.simulation.heart import beat_shape
from emboscope.simulation.raters import rate_events, soft_labels
from emboscope.simulation.recording import SimulationSettings, simulate, stream

SFREQ = 4385.0


@pytest.fixture(scope="module")
def simulated():
    return simulate(SimulationSettings(minutes=2, seed=3, rate_factor=30), 0)


def test_same_seed_gives_the_same_recording_alone_or_among_others(simulated):
    again = simulate(SimulationSettings(minutes=2, seed=3, rate_factor=30, n_patients=5), 0)
    assert_array_equal(again.recording.samples, simulated.recording.samples)
    assert again.events == simulated.events


def test_other_seed_gives_another_recording(simulated):
    other = simulate(SimulationSettings(minutes=2, seed=4, rate_factor=30), 0)
    assert not np.array_equal(other.recording.samples, simulated.recording.samples)


def test_samples_stay_within_full_scale(simulated):
    samples = simulated.recording.samples
    assert max(np.abs(samples.real).max(), np.abs(samples.imag).max()) <= 1


def test_events_are_in_order_and_inside_the_recording(simulated):
    peaks = [event.peak_s for event in simulated.events]
    assert peaks == sorted(peaks)
    assert all(0 < peak < simulated.recording.duration_s for peak in peaks)


@pytest.mark.parametrize("length", [1000, 65_536, 400_000])
def test_blocks_of_any_length_make_the_same_recording(simulated, length):
    source = stream(SimulationSettings(minutes=2, seed=3, rate_factor=30), 0)
    blocks = list(source.blocks(length))
    assert {block.shape[1] for block in blocks[:-1]} <= {length}
    assert_array_equal(np.concatenate(blocks, axis=1), simulated.recording.samples)
    assert source.events == simulated.events


def test_events_are_known_after_the_last_block_only():
    source = stream(SimulationSettings(minutes=2, preset="blood"), 0)
    with pytest.raises(DataError, match="before the last block; expected all blocks to be read"):
        _ = source.events
    for _ in source.blocks():
        pass
    assert source.events == ()


def test_blood_alone_has_no_events():
    settings = SimulationSettings(minutes=0.2, preset="blood")
    assert all(simulate(settings, index).events == () for index in range(3))


def test_unknown_preset_is_refused():
    with pytest.raises(SettingsError, match="preset 'rain': unknown; expected ambulatory"):
        simulate(SimulationSettings(preset="rain"), 0)


def test_beat_rises_to_one_in_systole_and_falls_to_zero():
    shape = beat_shape(np.linspace(0, 1, 512, endpoint=False))
    assert shape.max() == 1
    assert shape.min() == 0
    assert 0.1 < np.argmax(shape) / 512 < 0.2


def test_velocity_has_the_mean_that_was_asked_for():
    course = stream(SimulationSettings(minutes=5, preset="blood"), 0).course
    velocity, phase = course.velocity(np.arange(0, 300, 0.01))
    assert velocity.mean() == pytest.approx(course.heart.mean_cm_s, rel=0.05)
    assert phase.min() >= 0
    assert phase.max() < 1


def test_pulsatility_is_that_of_the_worked_example():
    """PSV 0.99 and EDV 0.40 m/s give a pulsatility index of 1.04."""
    mean = 0.40 + 0.59 * beat_shape(np.linspace(0, 1, 512, endpoint=False)).mean()
    assert 0.59 / mean == pytest.approx(1.04, abs=0.03)


def test_flow_spectrum_is_normalized_and_aliases():
    template = spectral_template(4.0, 0.05)
    rows = flow_spectrum(template, np.array([1000.0, 3000.0, -1000.0]), SFREQ)
    assert_allclose(rows.sum(axis=1), 1)
    freqs = np.fft.fftfreq(rows.shape[1], 1 / SFREQ)
    away = rows[:, freqs < -150].sum(axis=1)
    assert away[0] < 0.01
    assert away[1] > 0.1
    assert away[2] > 0.9


def test_blood_is_complex_gaussian(rng):
    """Power over its mean is exponential: 5.57 dB of standard deviation, median at -1.59 dB."""
    flat = np.full(256, 1 / 256)
    samples = gaussian_process(lambda a, b: np.tile(flat, (b - a, 1)), 100_000, rng)
    assert np.mean(np.abs(samples) ** 2) == pytest.approx(1, rel=0.03)
    power = stft(samples, SFREQ, 64, 64).power.ravel()
    assert np.std(10 * np.log10(power)) == pytest.approx(5.57, abs=0.2)
    assert 10 * np.log10(np.median(power) / power.mean()) == pytest.approx(-1.59, abs=0.15)


def test_shaper_carries_its_state_from_chunk_to_chunk(rng):
    """Twelve frames at once are twelve frames in three parts."""
    power = rng.uniform(0.5, 2, (Shaper.LEAD + 12, WINDOW)) / WINDOW
    lead = white_noise(WINDOW - HOP + Shaper.LEAD * HOP, rng)
    white = white_noise(12 * HOP, rng)
    whole = Shaper(power[: Shaper.LEAD], lead).push(power[Shaper.LEAD :], white)
    shaper = Shaper(power[: Shaper.LEAD], lead)
    parts = [
        shaper.push(
            power[Shaper.LEAD + first : Shaper.LEAD + last], white[first * HOP : last * HOP]
        )
        for first, last in ((0, 1), (1, 7), (7, 12))
    ]
    assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_flow_table_is_the_spectrum_at_its_levels():
    template = spectral_template(4.0, 0.05)
    table = FlowTable(template, 4000.0, SFREQ, n_levels=100)
    expected = flow_spectrum(template, np.array([1000.0, -1000.0]), SFREQ)
    assert_allclose(table.rows(np.array([1010.0]))[0], expected[0], atol=1e-7)
    assert_allclose(table.rows(np.array([1010.0]), away=True)[0], expected[1], atol=1e-7)


def test_duration_follows_from_velocity_and_strength(rng):
    """10 mm at 0.5 m/s: 26 ms at 10 dB and 52 ms at 40 dB."""
    hz_per_cm_s = 2 * 2e6 / 154000
    flow = np.full(20000, 50 * hz_per_cm_s)
    for ebr_db, expected_ms in ((10, 26), (40, 52)):
        embolus = Embolus("solid", ebr_db, 1.0, "I", 0.0, 1.0, 0.0, 20.0)
        crossing = passage(embolus, 2.0, flow, hz_per_cm_s, 10.0, SFREQ, rng)
        assert 1000 * crossing.duration_s == pytest.approx(expected_ms, abs=1)
        assert crossing.frequency_hz == pytest.approx(50 * hz_per_cm_s)


def test_laws_of_solid_and_gas(rng):
    solid = [draw_embolus("solid", EmbolusLaw(), rng) for _ in range(2000)]
    gas = [draw_embolus("gaseous", EmbolusLaw(), rng) for _ in range(2000)]
    weak = np.mean([each.ebr_db < 7 for each in solid])
    assert 0.42 < weak < 0.52
    assert not any(each.fm_type == "III" for each in solid)
    assert np.mean([each.fm_type == "III" for each in gas]) == pytest.approx(0.43, abs=0.04)
    assert np.median([each.ebr_db for each in gas]) > np.median([each.ebr_db for each in solid]) + 7


def test_the_fm_propensity_of_a_patient_shifts_the_types(rng):
    law = EmbolusLaw(fm_propensity=3.0)
    prone = np.mean([draw_embolus("gaseous", law, rng).fm_type == "III" for _ in range(2000)])
    assert prone == pytest.approx(3 * 0.43 / (0.19 + 3 * 0.81), abs=0.04)


def test_gas_from_diameters_has_the_published_sizes(rng):
    """Median 33 µm, quartiles 18 and 69 µm, 85 % under 100 µm; 20 dB at the median."""
    gas = [draw_embolus("gaseous", EmbolusLaw(gas_law="size"), rng) for _ in range(4000)]
    micrometers = 1000 * np.array([each.size_mm for each in gas])
    assert np.percentile(micrometers, [25, 50, 75]) == pytest.approx([18, 33, 69], rel=0.1)
    assert np.mean(micrometers < 100) == pytest.approx(0.85, abs=0.03)
    assert micrometers.min() >= 5
    assert np.median([each.ebr_db for each in gas]) == pytest.approx(20, abs=0.7)


def test_the_bend_of_a_vessel_makes_a_chirp(rng):
    """κ of 0.01 / mm lowers the frequency by a tenth within 10 mm of path."""
    embolus = Embolus("solid", 40.0, 1.0, "I", 0.0, 1.0, 0.0, 20.0, curvature_per_mm=0.01)
    crossing = passage(embolus, 1.0, np.full(9000, 1000.0), 20.0, 10.0, SFREQ, rng)
    turn = np.angle(crossing.samples[1:] / crossing.samples[:-1]) * SFREQ / (2 * np.pi)
    middle = round(1.0 * SFREQ) - crossing.first
    later = middle + round(10 / 500 * SFREQ)  # 10 mm at 0.5 m/s
    assert turn[later] / turn[middle] == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("name", ["motion", "cough"])
def test_motion_weakens_the_flow_and_a_cough_changes_it(name):
    seen = 0
    for index in range(5):
        source = stream(SimulationSettings(minutes=60), index)
        planned = [each for each in source.plan.artifacts if each.name == name]
        middle = np.sort([each.onset_s + each.duration_s / 2 for each in planned])
        if middle.size:
            contact, change = source.course.disturbances.at(middle)
            assert (contact < 0.75).all() if name == "motion" else (change != 1).all()
            seen += middle.size
    assert seen > 5


def test_a_loss_of_contact_leaves_noise_alone():
    """Blood is 8 dB or more over the noise of these patients; under half of it is left."""
    lost = []
    for index in range(8):
        source = stream(SimulationSettings(minutes=6, seed=5), index)
        spans = [d for d in source.plan.dropouts if d.kind == "noise" and d.duration_s > 2]
        if not spans or source.patient.snr_db < 8:
            continue
        signal = np.abs(HighPass(SFREQ)(np.concatenate(list(source.blocks()), axis=1)[0])) ** 2
        for span in spans:
            ends = np.array([span.onset_s + 1, span.onset_s + span.duration_s - 0.2])
            inside = signal[slice(*np.round(ends * SFREQ).astype(int))]
            lost.append(1e-9 < inside.mean() < 0.5 * np.median(signal))
    assert len(lost) > 1
    assert all(lost)


def test_artifacts_are_bidirectional_but_the_hard_ones_lean_forward(rng):
    for name, kind in artifact_kinds(120.0).items():
        ratios = []
        for _ in range(20):
            signal = scaled(kind.make(SFREQ, np.exp(rng.uniform(*np.log(kind.duration_s))), rng), 6)
            power = np.abs(np.fft.fft(signal)) ** 2
            freqs = np.fft.fftfreq(signal.size, 1 / SFREQ)
            ratios.append(10 * np.log10(power[freqs > 30].sum() / power[freqs < -30].sum()))
        middle = np.median(ratios)
        assert (2 < middle < 8) if name == "hard" else abs(middle) < 2.5


def kappa(first, second):
    agree = np.mean(first == second)
    chance = sum(np.mean(first == c) * np.mean(second == c) for c in np.unique(first))
    return (agree - chance) / (1 - chance)


def test_raters_agree_as_published(rng):
    """On the expert set's mix of events, and on clear emboli among clear artifacts."""
    labels = rng.choice(3, 30_000, p=np.array([403, 569, 569]) / 1541)
    gas, solid = (np.array([draw_embolus(name, EmbolusLaw(), rng).ebr_db for _ in range(2000)])
                  for name in ("gaseous", "solid"))  # fmt: skip
    levels = np.where(labels == 2, rng.choice(solid, labels.size), rng.choice(gas, labels.size))
    hard = (labels == 0) & (rng.random(labels.size) < 0.1)
    votes, unsure = rate_events(labels, levels, hard, rng)
    embolus = votes > 0
    both, either = embolus[:, :2].all(axis=1).sum(), embolus[:, :2].any(axis=1).sum()
    assert 2 * both / (both + either) == pytest.approx(0.91, abs=0.03)
    clear = (levels > 10) & ~hard
    assert 0.94 < kappa(embolus[clear, 0], embolus[clear, 1]) < 0.99
    agreed = embolus[:, 0] & embolus[:, 1]
    assert 0.6 < kappa(votes[agreed, 0], votes[agreed, 1]) < 0.8
    assert unsure[levels < 5].mean() > 3 * unsure[levels > 15].mean()


def test_soft_labels_are_shares_of_votes():
    assert_allclose(soft_labels(np.array([[0, 0, 2], [1, 1, 1]])), [[2 / 3, 0, 1 / 3], [0, 1, 0]])
