"""Events, cut HITS and samples of a study, named by an exported model."""

import csv
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import emboscope.workflows.classes as classes
from emboscope.datasets.hits import front_end
from emboscope.errors import DataError, SettingsError
from emboscope.report.wording import Wording
from emboscope.signal.readers import read_recording
from emboscope.signal.writers import write_wav
from emboscope.simulation.recording import SimulationSettings
from emboscope.store import LabelEvent, Study
from emboscope.workflows import cuts_report
from emboscope.workflows.classes import ClassOptions, load_judge
from emboscope.workflows.cuts_report import chosen
from emboscope.workflows.files import read_events_csv, read_json
from emboscope.workflows.gallery import GallerySettings
from emboscope.workflows.monitor import Extras, MonitorOptions, ScanOptions, monitor
from emboscope.workflows.simulate import simulate_folder
from hits_models import FRONT_END, change_manifest, segments, tiny_export
from store.studies import event, info

CUT = front_end().model_dump(mode="json", exclude={"views"})


@pytest.fixture(autouse=True)
def _no_url_from_outside(monkeypatch):
    monkeypatch.delenv("EMBOSCOPE_STORE_URL", raising=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A model that has learned next to nothing, and answers all the same."""
    return tiny_export(tmp_path_factory.mktemp("tiny") / "model", least_probability=0.0)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A minute and a half of a simulated patient, at 2 MHz: four emboli and two artifacts."""
    folder = tmp_path_factory.mktemp("sim")
    settings = SimulationSettings(
        n_patients=1, minutes=1.5, rate_factor=300, carrier_hz=2e6, seed=10
    )
    simulate_folder(folder, settings)
    return next(folder.glob("*.wav"))


def options(model, least=None, force=False, report=False, cut=False, **scan):
    named = ClassOptions(model, least, force)
    return MonitorOptions(ScanOptions(classes=named, extras=Extras(report=report), **scan), cut)


def named(path, out, model, **more):
    """Events of a recording after `monitor`."""
    monitor([path], out, options(model, **more))
    return read_events_csv(out / f"{path.stem}.events.csv")


def test_events_get_the_classes_of_the_segments_of_the_whole_recording(recording, tiny, tmp_path):
    events = named(recording, tmp_path, tiny)
    assert len(events) > 3
    peaks = np.round([event.peak_s * 4385 for event in events]).astype(int)
    whole = front_end().cut(read_recording(recording).samples, peaks)
    expected = load_judge(ClassOptions(tiny)).probabilities(whole)
    # four decimals in the file, in which the peak too is rounded
    assert_allclose([event.probabilities for event in events], expected, atol=2e-3)
    best = [("artifact", "gaseous", "solid")[k] for k in expected.argmax(axis=1)]
    assert [event.label for event in events] == best


def test_batches_give_what_all_at_once_gives(recording, tiny, tmp_path, monkeypatch):
    whole = named(recording, tmp_path / "whole", tiny)
    monkeypatch.setattr(classes, "BATCH", 2)
    assert named(recording, tmp_path / "parts", tiny) == whole


def test_events_but_for_their_class_are_those_of_a_scan(recording, tiny, tmp_path):
    from emboscope.workflows.scan import scan

    monitor([recording], tmp_path / "named", options(tiny))
    scan([recording], tmp_path / "plain", ScanOptions())
    rows = [
        rows_of(tmp_path / name / f"{recording.stem}.events.csv") for name in ("named", "plain")
    ]
    for row in rows[0]:
        row.update({"label": "", "p_artifact": "", "p_gaseous": "", "p_solid": ""})
    assert rows[0] == rows[1]


def test_where_the_model_is_not_sure_the_criteria_decide(recording, tiny, tmp_path):
    events = named(recording, tmp_path, tiny, least=1.0)
    assert {event.label for event in events} == {"unknown"}
    assert {event.is_embolus for event in events} == {True, False}
    assert all(event.is_embolus == (event.verdict == "embolus") for event in events)


def test_the_model_tells_the_least_probability_where_nobody_else_does(tiny, tmp_path):
    assert load_judge(ClassOptions(tiny)).least == 0.0
    assert load_judge(ClassOptions(tiny, least=0.7)).least == 0.7
    silent = tiny_export(tmp_path / "silent")
    assert load_judge(ClassOptions(silent)).least == classes.LEAST


def test_classes_in_another_order_keep_their_probabilities(tiny, tmp_path):
    turned = tiny_export(tmp_path / "turned", classes=("solid", "artifact", "gaseous"))
    p, q = (
        load_judge(ClassOptions(folder)).probabilities(segments(3)) for folder in (tiny, turned)
    )
    assert_allclose(q, p[:, [1, 2, 0]])


def test_result_files_and_report_name_the_model_and_its_origin(recording, tmp_path):
    model = tiny_export(
        tmp_path / "model", least_probability=0.4, trained_on="simulated patients alone"
    )
    result = monitor([recording], tmp_path / "out", options(model, report=True))
    said = "classes by a model trained on simulated patients alone"
    assert said in result.recordings[0].flags
    content = read_json(tmp_path / "out" / f"{recording.stem}.events.json")
    assert said in content["flags"]
    assert content["model"]["least_probability"] == 0.4
    assert content["model"]["weights_sha256"] == result.model["weights_sha256"]
    page = (tmp_path / "out" / f"{recording.stem}.report.html").read_text()
    assert said[1:] in page
    assert "Classes given by the model" in page
    assert sum(result.recordings[0].labels.values()) == len(content["events"])


@pytest.mark.parametrize(
    ("language", "said"),
    [("es", "entrenado solo con pacientes simulados"), ("fr", "patients simulés seulement")],
)
def test_report_says_it_in_other_languages(recording, tmp_path, language, said):
    model = tiny_export(tmp_path / "model", trained_on="simulated patients alone")
    wanted = MonitorOptions(
        ScanOptions(classes=ClassOptions(model), extras=Extras(report=True, language=language))
    )
    monitor([recording], tmp_path / "out", wanted)
    assert said in (tmp_path / "out" / f"{recording.stem}.report.html").read_text()


# --- carriers ------------------------------------------------------------------------------------


def test_a_carrier_that_the_model_does_not_know_is_refused_unless_forced(recording, tmp_path):
    model = tiny_export(tmp_path / "model", carriers_hz=(1.5e6,))
    with pytest.raises(DataError, match=r"carrier 2 MHz; expected 1.5, of which the model 'model'"):
        monitor([recording], tmp_path / "out", options(model))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    forced = monitor([recording], tmp_path / "out", options(model, force=True))
    assert "carrier 2 MHz: the model has not learned of it" in forced.recordings[0].flags


def test_a_carrier_within_five_percent_is_taken(recording, tmp_path):
    model = tiny_export(tmp_path / "model", carriers_hz=(1.92e6,))
    assert monitor([recording], tmp_path / "out", options(model)).recordings


def test_a_recording_without_a_carrier_is_named_and_says_so(tmp_path):
    model = tiny_export(tmp_path / "model", carriers_hz=(2e6,))
    rng = np.random.default_rng(1)
    write_wav(tmp_path / "p.wav", 0.1 * (rng.standard_normal((40000, 2)) @ (1, 1j)), 4385.0)
    result = monitor([tmp_path / "p.wav"], tmp_path / "out", options(model))
    assert classes.NO_CARRIER in result.recordings[0].flags


# --- interrupts ----------------------------------------------------------------------------------


def test_a_run_that_was_stopped_while_naming_goes_on_and_ends_alike(
    recording, tiny, tmp_path, monkeypatch
):
    monitor([recording], tmp_path / "whole", options(tiny))

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(classes.Judge, "probabilities", stopped)
        with pytest.raises(KeyboardInterrupt):
            monitor([recording], tmp_path / "parts", options(tiny))
    assert (tmp_path / "parts" / f".{recording.stem}.scan.json").is_file()
    assert not (tmp_path / "parts" / f"{recording.stem}.events.csv").exists()
    monitor([recording], tmp_path / "parts", options(tiny))
    name = f"{recording.stem}.events.csv"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "parts").glob(".*"))


