"""Groups of patients, their rates, and what they and their sessions bring."""

import numpy as np
import pytest

from emboscope.errors import SettingsError
from emboscope.simulation import groups
from emboscope.simulation.arrivals import awake, bursts, showers
from emboscope.simulation.patient import N_CENTERS, draw_center, draw_patient
from emboscope.simulation.recording import SimulationSettings, stream


def yield_in(law, hours, rng, n=20_000):
    """Share of patients with an embolus within some hours."""
    return np.mean([1 - np.exp(-law(rng) * hours) for _ in range(n)])


def test_rates_give_the_published_yields(rng):
    """± 0.03: the two yields of the symptomatic cannot both be met exactly by one law."""
    assert yield_in(groups.SYMPTOMATIC, 0.5, rng) == pytest.approx(0.58, abs=0.03)
    assert yield_in(groups.SYMPTOMATIC, 2.5, rng) == pytest.approx(0.92, abs=0.03)
    assert yield_in(groups.ASYMPTOMATIC, 2.0, rng) == pytest.approx(0.165, abs=0.015)
    assert yield_in(groups.STROKE, 1.0, rng) == pytest.approx(0.07, abs=0.01)


def test_valves_and_operations_have_the_published_rates(rng):
    rates = np.array([groups.BJORK_SHILEY(rng) for _ in range(4000)])
    assert np.mean(rates > 0) == pytest.approx(0.89, abs=0.02)
    assert np.percentile(rates[rates > 0], [25, 75]) == pytest.approx([112, 204], rel=0.15)
    rates = np.array([groups.BIOPROSTHESIS(rng) for _ in range(4000)])
    assert np.mean(rates > 0) == pytest.approx(0.53, abs=0.03)
    assert np.median(rates[rates > 0]) == pytest.approx(2, abs=0.3)
    bubbles = [groups.OPERATION(rng) * groups.OPERATION_HOURS for _ in range(1000)]
    assert min(bubbles) >= 371
    assert max(bubbles) <= 6476


@pytest.mark.parametrize("indication", list(groups.INDICATIONS))
def test_an_indication_can_be_forced(indication):
    settings = SimulationSettings(indication=indication)
    assert {draw_patient(index, settings).indication for index in range(6)} == {indication}
    assert (draw_patient(0, settings).artifact_rates_h["diathermy"] > 0) == (
        indication == "cardiac_surgery"
    )


def test_rates_are_raised_as_far_as_one_in_ten_seconds():
    def rate(factor, index):
        settings = SimulationSettings(indication="surgical_valve", rate_factor=factor)
        return draw_patient(index, settings).embolus_rate_h

    for index in range(12):
        own = rate(1, index)
        assert rate(0, index) == 0
        assert rate(0.5, index) == own / 2
        assert rate(20, index) == pytest.approx(max(own, min(20 * own, 360)))


def test_healthy_controls_have_no_emboli():
    settings = SimulationSettings(indication="none", minutes=60)
    assert all(stream(settings, index).plan.emboli == () for index in range(10))


def test_unknown_indication_is_refused():
    with pytest.raises(SettingsError, match="indication 'carotis': unknown; .* mean 'carotid'"):
        stream(SimulationSettings(indication="carotis"), 0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"carrier_hz": 5e6}, "simulate.carrier_hz: 5000000.0; input should be less than or equal"),
        ({"sfreq": 1000}, "simulate.sfreq: 1000; input should be greater than or equal to 2000"),
        ({"gates": 3}, "simulate.gates: 3; input should be 1 or 2"),
        ({"fault": "x"}, "simulate.fault: 'x'; input should be 'none', 'swap', 'q_negative'"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(SettingsError, match=text):
        SimulationSettings.parse(change, "simulate")


@pytest.mark.parametrize(("sfreq", "carrier_hz"), [(2000, 4e6), (10_000, 1e6), (5000, 2e6)])
def test_any_rate_and_carrier_of_the_range_works(sfreq, carrier_hz):
    source = stream(SimulationSettings(minutes=0.1, sfreq=sfreq, carrier_hz=carrier_hz), 0)
    samples = np.concatenate(list(source.blocks()), axis=1)
    assert samples.shape == (1, round(6 * sfreq))
    assert np.isfinite(samples).all()
    assert samples.std() > 0


def test_patients_of_a_center_share_its_device_and_its_case_mix():
    settings = SimulationSettings()
    centers = [draw_patient(index, settings).center for index in range(2 * N_CENTERS)]
    assert centers[0] == centers[N_CENTERS] == draw_center(0, settings)
    assert len({center.name for center in centers}) == N_CENTERS
    assert {center.carrier_hz for center in centers} == {1.5e6, 2.0e6}
    assert all(sum(center.case_mix.values()) == pytest.approx(1) for center in centers)


def test_older_patients_have_slower_flow():
    drawn = [draw_patient(index, SimulationSettings()) for index in range(300)]
    young = np.mean([each.heart.mean_cm_s for each in drawn if each.age < 40])
    old = np.mean([each.heart.mean_cm_s for each in drawn if each.age > 60])
    assert young - old == pytest.approx(58.4 - 44.7, abs=4)


def test_bursts_keep_the_rate_and_come_together(rng):
    times = bursts(600.0, (3.0, 10.0), 36_000, rng)
    assert times.size == pytest.approx(6000, rel=0.1)
    alone = bursts(600.0, (1.0, 0.0), 36_000, rng)
    assert np.mean(np.diff(times) < 2) > np.mean(np.diff(alone) < 2) + 0.1


def test_showers_keep_the_rate_and_are_dense(rng):
    times = showers(1000.0, 360_000, rng)
    assert times.size == pytest.approx(100_000, rel=0.15)
    assert np.mean(np.diff(times) < 1) > 0.9


def test_a_sleeping_patient_makes_fewer_artifacts(rng):
    times = np.sort(rng.uniform(0, 86_400, 20_000))
    kept = awake(times, 12.0, rng)
    night = (kept > 11.5 * 3600) & (kept < 18.5 * 3600)
    assert night.mean() == pytest.approx(0.2 * 7 / (0.2 * 8 + 16), abs=0.01)
