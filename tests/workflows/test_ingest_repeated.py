"""Recordings that come twice, fail, or lost what was made of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.simulation.recording import SimulationSettings
from emboscope.store import Study
from emboscope.workflows.ingest import IngestOptions, ingest, scan_options, study_key
from emboscope.workflows.ingest_recording import NO_SUBJECT
from emboscope.workflows.simulate import simulate_folder


@pytest.fixture(autouse=True)
def _no_url_from_outside(monkeypatch):
    monkeypatch.delenv("EMBOSCOPE_STORE_URL", raising=False)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """One simulated patient of half a minute."""
    folder = tmp_path_factory.mktemp("recordings")
    simulate_folder(folder, SimulationSettings(n_patients=1, minutes=0.5, seed=4, rate_factor=60))
    return folder / "sim-001.wav"


def test_copies_of_a_recording_are_no_patients_and_no_test_part(recording, tmp_path):
    copies = [tmp_path / f"{letter}.wav" for letter in "abc"]
    for copy in copies:
        shutil.copy(recording, copy)
    result = ingest(tmp_path / "study", copies, IngestOptions(test_share=0.5))
    assert (result.subjects, result.test_subjects) == (1, 0)
    with Study.open(tmp_path / "study") as study:
        assert len(study.splits()) == 1


def test_a_patient_without_a_recording_is_not_counted(recording, tmp_path):
    samples, sfreq = soundfile.read(recording)
    samples[-1000:] = np.nan
    soundfile.write(tmp_path / "broken.wav", samples, sfreq, "FLOAT")
    for _ in range(2):
        with pytest.raises(DataError, match=r"broken.wav': signal: not a number at"):
            ingest(tmp_path / "study", [recording, tmp_path / "broken.wav"], IngestOptions())
    result = ingest(tmp_path / "study", [recording], IngestOptions())
    assert (result.subjects, result.test_subjects) == (1, int(result.rows[0].split == "test"))


def test_array_files_that_were_lost_are_made_again_or_it_is_said(recording, tmp_path):
    ingest(tmp_path / "study", [recording], IngestOptions())
    with Study.open(tmp_path / "study") as study:
        before = np.array(study.array("segments"))
        files = study.made_from(study.recordings()[0].name)
    for file in files:
        (tmp_path / "study" / "derived" / file).unlink()
    result = ingest(tmp_path / "study", [recording], IngestOptions())
    assert result.rows[0].status == "in already, arrays made again"
    with Study.open(tmp_path / "study") as study:
        assert_array_equal(study.array("segments"), before)
        assert len(study.array("spectrogram")) == len(before)
    (tmp_path / "study" / "derived" / files[0]).unlink()
    changed = IngestOptions(scan=scan_options(q_sign="-"))
    with pytest.raises(DataError, match="missing, and the recording no longer leads to it"):
        ingest(tmp_path / "study", [recording], changed)


def test_a_recording_that_names_no_patient_says_so(recording, tmp_path):
    shutil.copy(recording, tmp_path / "p.wav")
    named = ingest(tmp_path / "one", [recording], IngestOptions())
    nameless = ingest(tmp_path / "two", [tmp_path / "p.wav"], IngestOptions())
    assert NO_SUBJECT not in named.rows[0].flags
    assert NO_SUBJECT in nameless.rows[0].flags


def test_no_test_subject_by_an_empty_list_is_refused(recording, tmp_path):
    with pytest.raises(SettingsError, match="--test-subjects: no name; expected some of the sub"):
        ingest(tmp_path / "study", [recording], IngestOptions(test_subjects=()))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_one_stands_in_can_be_the_study(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    study_key(Path("."), IngestOptions())
    assert (tmp_path / "here.key").is_file()
