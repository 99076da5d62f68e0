"""The study folder: samples, splits, what is refused."""

import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.store import LabelEvent, Study
from emboscope.store.splits import draw_test
from store.studies import add, event, info


def test_samples_stand_in_the_order_of_their_ids_with_all_that_is_known(study):
    samples = study.samples()
    assert_array_equal(samples.ids, np.arange(1, 8))
    assert samples.subjects.tolist() == ["s1"] * 4 + ["s2"] * 3
    assert samples.recordings.tolist() == ["r1"] * 4 + ["r2"] * 3
    assert_array_equal(samples.peaks_s, [1, 2, 3, 4, 1, 2, 3])
    assert set(samples.splits) == {"train"}
    assert samples.measures["hbr_db"][0] == 9.0
    assert np.isnan(samples.measures["velocity_cm_s"]).all()
    assert samples.measures["aliased"].all()
    assert not samples.measures["saturated"].any()


def test_recordings_keep_their_acquisition_items(study):
    first = study.recordings()[0]
    assert first == info("r1", "s1")
    assert str(study.raw_path(first)) == "/raw/r1.wav"


def test_all_is_there_in_any_database_and_after_opening_anew(tmp_path, url):
    with Study.create(tmp_path / "study", url) as made:
        ids = add(made)
        made.put_array("features", np.eye(4), {"dim": 4})
        made.append([LabelEvent(int(ids[0]), "ann", "expert", (0.0, 1.0, 0.0))])
        made.record_run("ingest", {"threshold_db": 3.0}, {"samples": 4})
    with Study.open(tmp_path / "study") as again:
        assert_array_equal(again.samples().ids, ids)
        assert_array_equal(again.array("features"), np.eye(4))
        assert again.labels().y.tolist() == [1, -1, -1, -1]
        assert again.runs()[0]["results"] == {"samples": 4}


def test_a_study_without_samples_is_empty(tmp_path):
    with Study.create(tmp_path / "study") as made:
        assert made.samples().ids.size == 0
        assert made.labels().y.size == 0
        assert made.votes()[1].shape == (0, 0)
        assert made.arrays() == ()
        with pytest.raises(DataError, match="not in the study; expected one of none yet"):
            made.array("segments")


def test_a_recording_without_events_is_kept(study):
    study.assign_splits(["s3"], 0.0, 0)
    assert study.add_recording(info("r3", "s3"), [], {}).size == 0
    assert len(study.recordings()) == 3


def test_a_recording_that_cannot_be_kept_leaves_nothing(study):
    segments = np.zeros((1, 3), np.float32)
    with pytest.raises(DataError, match="store .* (UNIQUE|unique).*Repeat the command"):
        study.add_recording(
            info("r3", "s1", sha256="hash of r1"), [event(1.0)], {"segments": (segments, {})}
        )
    with pytest.raises(DataError, match="'r1': another of that name is in the study"):
        study.add_recording(info("r1", sha256="x"), [event(1.0)], {"segments": (segments, {})})
    with pytest.raises(DataError, match="item 'shoe' is unknown; expected ultrasound_device"):
        study.add_recording(info("r3", items={"shoe": 1.0}), [], {})
    with pytest.raises(DataError, match=r"shape \(1, 3\) for 2 samples; expected a row a sample"):
        study.add_recording(info("r3"), [event(1.0)] * 2, {"segments": (segments, {})})
    assert (len(study.recordings()), study.samples().ids.size) == (2, 7)


def test_splits_are_drawn_once_and_never_change(tmp_path):
    with Study.create(tmp_path / "study") as made:
        first = made.assign_splits("abcd", share=0.5, seed=1)
        assert sorted(first.values()) == ["test", "test", "train", "train"]
        second = made.assign_splits("abcdefgh", share=0.5, seed=2)
        assert {name: second[name] for name in "abcd"} == first
        assert list(second.values()).count("test") == 4
        assert made.splits() == second


def test_splits_do_not_depend_on_the_order_of_the_subjects(tmp_path):
    drawn = []
    for name, subjects in (("one", "abcdef"), ("two", "fedcba")):
        with Study.create(tmp_path / name) as made:
            drawn.append(made.assign_splits(subjects, share=0.4, seed=3))
    assert drawn[0] == drawn[1]
    assert draw_test("abcdef", {}, 0.4, 3) == draw_test("fedcba", {}, 0.4, 3)


