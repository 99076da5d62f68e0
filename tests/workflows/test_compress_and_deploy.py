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
from emboscope.workflows.study import compress_settings


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


def test_an_unknown_target_or_a_missing_run_is_refused(run, tmp_path):
    with pytest.raises(SettingsError, match="target 'onx': unknown"):
        deploy_model(run[0], tmp_path, "onx")
    with pytest.raises(DataError, match="Train it first"):
        deploy_model(tmp_path / "none", tmp_path)


def test_a_change_goes_to_the_quantizer_unless_it_names_another_group():
    settings = compress_settings("pttq", (
        "t_max=1.5", "statistics=false", "normalization=training", "teacher.weight=0.5",
        "training.epochs=0", "layers=whole",
    ))  # fmt: skip
    assert (settings.quantizer.t_max, settings.quantizer.statistics) == (1.5, False)
    assert (settings.normalization, settings.teacher.weight) == ("training", 0.5)
    assert (settings.training.epochs, settings.layers, settings.method) == (0, "whole", "pttq")
    with pytest.raises(SettingsError, match="statistics 'trainin': unknown"):
        compress_settings("pttq", ("normalization=trainin",))
