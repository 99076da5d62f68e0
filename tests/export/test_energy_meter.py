"""Energy by the counters of a processor."""

import pytest

from emboscope.export.energy_meter import EnergyMeter


def zone(folder, name, microjoules, largest=1_000_000):
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{microjoules}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{largest}\n")


def test_packages_are_added_and_their_parts_are_not(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
        zone(tmp_path, name, 1_000)
    meter = EnergyMeter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 51_000)
    zone(tmp_path, "intel-rapl:0:0", 900_000)
    zone(tmp_path, "intel-rapl:1", 3_000)
    assert meter.joules() == pytest.approx(0.052)


def test_a_counter_that_ran_over_goes_on(tmp_path):
    zone(tmp_path, "intel-rapl:0", 990_000)
    meter = EnergyMeter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 5_000)
    assert meter.joules() == pytest.approx(0.015)


def test_where_nothing_can_be_read_nothing_is_told(tmp_path):
    assert EnergyMeter(tmp_path / "none").joules() is None
    zone(tmp_path, "intel-rapl:0", "secret")
    assert EnergyMeter(tmp_path).joules() is None
    zone(tmp_path, "intel-rapl:0", 1)
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.joules() is None
