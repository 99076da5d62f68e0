"""The model that `monitor` brings along: how it is made, judged and shipped."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emboscope.export import read_manifest
from emboscope.signal.writers import write_wav
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.workflows.classes import SHIPPED, SIMULATED, ClassOptions, load_judge
from emboscope.workflows.files import read_events_csv
from emboscope.workflows.monitor import MonitorOptions, ScanOptions, monitor
from emboscope.workflows.monitor_card import LIMITS, card_page
from emboscope.workflows.monitor_check import COLUMNS, ROWS, Named, truth_of
from hits_models import tiny_export
from real_taps import SFREQ, real_recordings
from store.studies import event

CARD = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))


def true_event(label, peak_s, duration_s=0.02):
    return SimpleNamespace(
        label=label, peak_s=peak_s, onset_s=peak_s - duration_s / 2, duration_s=duration_s
    )


def test_events_are_what_lies_where_they_are():
    """An embolus takes one event; a long artifact all that it overlaps; the rest is nothing."""
    true = (
        true_event("solid", 1.0),
        true_event("artifact", 5.0, 2.0),
        true_event("gaseous", 5.5),
        true_event("gaseous", 9.0),
        true_event("artifact", 12.0),
    )
    found = [event(peak) for peak in (1.04, 4.2, 5.5, 5.9, 7.0)]
    truth, known = truth_of(found, SimpleNamespace(events=true))
    assert truth.tolist() == [2, 0, 1, 0, 3]
    assert known.tolist() == [True, True, True, False, False]


def test_no_event_is_nothing():
    truth, known = truth_of([], SimpleNamespace(events=(true_event("solid", 1.0),)))
    assert truth.size == 0
    assert known.tolist() == [False]


def test_the_matrix_counts_missed_and_spurious():
    labels = ("gaseous", "unknown", "artifact")
    events = tuple(replace(event(1.0), label=label) for label in labels)
    matrix = Named(np.array([1, 2, 3]), events, (0, 4, 0), 1.0).matrix
    expected = np.zeros((4, 5), int)
    expected[ROWS.index("gaseous"), COLUMNS.index("gaseous")] = 1
    expected[ROWS.index("solid"), COLUMNS.index("unknown")] = 1
    expected[ROWS.index("spurious"), COLUMNS.index("artifact")] = 1
    expected[ROWS.index("gaseous"), COLUMNS.index("missed")] = 4
    assert_array_equal(matrix, expected)


# --- what is shipped -----------------------------------------------------------------------------


def test_it_is_small_whole_and_of_this_simulator():
    names = {path.name for path in SHIPPED.iterdir()}
    assert names == {"model.emb", "manifest.json", "check.json", "card.json", "CARD.md"}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_000_000
    assert set(read_manifest(SHIPPED).files) == {"model.emb", "check.json"}
    assert CARD["simulator_version"] == SIMULATOR_VERSION


def test_it_says_what_it_was_trained_on_and_for_what_it_is():
    manifest = read_manifest(SHIPPED)
    assert manifest.trained_on == CARD["trained_on"] == SIMULATED
    assert manifest.carriers_hz == (1.5e6, 2e6)
    assert manifest.least_probability == CARD["least_probability"]
    assert CARD["notice"].startswith("Research use only")


def test_its_page_is_that_of_its_card():
    page = (SHIPPED / "CARD.md").read_text(encoding="utf-8")
    assert page == card_page(CARD)
    for part in CARD["unseen"]:
        assert f"{part['carrier_hz'] / 1e6:g} MHz" in page
        assert f"{100 * part['mcc']['mean']:.1f}" in page
    assert all(limit in page for limit in LIMITS)


def test_nobody_who_judges_it_has_taught_it():
    taught = CARD["settings"]["hits"]["simulation"]["seed"]
    judging = [each["seed"] for each in CARD["settings"]["unseen"]]
    assert len({taught, *judging}) == 3
    assert {each["carrier_hz"] for each in CARD["settings"]["unseen"]} == {1.5e6, 2e6}


def test_compression_costs_less_than_a_point():
    validated = CARD["validation"]
    assert validated["mcc"] > validated["before_compression"]["mcc"] - 0.01


def test_real_probe_taps_are_no_emboli(tmp_path):
    recordings = real_recordings()
    if recordings is None:
        pytest.skip("tcd_dwl_hits.npz is not in EMBOSCOPE_DATA")
    (tmp_path / "taps").mkdir()
    for number, (samples, _) in enumerate(recordings):
        write_wav(tmp_path / "taps" / f"tap{number}.wav", samples, SFREQ)
    options = MonitorOptions(ScanOptions(carrier_mhz=2.0))
    result = monitor([tmp_path / "taps"], tmp_path / "out", options)
    assert len(result.recordings) == 8
    events = [event for path in (tmp_path / "out").glob("*.csv") for event in read_events_csv(path)]
    assert len(events) == 22
    assert not any(event.is_embolus for event in events)


def test_it_is_what_is_taken_without_a_model():
    judge = load_judge(ClassOptions())
    assert judge.name == "shipped"
    assert judge.flag == "classes by a model trained on simulated patients alone"


# --- how it is made ------------------------------------------------------------------------------


def test_shipped_form_of_a_model_has_no_code_and_tells_its_origin(tmp_path):
    from emboscope.workflows.monitor_training import export_shipped
    from hits_models import FRONT_END, segments, tiny_classifier

    views = FRONT_END.compute(segments())
    export_shipped(tiny_classifier(), tmp_path / "shipped", views, 0.6, {"mcc": 0.5})
    assert {path.name for path in (tmp_path / "shipped").iterdir()} == {
        "model.emb", "check.json", "manifest.json"
    }  # fmt: skip
    judge = load_judge(ClassOptions(tmp_path / "shipped"))
    plain = load_judge(ClassOptions(tiny_export(tmp_path / "plain")))
    assert judge.model.manifest.trained_on == SIMULATED
    assert judge.least == 0.6
    assert_array_equal(judge.probabilities(segments(3)), plain.probabilities(segments(3)))


@pytest.mark.slow
def test_training_writes_a_model_that_can_be_used(tmp_path, monkeypatch):
    from emboscope.workflows.monitor_training import (
        MonitorTrainingSettings,
        train_monitor_model,
    )

    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path / "cache"))
    patients = {"n_patients": 6, "minutes": 4, "rate_factor": 200, "seed": 7300}
    short = {"epochs": 1, "augment": []}
    settings = MonitorTrainingSettings.parse(
        {
            "hits": {"simulation": patients},
            "network": {
                "members": ["cnn1d_compact:level", "cnn2d_compact", "mlp"], "compact_width": 4
            },
            "training": short,
            "compression": {"method": "int8", "training": short},
            "unseen": [{**patients, "n_patients": 5, "seed": 7301, "carrier_hz": 2e6}],
        },
        "training",
    )  # fmt: skip
    card = train_monitor_model(tmp_path / "made", settings)
    assert json.loads((tmp_path / "made" / "card.json").read_text())["unseen"][0]["patients"] == 5
    assert (tmp_path / "made" / "CARD.md").read_text() == card_page(card)
    assert load_judge(ClassOptions(tmp_path / "made")).least == card["least_probability"]
    counted = sum(sum(row) for row in card["unseen"][0]["matrix"])
    assert counted > 0
