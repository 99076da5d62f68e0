"""A study, or an HDF5 file, in place of simulated patients."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.datasets.hits import CLASSES, front_end
from emboscope.errors import DataError
from emboscope.store import LabelEvent, Study
from emboscope.workflows.hits_source import hits_from
from emboscope.workflows.study import load
from store.studies import event, info

CUT = front_end().model_dump(mode="json", exclude={"views"})


@pytest.fixture(autouse=True)
def _no_url_from_outside(monkeypatch):
    monkeypatch.delenv("EMBOSCOPE_STORE_URL", raising=False)


@pytest.fixture
def study(tmp_path):
    """Two patients of three samples, s2 held out; two people and a computation labeled some."""
    rng = np.random.default_rng(1)
    with Study.create(tmp_path / "study") as study:
        study.assign_splits(["s1", "s2"], 0.5, 0, test=["s2"])
        for name, subject in (("r1", "s1"), ("r2", "s2")):
            segments = rng.normal(0, 0.1, (3, 2, 1400)).astype(np.float32)
            events = [event(float(peak)) for peak in range(1, 4)]
            study.add_recording(info(name, subject), events, {"segments": (segments, CUT)})
    return tmp_path / "study"


def label(folder, *events):
    with Study.open(folder) as study:
        study.append([LabelEvent(*each) for each in events])


def test_a_study_gives_the_segments_of_its_patients(study):
    label(study, (1, "ann", "expert", (1.0, 0.0, 0.0)), (4, "ann", "expert", (0.0, 0.0, 1.0)))
    data = hits_from(study)
    with Study.open(study) as opened:
        assert_array_equal(data.views["waveform"], opened.array("segments"))
    assert data.views["spectrogram"].shape == (6, 1, 64, 48)
    assert data.groups.tolist() == ["s1"] * 3 + ["s2"] * 3
    assert data.y.tolist() == [0, -1, -1, 2, -1, -1]
    assert data.front_end == front_end()
    assert (data.name, data.classes, data.group_kind) == ("study", CLASSES, "patient")
    assert data.is_test.tolist() == [False] * 3 + [True] * 3


def test_votes_of_several_people_are_soft_labels(study):
    label(
        study,
        (1, "ann", "expert", (1.0, 0.0, 0.0)),
        (1, "bob", "expert", (0.0, 1.0, 0.0)),
        (1, "eve", "expert", (0.0, 1.0, 0.0)),
        (2, "ann", "propagated", (0.1, 0.1, 0.8)),
    )
    data = hits_from(study)
    assert data.y[:3].tolist() == [1, 2, -1]
    assert_allclose(data.soft_labels[:2], [[1 / 3, 2 / 3, 0], [0.1, 0.1, 0.8]])
    assert np.isnan(data.soft_labels[2:]).all()


def test_what_was_computed_alone_gives_no_soft_labels(study):
    label(study, (1, "ann", "model", (0.7, 0.2, 0.1)))
    data = hits_from(study)
    assert data.soft_labels is None
    assert data.y[0] == 0


def test_a_study_without_samples_or_labels_is_refused(study, tmp_path):
    with pytest.raises(DataError, match="no label; expected some. Label samples first"):
        hits_from(study)
    Study.create(tmp_path / "empty").close()
    with pytest.raises(DataError, match="no sample; expected some. Ingest recordings first"):
        hits_from(tmp_path / "empty")


def test_a_study_of_another_front_end_is_refused(tmp_path):
    with Study.create(tmp_path / "study") as study:
        study.assign_splits(["s1"], 0.0, 0)
        made = {"segments": (np.zeros((1, 2, 1220), np.float32), CUT | {"n_times": 1220})}
        study.add_recording(info(), [event(1.0)], made)
    with pytest.raises(DataError, match="segments with n_times 1220; expected 1400"):
        hits_from(tmp_path / "study")


def test_an_hdf5_file_is_read_as_one(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py, of the extra files, is not installed")
    path = tmp_path / "mine.h5"
    rng = np.random.default_rng(2)
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("A", "EG", "ES")):
            group = file.create_group(f"mydataset/train/{number}")
            group["iq"] = rng.normal(0, 0.1, (1220, 2))
            group.attrs.update({"class": name, "patient": f"p{number}"})
    told = []
    data = hits_from(path, lambda *what: told.append(what))
    assert data.y.tolist() == [0, 1, 2]
    assert data.groups.tolist() == ["p0", "p1", "p2"]
    assert told[-1] == ("reading HITS", 3, 3)


@pytest.mark.parametrize("name", ["nothing", "table.csv"])
def test_anything_else_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"no study folder and no .h5 or .hdf5 file"):
        hits_from(tmp_path / name)


def test_training_takes_a_study_folder_by_its_path(study):
    label(study, (1, "ann", "expert", (1.0, 0.0, 0.0)))
    data = load(str(study), None, None, None)
    assert (data.name, len(data.y)) == ("study", 6)
