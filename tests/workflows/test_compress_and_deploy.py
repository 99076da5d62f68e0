import json

import numpy as np
import pytest

from emboscope.compression.cost import cost
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.export.exported import load_exported
from emboscope.export.manifest import read_manifest
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.views import WaveformSettings
from emboscope.workflows import deploy
from emboscope.workflows.compress import compress_model
from emboscope.workflows.deploy import (
    TARGETS,
    About,
    Evidence,
    Form,
    deploy_model,
    origin_of,
    tell_origin,
)
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
    manifest = deploy_model(
        folder, tmp_path, target, Evidence(views), About(("normal", "abnormal"))
    )
    assert read_manifest(tmp_path) == manifest
    assert (manifest.target, manifest.classes) == (target, ("normal", "abnormal"))


def test_the_manifest_tells_what_the_model_learned_from(run, tmp_path):
    plain = deploy_model(run[0], tmp_path, "c")
    assert plain.trained_on == ""
    made = tell_origin(tmp_path, plain, "hits_sada")
    assert read_manifest(tmp_path) == made
    assert made.trained_on == "simulated patients alone"
    assert made.carriers_hz == (1.5e6, 2e6)
    assert origin_of("mine") == {"trained_on": "the data set 'mine'"}


def test_both_targets_take_the_signal_and_c_whole_numbers(run, tmp_path):
    views, y = run[1:]
    chain = FrontEnd(sfreq=100.0, n_times=64, views={"waveform": WaveformSettings()})
    small = NetworkSettings(compact_width=4)
    training = TrainSettings(epochs=12, batch=20)
    model = SignalClassifier("cnn1d_compact", chain, small, training, 0, "cpu").fit(views, y)
    model.save(tmp_path / "saved")
    form = Form(front_end=True, integer=True)
    with pytest.raises(SettingsError, match="nothing to calibrate with"):
        deploy_model(tmp_path / "saved", tmp_path / "none", "c", form=form)
    out, evidence = tmp_path / "out", Evidence(views, y, views)
    manifest = deploy_model(tmp_path / "saved", out, ("c", "onnx"), evidence, form=form)
    assert [each.name for each in manifest.inputs] == ["signal"]
    assert (manifest.front_end_inside, manifest.integer) == (True, True)
    turned = deploy_model(
        tmp_path / "saved", tmp_path / "turned", ("onnx", "c"), evidence, form=form
    )
    assert turned.integer
    check = json.loads((out / "check.json").read_text())
    assert check["c"]["mcc"] == pytest.approx(check["onnx"]["mcc"], abs=0.1)
    expected = mcc(y, model.predict(views))
    assert expected > 0.2
    assert check["onnx"]["mcc"] == pytest.approx(expected)
    exported = load_exported(out)
    assert exported.runtime == "c"
    found = exported.judge(views["waveform"])
    assert np.abs(found - model.predict_proba(views)).max() < 0.2


def test_an_unknown_target_or_a_missing_run_is_refused(run, tmp_path):
    with pytest.raises(SettingsError, match="target 'onx': unknown"):
        deploy_model(run[0], tmp_path, "onx")
    with pytest.raises(SettingsError, match="target: none; expected one of onnx, c"):
        deploy_model(run[0], tmp_path, ())
    with pytest.raises(DataError, match="Train it first"):
        deploy_model(tmp_path / "none", tmp_path)


