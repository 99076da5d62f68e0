"""Arrays of the samples: immutable files, told apart by settings, traced to their recordings."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emboscope.errors import DataError
from emboscope.store import Study
from store.studies import add


def test_rows_stand_in_the_order_of_the_samples_over_several_files(study):
    segments = study.array("segments")
    assert_array_equal(segments[:, 0], study.samples().peaks_s)
    assert_array_equal(study.array("spectrogram"), -segments)


def test_chosen_samples_come_in_the_order_asked_for(study):
    assert_array_equal(study.array("segments", ids=np.array([6, 1]))[:, 0], [2, 1])


def test_one_file_is_mapped_and_read_only(study):
    study.put_array("map", np.zeros((7, 2)), {"perplexity": 30})
    read = study.array("map")
    assert isinstance(read, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 1


def test_the_newest_settings_are_the_default_and_others_are_named_by_hash(study):
    first = study.put_array("map", np.zeros((7, 2)), {"perplexity": 30})
    study.put_array("map", np.ones((7, 2)), {"perplexity": 50})
    assert study.array("map")[0, 0] == 1
    assert study.array("map", first.settings_hash)[0, 0] == 0
    assert [each.settings["perplexity"] for each in study.arrays("map")] == [30, 50]
    with pytest.raises(DataError, match="array 'map' by settings abc: not in the study"):
        study.array("map", "abc")


def test_the_order_of_settings_does_not_matter_and_the_same_array_is_kept_once(study):
    first = study.put_array("map", np.zeros((7, 2)), {"a": 1, "b": 2})
    second = study.put_array("map", np.zeros((7, 2)), {"b": 2, "a": 1})
    assert first == second
    assert len(list((study.path / "derived").glob("map-*.npy"))) == 1


def test_an_older_array_made_again_is_the_newest(study):
    for perplexity in (30, 50, 30):
        made = study.put_array("map", np.full((7, 2), perplexity), {"perplexity": perplexity})
        assert study.array("map")[0, 0] == perplexity
    assert [each.settings["perplexity"] for each in study.arrays("map")] == [50, 30]
    assert (len(made.files), made.n_rows) == (1, 7)


def test_a_later_array_by_the_same_settings_holds(study):
    study.put_array("map", np.zeros((7, 2)), {})
    study.put_array("map", np.ones((2, 2)), {}, ids=np.array([3, 1]))
    assert study.array("map")[:, 0].tolist() == [1, 0, 1, 0, 0, 0, 0]


def test_a_recording_leads_to_all_that_was_made_of_it_and_back(study):
    (segments,) = study.arrays("segments")
    features = study.put_array("features", np.zeros((7, 2)), {}, parents=[segments])
    study.put_array("map", np.zeros((7, 2)), {}, parents=[features])
    only = study.put_array("notes", np.zeros((3, 2)), {}, ids=np.array([5, 6, 7]))
    kinds = [file.partition("-")[0] for file in study.made_from("r2")]
    assert kinds == ["segments", "spectrogram", "features", "map"]
    assert study.recordings_of(study.arrays("map")[0]) == ("r1", "r2")
    assert study.recordings_of(only) == ()
    with pytest.raises(DataError, match="recording 'r9': not in the study"):
        study.made_from("r9")


def test_an_array_that_lacks_new_samples_is_refused(study):
    study.put_array("map", np.zeros((7, 2)), {})
    add(study, "r3", "s3")
    with pytest.raises(DataError, match="array 'map': 4 of 11 samples have no row"):
        study.array("map")


@pytest.mark.parametrize(
    ("kind", "array", "options", "text"),
    [
        ("Map", np.zeros((7, 2)), {}, "array 'Map': expected a name of small letters"),
        ("map", np.zeros((6, 2)), {}, r"shape \(6, 2\) for 7 samples"),
        ("map", np.zeros(()), {}, r"shape \(\) for 7 samples"),
        ("map", np.array(["a", None] * 3 + [1], object), {}, "holds objects; expected numbers"),
        ("map", np.zeros(1), {"ids": np.array([99])}, "sample 99 is not in the study"),
        ("map", np.zeros(2), {"ids": np.array([1, 1])}, "a sample twice; expected ids"),
    ],
)
def test_an_array_that_cannot_be_kept_is_refused(study, kind, array, options, text):
    with pytest.raises(DataError, match=text):
        study.put_array(kind, array, {}, **options)
    assert study.arrays("map") == ()


def test_settings_must_be_plain_values(study):
    with pytest.raises(DataError, match="settings of an array: .*expected plain numbers"):
        study.put_array("map", np.zeros((7, 2)), {"a": float("nan")})


def test_shards_of_another_shape_do_not_fit(study):
    study.put_array("map", np.zeros((4, 2)), {}, ids=np.arange(1, 5))
    study.put_array("map", np.zeros((3, 3)), {}, ids=np.arange(5, 8))
    with pytest.raises(DataError, match=r"rows of shape \(3,\) after \(2,\); expected one shape"):
        study.array("map")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.unlink(), "missing. Delete what is left"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged, its hash is another"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\1"), "damaged, its hash"),
    ],
)
def test_a_missing_or_damaged_file_is_one_sentence(study, damage, text):
    made = study.put_array("map", np.zeros((7, 2)), {})
    damage(study.path / "derived" / made.files[0])
    with Study.open(study.path) as again, pytest.raises(DataError, match=text):
        again.array("map")


def test_making_a_damaged_array_again_mends_it(study):
    made = study.put_array("map", np.zeros((7, 2)), {})
    (study.path / "derived" / made.files[0]).write_bytes(b"")
    study.put_array("map", np.zeros((7, 2)), {})
    assert_array_equal(study.array("map"), np.zeros((7, 2)))


def test_sweep_removes_what_a_killed_process_left_but_nothing_that_is_being_written(study):
    derived = study.path / "derived"
    for name, age_s in ((".map.1.part", 9000), ("map-1-2.npy", 9000), (".map.2.part", 10)):
        (derived / name).write_bytes(b"x")
        then = (derived / name).stat().st_mtime - age_s
        os.utime(derived / name, (then, then))
    for path in derived.glob("segments-*"):
        os.utime(path, (0, 0))
    assert study.sweep() == 2
    assert (derived / ".map.2.part").exists()
    assert study.array("segments").shape == (7, 3)
