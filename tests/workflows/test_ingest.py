"""Recordings into a study: pseudonyms, segments, splits, and what a stop leaves."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.datasets.hits import front_end
from emboscope.errors import DataError, SettingsError
from emboscope.signal.privacy import load_key, pseudonym
from emboscope.signal.readers import open_source, read_recording
from emboscope.signal.writers import write_wav
from emboscope.simulation.recording import SimulationSettings
from emboscope.store import Study
from emboscope.workflows.ingest import IngestOptions, ingest, scan_options
from emboscope.workflows.segments import cut_segments
from emboscope.workflows.simulate import simulate_folder
from emboscope.workflows.truth_labels import rater_votes


@pytest.fixture(autouse=True)
def _no_url_from_outside(monkeypatch):
    monkeypatch.delenv("EMBOSCOPE_STORE_URL", raising=False)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three simulated patients of a minute."""
    folder = tmp_path_factory.mktemp("recordings")
    settings = {"n_patients": 3, "minutes": 1, "seed": 4, "rate_factor": 20}
    simulate_folder(folder, SimulationSettings(**settings, indication="surgical_valve"))
    return folder


@pytest.fixture(scope="module")
def done(recordings, tmp_path_factory):
    """A study of them, and what ingest said."""
    folder = tmp_path_factory.mktemp("done")
    result = ingest(folder / "study", [recordings], IngestOptions(truth=True, copy=True, seed=1))
    return folder, result


def test_every_candidate_is_a_sample_with_both_views(done):
    folder, result = done
    with Study.open(folder / "study") as study:
        n = study.samples().ids.size
        assert result.samples == n == sum(row.samples for row in result.rows) > 20
        assert study.array("segments").shape == (n, 2, 1400)
        assert study.array("spectrogram").shape == (n, 1, 64, 48)
        views = front_end().compute(study.array("segments"))
        assert_array_equal(study.array("spectrogram"), views["spectrogram"])
        assert study.runs()[0]["results"] == {"samples": n}


def test_segments_are_those_of_the_whole_recording(done, recordings):
    """The high-pass settles in the second before; what is left of its start is below 1e-6."""
    folder, _ = done
    key = load_key(folder / "study.key")
    with Study.open(folder / "study") as study:
        samples, segments = study.samples(), study.array("segments")
    for path in recordings.glob("*.wav"):
        mine = samples.recordings == pseudonym(path.stem, key)
        peaks = np.round(samples.peaks_s[mine] * 4385).astype(int)
        whole = front_end().cut(read_recording(path).samples, peaks)
        assert_allclose(segments[mine], whole, atol=1e-6)


def test_another_sampling_rate_is_brought_to_that_of_the_segments(tmp_path, done):
    """A tone burst keeps its frequency and its place."""
    sfreq, peak_s, tone = 6000.0, 2.0, 500.0
    time_s = np.arange(round(4 * sfreq)) / sfreq
    envelope = np.exp(-(((time_s - peak_s) / 0.01) ** 2))
    write_wav(tmp_path / "burst.wav", 0.5 * envelope * np.exp(2j * np.pi * tone * time_s), sfreq)
    source = open_source(tmp_path / "burst.wav", carrier_mhz=2.0)
    with Study.open(done[0] / "study") as study:
        assert study.samples().ids.size
    segment = cut_segments(source, [peak_s], front_end())[0]
    signal = segment[0] + 1j * segment[1]
    assert abs(int(np.abs(signal).argmax()) - 700) <= 2
    step = np.angle(signal[701:720] / signal[700:719]) * 4385 / (2 * np.pi)
    assert_allclose(step, tone, rtol=0.02)


def test_no_name_is_left_in_the_study_but_the_place_of_the_recordings(recordings, tmp_path):
    """By reference the path is kept, because the recording lies there; a copy keeps none."""
    named = tmp_path / "in"
    named.mkdir()
    shutil.copy(recordings / "sim-001.wav", named / "Perez.wav")
    side = json.loads((recordings / "sim-001.json").read_text()) | {"subject_id": "Maria Perez"}
    (named / "Perez.json").write_text(json.dumps(side))
    ingest(tmp_path / "study", [named], IngestOptions(copy=True))
    for path in (tmp_path / "study").rglob("*"):
        assert "perez" not in path.name.lower()
        if path.is_file():
            assert b"perez" not in path.read_bytes().lower()
    key = load_key(tmp_path / "study.key")
    with Study.open(tmp_path / "study") as study:
        assert set(study.samples().subjects) == {pseudonym("Maria Perez", key)}


