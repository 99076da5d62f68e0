"""Views that come with the data, as the vendor's pictures: read, trained on, never made anew."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.compression.finetune import (
    CompressSettings,
    FineTuningSettings,
    TeacherSettings,
    compress,
)
from emboscope.datasets.hits import segments_dataset
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.front_end import twin_of
from emboscope.learning.settings import TrainSettings
from emboscope.representations.views import WaveformSettings
from emboscope.workflows import study
from emboscope.workflows.evaluate import evaluate
from emboscope.workflows.profiled_data import with_views
from emboscope.workflows.run_settings import RunSettings
from emboscope.workflows.study import export_fold, export_form
from emboscope.workflows.train import train
from waves import bursts

IMAGE = {"adms_image": {"kind": "adms_image"}}
PICTURE = "cnn2d_compact:adms_image"


@pytest.fixture(scope="module")
def data():
    """Ninety segments of noise alone; the class stands in the picture."""
    rng = np.random.default_rng(3)
    y = np.arange(90) % 3
    made = segments_dataset(
        "mine", bursts(np.zeros(90, int), rng), y, np.arange(90) // 6, None, None
    )
    pictures = rng.random((90, 3, 24, 16)).astype(np.float32)
    pictures[np.arange(90), y, 8:16, 4:12] += 2
    return replace(made, views={**made.views, "adms_image": pictures})


def settings(model="hybrid_late", members=()):
    return RunSettings(
        model=model,
        folds=2,
        split="patient",
        network=NetworkSettings(compact_width=4, members=members),
        training=TrainSettings(epochs=25, batch=16),
    )


def test_a_picture_teaches_what_the_signal_does_not_tell(data, tmp_path):
    assert train(data, tmp_path / "run", settings(PICTURE)).not_augmented
    result = evaluate(tmp_path / "run", data)
    assert result.scores[PICTURE]["mcc"].mean > 0.9
    assert result.scores["gradient_boosting"]["mcc"].mean < 0.4
    assert (tmp_path / "run" / "figures" / "saliency.png").is_file()


@pytest.mark.parametrize(
    ("model", "changes", "told"),
    [
        (PICTURE, (), True),
        ("cnn1d_compact", (), False),
        (PICTURE, ("training.augment=[]",), False),
    ],
)
def test_the_command_tells_that_rows_were_not_augmented(
    model, changes, told, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(study, "load", lambda *_: data)
    asked = ["train", "mine.h5", "--out", str(tmp_path / "run"), "--model", model, "--folds", "2"]
    small = ["network.compact_width=4", "training.epochs=1", *changes]
    shown = CliRunner().invoke(app, [*asked, *(part for each in small for part in ("--set", each))])
    assert shown.exit_code == 0
    assert ("Not augmented: the views cannot be made anew" in shown.stderr) == told


def test_a_classifier_tells_that_its_rows_were_scaled_apart(data):
    apart = {**data.front_end.views, "waveform": WaveformSettings(scaling="min_max")}
    chains = (data.front_end, data.front_end.model_copy(update={"views": apart}))
    network, training = NetworkSettings(compact_width=4), TrainSettings(epochs=1, batch=16)
    told = []
    for chain in chains:
        model = SignalClassifier("cnn1d_compact", chain, network, training, 0, "cpu")
        with pytest.raises(NotFittedError):
            _ = model.leaves_out_augmentation
        told.append(model.fit(data.views, data.y).leaves_out_augmentation)
    assert told == [False, True]


def test_pictures_that_came_since_make_no_other_data(data, tmp_path):
    without = replace(data, views={n: v for n, v in data.views.items() if n != "adms_image"})
    train(without, tmp_path / "run", settings("gradient_boosting"))
    assert evaluate(tmp_path / "run", data).model == "gradient_boosting"
    train(data, tmp_path / "other", settings("gradient_boosting"))
    with pytest.raises(DataError, match="trained on other data"):
        evaluate(tmp_path / "other", without)
    told = json.loads((tmp_path / "other" / "run.json").read_text())
    del told["views"]  # as of a run that did not name them
    (tmp_path / "other" / "run.json").write_text(json.dumps(told))
    assert evaluate(tmp_path / "other", data).model == "gradient_boosting"
    louder = {name: 2 * view for name, view in data.views.items()}
    with pytest.raises(DataError, match="trained on other data"):
        evaluate(tmp_path / "run", replace(data, views=louder))


def test_nothing_is_augmented_that_the_picture_would_not_follow(data):
    chain = data.front_end
    assert twin_of(chain, augmented=True, only=("waveform", "spectrogram")) is not None
    assert twin_of(chain, augmented=True, only=("waveform", "adms_image")) is None
    made = with_views(replace(data, views={"waveform": data.views["waveform"]}), IMAGE).front_end
    assert twin_of(made, augmented=True, only=("waveform", "adms_image")) is not None


def test_a_given_picture_stays_where_a_study_asks_for_one_made_of_the_signal(data):
    same = with_views(data, IMAGE)
    assert np.array_equal(same.views["adms_image"], data.views["adms_image"])
    assert "adms_image" not in same.front_end.views
    with pytest.raises(SettingsError, match="n_rowz"):
        with_views(data, {"adms_image": {"kind": "adms_image", "n_rowz": 3}})
    without = replace(data, views={n: v for n, v in data.views.items() if n != "adms_image"})
    made = with_views(without, IMAGE)
    assert made.views["adms_image"].shape == (90, 3, 224, 96)
    assert "adms_image" in made.front_end.views


def test_a_front_end_makes_what_is_missing_and_leaves_the_rest(data):
    given = {"waveform": data.views["waveform"], "adms_image": data.views["adms_image"]}
    views = data.front_end.complete(given)
    assert set(views) == {"waveform", "spectrogram", "adms_image"}
    assert views["adms_image"] is given["adms_image"]


def test_a_fusion_with_a_picture_is_exported_but_not_its_front_end(data, tmp_path):
    run = tmp_path / "run"
    train(data, run, settings(members=("cnn1d_compact", PICTURE)))
    evaluate(run, data)
    form = export_form(("onnx",), "float", False, False, "training")
    shown = export_fold(run, tmp_path / "onnx", ("onnx",), 0, form, data)
    assert shown["inputs"] == "real"
    inside = export_form(("onnx",), "float", True, False, "training")
    with pytest.raises(SettingsError, match="front end: it does not make 'adms_image'"):
        export_fold(run, tmp_path / "inside", ("onnx",), 0, inside, data)
    simulated = export_form(("c",), "float", True, True, "simulated")
    with pytest.raises(SettingsError, match="front end.* does not make 'adms_image'"):
        export_fold(run, tmp_path / "simulated", ("c",), 0, simulated)
    model = SignalClassifier.load(run / "fold-00")
    alone = model.member_proba({"waveform": data.views["waveform"]})
    assert np.ptp(alone[:, 1], axis=1).max() < 1e-6  # a fusion makes do without the picture
    with pytest.raises(DataError, match="expected the view 'adms_image'"):
        SignalClassifier(PICTURE, data.front_end).fit({"waveform": data.views["waveform"]}, data.y)


def test_a_teacher_that_reads_other_pictures_is_refused(data, tmp_path):
    def fitted(pictures, seed):
        views = {**data.views, "adms_image": pictures}
        network, training = NetworkSettings(compact_width=4), TrainSettings(epochs=1, batch=16)
        model = SignalClassifier(PICTURE, data.front_end, network, training, seed, "cpu")
        return model.fit(views, data.y)

    pictures = data.views["adms_image"]
    fitted(pictures[..., :8], 1).save(tmp_path / "other")
    fitted(pictures, 1).save(tmp_path / "same")
    model = fitted(pictures, 0)
    for name, refused in (("same", False), ("other", True)):
        settings = CompressSettings(
            method="int8",
            training=FineTuningSettings(epochs=1),
            teacher=TeacherSettings(weight=0.5, model=tmp_path / name),
        )
        with pytest.raises(DataError, match="reads another view") if refused else nullcontext():
            compress(model, views=data.views, y=data.y, settings=settings)


def test_an_encoder_of_a_further_view_is_trained_by_its_name(data, tmp_path):
    mel = with_views(data, {"mel": {"kind": "mel"}})
    assert not train(mel, tmp_path / "run", settings("cnn2d_compact:mel")).not_augmented
    assert evaluate(tmp_path / "run", mel).model == "cnn2d_compact:mel"
    with pytest.raises(SettingsError, match="encoder 'cnn2d_compat'.*mean 'cnn2d_compact'"):
        train(mel, tmp_path / "other", settings("cnn2d_compat:mel"))
    assert not (tmp_path / "other").exists()  # refused before a folder is made
    with pytest.raises(DataError, match="expected the view 'mel'"):
        train(data, tmp_path / "third", settings("cnn2d_compact:mel"))
