"""Scans that are stopped, that run at once, and what they write beside the events."""

import json

import numpy as np
import pytest
import soundfile

from emboscope.errors import DataError, SettingsError
from emboscope.signal.writers import write_wav
from emboscope.simulation.recording import SimulationSettings, simulate
from emboscope.workflows.report import report_from_files
from emboscope.workflows.scan import Extras, ScanOptions, Workers, detection_settings, scan

OPTIONS = ScanOptions(carrier_mhz=2.0)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two patients of two minutes with emboli and artifacts."""
    folder = tmp_path_factory.mktemp("recordings")
    settings = SimulationSettings(
        n_patients=2, minutes=2, seed=4, indication="surgical_valve", rate_factor=3
    )
    for index, name in enumerate(("first", "second")):
        samples = simulate(settings, index).recording.samples
        write_wav(folder / f"{name}.wav", samples, settings.sfreq)
    return [folder / "first.wav", folder / "second.wav"]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def whole(recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    scan(recordings, out, OPTIONS)
    return files(out)


@pytest.mark.parametrize("after", [2, 3])
def test_a_stopped_scan_goes_on_and_ends_the_same(recordings, whole, tmp_path, after):
    calls = []

    def stop(*progress):
        calls.append(progress)
        if len(calls) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(recordings, tmp_path, OPTIONS, stop)
    assert set(files(tmp_path)) == {".first.scan.json"}
    resumed = []
    scan(recordings, tmp_path, OPTIONS, lambda *progress: resumed.append(progress))
    assert files(tmp_path) == whole
    first = [done for name, done, _ in resumed if name == "first"]
    assert first[0] > 30 * (after - 1)


def test_other_settings_do_not_go_on_from_what_was_kept(recordings, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(recordings[:1], tmp_path, OPTIONS, stop)
    changed = ScanOptions(carrier_mhz=2.0, settings=detection_settings(7.0, ()))
    scan(recordings[:1], tmp_path, changed)
    fresh = tmp_path / "fresh"
    scan(recordings[:1], fresh, changed)
    assert (tmp_path / "first.events.csv").read_bytes() == (fresh / "first.events.csv").read_bytes()


def test_half_of_what_was_kept_is_no_reason_to_fail(recordings, whole, tmp_path):
    (tmp_path / ".first.scan.json").write_text('{"key": "ab')
    scan(recordings, tmp_path, OPTIONS)
    assert files(tmp_path) == whole


def test_several_at_once_give_the_same(recordings, whole, tmp_path):
    result = scan(recordings, tmp_path, OPTIONS, workers=Workers(jobs=2))
    assert [row.name for row in result.rows] == ["first", "second"]
    assert files(tmp_path) == whole


@pytest.mark.filterwarnings("ignore")  # of the cluster, as it closes
def test_a_dask_cluster_gives_the_same(recordings, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        scan(recordings, tmp_path, OPTIONS, workers=Workers(backend="dask", scheduler=address))
    assert files(tmp_path) == whole


@pytest.mark.parametrize(
    ("workers", "text"),
    [
        (Workers(backend="cloud"), "--backend 'cloud': unknown; expected local or dask"),
        (Workers(backend="dask"), "--backend dask: no scheduler"),
        (Workers(backend="dask", scheduler="nowhere"), "--scheduler 'nowhere': no answer"),
    ],
)
def test_impossible_workers_are_refused(recordings, tmp_path, workers, text):
    with pytest.raises(SettingsError, match=text):
        scan(recordings, tmp_path, OPTIONS, workers=workers)


def test_sound_notes_and_report_are_written_beside_the_events(recordings, tmp_path):
    extras = Extras(clips=True, annotations="edf", report=True, language="es")
    scan(recordings[:1], tmp_path, ScanOptions(carrier_mhz=2.0, extras=extras))
    events = json.loads((tmp_path / "first.events.json").read_text())["events"]
    clips = sorted((tmp_path / "first.clips").iterdir())
    assert len(clips) == len(events) > 0
    sound, rate = soundfile.read(clips[0])
    assert (sound.shape[1], rate) == (2, 44100)
    assert (tmp_path / "first.annotations.edf").stat().st_size > 0
    assert '<html lang="es"' in (tmp_path / "first.report.html").read_text()


def test_pseudonyms_replace_the_names_of_the_files(recordings, tmp_path):
    key = tmp_path / "key"
    result = scan(recordings, tmp_path / "out", OPTIONS, pseudonyms=key)
    names = [row.name for row in result.rows]
    assert len(set(names)) == 2
    assert not any("first" in text for text in names)
    assert not any("first" in path.name for path in (tmp_path / "out").iterdir())
    assert all(b"first" not in content for content in files(tmp_path / "out").values())


def test_q_is_negated_only_where_the_flow_is_declared(recordings, tmp_path):
    """A file with Q inverted: away when nothing is said, towards when that is declared."""
    samples, rate = soundfile.read(recordings[0], stop=60 * 4385)
    soundfile.write(tmp_path / "turned.wav", samples * (1, -1), rate)
    plain, declared = (
        scan([tmp_path / "turned.wav"], tmp_path / str(flow), ScanOptions(2.0, flow=flow)).rows[0]
        for flow in (None, "towards")
    )
    assert plain.flow_side == "away"
    assert declared.flow_side == "towards"
    assert any("Q negated" in flag for flag in declared.flags)
    assert declared.counts == plain.counts


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("criteria.maximum=0.2", "Did you mean 'maximum_s'"),
        ("threshold", "expected key=value"),
        ("window=-3", "scan.window"),
    ],
)
def test_wrong_settings_are_refused(change, text):
    with pytest.raises(SettingsError, match=text):
        detection_settings(None, (change,))


def test_folder_without_recordings_is_refused(tmp_path):
    (tmp_path / "a.events.csv").write_text("onset_s\n")
    with pytest.raises(DataError, match="no recording in it"):
        scan([tmp_path], tmp_path / "out", OPTIONS)


def test_settings_of_groups_are_taken():
    settings = detection_settings(6.0, ("criteria.maximum_s=0.2", "hop=8"))
    assert (settings.threshold_db, settings.criteria.maximum_s, settings.hop) == (6.0, 0.2, 8)
    assert np.isclose(settings.background.time_constant_s, 4.0)


def test_another_sidecar_does_not_go_on_from_what_was_kept(recordings, tmp_path):
    path = tmp_path / "copy.wav"
    path.write_bytes(recordings[0].read_bytes())
    sidecar = path.with_suffix(".json")

    def stop(*_):
        raise KeyboardInterrupt

    sidecar.write_text('{"q_sign": "+", "carrier_hz": 2e6}')
    with pytest.raises(KeyboardInterrupt):
        scan([path], tmp_path / "out", ScanOptions(), stop)
    sidecar.write_text('{"q_sign": "-", "carrier_hz": 2.5e6}')
    (row,) = scan([path], tmp_path / "out", ScanOptions()).rows
    assert row.flow_side == "away"


def test_what_an_earlier_scan_wrote_does_not_stay(recordings, tmp_path):
    extras = Extras(clips=True, annotations="edf")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "first.wav").write_bytes(recordings[0].read_bytes())
    options = ScanOptions(carrier_mhz=2.0, extras=extras)
    scan([folder], folder, options)
    (folder / "first.clips" / "9999.000-embolus.wav").touch()
    (row,) = scan([folder], folder, options).rows
    assert row.name == "first"
    assert not (folder / "first.clips" / "9999.000-embolus.wav").exists()


def test_a_changed_note_of_an_interrupted_scan_starts_anew(recordings, whole, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(recordings, tmp_path, OPTIONS, stop)
    kept = tmp_path / ".first.scan.json"
    key = json.loads(kept.read_text())["key"]
    kept.write_text(json.dumps({"key": key, "saved": {"start": 5}}))
    scan(recordings, tmp_path, OPTIONS)
    assert files(tmp_path) == whole


def test_flow_declared_against_a_known_sign_is_said(recordings, tmp_path):
    options = ScanOptions(2.0, q_sign="+", flow="away")
    assert (
        "flow declared away, found towards" in scan(recordings[:1], tmp_path, options).rows[0].flags
    )


def test_the_report_of_another_recording_is_refused(recordings, tmp_path):
    scan(recordings[:1], tmp_path, OPTIONS)
    with pytest.raises(DataError, match="of another recording than"):
        report_from_files(tmp_path / "first.events.json", recordings[1], tmp_path)


def test_a_subject_gets_the_pseudonym_too(recordings, tmp_path):
    path = tmp_path / "Roe.wav"
    path.write_bytes(recordings[0].read_bytes())
    path.with_suffix(".json").write_text('{"subject_id": "Roe Jane"}')
    (row,) = scan([path], tmp_path / "out", OPTIONS, pseudonyms=tmp_path / "key").rows
    report_from_files(tmp_path / "out" / f"{row.name}.events.json", path, tmp_path / "out")
    assert all(b"Roe" not in content for content in files(tmp_path / "out").values())
