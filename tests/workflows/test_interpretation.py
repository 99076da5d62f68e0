"""The pictures that evaluation draws of a run."""

import csv
import io
import json
import shutil
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from typer.testing import CliRunner

import emboscope.workflows.interpretation as interpretation
from emboscope.cli.app import app
from emboscope.datasets.hits import segments_dataset
from emboscope.errors import SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.workflows.evaluate import drawn_weights, evaluate
from emboscope.workflows.run_settings import RunSettings
from emboscope.workflows.study import load, run_settings
from emboscope.workflows.train import read_run, run_folds, train
from waves import bursts, waves


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five classes of their own frequency, 20 patients."""
    rng = np.random.default_rng(8)
    y = np.arange(200) % 5
    path = tmp_path_factory.mktemp("data") / "five.npz"
    np.savez(
        path, X=waves(y, 128, 128.0, 11, 0.3, rng), y=y, groups=np.arange(200) // 10, sfreq=128.0
    )
    return load(str(path), None, None, None)


def evaluated(data, run, model):
    settings = RunSettings(
        model=model,
        folds=2,
        split=data.group_kind,
        network=NetworkSettings(compact_width=4),
        training=TrainSettings(epochs=6, batch=16),
    )
    train(data, run, settings)
    return evaluate(run, data)


def trained(data, run, model="cnn1d_compact", members=()):
    """A run of an epoch, whose test parts nobody has read."""
    settings = RunSettings(
        model=model,
        folds=2,
        split=data.group_kind,
        network=NetworkSettings(compact_width=4, members=members),
        training=TrainSettings(epochs=1, batch=16),
    )
    train(data, run, settings)
    return run


def test_a_file_of_five_classes_is_trained_judged_and_drawn(data, tmp_path):
    result = evaluated(data, tmp_path / "run", "hybrid")
    assert result.scores["hybrid"]["mcc"].mean > 0.8
    pictures = sorted(path.name for path in (tmp_path / "run" / "figures").iterdir())
    assert pictures == ["latent.png", "neighbors.png", "saliency.png", "weights.csv", "weights.png"]
    for name in pictures:
        if name.endswith(".png"):
            with Image.open(tmp_path / "run" / "figures" / name) as picture:
                assert min(picture.size) > 200


def test_how_far_a_model_can_be_trusted_is_judged_and_stored(data, tmp_path):
    result = evaluated(data, tmp_path / "run", "cnn1d_compact")
    found = {name: each.mean for name, each in result.calibration.items()}
    assert set(found) == {"calibration_error", "brier", "answered", "right_when_answered"}
    assert 0 < found["answered"] <= 1
    assert found["right_when_answered"] >= result.scores["cnn1d_compact"]["accuracy"].mean - 0.05
    assert 0 < found["brier"] < 1
    again = evaluate(tmp_path / "run", data)
    assert again.stored
    assert again.calibration == result.calibration


def test_weights_of_a_late_fusion_are_one_a_fold_and_sum_to_one(data, tmp_path):
    evaluated(data, tmp_path / "run", "hybrid_late")
    text = (tmp_path / "run" / "figures" / "weights.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 10
    assert {row["n"] for row in rows} == {"2"}
    for name in data.classes:
        total = sum(float(row["mean"]) for row in rows if row["class"] == name)
        assert total == pytest.approx(1, abs=1e-3)


def test_weights_that_differ_by_row_are_told_row_by_row(data, tmp_path):
    evaluated(data, tmp_path / "run", "hybrid_gated")
    folder = tmp_path / "run" / "figures"
    by_row = list(csv.DictReader(io.StringIO((folder / "weights_rows.csv").read_text())))
    settings = read_run(tmp_path / "run")[0]
    fold = run_folds(data, settings)[1]
    model = SignalClassifier.load(tmp_path / "run" / "fold-01")
    weights = model.fusion_weights(data.rows(fold.test))
    assert len(by_row) == 2 * 200
    told = {(int(line["row"]), line["member"]): line for line in by_row}
    for nth in (0, len(fold.test) - 1):
        for index, member in enumerate(("waveform", "spectrogram")):
            line = told[fold.test[nth], member]
            found = [float(line[name]) for name in data.classes]
            assert_allclose(found, weights[nth, index], atol=1e-4)


def test_members_of_one_encoder_are_numbered(data, tmp_path):
    members = ("cnn1d_compact", "cnn2d_compact", "cnn1d_compact")
    run = trained(data, tmp_path / "run", "hybrid_late", members)
    evaluate(run, data)
    names = list(dict.fromkeys(line["member"] for line in drawn_weights(run)))
    assert names == ["waveform, Cnn1dCompact 1", "spectrogram", "waveform, Cnn1dCompact 2"]
    assert len(drawn_weights(run)) == 15


def test_a_projection_without_its_library_is_refused_before_the_test_part_is_read(
    data, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "umap", None)
    run = trained(data, tmp_path / "run")
    with pytest.raises(SettingsError, match="umap-learn is not installed"):
        evaluate(run, data, projection="umap")
    assert not (run / "metrics.json").exists()
    evaluate(run, data, projection="umap", figures=False)
    (run / "figures").mkdir()
    (run / "figures" / "latent_umap.png").touch()  # drawn elsewhere
    assert evaluate(run, data, projection="umap").stored


def test_weights_are_printed_and_told_in_json(data, tmp_path):
    evaluated(data, tmp_path / "run", "hybrid_late")
    lines = drawn_weights(tmp_path / "run")
    assert {line["member"] for line in lines} == {"waveform", "spectrogram"}
    asked = ["evaluate", str(tmp_path / "run"), "-q"]
    shown = CliRunner().invoke(app, asked, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "Weights of the fusion" in shown.stdout
    told = [float(lines[0][name]) for name in ("mean", "low", "high")]
    assert "{:.2f} [{:.2f}, {:.2f}]".format(*told) in shown.stdout
    content = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert content["weights"] == lines
    assert "Not drawn" not in shown.stdout
    other = CliRunner().invoke(app, [*asked, "--projection", "pca"]).stdout
    assert "Not drawn by pca: that needs the data. Name it with --on." in other


@pytest.mark.parametrize("projection", ["pca", "umap"])
def test_latent_spaces_are_drawn_by_the_projection_asked_for_beside_the_others(
    projection, data, tmp_path
):
    if projection == "umap":
        pytest.importorskip("umap", reason="umap-learn, of the extra umap, is not installed")
    run = tmp_path / "run"
    evaluated(data, run, "cnn1d_compact")
    before = (run / "figures" / "latent.png").read_bytes()
    assert evaluate(run, data, projection=projection).stored
    assert (run / "figures" / f"latent_{projection}.png").read_bytes() != before
    assert (run / "figures" / "latent.png").read_bytes() == before


def test_an_unknown_projection_is_refused_before_the_test_part_is_read(data, tmp_path):
    run = trained(data, tmp_path / "run")
    for figures in (True, False):
        with pytest.raises(SettingsError, match="projection 'umpa'.*Did you mean 'umap'"):
            evaluate(run, data, projection="umpa", figures=figures)
    assert not (run / "metrics.json").exists()


def test_one_encoder_has_no_weights_and_features_no_pictures(data, tmp_path):
    evaluated(data, tmp_path / "one", "cnn1d_compact")
    assert not (tmp_path / "one" / "figures" / "weights.png").exists()
    assert (tmp_path / "one" / "figures" / "latent.png").exists()
    evaluated(data, tmp_path / "tree", "tree")
    assert not (tmp_path / "tree" / "figures").exists()


def test_a_stop_while_drawing_leaves_no_folder_of_a_few_pictures(data, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(interpretation, "_neighbors", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluated(data, tmp_path / "run", "cnn1d_compact")
    assert not any("latent.png" in str(path) for path in tmp_path.rglob("*"))
    evaluate(tmp_path / "run", data)
    drawn = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert drawn == {"latent.png", "neighbors.png", "saliency.png"}


@pytest.mark.parametrize("n_raters", [0, 2])
def test_three_classes_are_drawn_in_a_triangle_beside_what_the_raters_said(
    n_raters, tmp_path, monkeypatch
):
    rng = np.random.default_rng(8)
    y = np.arange(60) % 3
    soft = (np.eye(3)[y] + np.eye(3)[0]) / 2 if n_raters else None
    data = segments_dataset("mine", bursts(y, rng), y, np.arange(60) // 6, soft, None)
    asked = []
    draw = interpretation.simplex_figure
    monkeypatch.setattr(
        interpretation, "simplex_figure", lambda *given: asked.append(given) or draw(*given)
    )
    evaluated(data, tmp_path / "run", "cnn2d_compact")
    ((clouds, classes),) = asked
    assert classes == data.classes
    fold = run_folds(data, read_run(tmp_path / "run")[0])[0]
    model = SignalClassifier.load(tmp_path / "run" / "fold-00")
    assert_allclose(clouds[-1].shares, model.predict_proba(data.rows(fold.test)), atol=1e-6)
    assert np.array_equal(clouds[-1].y, y[fold.test])
    assert len(clouds) == (2 if n_raters else 1)
    if n_raters:
        assert np.array_equal(clouds[0].shares, soft[fold.test])
    assert (tmp_path / "run" / "figures" / "simplex.png").is_file()


def test_lost_pictures_are_drawn_again_and_null_is_not_a_number(data, tmp_path):
    run = tmp_path / "run"
    evaluated(data, run, "cnn1d_compact")
    shutil.rmtree(run / "figures")
    stored = json.loads((run / "metrics.json").read_text())
    stored["calibration"]["answered"] = {
        "mean": None, "interval": [None, None], "method": "x", "values": [None, None]
    }  # fmt: skip
    (run / "metrics.json").write_text(json.dumps(stored))
    result = evaluate(run, data)
    assert np.isnan(result.calibration["answered"].mean)
    assert (run / "figures" / "latent.png").exists()


def test_a_file_of_settings_decides_unless_an_option_does(data, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('model = "cnn1d_compact"\nfolds = 7\nseed = 3\n')
    options = {"model": None, "folds": 4, "seed": None, "split": None, "profile": None}
    settings = run_settings(path, ("epochs=2", "regularizers.dec=0.1"), options, data)
    assert (settings.model, settings.folds, settings.seed) == ("cnn1d_compact", 4, 3)
    assert settings.split == data.group_kind
    assert (settings.training.epochs, settings.training.regularizers.dec) == (2, 0.1)
    named = run_settings(path, ("training.epochs=2", "network.dropout=0.1"), options, data)
    assert (named.training.epochs, named.network.dropout) == (2, 0.1)