def test_both_targets_share_one_folder_and_one_manifest(run, tmp_path):
    folder, views, y = run
    evidence = Evidence(views, y)
    seen = []
    about = About(("normal", "abnormal"))
    manifest = deploy_model(
        folder, tmp_path, ("c", "onnx", "c"), evidence, about, None, lambda *told: seen.append(told)
    )
    assert seen == [("exporting and checking", done, 2) for done in range(3)]
    assert read_manifest(tmp_path) == manifest
    assert manifest.target == "c+onnx"
    assert set(manifest.files) == {"model.c", "model.h", "model.emb", "model.onnx", "check.json"}
    assert {each.name for each in tmp_path.iterdir()} == {*manifest.files, "manifest.json"}
    assert manifest.sizes["model.emb"] == (tmp_path / "model.emb").stat().st_size
    check = json.loads((tmp_path / "check.json").read_text())
    assert set(check) == {"format_version", "c", "onnx", "notice"}
    for part in (check["c"], check["onnx"]):
        assert part.get("largest_difference", 0) <= part["tolerance"]
    truth = SignalClassifier.load(folder).predict(views)
    expected = mcc(y, truth)
    assert check["onnx"]["mcc_in_pytorch"] == pytest.approx(expected)
    assert check["onnx"]["mcc"] == pytest.approx(expected)
    assert check["onnx"]["n_scored"] == 60


def test_one_target_that_is_refused_leaves_no_file_of_the_other(run, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise SettingsError("no form in C")

    monkeypatch.setitem(TARGETS, "c", refused)
    with pytest.raises(SettingsError, match="no form in C"):
        deploy_model(run[0], tmp_path, ("onnx", "c"))
    assert not list(tmp_path.iterdir())


def test_the_least_probability_of_an_answer_is_set_by_the_rows_of_the_check(run, tmp_path):
    folder, views, _ = run
    p = SignalClassifier.load(folder).predict_proba(views)
    labels = p.argmax(axis=1)
    unsure = np.argsort(p.max(axis=1))[:12]  # a fifth, all of them wrong
    labels[unsure] = 1 - labels[unsure]
    made = deploy_model(folder, tmp_path, "c", Evidence(views, labels))
    answered = p.max(axis=1) >= made.least_probability
    assert 40 < answered.sum() < 52
    assert (p.argmax(axis=1) == labels)[answered].mean() >= 0.95
    assert deploy_model(folder, tmp_path, "c", Evidence(views)).least_probability is None
    never = deploy_model(folder, tmp_path, "c", Evidence(views, 1 - p.argmax(axis=1)))
    assert never.least_probability > 1  # no answer at all
    sure = deploy_model(folder, tmp_path, "c", Evidence(views, p.argmax(axis=1)))
    assert sure.least_probability == pytest.approx(p.max(axis=1).min(), abs=1e-4)
    assert json.loads((tmp_path / "check.json").read_text())["answered"] == 1.0
    unlabeled = Evidence(views, np.full(60, -1))
    assert deploy_model(folder, tmp_path, "c", unlabeled).least_probability is None


@pytest.mark.parametrize(("found", "kept"), [((0.7, 0.9), 0.9), ((0.3, 0.2), 0.5)])
def test_of_several_files_the_strictest_threshold_holds_and_one_half_at_least(
    run, tmp_path, monkeypatch, found, kept
):
    folder, views, y = run
    thresholds = iter(found)
    monkeypatch.setattr(deploy, "threshold_for", lambda *_: next(thresholds))
    made = deploy_model(folder, tmp_path, ("c", "onnx"), Evidence(views, y))
    assert made.least_probability == kept


def test_rows_without_a_class_are_not_scored(run, tmp_path):
    folder, views, y = run
    some = np.where(np.arange(60) < 20, y, -1)
    deploy_model(folder, tmp_path, evidence=Evidence(views, some))
    assert json.loads((tmp_path / "check.json").read_text())["n_scored"] == 20
    deploy_model(folder, tmp_path, evidence=Evidence(views, np.full(60, -1)))
    assert "mcc" not in json.loads((tmp_path / "check.json").read_text())


@pytest.mark.parametrize(
    ("targets", "form", "text"),
    [
        ("c", Form("int8"), "a form of ONNX; expected --target onnx"),
        ("onnx", Form(integer=True), "a form of C; expected --target c"),
        ("onnx", Form("int7"), "form of weights 'int7': unknown; expected float"),
    ],
)
def test_forms_that_do_not_suit_the_targets_are_refused(run, tmp_path, targets, form, text):
    with pytest.raises(SettingsError, match=text):
        deploy_model(run[0], tmp_path / "out", targets, form=form)
    assert not (tmp_path / "out").exists()


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