def test_a_copy_holds_the_samples_and_what_is_known(done, recordings):
    folder, _ = done
    with Study.open(folder / "study") as study:
        infos, paths = study.recordings(), [study.raw_path(info) for info in study.recordings()]
    for path, info, raw in zip(sorted(recordings.glob("*.wav")), infos, paths, strict=True):
        there, back = read_recording(path), read_recording(raw)
        assert_array_equal(back.samples, there.samples)
        assert back.carrier_hz == there.carrier_hz
        assert back.subject_id == info.subject
        assert info.copied
        assert soundfile.info(raw).subtype == "FLOAT"


def test_items_of_the_acquisition_are_kept(done):
    with Study.open(done[0] / "study") as study:
        items = study.recordings()[0].items
    assert items["detection_threshold_db"] == 3.0
    assert items["fft_points"] == 64
    assert float(items["insonation_depth_mm"]) > 20


def test_a_recording_that_is_in_is_skipped_and_splits_stay(done, recordings, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(done[0] / "study", study)
    shutil.copy(done[0] / "study.key", tmp_path / "study.key")
    (tmp_path / "study.key").chmod(0o600)
    shutil.copy(recordings / "sim-001.wav", tmp_path / "another.wav")  # the same file, renamed
    again = ingest(study, [recordings, tmp_path / "another.wav"], IngestOptions(seed=99))
    assert {row.status for row in again.rows} == {"in already"}
    assert [row.split for row in again.rows[:3]] == [row.split for row in done[1].rows]
    assert again.samples == done[1].samples


def test_raters_of_a_simulation_are_three_annotators_once(done, recordings):
    folder, result = done
    with Study.open(folder / "study") as study:
        names, votes = study.votes()
        log, labels = study.log(), study.labels()
    assert names == ("rater1", "rater2", "rater3")
    assert len(log) == 3 * result.samples
    assert (votes >= 0).all()
    assert len(set(labels.y.tolist()) & {0, 1, 2}) >= 2
    ingest(folder / "study", [recordings], IngestOptions(truth=True))
    with Study.open(folder / "study") as study:
        assert len(study.log()) == len(log)


def test_emboli_are_matched_before_artifacts():
    solid, gas = ("solid",) * 3, ("gaseous", "solid", "solid")
    truth = [(1.03, "artifact", ("artifact",) * 3), (1.04, "solid", solid), (3.0, "gaseous", gas)]
    votes = rater_votes(np.array([1.0, 2.0, 2.96]), truth)
    assert votes == [solid, ("artifact",) * 3, gas]


def test_chosen_test_subjects_by_name(recordings, tmp_path):
    options = IngestOptions(test_subjects=("sim-002",))
    result = ingest(tmp_path / "study", [recordings], options)
    assert [row.split for row in result.rows] == ["train", "test", "train"]
    late = IngestOptions(test_subjects=("sim-001",))
    with pytest.raises(SettingsError, match="has been one to learn from; expected new subjects"):
        ingest(tmp_path / "study", [recordings], late)


def test_a_dry_run_writes_nothing(recordings, tmp_path):
    result = ingest(tmp_path / "study", [recordings], IngestOptions(dry_run=True))
    assert [row.status for row in result.rows] == ["would be added"] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [1, 3])
def test_a_stopped_ingest_leaves_whole_recordings_and_goes_on(recordings, done, tmp_path, after):
    calls = []

    def stop(*progress):
        calls.append(progress)
        if len(calls) == after:
            raise KeyboardInterrupt

    shutil.copy(done[0] / "study.key", tmp_path / "study.key")
    (tmp_path / "study.key").chmod(0o600)
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "study", [recordings], IngestOptions(seed=1), stop)
    with Study.open(tmp_path / "study") as study:
        names = [info.name for info in study.recordings()]
        assert set(study.samples().recordings) == set(names)
        assert len(names) < 3
    result = ingest(tmp_path / "study", [recordings], IngestOptions(seed=1))
    assert [row.status for row in result.rows].count("in already") == len(names)
    assert [row.split for row in result.rows] == [row.split for row in done[1].rows]
    with Study.open(tmp_path / "study") as study, Study.open(done[0] / "study") as whole:
        assert_array_equal(study.array("segments"), whole.array("segments"))


