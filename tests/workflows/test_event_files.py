"""Events survive the way to disk and back, and bad files are named."""

import pytest
from numpy.testing import assert_allclose

from emboscope.errors import DataError
from emboscope.events.event import Event
from emboscope.workflows.files import (
    read_events_csv,
    read_json,
    read_truth,
    write_events_csv,
    write_json,
)
from emboscope.workflows.score import score

EVENT = Event(1.0, 0.03, 1.01, 12.5, 20.0, -600.0, None, True, False, "embolus")
LABELED = Event(
    2.0, 0.03, 2.01, 9.5, 18.0, 700.0, 27.0, False, True, "doubtful", "solid", (0.1, 0.2, 0.7)
)


def test_events_survive_the_round_trip(tmp_path):
    write_events_csv(tmp_path / "a.events.csv", [EVENT, LABELED])
    back = read_events_csv(tmp_path / "a.events.csv")
    assert back == [EVENT, LABELED]
    assert_allclose(sum(back[1].probabilities), 1)


def test_label_wins_over_the_verdict():
    assert EVENT.is_embolus
    assert LABELED.is_embolus
    assert not Event(*[0.0] * 6, None, False, False, "embolus", "artifact").is_embolus
    assert Event(*[0.0] * 6, None, False, False, "embolus", "unknown").is_embolus
    assert not Event(*[0.0] * 6, None, False, False, "artifact", "unknown").is_embolus


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("1.0000,0.0300", "soon,0.0300", "row 2: onset_s is 'soon'; expected a number"),
        ("embolus", "clot", "row 2: verdict is 'clot'; expected embolus, doubtful"),
        ("hbr_db", "hbr", "row 2: no column hbr_db"),
    ],
)
def test_bad_cell_is_named_by_row_and_column(tmp_path, old, new, text):
    path = tmp_path / "a.events.csv"
    write_events_csv(path, [EVENT])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=text):
        read_events_csv(path)


def test_unknown_format_version_is_refused(tmp_path):
    write_json(tmp_path / "a.json", {"format_version": 99})
    with pytest.raises(DataError, match="format_version is not 1"):
        read_json(tmp_path / "a.json")


def test_truth_without_events_is_refused(tmp_path):
    write_json(tmp_path / "a.json", {"format_version": 1, "events": [{"peak_s": 1}]})
    with pytest.raises(DataError, match="expected events with peak_s, label and ebr_db"):
        read_truth(tmp_path / "a.json")


def test_not_a_number_is_written_as_null(tmp_path):
    write_json(tmp_path / "a.json", {"format_version": 1, "x": float("nan"), "y": (1.5, None)})
    assert read_json(tmp_path / "a.json") == {"format_version": 1, "x": None, "y": [1.5, None]}


def test_the_log_of_a_device_is_a_reference(tmp_path):
    log = tmp_path / "NLA1.TX0"
    log.write_text("   0 TEXT FILE VERSION 2\n 2866 HIT 25dB 15:06:26  6000T2D048 dS05\n")
    (only,) = read_truth(log)
    assert only.peak_s == 28.66
    assert only.label != "artifact"


def test_reference_events_without_signal_are_not_scored(tmp_path):
    write_events_csv(tmp_path / "a.events.csv", [EVENT])
    details = {"format_version": 1, "evaluable_hours": 1.0, "duration_s": 3600.0,
               "unusable": [[10.0, 20.0, "dropout"]]}  # fmt: skip
    write_json(tmp_path / "a.events.json", details)
    truth = [{"peak_s": peak_s, "label": "solid", "ebr_db": 10.0} for peak_s in (1.01, 15.0, 30.0)]
    write_json(tmp_path / "a.json", {"format_version": 1, "events": truth})
    total = score(tmp_path / "a.events.csv", tmp_path / "a.json").total
    assert (total.score.hits, total.score.misses, total.not_evaluable) == (1, 1, 1)
