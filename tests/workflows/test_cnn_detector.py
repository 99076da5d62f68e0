"""Detector `cnn`: its windows, its events, and what it must not load."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

from doppler_signals import CARRIER, SFREQ, add_embolus, blood, emboli, scan, with_embolus
from emboscope.cli.app import app
from emboscope.events.block import Acquisition
from emboscope.events.detection import DETECTORS, StreamingDetector, detect
from emboscope.events.statistics import Evidence
from emboscope.signal.doppler import FlowBand
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.workflows.cnn_alarm import Emboli, alarm_at
from emboscope.workflows.cnn_detector import (
    CLASSES,
    COLUMNS,
    LEARNED_ON,
    WEIGHTS,
    card,
    embolus_odds,
    windows,
)

CLEAR_S = (12.0, 30.0, 59.98, 90.2)  # one of them across the border of two blocks


def evidence_of(samples, sfreq=SFREQ, side="towards"):
    """What a detector sees of flow whose level is known."""
    centers = np.arange(32, samples.size - 32, 16)
    expected = np.full(centers.size, 1.0)
    nothing = np.zeros((0, centers.size))
    return Evidence(
        nothing, expected, expected, expected, 1.0, 16 / sfreq, samples, samples, centers,
        FlowBand(side, 150.0, sfreq / 2, sfreq),
    )  # fmt: skip


@pytest.fixture(scope="module")
def session():
    """100 s of flow with four clear emboli."""
    rng = np.random.default_rng(5)
    samples = blood(rng, seconds=100)
    for peak_s, ebr_db in zip(CLEAR_S, (15, 14, 20, 25), strict=True):
        add_embolus(samples, peak_s, ebr_db, rng)
    return 0.01 * samples


def test_clear_emboli_are_found_and_measured_as_by_the_default_detector(session):
    ours, default = (
        {round(event.peak_s, 1): event for event in emboli(scan(session, 1.0, detector=name))}
        for name in ("cnn", "hbr_recursive")
    )
    for peak_s in CLEAR_S:
        assert ours[round(peak_s, 1)] == default[round(peak_s, 1)]
    assert len(ours) <= 7


@pytest.mark.parametrize("block_s", [0.1, 1, 100])
def test_streaming_gives_the_events_of_the_whole(session, block_s):
    acquisition = Acquisition(SFREQ, CARRIER)
    whole = detect(lambda a, b: session[a:b], session.size, acquisition, detector="cnn")
    stream = StreamingDetector(acquisition, detector="cnn")
    step = round(block_s * SFREQ)
    for start in range(0, session.size, step):
        stream.push(session[start : start + step])
    assert stream.finish() == whole


def test_windows_lie_22_ms_apart_and_end_with_the_block(rng):
    samples = 0.1 * (rng.standard_normal((40000, 2)) @ (1, 1j))
    images, middle = windows(evidence_of(samples))
    assert images.shape == (len(middle), 2, 64, COLUMNS)
    assert_allclose(np.diff(middle) / SFREQ, 0.0219, atol=1e-4)
    assert samples.size - middle[-1] < (COLUMNS / 2 + 3) * 32 + 64  # a whole one did not fit


def test_the_loudest_window_holds_the_embolus(rng):
    samples = with_embolus(blood(rng, seconds=20), 9.0, 20.0, rng)
    images, middle = windows(evidence_of(samples))
    loudest = images[:, 0].mean(axis=1)[:, COLUMNS // 2].argmax()
    assert middle[loudest] / SFREQ == pytest.approx(9.0, abs=0.05)


def test_flow_away_gives_the_images_of_flow_towards(rng):
    samples = blood(rng, seconds=10)
    towards, _ = windows(evidence_of(samples))
    away, _ = windows(evidence_of(samples.conj(), side="away"))
    # an even transform has one row more below zero: the images lie one row apart, and 0.15 dB
    assert_allclose(away[:, :, :-1], towards[:, :, 1:], atol=0.16)


def test_other_rates_see_windows_of_the_same_time_and_frequency(rng):
    images, middle = windows(evidence_of(blood(rng, seconds=10), sfreq=2 * SFREQ))
    assert images.shape[2:] == (128, COLUMNS)
    assert_allclose(np.diff(middle) / (2 * SFREQ), 0.0219, atol=1e-4)


def test_a_block_under_one_window_opens_no_event(rng):
    short = evidence_of(blood(rng, seconds=1)[:400])
    assert_array_equal(embolus_odds(short), np.full(short.centers.size, -np.inf))


def test_alarm_lets_as_many_false_emboli_pass_as_wanted():
    found = Emboli(np.array([9.0, 4.0, 1.0]), np.array([2.0, 7.0, 3.0, 5.0]), 4, 2.0)
    alarm = alarm_at(found, false_per_hour=1.0)
    assert alarm == 3.0  # 7 and 5 pass: two in two hours
    assert found.figures(alarm) == {"sensitivity": 0.5, "false_per_hour": 1.0}


def true_event(label, peak_s, duration_s=0.02, ebr_db=10.0):
    return SimpleNamespace(
        label=label, peak_s=peak_s, onset_s=peak_s - duration_s / 2, duration_s=duration_s,
        ebr_db=ebr_db,
    )  # fmt: skip


def test_windows_are_labelled_by_what_lies_in_their_middle():
    from emboscope.workflows.cnn_training import labels_of

    events = (
        true_event("solid", 1.0),
        true_event("artifact", 2.0, 0.2),
        true_event("gaseous", 3.0, ebr_db=1),
    )
    middle_s = np.array([0.5, 0.95, 1.02, 2.12, 2.15, 3.0])
    said = [
        CLASSES[k] if k >= 0 else "" for k in labels_of(middle_s, SimpleNamespace(events=events))
    ]
    assert said == ["normal", "", "embolus", "artifact", "", ""]


@pytest.mark.slow
def test_training_writes_a_network_that_can_be_used(tmp_path):
    from emboscope.learning import SignalClassifier
    from emboscope.workflows.cnn_training import WindowTrainingSettings, train_window_detector

    patients = {"n_patients": 4, "minutes": 2, "rate_factor": 400, "seed": 7300}
    settings = WindowTrainingSettings.parse(
        {"training": patients, "validation": {**patients, "seed": 7301}, "width": 4, "epochs": 1},
        "training",
    )
    written = train_window_detector(tmp_path, settings)
    assert written == json.loads((tmp_path / "card.json").read_text())
    assert SignalClassifier.load(tmp_path).shapes_["spectrogram"] == (2, 64, COLUMNS)


def test_what_is_shipped_is_small_and_of_this_simulator():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 250_000
    assert {path.suffix for path in WEIGHTS.iterdir()} == {".json", ".safetensors"}
    assert card()["simulator_version"] == SIMULATOR_VERSION
    assert card()["trained_on"] == "simulated patients alone"


def simulated(folder):
    """Half a minute of one simulated patient."""
    done = CliRunner().invoke(
        app, ["simulate", str(folder), "--patients", "1", "--minutes", "0.5", "--seed", "3"]
    )
    assert done.exit_code == 0, done.output


def test_other_detectors_scan_without_torch(tmp_path):
    simulated(tmp_path / "sim")
    code = (
        "import sys; from pathlib import Path; from emboscope.workflows.scan import *; "
        f"scan([Path({str(tmp_path / 'sim')!r})], Path({str(tmp_path / 'out')!r}), ScanOptions()); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_output_says_what_it_was_trained_on(tmp_path):
    simulated(tmp_path / "sim")
    arguments = ["scan", tmp_path / "sim", "--out", tmp_path / "out", "--detector", "cnn"]
    done = CliRunner().invoke(app, [*map(str, arguments), "--report", "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    said = LEARNED_ON["cnn"]
    assert said in json.loads(done.stdout)["rows"][0]["flags"]
    (events,) = (tmp_path / "out").glob("*.events.json")
    assert said in json.loads(events.read_text())["flags"]
    (report,) = (tmp_path / "out").glob("*.html")
    assert said in report.read_text().replace("Detector", "detector")


def test_cnn_is_registered_where_scans_look():
    assert DETECTORS["cnn"].statistic is embolus_odds
