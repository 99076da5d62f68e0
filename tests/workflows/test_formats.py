"""The same signal in every format gives the same events, and no name comes through."""

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose

from emboscope.simulation.recording import SimulationSettings, simulate
from emboscope.workflows.files import read_events_csv
from emboscope.workflows.scan import ScanOptions, scan
from recording_files import FORMATS, NAME, write_recording

SFREQ = 4385
SECONDS = 40  # whole, as EDF and BDF hold whole records
HOP_S = 16 / SFREQ


@pytest.fixture(scope="module")
def frames():
    """I and Q of a simulated patient with emboli and artifacts, 16 bits."""
    settings = SimulationSettings(
        n_patients=1, minutes=SECONDS / 60, seed=11, indication="cardiac_surgery", rate_factor=4
    )
    samples = simulate(settings, 0).recording.samples[0][: SECONDS * SFREQ]
    columns = np.stack([samples.real, samples.imag], axis=1) * 32768
    return np.clip(np.round(columns), -32768, 32767).astype(np.int16)


def events_of(path, out):
    scan([path], out, ScanOptions(carrier_mhz=2.0))
    return read_events_csv(out / "p01.events.csv")


@pytest.fixture(scope="module")
def expected(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wav")
    return events_of(write_recording(folder, "wav", frames), folder / "out")


def assert_same(found, expected):
    assert len(found) == len(expected) > 3
    assert [event.verdict for event in found] == [event.verdict for event in expected]
    for name, tolerance in (("peak_s", HOP_S), ("onset_s", HOP_S), ("hbr_db", 0.01)):
        assert_allclose(
            [getattr(event, name) for event in found],
            [getattr(event, name) for event in expected],
            atol=tolerance,
        )


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_format_gives_the_same_events(frames, expected, tmp_path, kind):
    path = write_recording(tmp_path, kind, frames)
    assert_same(events_of(path, tmp_path / "out"), expected)
    written = [each.read_bytes() for each in (tmp_path / "out").iterdir()]
    assert all(word.encode() not in each for each in written for word in NAME.split())


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_finer_wav_files_give_the_same_events(frames, expected, tmp_path, subtype):
    soundfile.write(tmp_path / "p01.wav", frames / 32768, SFREQ, subtype)
    assert_same(events_of(tmp_path / "p01.wav", tmp_path / "out"), expected)
