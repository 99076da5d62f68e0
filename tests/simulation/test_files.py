"""Simulated recordings as files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from emboscope.errors import SettingsError
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.simulation.recording import SimulationSettings, simulate, stream
from emboscope.workflows.simulate import simulate_folder, write_stream

FIELDS = {
    "onset_s", "duration_s", "peak_s", "label", "p_artifact", "p_gaseous", "p_solid", "raters",
    "ebr_db", "hbr_db", "frequency_hz", "fm_type", "artifact_type", "saturated", "unsure",
    "delay_ms", "second_ebr_db",
}  # fmt: skip


def test_files_hold_the_recording_and_the_truth(tmp_path):
    settings = SimulationSettings(
        n_patients=2, minutes=1, gates=2, fault="q_negative", indication="cardiac_surgery"
    )
    result = simulate_folder(tmp_path, settings)
    assert result.files == ("sim-001.wav", "sim-002.wav")
    simulated = simulate(settings, 1)
    truth = json.loads((tmp_path / "sim-002.json").read_text())
    columns, sfreq = soundfile.read(tmp_path / "sim-002.wav", dtype="float32")
    assert sfreq == 4385
    assert_array_equal(columns.T[::2], simulated.recording.samples.real)
    assert_array_equal(columns.T[1::2], simulated.recording.samples.imag)
    assert truth["simulated"]
    assert truth["version"] == SIMULATOR_VERSION
    assert truth["indication"] == "cardiac_surgery"
    assert (truth["gates"], truth["q_sign"], truth["faults"]) == (2, "-", ["q_negative"])
    assert SimulationSettings.parse(truth["settings"]) == settings
    assert len(truth["events"]) == len(simulated.events) > 0
    assert set(truth["events"][0]) == FIELDS


def test_truth_gives_the_ratio_with_the_blood(tmp_path):
    for event in simulate(SimulationSettings(minutes=2, rate_factor=300), 0).events:
        assert event.hbr_db == pytest.approx(10 * np.log10(1 + 10 ** (event.ebr_db / 10)))
        assert event.p_artifact + event.p_gaseous + event.p_solid == pytest.approx(1)
        assert len(event.raters) == len(event.unsure) == 3


@pytest.mark.parametrize(("bits", "subtype"), [(12, "PCM_16"), (16, "PCM_16"), (24, "PCM_24")])
def test_the_file_is_as_fine_as_the_converter(tmp_path, bits, subtype):
    source = stream(SimulationSettings(minutes=0.1), 0)
    source.patient = replace(source.patient, center=replace(source.patient.center, adc_bits=bits))
    write_stream(tmp_path / "x.wav", source)
    assert soundfile.info(tmp_path / "x.wav").subtype == subtype


def test_a_second_carrier_is_marked_as_derived(tmp_path):
    settings = SimulationSettings(n_patients=1, minutes=0.1, second_carrier=True)
    simulate_folder(tmp_path, settings)
    truth = json.loads((tmp_path / "sim-001.json").read_text())
    assert truth["second_carrier"] == {"carrier_hz": 2.5e6, "derived": True}
    assert truth["carrier_hz"] == 2e6


def test_refused_settings_leave_no_folder(tmp_path):
    with pytest.raises(SettingsError, match="preset 'rain': unknown"):
        simulate_folder(tmp_path / "new", SimulationSettings(preset="rain"))
    assert not (tmp_path / "new").exists()
