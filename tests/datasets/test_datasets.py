"""Registered data, the user's own, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.datasets import DATASETS, OwnFile, load_dataset
from emboscope.datasets.dataset import own_name
from emboscope.datasets.hits import (
    CLASSES,
    Hits,
    HitsSettings,
    cut_hits,
    dataset_of,
    held_patients,
    load_hits224,
    simulated_hits,
)
from emboscope.datasets.hits_stream import StreamSettings, draw_mix, stream_hits
from emboscope.datasets.public import export_tcd, tcd_recordings
from emboscope.errors import DataError, SettingsError
from emboscope.signal.readers import read_recording
from emboscope.simulation.recording import SimulationSettings, simulate
from emboscope.workflows.deploy import origin_of


@pytest.fixture(scope="module")
def esr():
    return load_dataset("esr")


def test_esr_has_the_published_shape(esr):
    assert esr.views["waveform"].shape == (11_500, 1, 178)
    assert esr.views["spectrogram"].shape == (11_500, 1, 32, 37)
    assert np.bincount(esr.y).tolist() == [2_300, 9_200]
    assert esr.classes == ("seizure", "other")


def test_esr_groups_are_the_five_hundred_recordings(esr):
    groups, counts = np.unique(esr.groups, return_counts=True)
    assert len(groups) == 500
    assert set(counts) == {23}
    assert all(len(set(esr.y[esr.groups == group])) == 1 for group in groups[::50])


def test_tcd_recordings_survive_as_wav(tmp_path):
    paths = export_tcd(tmp_path)
    for path, recording in zip(paths, tcd_recordings(), strict=True):
        back = read_recording(path)
        assert_array_equal(back.samples, recording.samples)
        assert back.sfreq == 5000
    assert len(paths) == 8


def test_tcd_is_no_training_set():
    with pytest.raises(SettingsError, match="holds artifacts only, for detection"):
        load_dataset("tcd_dwl")


SMALL = HitsSettings(
    simulation=SimulationSettings(n_patients=2, minutes=1, rate_factor=900, seed=1), most=5
)


def test_hits_have_the_shapes_of_the_contract_and_their_peak_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    hits = simulated_hits(SMALL)
    data = dataset_of(hits)
    assert data.views["waveform"].shape[1:] == (2, 1400)
    assert data.views["spectrogram"].shape[1:] == (1, 64, 48)
    assert data.classes == CLASSES
    assert set(data.groups) <= {0, 1}
    assert np.allclose(data.soft_labels.sum(axis=1), 1)
    assert max(np.bincount(data.y[data.groups == 0])) <= 5
    strong = hits.segments[hits.y > 0]
    energy = (strong**2).sum(axis=1)
    assert energy[:, 600:800].mean() > 2 * energy[:, :200].mean()


def test_hits_are_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    first = simulated_hits(SMALL)
    monkeypatch.setattr("emboscope.datasets.hits.simulate", None)
    assert_array_equal(simulated_hits(SMALL).segments, first.segments)


def test_hits224_are_the_same_segments_with_a_larger_image(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr("emboscope.datasets.hits.HitsSettings", lambda: SMALL)
    data = load_hits224()
    assert data.name == "hits224"
    assert data.views["spectrogram"].shape[1:] == (1, 224, 96)
    hits = dataset_of(simulated_hits(SMALL), test_groups=held_patients(SMALL))
    assert_array_equal(data.views["waveform"], hits.views["waveform"])
    assert_array_equal(data.is_test, hits.is_test)


def many_hits(counts):
    """So many rows of each class, in the order of classes, of five patients in turn."""
    y = np.repeat(np.arange(3), counts)
    segments = np.arange(len(y))[:, None, None] * np.ones((1, 2, 4), np.float32)
    votes = np.repeat(y[:, None], 3, axis=1).astype(np.int8)
    return Hits(segments, y, votes, np.arange(len(y)) % 5, np.arange(len(y)) / 10)


def test_a_stream_is_drawn_in_the_mix_that_is_asked_for():
    hits = many_hits([900, 200, 100])
    drawn = draw_mix(hits, StreamSettings(counts=(80, 12, 8)))
    assert np.bincount(drawn.y).tolist() == [80, 12, 8]
    rows = (10 * drawn.peaks_s).round().astype(int)
    assert len(set(rows)) == 100
    for name in Hits.__dataclass_fields__:  # what belongs to a row stays with it
        assert_array_equal(getattr(drawn, name), getattr(hits, name)[rows])
    again = draw_mix(hits, StreamSettings(counts=(80, 12, 8)))
    assert_array_equal(again.peaks_s, drawn.peaks_s)


def test_a_stream_with_too_few_of_a_class_keeps_its_mix():
    drawn = draw_mix(many_hits([900, 200, 4]), StreamSettings(counts=(80, 12, 8)))
    assert np.bincount(drawn.y).tolist() == [40, 6, 4]


def test_a_stream_is_of_the_patients_of_hits_and_holds_out_the_same():
    stream, hits = StreamSettings(), HitsSettings()
    assert_array_equal(held_patients(stream), held_patients(hits))
    assert stream.simulation.seed == hits.simulation.seed
    assert stream.most > 40 * 60  # one a second: no patient has more
    longer = SimulationSettings(**stream.simulation.model_dump() | {"minutes": 0.1})
    shorter = SimulationSettings(**hits.simulation.model_dump() | {"minutes": 0.05})
    assert simulate(longer, 7).patient == simulate(shorter, 7).patient
    assert np.isclose(np.divide(stream.counts, sum(stream.counts)), [0.8, 0.12, 0.08]).all()


def test_a_stream_is_made_once_and_leaves_no_candidate_out_before_the_draw(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    settings = StreamSettings(simulation=SMALL.simulation, counts=(10**6, 10**6, 10**6))
    whole = sum(len(cut_hits(simulate(SMALL.simulation, n), n, settings).y) for n in (0, 1))
    monkeypatch.setattr("emboscope.datasets.hits_stream.draw_mix", lambda hits, _: hits)
    stream = stream_hits(settings)
    assert len(stream.y) == whole
    assert len(stream.y) > len(simulated_hits(SMALL).y)
    monkeypatch.setattr("emboscope.datasets.hits.simulate", None)
    assert_array_equal(stream_hits(settings).segments, stream.segments)


def test_a_true_event_lends_its_class_to_one_candidate_only():
    simulated = simulate(SMALL.simulation, 1)
    hits = cut_hits(simulated, 1, SMALL)
    emboli = [event.peak_s for event in simulated.events if event.label != "artifact"]
    for peak in hits.peaks_s[hits.y > 0]:
        assert min(abs(peak - true) for true in emboli) <= 0.05
    assert (hits.y > 0).sum() <= len(emboli)


def write_csv(path, rows, header=None):
    lines = [",".join(map(str, row)) for row in ([header] if header else []) + rows]
    path.write_text("\n".join(lines))
    return path


def test_own_csv_with_the_label_last(tmp_path, rng):
    rows = [[*rng.standard_normal(40).round(3), label] for label in "abab"]
    data = load_dataset(write_csv(tmp_path / "x.csv", rows), OwnFile(sfreq=100))
    assert data.views["waveform"].shape == (4, 1, 40)
    assert data.classes == ("a", "b")
    assert data.y.tolist() == [0, 1, 0, 1]
    assert data.group_kind == "row"


def test_own_csv_with_named_columns(tmp_path, rng):
    header = ["label", *range(40), "patient"]
    rows = [[n % 2, *rng.standard_normal(40).round(3), f"p{n // 2}"] for n in range(4)]
    path = write_csv(tmp_path / "x.csv", rows, header)
    data = load_dataset(path, OwnFile(100, "label", "patient"))
    assert data.groups.tolist() == ["p0", "p0", "p1", "p1"]
    assert data.views["waveform"].shape == (4, 1, 40)
    assert data.group_kind == "patient"


def test_own_csv_may_be_partly_labelled_and_numbered(tmp_path, rng):
    labels = ["10", "2", "", "-1", "2.0"]
    rows = [[label, "p", *rng.standard_normal(40).round(3)] for label in labels]
    path = tmp_path / "x.csv"
    path.write_text("\ufeff" + "\n".join(";".join(map(str, row)) for row in rows), "utf-8")
    data = load_dataset(path, OwnFile(100, "1", "2"))
    assert data.classes == ("2", "10")
    assert data.y.tolist() == [1, 0, -1, -1, 0]
    assert data.views["waveform"].shape == (5, 1, 40)


def test_csv_row_is_counted_as_in_an_editor(tmp_path):
    lines = [",".join([*(f"s{n}" for n in range(40)), "label"]), "", ",".join(["1"] * 39 + ["inf"])]
    (tmp_path / "x.csv").write_text("\n".join(lines) + ",a\n")
    with pytest.raises(DataError, match="row 3, column 40: 'inf'"):
        load_dataset(tmp_path / "x.csv", OwnFile(100))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"X": np.full((4, 40), np.nan)}, r"X\[0, 0, 0\] is nan"),
        ({"X": np.zeros((4, 40), complex)}, "X of complex128"),
        ({"y": np.zeros((4, 2))}, r"y of shape \(4, 2\)"),
        ({"groups": np.zeros(3)}, r"groups \(3,\) for 4 rows"),
        ({"X": np.zeros((3, 40))}, "and n labels"),
        ({"sfreq": 0}, "sampling frequency not known"),
    ],
)
def test_unusable_npz(tmp_path, change, text):
    content = {"X": np.zeros((4, 40)), "y": np.array([0, 1, 0, 1]), "sfreq": 100} | change
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(DataError, match=text):
        load_dataset(tmp_path / "x.npz")


def test_own_npz(tmp_path, rng):
    np.savez(tmp_path / "x.npz", X=rng.standard_normal((6, 2, 64)), y=[0, 1] * 3, sfreq=250)
    data = load_dataset(tmp_path / "x.npz")
    assert data.sfreq == 250
    assert data.views["waveform"].shape == (6, 2, 64)


@pytest.mark.parametrize(
    ("lines", "options", "text"),
    [
        (["1,2,a", "1,x,b"], OwnFile(100), "row 2, column 2: 'x' is not a number"),
        (["1,2,a", "1,b"], OwnFile(100), "row 2: 2 columns; expected 3"),
        (["1,2,a"], OwnFile(100, "class"), "no column 'class'"),
        (["t,label"], OwnFile(100), "a header and no rows"),
        (["1,2,a", "1,3,b"], OwnFile(), "Pass --sfreq"),
        (["1,2,a", "1,3,b"], OwnFile(100), "at least 32 samples a row"),
        ([",".join(["1"] * 40 + ["a"])] * 2, OwnFile(100), "one class only"),
        ([",".join(["1"] * 40 + [""])] * 2, OwnFile(100), "no label; expected two classes"),
        ([f"{'1,' * 40}{n / 7}" for n in range(30)], OwnFile(100), "30 different labels"),
        (["", ""], OwnFile(100), "blank lines only"),
        (
            [",".join(["nan"] * 40 + [c]) for c in "ab"],
            OwnFile(100),
            "row 1, column 1: 'nan' is not a number",
        ),
    ],
)
def test_unusable_csv_is_named_by_row_and_column(tmp_path, lines, options, text):
    path = tmp_path / "x.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=text):
        load_dataset(path, options)


def test_missing_unknown_and_empty_files(tmp_path):
    with pytest.raises(DataError, match="a folder; expected a .csv or .npz file"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="no such file or data set"):
        load_dataset(tmp_path / "no.csv")
    (tmp_path / "x.csv").touch()
    with pytest.raises(DataError, match="empty"):
        load_dataset(tmp_path / "x.csv")
    (tmp_path / "x.doc").write_text("x")
    with pytest.raises(DataError, match=r"expected .csv, .npz or .h5"):
        load_dataset(tmp_path / "x.doc")


def test_npz_without_labels_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "x.npz", signal=np.zeros(3))
    with pytest.raises(DataError, match="holds signal; expected X and y"):
        load_dataset(tmp_path / "x.npz")


def test_registry_names_what_is_there():
    assert {"esr", "hits", "hits224", "hits_sada", "mnist", "mnist15k", "tcd_dwl"} <= set(DATASETS)


def test_test_patients_are_fixed_and_four_of_each_center():
    held = held_patients(HitsSettings())
    assert len(set(held)) == 12
    assert np.bincount(held % 3).tolist() == [4, 4, 4]
    assert_array_equal(held, held_patients(HitsSettings(threshold_db=4)))


def test_test_part_is_told_by_row(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    hits = simulated_hits(SMALL)
    assert_array_equal(dataset_of(hits, test_groups=np.array([1])).is_test, hits.groups == 1)
    assert not dataset_of(hits).is_test.any()


def test_digits_of_the_papers_are_the_first_ones_cropped(tmp_path, monkeypatch):
    """Images whose only ink is one pixel, of value 255, at (4, 23): a corner of the crop."""
    images = np.zeros((15_010, 28, 28), np.uint8)
    images[:, 4, 23] = 255
    labels = np.arange(15_010) % 10
    np.savez(
        tmp_path / "x.npz",
        x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20],
    )  # fmt: skip
    monkeypatch.setattr("emboscope.datasets.public.find", lambda *_: [tmp_path / "x.npz"])
    data = load_dataset("mnist15k")
    view = data.views["spectrogram"]
    assert view.shape == (15_020, 1, 20, 20)
    assert (view[:, 0, 0, 19] == 1).all()
    assert view.sum() == len(view)
    assert_array_equal(data.y, np.concatenate([labels[:15_000], labels[:20]]))
    assert data.is_test.sum() == 20


def test_organs_are_joined_but_for_the_official_test_part(tmp_path, monkeypatch):
    sizes = {"train": 5, "val": 3, "test": 2}
    content = {}
    for value, (part, n) in enumerate(sizes.items()):
        content[f"{part}_images"] = np.full((n, 28, 28), 51 * value, np.uint8)
        content[f"{part}_labels"] = np.full((n, 1), value, np.uint8)
    np.savez(tmp_path / "organcmnist_v2.npz", **content)
    monkeypatch.setattr("emboscope.datasets.public.find", lambda *_: [path])
    path = tmp_path / "organcmnist_v2.npz"
    data = load_dataset("organc_v2")
    assert data.y.tolist() == 5 * [0] + 3 * [1] + 2 * [2]
    assert data.is_test.tolist() == 8 * [False] + 2 * [True]
    assert_allclose(data.views["spectrogram"][:, 0, 3, 4], 5 * [0] + 3 * [0.2] + 2 * [0.4])
    assert len(data.classes) == 11
    np.savez(path, train_images=content["train_images"])
    with pytest.raises(DataError, match="not OrganCMNIST"):
        load_dataset("organc_v2")


def test_organs_have_to_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_DATA", str(tmp_path))
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="Run: emboscope data fetch organc_v2"):
        load_dataset("organc_v2")


def test_hits_of_another_rate_are_refused():
    settings = HitsSettings(simulation=SimulationSettings(minutes=0.1, sfreq=5000))
    with pytest.raises(SettingsError, match="simulated at 5000 Hz; expected 4385"):
        cut_hits(simulate(settings.simulation, 0), 0, settings)


def test_an_own_file_never_bears_the_name_of_a_registered_data_set(tmp_path, rng):
    content = {"X": rng.standard_normal((6, 2, 64)), "y": [0, 1] * 3, "sfreq": 250}
    for stem, name in (("hits", "own hits"), ("ward", "ward")):
        np.savez(tmp_path / f"{stem}.npz", **content)
        assert load_dataset(tmp_path / f"{stem}.npz").name == name
    folder = tmp_path / "esr"
    folder.mkdir()
    assert own_name(folder) == "own esr"
    (tmp_path / "v1.2").mkdir()
    assert own_name(tmp_path / "v1.2") == "v1.2"
    assert origin_of("own hits") == {"trained_on": "the data set 'own hits'"}