# --- models that cannot be used ------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no such folder; expected an export\. Make one: embo"):
        load_judge(ClassOptions(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["seizure", "other"]}, "classes seizure, other; expected artifact, gaseous"),
        ({"front_end": None}, "its manifest tells no front end"),
        ({"front_end": {"sfreq": "fast"}}, "front_end"),
        ({"inputs": [{"name": "mel", "shape": [1, 8, 8]}]}, r"view 'mel' of shape \(1, 8, 8\)"),
        ({"inputs": 3}, "Export again"),
        ({"files": {}}, "neither model.emb nor model.onnx in its manifest"),
        ({"format_version": 99}, "format_version is 99; expected 1"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, changes, said):
    model = tiny_export(tmp_path / "model")
    change_manifest(model, **changes)
    with pytest.raises(DataError, match=said):
        load_judge(ClassOptions(model))


def test_damaged_weights_are_refused(tmp_path):
    model = tiny_export(tmp_path / "model")
    content = bytearray((model / "model.emb").read_bytes())
    content[len(content) // 2] ^= 1
    (model / "model.emb").write_bytes(content)
    with pytest.raises(DataError, match=r"model.emb': missing or changed"):
        load_judge(ClassOptions(model))
    (model / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not readable"):
        load_judge(ClassOptions(model))


def test_a_model_of_one_channel_is_refused(tmp_path):
    model = tiny_export(tmp_path / "model")
    views = {"spectrogram": FRONT_END.views["spectrogram"].model_dump(mode="json")}
    one = FRONT_END.model_dump(mode="json") | {"n_channels": 1, "views": views}
    change_manifest(model, front_end=one, inputs=[{"name": "spectrogram", "shape": [1, 64, 48]}])
    with pytest.raises(DataError, match=r"segments of 1 channel; expected 2"):
        load_judge(ClassOptions(model))


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan")])
def test_a_least_probability_that_is_none_is_refused(tiny, least):
    with pytest.raises(SettingsError, match="--least-probability"):
        load_judge(ClassOptions(tiny, least=least))


# --- cut HITS ------------------------------------------------------------------------------------


@pytest.fixture
def hits_file(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py, of the extra files, is not installed")
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("A", "EG", "ES", "unknown")):
            group = file.create_group(f"s{number}")
            group["iq"] = segments(4)[number].T
            group.attrs.update({"class": name, "patient": f"p{number}"})
    return path


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_pictures_beside_a_file_of_hits_are_not_looked_at(hits_file, tiny, tmp_path):
    import h5py

    with h5py.File(hits_file, "a") as file:
        for name in file:
            file[name].attrs["pngPath"] = f"{name}.png"
    (hits_file.parent / "s0.png").write_bytes(b"no picture; the others are not there")
    (row,) = monitor([hits_file], tmp_path / "out", options(tiny)).hits
    assert sum(row.labels.values()) == 4


def test_an_hdf5_file_of_hits_gets_a_table(hits_file, tiny, tmp_path):
    result = monitor([hits_file], tmp_path / "out", options(tiny))
    (row,) = result.hits
    assert (row.name, row.known, sum(row.labels.values())) == ("mine", 3, 4)
    assert sum(map(sum, row.confusion)) == 3
    rows = rows_of(tmp_path / "out" / "mine.hits.csv")
    assert [each["sample"] for each in rows] == ["s0", "s1", "s2", "s3"]
    assert [each["patient"] for each in rows] == ["p0", "p1", "p2", "p3"]
    assert [each["class"] for each in rows] == ["artifact", "gaseous", "solid", ""]
    assert_allclose([sum(float(each[f"p_{n}"]) for n in ("artifact", "gaseous", "solid"))
                     for each in rows], 1, atol=2e-4)  # fmt: skip
    content = read_json(tmp_path / "out" / "mine.hits.json")
    assert content["model"]["name"] == "model"
    assert not result.recordings
    assert not (tmp_path / "out" / "mine.hits.html").exists()


def test_cut_hits_get_a_report_where_one_is_wanted(hits_file, tiny, tmp_path):
    monitor([hits_file], tmp_path, options(tiny, report=True))
    page = (tmp_path / "mine.hits.html").read_text()
    rows = rows_of(tmp_path / "mine.hits.csv")
    assert page.count("data:image/png") == page.count("data:audio/wav") == len(rows)
    names = {"gaseous": "gaseous embolus", "solid": "solid embolus"}
    for row in rows:
        assert f"{row['sample']}: {names.get(row['label'], row['label'])}" in page
    assert "Agreement with the file" in page
    monitor([hits_file], tmp_path, options(tiny))  # without: no report of another model stays
    assert not (tmp_path / "mine.hits.html").exists()


def test_a_report_shows_the_surest_and_the_least_sure_of_each_class():
    sure = np.array([0.9, 0.5, 0.8, 0.6, 0.7, 0.95, 0.55, 0.85, 0.4])
    labels = ["solid"] * 8 + ["unknown"]
    found = np.stack([sure, 1 - sure, np.zeros(9)], axis=1)
    found[8] = [0.4, 0.35, 0.25]
    assert chosen(labels, found) == [5, 0, 7, 3, 6, 1, 8]


def test_a_sample_is_drawn_over_its_flow_with_its_peak_in_the_middle(monkeypatch):
    drawn = []
    monkeypatch.setattr(cuts_report, "event_figure", lambda *told: drawn.append(told) or b"PNG")
    rng, times = np.random.default_rng(0), (np.arange(1400) - 700) / 4385
    signal = rng.standard_normal(1400) + 1j * rng.standard_normal(1400)
    signal += 10 * np.exp(2j * np.pi * 800 * times) * np.exp(-((times / 0.01) ** 2))
    assert cuts_report._drawn(signal, 4385.0, Wording("en"), GallerySettings()) == b"PNG"
    level, frames, freqs, unit, box, _ = drawn[0]
    row, frame = np.unravel_index(level.argmax(), level.shape)
    assert abs(freqs[row] - 800) < 20
    assert abs(frames[frame]) < 0.005
    assert (unit, box) == ("Hz", None)
    assert abs(np.median(level[np.abs(freqs) > 300]) + 1.5) < 3  # noise about its own level
    short = np.pad(signal[500:900], 500)
    cuts_report._drawn(short, 4385.0, Wording("en"), GallerySettings())
    assert abs(drawn[1][0].max() - level.max()) < 3  # zeros that fill up are no flow
    silent = np.zeros(1400, complex)
    cuts_report._drawn(silent, 4385.0, Wording("en"), GallerySettings())
    assert np.isfinite(drawn[2][0]).all()


def test_unknown_samples_do_not_count_in_the_score(hits_file, tiny, tmp_path):
    (row,) = monitor([hits_file], tmp_path / "out", options(tiny, least=1.0)).hits
    assert np.isnan(row.mcc)
    assert row.unknown_share == 1.0


def test_short_recordings_are_one_hits_each(tiny, tmp_path):
    folder = tmp_path / "cuts"
    folder.mkdir()
    for number, one in enumerate(segments(3)):
        write_wav(folder / f"c{number}.wav", one[0] + 1j * one[1], 4385.0)
    result = monitor([folder], tmp_path / "out", options(tiny, cut=True, carrier_mhz=2.0))
    (row,) = result.hits
    assert (row.name, sum(row.labels.values())) == ("cuts", 3)
    assert np.isnan(row.mcc)
    rows = rows_of(tmp_path / "out" / "cuts.hits.csv")
    chain = front_end()
    again = np.concatenate([
        chain.cut(read_recording(folder / f"c{number}.wav").samples, [700]) for number in range(3)
    ])
    p = load_judge(ClassOptions(tiny)).probabilities(again)
    assert_allclose([float(each["p_solid"]) for each in rows], p[:, 2], atol=1e-3)


def test_a_table_in_the_folder_of_the_hits_is_no_recording(tiny, tmp_path):
    one = segments(1)[0]
    write_wav(tmp_path / "c.wav", one[0] + 1j * one[1], 4385.0)
    for _ in range(2):
        (row,) = monitor([tmp_path], tmp_path, options(tiny, cut=True, carrier_mhz=2.0)).hits
    assert sum(row.labels.values()) == 1


def test_two_tables_of_one_name_are_refused(hits_file, tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    one = segments(1)[0]
    write_wav(tmp_path / "mine" / "c.wav", one[0] + 1j * one[1], 4385.0)
    with pytest.raises(DataError, match="two tables would be named 'mine'"):
        monitor([hits_file, tmp_path / "mine"], tmp_path / "out", options(tiny, cut=True))


# --- studies -------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """Two patients of three samples each, the second held out; a person labeled sample 1."""
    with Study.create(tmp_path / "study") as study:
        study.assign_splits(["s1", "s2"], 0.5, 0, test=["s2"])
        for name, subject in (("r1", "s1"), ("r2", "s2")):
            events = [event(float(peak)) for peak in range(1, 4)]
            made = {"segments": (segments(3), CUT)}
            study.add_recording(info(name, subject), events, made)
        study.append([LabelEvent(1, "ann", "expert", (0.0, 0.0, 1.0))])
    return tmp_path / "study"


def labels_of(study):
    with Study.open(study) as opened:
        return opened.labels(), opened.log()


def test_a_study_gets_labels_of_source_model(study, tiny):
    (row,) = monitor([study], None, options(tiny)).studies
    labels, log = labels_of(study)
    assert (row.judged, row.held_out, row.written) == (1, 3, 2)
    assert labels.source.tolist() == ["expert", "model", "model", "", "", ""]
    p = load_judge(ClassOptions(tiny)).probabilities(segments(3))
    assert_allclose(labels.soft[1:3], p[1:3], atol=1e-6)
    assert {each.batch for each in log[1:]} == {row.batch}
    assert log[-1].details["weights_sha256"]
    assert log[-1].details["name"] == "model"


def test_its_batch_can_be_taken_back(study, tiny):
    (row,) = monitor([study], None, options(tiny)).studies
    with Study.open(study) as opened:
        opened.undo(row.batch, "emboscope")
        assert opened.labels().source.tolist() == ["expert", "", "", "", "", ""]


def test_a_surer_model_takes_the_labels_of_the_one_before_away(study, tiny):
    monitor([study], None, options(tiny))
    (row,) = monitor([study], None, options(tiny, least=1.0)).studies
    labels, _ = labels_of(study)
    assert labels.source.tolist() == ["expert", "", "", "", "", ""]
    assert (row.labels["unknown"], row.written) == (2, 2)
    (again,) = monitor([study], None, options(tiny, least=1.0)).studies
    assert (again.written, again.batch) == (0, "")


def test_a_study_of_other_segments_or_none_is_refused(tmp_path, tiny):
    Study.create(tmp_path / "empty").close()
    with pytest.raises(DataError, match="no sample; expected some"):
        monitor([tmp_path / "empty"], None, options(tiny))
    with Study.create(tmp_path / "other") as other:
        other.assign_splits(["s1"], 0.0, 0)
        made = {"segments": (np.zeros((1, 2, 1220), np.float32), CUT | {"n_times": 1220})}
        other.add_recording(info(), [event(1.0)], made)
    with pytest.raises(DataError, match="segments with n_times 1220; expected 1400"):
        monitor([tmp_path / "other"], None, options(tiny))


def test_a_tie_is_said_as_the_model_says_it():
    from emboscope.workflows.monitor_study import clear_shares

    shares = clear_shares(np.array([0.4, 0.4, 0.2]))
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares.argmax() == 0
    assert shares[0] - shares[1] > 1e-7
    assert_array_equal(clear_shares(np.array([0.5, 0.25, 0.25])), [0.5, 0.25, 0.25])


# --- what else is given --------------------------------------------------------------------------


def test_a_side_of_the_flow_that_is_none_is_refused_before_a_folder_is_made(
    recording, tiny, tmp_path
):
    with pytest.raises(SettingsError, match="--flow 'up': unknown; expected towards or away"):
        monitor([recording], tmp_path / "out", options(tiny, flow="up"))
    assert not (tmp_path / "out").exists()


def test_recordings_need_a_folder_for_the_results(recording, tiny):
    with pytest.raises(SettingsError, match="--out: missing"):
        monitor([recording], None, options(tiny))


def test_no_event_gives_an_empty_table(tiny, tmp_path):
    settings = SimulationSettings(n_patients=1, minutes=0.5, preset="blood", seed=5)
    simulate_folder(tmp_path / "sim", settings)
    (path,) = (tmp_path / "sim").glob("*.wav")
    result = monitor([path], tmp_path / "out", options(tiny, report=True))
    content = json.loads((tmp_path / "out" / f"{path.stem}.events.json").read_text())
    assert content["events"] == []
    assert set(result.recordings[0].labels.values()) == {0}
    assert (tmp_path / "out" / f"{path.stem}.report.html").is_file()
