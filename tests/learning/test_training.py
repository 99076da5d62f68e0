"""The loop: what it resumes, keeps, draws, and settles at the end."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import softmax

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.calibration import fit_temperature
from emboscope.evaluation.protocol import hold_out
from emboscope.learning.architecture import NetworkSettings, TransformerSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.loop import Rows, Task, batches, best_epoch
from emboscope.learning.models import build_network
from emboscope.learning.regularizers import RegularizerSettings
from emboscope.learning.settings import TrainSettings

COMPACT = NetworkSettings(compact_width=4)
EVERYTHING = TrainSettings(
    epochs=4,
    batch=16,
    loss="gce",
    warm_start=1,
    modality_dropout=0.2,
    kept_share=0.9,
    sampler="balanced",
    keep="best",
    regularizers=RegularizerSettings(
        guided=(1.0, 0.01), dec=0.1, dec_start=1, links=0.1, contrastive=0.1
    ),
)


def data(rng, n=64):
    y = np.arange(n) % 2
    times = np.arange(178) / 173.61
    waves = np.sin(2 * np.pi * (5 + 15 * y[:, None]) * times + rng.uniform(0, 6, (n, 1)))
    views = {
        "waveform": (waves + 0.3 * rng.standard_normal((n, 178)))[:, None].astype(np.float32),
        "spectrogram": (rng.standard_normal((n, 1, 32, 37)) + y[:, None, None, None]).astype("f"),
    }
    return views, y


class Stopped(Exception):
    pass


def stop_after(epochs):
    def progress(what, done, total):
        if done == epochs:
            raise Stopped

    return progress


def test_a_stopped_training_of_all_terms_ends_with_the_same_weights(rng, tmp_path):
    views, y = data(rng)

    def fit(**options):
        classifier = SignalClassifier("hybrid_concat", network=COMPACT, training=EVERYTHING,
                                      device="cpu")  # fmt: skip
        return classifier.fit(views, y, np.arange(64) // 4, **options)

    for epochs in (1, 3):  # before and after clustering began
        with pytest.raises(Stopped):
            fit(checkpoint=tmp_path, progress=stop_after(epochs))
    resumed, whole = fit(checkpoint=tmp_path), fit()
    assert json.dumps(resumed.history_) == json.dumps(whole.history_)
    for name, value in whole.network_.state_dict().items():
        assert torch.equal(value, resumed.network_.state_dict()[name])


def test_history_tells_each_term_and_the_smallest_cluster(rng):
    views, y = data(rng)
    history = (
        SignalClassifier("hybrid_concat", network=COMPACT, training=EVERYTHING, device="cpu")
        .fit(views, y)
        .history_
    )
    assert np.isnan(history[0]["smallest_cluster"])
    assert 0 < history[2]["smallest_cluster"] <= 0.5
    assert "loss_dec" not in history[0]
    parts = ("labels", "guided", "dec", "links", "contrastive")
    assert history[2]["loss"] == pytest.approx(sum(history[2][f"loss_{part}"] for part in parts))


def test_patience_ends_a_training_and_the_best_epoch_stays(rng):
    views, y = data(rng)
    settings = TrainSettings(epochs=40, batch=16, learning_rate=0.05, patience=2, keep="best")
    classifier = SignalClassifier("cnn1d_compact", network=COMPACT, training=settings, device="cpu")
    rows = np.arange(48, 64)
    classifier.fit(views, y, validation=rows)
    losses = [entry["validation_loss"] for entry in classifier.history_]
    assert len(losses) == np.argmin(losses) + 3 < 40
    classifier.network_.temperature.fill_(1.0)
    found = classifier.log_proba({name: view[rows] for name, view in views.items()})
    assert -found[np.arange(16), y[rows]].mean() == pytest.approx(min(losses), rel=1e-5)


def test_the_best_epoch_of_no_validation_part_is_refused(rng):
    views, y = data(rng, 20)
    classifier = SignalClassifier("cnn1d_compact", training=TrainSettings(keep="best"))
    with pytest.raises(SettingsError, match=r"training\.keep: .* without a validation part"):
        classifier.fit(views, y, validation=np.empty(0, int))


def test_the_temperature_of_scaled_logits_is_their_scale(rng):
    logits = rng.normal(size=(4000, 3))
    y = np.array([rng.choice(3, p=row) for row in softmax(logits, axis=1)])
    assert fit_temperature(3 * logits, y) == pytest.approx(3, rel=0.1)
    assert 0.1 < fit_temperature(np.eye(3) * 5, np.arange(3)) < 1


def test_a_fitted_temperature_changes_no_decision(rng):
    views, y = data(rng)
    training = TrainSettings(epochs=3, batch=16)
    classifier = SignalClassifier("hybrid_late", network=COMPACT, training=training, device="cpu")
    classifier.fit(views, y)
    temperature = float(classifier.network_.temperature)
    assert temperature != 1
    fitted = classifier.log_proba(views)
    classifier.network_.temperature.fill_(1.0)
    plain = classifier.log_proba(views)
    assert (fitted.argmax(axis=1) == plain.argmax(axis=1)).all()
    assert_allclose(fitted[:, 0] - fitted[:, 1], (plain[:, 0] - plain[:, 1]) / temperature,
                    rtol=1e-4, atol=1e-5)  # fmt: skip


def test_the_fusion_penalty_of_the_settings_draws_the_weights_together(rng):
    views, y = data(rng)
    spreads = []
    for penalty in (1e-3, 1e4):
        training = TrainSettings(epochs=2, batch=16, fusion_penalty=penalty)
        classifier = SignalClassifier("hybrid_late", network=COMPACT, training=training)
        weights = classifier.fit(views, y).network_.weights
        spreads.append(float((weights - 0.5).abs().max()))
    assert spreads[1] < 1e-3 < spreads[0]


def small(**options):
    training = TrainSettings(epochs=3, batch=16, **options)
    return SignalClassifier("hybrid_late", network=COMPACT, training=training, device="cpu")


def test_a_refitted_model_learned_from_all_rows_and_keeps_what_validation_set(rng):
    views, y = data(rng)
    first = small().fit(views, y, np.arange(64) // 4)
    whole = first.refitted(views, y)
    alone = small().fit(views, y, validation=np.empty(0, int))
    scores, temperature = first.network_.scores.clone(), float(first.network_.temperature)
    assert scores.abs().max() > 0
    assert torch.equal(whole.network_.scores, scores)
    assert float(whole.network_.temperature) == temperature
    assert not torch.equal(alone.network_.scores, scores)
    assert_allclose(whole.member_proba(views), alone.member_proba(views), atol=1e-6)
    assert not np.allclose(whole.member_proba(views), first.member_proba(views), atol=1e-3)


def test_the_epoch_of_a_refitted_model_cannot_be_chosen(rng):
    views, y = data(rng)
    first = small(keep="best").fit(views, y, np.arange(64) // 4)
    with pytest.raises(SettingsError, match="refit: the epoch is to be chosen by rows"):
        first.refitted(views, y)
    patient = small(patience=1).fit(views, y, np.arange(64) // 4)
    with pytest.raises(SettingsError, match="refit: the epoch is to be chosen by rows"):
        patient.refitted(views, y)


def test_a_class_of_validating_rows_alone_is_left_out_of_the_second_training_too(rng):
    views, y = data(rng)
    y = np.where(np.arange(64) >= 60, 2, y)
    first = small().fit(views, y, validation=np.arange(50, 64))
    assert first.classes_.tolist() == [0, 1]
    assert first.refitted(views, y).classes_.tolist() == [0, 1]


def test_a_refitted_model_needs_the_same_classes(rng):
    views, y = data(rng)
    first = small().fit(views, y, np.arange(64) // 4)
    with pytest.raises(DataError, match="0 class in the training part"):
        first.refitted(views, y + 2)
    soft = np.eye(3)[y]
    with pytest.raises(DataError, match=r"classes \[0, 2\]; expected \[0, 1\], as before"):
        first.refitted(views, soft[:, [0, 2, 1]])


def test_a_balanced_sampler_shows_rare_classes_as_often():
    y = torch.tensor([0] * 900 + [1] * 100)
    rows = Rows({"waveform": torch.zeros(1000, 1, 32)}, y)
    task = Task(build_network("cnn1d_compact", {"waveform": (1, 32)}, 2, COMPACT), rows, rows, 2)
    shares = {
        sampler: y[torch.cat(batches(task, TrainSettings(sampler=sampler)))].float().mean().item()
        for sampler in ("shuffled", "balanced")
    }
    assert shares["shuffled"] == pytest.approx(0.1, abs=0.02)
    assert shares["balanced"] == pytest.approx(0.5, abs=0.06)


def test_modality_dropout_keeps_a_fusion_useful_without_a_view(rng):
    views, y = data(rng, 96)
    settings = TrainSettings(epochs=8, batch=16, modality_dropout=0.4)
    classifier = SignalClassifier("hybrid_gated", network=COMPACT, training=settings, device="cpu")
    classifier.fit(views, y)
    for name, view in views.items():
        assert np.mean(classifier.predict({name: view}) == y) > 0.9


@pytest.mark.slow
def test_two_processes_learn_what_one_does(rng):
    views, y = data(rng, 96)
    training = TrainSettings(epochs=4, batch=16, devices=2, keep="best", mixup=0.0)
    classifier = SignalClassifier("hybrid_sum", network=COMPACT, training=training, device="cpu")
    classifier.fit(views, y, np.arange(96) // 4)
    assert np.mean(classifier.predict(views) == y) > 0.9
    assert len(classifier.history_) == 4


def test_fewer_than_two_rows_a_device_are_refused(rng):
    views, y = data(rng, 20)
    training = TrainSettings(batch=4, devices=3)
    with pytest.raises(SettingsError, match="4 rows on 3 devices; expected at least 2 a device"):
        SignalClassifier("cnn1d_compact", training=training).fit(views, y)


def test_bfloat16_learns_too(rng):
    views, y = data(rng)
    training = TrainSettings(epochs=4, batch=16, precision="bf16-mixed")
    classifier = SignalClassifier("hybrid_late", network=COMPACT, training=training, device="cpu")
    assert np.mean(classifier.fit(views, y).predict(views) == y) > 0.9


@pytest.mark.parametrize(("precision", "fused"), [("bf16-mixed", False), ("32-true", True)])
def test_attention_in_bfloat16_is_not_fused_on_a_cpu(precision, fused, rng):
    views, y = data(rng, 20)
    sizes = TransformerSettings(dropout=0, n_layers=1)
    training = TrainSettings(epochs=1, batch=8, precision=precision)
    classifier = SignalClassifier(
        "cnn1d_transformer", None, NetworkSettings(transformer=sizes), training, device="cpu"
    )
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        classifier.fit(views, y, validation=np.array([], int))
    backward = "aten::_scaled_dot_product_flash_attention_for_cpu_backward"
    assert any(event.key == backward for event in profiled.key_averages()) == fused


def test_a_trained_network_lies_in_memory_as_it_was_built(rng):
    views, y = data(rng, 20)
    trained = SignalClassifier("cnn2d_compact", training=TrainSettings(epochs=1, batch=8))
    weights = trained.fit(views, y).network_.state_dict()
    assert all(weight.is_contiguous() for weight in weights.values())


def test_a_broken_epoch_is_never_the_best():
    losses = [0.9, float("nan"), 0.5, 0.7]
    assert best_epoch([{"validation_loss": loss} for loss in losses]) == 2


def test_another_architecture_of_equal_shapes_does_not_resume(rng, tmp_path):
    views, y = data(rng, 40)
    one, two = (
        NetworkSettings(transformer=TransformerSettings(width=16, hidden=8, n_heads=heads))
        for heads in (2, 4)
    )
    training = TrainSettings(epochs=2, batch=16)
    with pytest.raises(Stopped):
        SignalClassifier("cnn1d_transformer", network=one, training=training, device="cpu").fit(
            views, y, checkpoint=tmp_path, progress=stop_after(1)
        )
    with pytest.raises(SettingsError, match="of other settings or data"):
        SignalClassifier("cnn1d_transformer", network=two, training=training, device="cpu").fit(
            views, y, checkpoint=tmp_path
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(rng):
    views, y = data(rng, 20)
    with pytest.raises(SettingsError, match="device 'cuda': 0 here; expected 1"):
        SignalClassifier("cnn1d_compact", device="cuda").fit(views, y)


@pytest.mark.parametrize(("n", "n_classes"), [(6, 2), (12, 3)])
def test_few_rows_are_parted_without_proportion(n, n_classes):
    train, held = hold_out(np.arange(n) % n_classes)
    assert len(train) + len(held) == n
    assert len(held) >= 1


def test_no_label_at_all_is_refused():
    with pytest.raises(DataError, match="0 labelled rows; expected at least 2"):
        hold_out(np.full(10, -1))