def test_somebody_is_left_to_learn_from():
    assert draw_test(["a"], {}, 0.9, 0) == ()
    assert len(draw_test("abcd", {}, 0.99, 0)) == 3
    assert draw_test(["a"], {"b": "train"}, 0.5, 0) == ("a",)


def test_chosen_test_subjects_must_be_new_and_there(study):
    assert study.assign_splits(["s3", "s4"], 0.0, 0, test=["s4"])["s4"] == "test"
    with pytest.raises(SettingsError, match="s1 has been one to learn from; expected new"):
        study.assign_splits(["s5"], 0.0, 0, test=["s1"])
    with pytest.raises(SettingsError, match="s9 is no subject of the recordings; expected some"):
        study.assign_splits(["s5"], 0.0, 0, test=["s9"])
    with pytest.raises(SettingsError, match="--test-share 1: expected 0 to below 1"):
        study.assign_splits(["s5"], 1.0, 0)


def test_another_pseudonym_key_is_refused(study):
    study.bind_key("one")
    study.bind_key("one")
    with pytest.raises(DataError, match="made with another pseudonym key; expected the same"):
        study.bind_key("two")


def test_what_is_no_study_is_refused(tmp_path, study):
    with pytest.raises(DataError, match="no study.toml in it; expected a study folder"):
        Study.open(tmp_path)
    with pytest.raises(DataError, match="something else is there; expected a study, or a new"):
        Study.create(tmp_path)
    with pytest.raises(SettingsError, match="store.url: .*expected a URL of SQLAlchemy"):
        Study.create(tmp_path / "new", url="nonsense")
    with pytest.raises(DataError, match="store 'sqlite:///.*unable to open database file"):
        Study.create(tmp_path / "new", url=f"sqlite:///{tmp_path}/no/folder.sqlite")
    assert not (tmp_path / "new").exists()


def test_a_database_holds_one_study(tmp_path, url):
    target = url or f"sqlite:///{tmp_path}/shared.sqlite"
    Study.create(tmp_path / "one", target).close()
    with pytest.raises(DataError, match="holds a study already; expected an empty database"):
        Study.create(tmp_path / "two", target)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("format_version = 1", "format_version = 7", "format_version 7; expected 1"),
        ("study =", "stoer = 1\nstudy =", "stoer: unknown setting. Did you mean"),
        ('study = "', 'study = "0', "not the tables of this study; expected study 0"),
        ("study", "{", "not TOML"),
    ],
)
def test_a_study_file_that_was_changed_is_refused(study, old, new, text):
    path = study.path / "study.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises((DataError, SettingsError), match=text):
        Study.open(study.path)


def test_tables_of_an_unknown_version_or_missing_are_refused(study):
    study.close()
    with sqlite3.connect(study.path / "tables.sqlite") as connection:
        connection.execute("UPDATE about SET schema_version = 2")
    connection.close()
    with pytest.raises(DataError, match="schema version 2; expected 1. Open it with the version"):
        Study.open(study.path)
    (study.path / "tables.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DataError, match="file is not a database. Restore the tables"):
        Study.open(study.path)
    (study.path / "tables.sqlite").unlink()
    with pytest.raises(DataError, match="tables.sqlite is missing; expected it beside study.toml"):
        Study.open(study.path)


def test_tables_with_damaged_text_are_one_sentence(study):
    study.close()
    path = study.path / "tables.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("UPDATE recordings SET artery = CAST(X'FF8C' AS TEXT)")
    connection.close()
    with Study.open(study.path) as again, pytest.raises(DataError, match="restore the file"):
        again.recordings()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE about SET classes = '[nonsense'")
    connection.close()
    with pytest.raises(DataError, match=r"damaged \(Expecting value.*Restore the tables from"):
        Study.open(study.path)


def test_a_study_where_nothing_can_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="file/study': Not a directory. Choose another folder"):
        Study.create(tmp_path / "file" / "study")


def test_a_server_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setenv("EMBOSCOPE_STORE_URL", "postgresql+psycopg://me:secret@/x?host=/nowhere")
    with pytest.raises(DataError, match="store 'postgresql.*Is it running, and may you") as caught:
        Study.create(tmp_path / "new")
    assert "secret" not in str(caught.value)


def test_without_its_library_a_study_says_what_to_install():
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "try:\n    import emboscope.store\n"
        "except ValueError as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SettingsError store: SQLAlchemy is not installed")
    assert 'pip install "emboscope[store]"' in done.stdout
