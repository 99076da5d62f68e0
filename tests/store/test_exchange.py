"""Labels in files of other programs."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.events.event import LABELS
from emboscope.store import LabelEvent, Study
from emboscope.store.exchange import events_of, merged_rows, rows_of
from emboscope.store.formats import FORMATS, format_of
from store.studies import add

HARD = [
    LabelEvent(1, "ann", "expert", (0.0, 1.0, 0.0)),
    LabelEvent(1, "bob", "lasso", (0.0, 0.0, 1.0)),
    LabelEvent(2, "ann", "expert", (1 / 3, 1 / 3, 1 / 3)),
    LabelEvent(3, "ann", "propagated", (1.0, 0.0, 0.0)),
    LabelEvent(5, "bob", "import", (1.0, 0.0, 0.0)),
]
SOFT = [
    *HARD,
    LabelEvent(6, "ann", "expert", (0.1, 0.2, 0.7)),
    LabelEvent(7, "ann", "model", (0.2, 0.3, 0.5)),
]


def export(study, path, name):
    form = FORMATS[name]
    if form.merged:
        rows = merged_rows(study.labels(), study.samples(), LABELS)
    else:
        rows = rows_of(study.log(), study.samples(), LABELS)
    form.write(path, rows, LABELS)
    return rows


def take_in(study, path, name, annotator=None):
    rows = FORMATS[name].read(path, LABELS)
    study.append(events_of(path, rows, study.samples(), LABELS, annotator, "in"))


@pytest.fixture
def other(tmp_path):
    """A study with the same samples and no labels."""
    with Study.create(tmp_path / "other") as made:
        add(made, "r1", "s1")
        add(made, "r2", "s2", n=3)
        yield made


@pytest.mark.parametrize("name", list(FORMATS))
def test_labels_come_back_as_they_went_out(study, other, tmp_path, name):
    """Label Studio knows a choice alone, and no computation of ours is a person's word."""
    said = [each for each in HARD if each.source != "propagated"]
    study.append(said if name == "label_studio" else SOFT)
    path = tmp_path / "labels.file"
    export(study, path, name)
    take_in(other, path, name)
    there, back = study.labels(), other.labels()
    assert_allclose(back.soft, there.soft, atol=1e-15)
    assert_array_equal(back.y, there.y)
    assert_array_equal(back.annotator, there.annotator)
    computed = np.isin(there.source, ["propagated", "model"])
    assert_array_equal(back.source[computed], there.source[computed])
    assert set(back.source[~computed]) <= {"", "import"}


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if not form.merged])
def test_annotators_stay_apart(study, other, tmp_path, name):
    study.append(HARD)
    export(study, tmp_path / "file", name)
    take_in(other, tmp_path / "file", name)
    assert other.votes()[0] == ("ann", "bob")
    assert_array_equal(other.votes()[1], study.votes()[1])


@pytest.mark.parametrize("name", list(FORMATS))
def test_nothing_goes_out_and_comes_back(study, tmp_path, name):
    export(study, tmp_path / "file", name)
    assert FORMATS[name].read(tmp_path / "file", LABELS) == []


