import json

import numpy as np
import pytest

from emboscope.compression.cost import cost
from emboscope.errors import DataError, SettingsError
from emboscope.export.manifest import read_manifest
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.workflows.compress import compress_model
from emboscope.workflows.deploy import TARGETS, deploy_model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = np.random.default_rng(2)
    views, y = {"waveform": rng.standard_normal((60, 1, 64))}, np.arange(60) % 2
    views["waveform"][y == 1, :, 20:30] += 2
    model = SignalClassifier(
        "cnn1d_compact", network=NetworkSettings(compact_width=8), training=TrainSettings(epochs=2)
    )
    folder = tmp_path_factory.mktemp("run")
    model.fit(views, y).save(folder)
    return folder, views, y


def test_a_compressed_run_holds_a_smaller_model_and_its_cost(run, tmp_path):
    folder, views, y = run
    size = compress_model(folder, tmp_path, views, y, (np.arange(40), np.arange(40, 50)))
    stored = json.loads((tmp_path / "compression.json").read_text())
    assert stored["bits"] == size.bits < stored["bits_before"]
    assert cost(SignalClassifier.load(tmp_path).network_) == size
    assert SignalClassifier.load(tmp_path).history_ != SignalClassifier.load(folder).history_


def test_only_the_rows_of_the_training_are_read(run, tmp_path):
    folder, views, y = run
    spoiled = {"waveform": views["waveform"].copy()}
    spoiled["waveform"][50:] = np.nan
    rows = (np.arange(40), np.arange(40, 50))
    clean = compress_model(folder, tmp_path / "a", views, y, rows)
    assert compress_model(folder, tmp_path / "b", spoiled, y, rows) == clean
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_writes_a_manifest_that_holds(target, run, tmp_path):
    folder, views, _ = run
    manifest = deploy_model(folder, tmp_path, target, views, ("normal", "abnormal"))
    assert read_manifest(tmp_path) == manifest
    assert (manifest.target, manifest.classes) == (target, ("normal", "abnormal"))


def test_the_manifest_tells_what_the_model_learned_from(run, tmp_path):
    made = deploy_model(run[0], tmp_path, "c", data="hits_sada")
    assert read_manifest(tmp_path) == made
    assert made.trained_on == "simulated patients alone"
    assert made.carriers_hz == (1.5e6, 2e6)
    assert deploy_model(run[0], tmp_path, "c", data="mine").trained_on == "the data set 'mine'"
    assert deploy_model(run[0], tmp_path, "c").trained_on == ""


def test_an_unknown_target_or_a_missing_run_is_refused(run, tmp_path):
    with pytest.raises(SettingsError, match="target 'onx': unknown"):
        deploy_model(run[0], tmp_path, "onx")
    with pytest.raises(DataError, match="Train it first"):
        deploy_model(tmp_path / "none", tmp_path)