def test_a_killed_ingest_goes_on(recordings, tmp_path):
    """Killed at any moment; half a recording is never told of."""
    command = [sys.executable, "-m", "emboscope.cli", "ingest", tmp_path / "study", recordings]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    derived = tmp_path / "study" / "derived"
    limit = time.monotonic() + 60
    while time.monotonic() < limit and not list(derived.glob("segments-*")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    with Study.open(tmp_path / "study") as study:
        assert set(study.samples().recordings) == {info.name for info in study.recordings()}
    result = ingest(tmp_path / "study", [recordings], IngestOptions())
    with Study.open(tmp_path / "study") as study:
        assert study.array("segments").shape[0] == result.samples


def key_in_study(folder):
    return IngestOptions(key=folder / "study" / "my.key")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (key_in_study, SettingsError, "in the study; expected a place apart from the data"),
        (lambda _: IngestOptions(test_share=1.5), SettingsError, "--test-share 1.5: expected 0"),
        (lambda _: IngestOptions(test_subjects=("x",)), SettingsError, "x is no subject of the"),
        (lambda _: IngestOptions(scan=scan_options(None, "x")), SettingsError, "--q-sign 'x'"),
    ],
)
def test_an_option_that_cannot_be_is_refused(recordings, tmp_path, options, error, text):
    with pytest.raises(error, match=text):
        ingest(tmp_path / "study", [recordings], options(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_recording_or_folder_is_refused_before_anything_is_made(recordings, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        ingest(tmp_path / "study", [recordings, tmp_path / "none.wav"], IngestOptions())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(DataError, match="something else is there; expected a study"):
        ingest(tmp_path / "full", [recordings], IngestOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_truth_is_for_simulated_recordings(recordings, tmp_path):
    shutil.copy(recordings / "sim-001.wav", tmp_path / "real.wav")
    with pytest.raises(DataError, match="not of a simulated recording; expected what emboscope"):
        ingest(tmp_path / "study", [tmp_path / "real.wav"], IngestOptions(truth=True))
    side = json.loads((recordings / "sim-001.json").read_text())
    side["events"] = [{"peak_s": 1.0, "label": "solid", "raters": ["clot"]}]
    (tmp_path / "real.json").write_text(json.dumps(side))
    with pytest.raises(DataError, match=r"raters \['clot'\]; expected events with peak_s, label"):
        ingest(tmp_path / "study", [tmp_path / "real.wav"], IngestOptions(truth=True))


def test_another_file_of_a_name_is_refused(recordings, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(recordings / "sim-002.wav", tmp_path / "other" / "sim-001.wav")
    ingest(tmp_path / "study", [recordings / "sim-001.wav"], IngestOptions())
    with pytest.raises(DataError, match=r"sim-001.wav': another file of that name is in the study"):
        ingest(tmp_path / "study", [tmp_path / "other" / "sim-001.wav"], IngestOptions())


def test_a_study_needs_the_key_that_it_was_made_with(recordings, tmp_path):
    one = [recordings / "sim-001.wav"]
    ingest(tmp_path / "study", one, IngestOptions())
    Path(tmp_path / "study.key").rename(tmp_path / "kept")
    with pytest.raises(DataError, match="missing; expected the one that the study was made with"):
        ingest(tmp_path / "study", one, IngestOptions())
    load_key(tmp_path / "study.key")
    with pytest.raises(DataError, match="made with another pseudonym key; expected the same"):
        ingest(tmp_path / "study", one, IngestOptions())
    ingest(tmp_path / "study", one, IngestOptions(key=tmp_path / "kept"))


def test_a_copy_needs_a_whole_number_of_hz(recordings, tmp_path):
    samples = read_recording(recordings / "sim-001.wav").samples[:, :40000]
    np.savez(tmp_path / "odd.npz", samples=samples, sfreq=4385.5)
    with pytest.raises(DataError, match="4385.5 Hz; expected whole Hz, .*Leave out --copy"):
        ingest(tmp_path / "study", [tmp_path / "odd.npz"], IngestOptions(copy=True))