def test_a_table_made_by_hand_needs_a_label_and_a_sample(study, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(
        "\ufeffsample_id,recording,peak_s,label\n"
        "1,,,Solid\n,r2,2.0004,unsure\n3,r1,3,\n4,r1,4.0,gaseous\n",
        encoding="utf-8",
    )
    take_in(study, path, "csv", "ann")
    assert study.labels().y.tolist() == [2, -1, -1, 1, -1, -1, -1]
    assert_allclose(study.labels().soft[5], 1 / 3)
    assert study.log()[0].details == {"file": "labels.csv"}


def test_probabilities_of_few_decimals_are_divided_by_their_sum(study, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("sample_id,p_artifact,p_gaseous,p_solid\n1,0.333,0.333,0.333\n2,0,0.25,0.75\n")
    take_in(study, path, "csv", "ann")
    assert_allclose(study.labels().soft[0], 1 / 3)
    assert_array_equal(study.labels().soft[1], [0, 0.25, 0.75])


HEADER = "sample_id,recording,peak_s,label,p_artifact,p_gaseous,p_solid,source,annotator\n"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("99,,,solid,,,,,ann", "row 3: sample 99 is not in the study; expected one of its 7"),
        ("one,,,solid,,,,,ann", "row 3: sample_id is 'one'; expected a whole number"),
        ("1.5,,,solid,,,,,ann", "row 3: sample_id is '1.5'; expected a whole number"),
        ("1,r1,2.0,solid,,,,,ann", "row 3: sample 1 is at 1.000 s of r1; expected that, not 2.0"),
        ("1,r2,1.0,solid,,,,,ann", "row 3: sample 1 is at 1.000 s of r1; expected that, not 1.0"),
        (",r1,9.0,solid,,,,,ann", "row 3: 0 samples at 9.0 s of r1; expected one"),
        (",r1,,solid,,,,,ann", "row 3: no sample; expected sample_id, or recording and peak_s"),
        ("1,,x,solid,,,,,ann", "row 3: peak_s is 'x'; expected a number"),
        ("1,,,clot,,,,,ann", "row 3: label 'clot'; expected artifact, gaseous, solid, unknown"),
        ("1,,,solid,0.1,0.1,,,ann", "row 3: a probability is missing; expected all of them"),
        ("1,,,solid,0.1,0.1,0.1,,ann", "row 3: probabilities .*; expected 3 numbers of sum 1"),
        ("1,,,solid,-1,1,1,,ann", "row 3: probabilities .*; expected 3 numbers of sum 1"),
        ("1,,,solid,0.9,0.1,0,,ann", "row 3: label 'solid' is not the most likely"),
        ("1,,,solid,nan,0.1,0.9,,ann", "row 3: a probability is 'nan'; expected a number"),
        ("1,,,solid,,,,guess,ann", "row 3: source 'guess'; expected none or one of expert"),
        ("1,,,solid,,,,,", "row 3: no annotator; expected who said it. Pass --annotator"),
    ],
)
def test_a_row_that_cannot_be_is_named_and_nothing_is_imported(study, tmp_path, row, text):
    path = tmp_path / "labels.csv"
    path.write_text(f"{HEADER}1,,,gaseous,,,,,ann\n{row}\n")
    with pytest.raises(DataError, match=f"labels '{path}' {text}"):
        take_in(study, path, "csv")
    assert study.log() == ()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("csv", "a;b\n1;2\n", "no column label; expected sample_id, recording, peak_s, label"),
        ("csv", b"\xff\xfe\x00", "not text in UTF-8"),
        ("json", "{", "not JSON"),
        ("json", "[]", "no list of labels in it; .*For Label Studio pass --format"),
        ("json", '{"labels": []}', "format_version None; expected 1. Read it with"),
        ("json", '{"format_version": 1, "classes": ["a"], "labels": []}', "classes ..a..; exp"),
        ("json", '{"format_version": 1, "labels": [3]}', "label 1: expected an object"),
        (
            "json",
            '{"format_version": 1, "labels": [{"sample_id": 1, "probabilities": [1]}]}',
            r"label 1: probabilities \[1\]; expected 3 numbers",
        ),
        ("label_studio", "{}", "no list of tasks; expected the JSON export of Label Studio"),
        ("label_studio", "[3]", "task 1: no data; expected sample_id in it"),
        ("label_studio", '[{"data": {}, "annotations": 3}]', "task 1: annotations are no list"),
        ("label_studio", '[{"data": {}, "annotations": [3]}]', "task 1: an annotation is no obj"),
        (
            "label_studio",
            '[{"data": {}, "annotations": [{"result": [{"type": "rectangle"}]}]}]',
            "task 1: 0 choices; expected one. Use a single-choice control",
        ),
        ("hits_hdf5", "nonsense", "not an HDF5 file of labels, or damaged"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, text):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=text):
        FORMATS[name].read(path, LABELS)


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"labels '.*': No such file|no such file"):
        FORMATS[name].read(tmp_path / "none", LABELS)


def test_json_of_another_order_of_classes_is_read_as_it_says(tmp_path):
    content = {
        "format_version": 1,
        "classes": ["solid", "artifact", "gaseous"],
        "labels": [{"sample_id": 1, "probabilities": [0.7, 0.1, 0.2]}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(content))
    (row,) = FORMATS["json"].read(tmp_path / "labels.json", LABELS)
    assert row.probabilities == (0.1, 0.2, 0.7)


def annotation(choice, who, **more):
    value = {"choices": [choice]}
    result = {"from_name": "c", "to_name": "s", "type": "choices", "value": value}
    return {"completed_by": who, "result": [result], **more}


def test_tasks_of_label_studio_with_several_completions(study, tmp_path):
    tasks = [
        {
            "data": {"sample_id": 1},
            "annotations": [
                annotation("Gaseous", 7),
                annotation("Solid", {"id": 8, "email": "someone@example.org"}),
                annotation("Artifact", 9, was_cancelled=True),
                annotation("Artifact", 7),
                {"completed_by": 7, "result": []},
            ],
            "predictions": [annotation("Solid", None)],
        },
        {"data": {"recording": "r2", "peak_s": 1.0}, "completions": [annotation("unsure", 7)]},
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(tasks))
    take_in(study, path, "label_studio")
    assert study.votes()[0] == ("7", "8")
    assert_array_equal(study.votes()[1][[0, 4]], [[0, 2], [-1, -1]])
    assert_allclose(study.labels().soft[4], 1 / 3)


def test_predictions_go_out_with_their_score(study, tmp_path):
    study.append(SOFT)
    path = tmp_path / "tasks.json"
    export(study, path, "label_studio")
    tasks = {task["id"]: task for task in json.loads(path.read_text())}
    (prediction,) = tasks[7]["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.5, "model")
    assert prediction["result"][0]["value"] == {"choices": ["solid"]}
    assert [each["completed_by"] for each in tasks[1]["annotations"]] == ["ann", "bob"]


def test_groups_of_hdf5_are_samples_with_class_and_picture(study, tmp_path):
    h5py = pytest.importorskip("h5py")
    study.append(HARD)
    path = tmp_path / "labels.h5"
    export(study, path, "hits_hdf5")
    with h5py.File(path) as file:
        assert sorted(file) == ["1", "2", "3", "5"]
        assert file["5"].attrs["class"] == "artifact"
        assert file["5"].attrs["pngPath"] == "labels.pictures/5.png"


def test_hdf5_of_others_names_classes_by_number_or_bytes(study, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "labels.h5"
    with h5py.File(path, "w") as file:
        file.create_group("2").attrs["class"] = 1
        file.create_group("3").attrs["class"] = np.bytes_(b"Solid")
        file.create_group("x").attrs.update({"class": "unknown", "recording": "r2", "peak_s": 3.0})
    take_in(study, path, "hits_hdf5", "ann")
    assert study.labels().y.tolist() == [-1, 1, 2, -1, -1, -1, -1]
    assert_allclose(study.labels().soft[6], 1 / 3)
    with h5py.File(path, "w") as file:
        file.create_group("2")
    with pytest.raises(DataError, match="group 2: no attribute class; expected artifact"):
        FORMATS["hits_hdf5"].read(path, LABELS)
    with h5py.File(path, "w") as file:
        file.create_group("abc").attrs["class"] = "solid"
    with pytest.raises(DataError, match="group abc: its name is 'abc'; expected a whole number"):
        FORMATS["hits_hdf5"].read(path, LABELS)


def test_the_format_is_told_by_the_suffix_unless_it_is_named(tmp_path):
    assert format_of(tmp_path / "a.JSON", None) is FORMATS["json"]
    assert format_of(tmp_path / "a.json", "label_studio") is FORMATS["label_studio"]
    with pytest.raises(SettingsError, match="no format has the suffix '.txt'; expected .csv"):
        format_of(tmp_path / "a.txt", None)
    with pytest.raises(SettingsError, match="format of labels 'cvs': unknown; .*mean 'csv'"):
        format_of(tmp_path / "a.txt", "cvs")
